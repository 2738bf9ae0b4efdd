"""Programs that record a lot, and tell of themselves as JSON on their last line."""

from __future__ import annotations

OVERLOAD = """
import json, resource, sys, time
from array import array
from iox_otel import Span, SpanRecorder
from iox_otel_bridge import TracingConfig

LASTING_S, RATE, VALUE = float(sys.argv[1]), int(sys.argv[2]), "x" * int(sys.argv[3])
TICK_S = 0.01
PAGE = resource.getpagesize()

class Times:
    # Of every call, in as much memory as of a few: how many took so many steps of 100 ns.
    def __init__(self):
        self.counts = array("L", bytes(8 * 100_000))
        self.calls = self.longest_ns = 0

    def add(self, took_ns):
        self.counts[min(took_ns // 100, len(self.counts) - 1)] += 1
        self.calls += 1
        self.longest_ns = max(self.longest_ns, took_ns)

    def within_us(self, part):
        left = self.calls * part
        for steps, count in enumerate(self.counts):
            left -= count
            if left <= 0:
                return (steps + 1) / 10

    def told(self):
        return [self.within_us(0.5), self.within_us(0.99), self.longest_ns / 1000]

class Nowhere:
    # A collector with no exporter behind it, on which nothing waits.
    def export(self, span):
        pass

def memory_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE / 1e6

def record(collector, times):
    before_ns = time.perf_counter_ns()
    with SpanRecorder(Span.root("work", collector)) as recorder:
        recorder.set_metadata("request", recorded)
        recorder.set_metadata("sql", "select * from cpu where host = 'a'")
        if VALUE:
            recorder.set_metadata("value", f"{recorded}{VALUE}")
    times.add(time.perf_counter_ns() - before_ns)

tracing = TracingConfig.from_env().build()
(name,) = tracing.stats()
times, times_alone, nowhere = Times(), Times(), Nowhere()
recorded = 0
began_s = told_s = time.monotonic()
memory, queued, most_mb = [memory_mb()], [], 0
while (now_s := time.monotonic()) < began_s + LASTING_S:
    while recorded < RATE * (now_s - began_s):
        record(tracing.collector, times)
        record(nowhere, times_alone)
        recorded += 1
    most_mb = max(most_mb, memory_mb())
    if now_s >= told_s:
        told_s += 1
        memory.append(memory_mb())
        stats = tracing.stats()[name]
        assert stats.recorded == sum(stats[1:])
        queued.append(stats.queued)
    time.sleep(TICK_S)
answer = tracing.shutdown(1.0)
print(json.dumps({
    "recorded": recorded,
    "stats": list(tracing.stats()[name]),
    "answer": answer,
    "memory": memory,
    "most_mb": most_mb,
    "queued": queued,
    "times": times.told(),
    "times_alone": times_alone.told(),
}))
"""

LARGE_TRACE = """
import sys, time
from iox_otel import Span, SpanRecorder
from iox_otel_bridge import TracingConfig

count = int(sys.argv[1])
tracing = TracingConfig.from_env().build()
(name,) = tracing.stats()
with SpanRecorder(Span.root("large", tracing.collector)) as root:
    for number in range(count - 1):
        with root.child("step") as child:
            child.set_metadata("number", number)
        while tracing.stats()[name].queued > 50_000 if number % 1_000 == 0 else False:
            time.sleep(0.01)
    print("RECORDED", file=sys.stderr, flush=True)
answer = tracing.shutdown(120)
print("STATS", *tracing.stats()[name], answer, file=sys.stderr)
"""
