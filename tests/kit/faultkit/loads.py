"""Programs that record a lot, and tell of themselves as JSON on their last line."""

from __future__ import annotations

OVERLOAD = """
import json, os, resource, sys, time
from collections import deque
from iox_otel import Span, SpanRecorder
from iox_otel_bridge import TracingConfig

LASTING_S, RATE = float(sys.argv[1]), int(sys.argv[2])
TICK_S = 0.01
PAGE = resource.getpagesize()

def memory_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE / 1e6

tracing = TracingConfig.from_env().build()
name = next(iter(tracing.stats()))
began_s = time.monotonic()
told_s = began_s
memory, queued = [], []
calls_us = deque(maxlen=50_000)  # else it would be what grows
recorded = 0
while (now_s := time.monotonic()) < began_s + LASTING_S:
    while recorded < RATE * (now_s - began_s):
        before_ns = time.perf_counter_ns()
        with SpanRecorder(Span.root("work", tracing.collector)) as recorder:
            recorder.set_metadata("request", recorded)
            recorder.set_metadata("sql", "select * from cpu where host = 'a'")
        if recorded % 16 == 0:
            calls_us.append((time.perf_counter_ns() - before_ns) / 1000)
        recorded += 1
    if now_s >= told_s:
        told_s += 1
        memory.append(memory_mb())
        stats = tracing.stats()[name]
        assert stats.recorded == sum(stats[1:])
        queued.append(stats.queued)
    time.sleep(TICK_S)
calls_us = sorted(calls_us)
answer = tracing.shutdown(1.0)
print(json.dumps({
    "recorded": recorded,
    "stats": list(tracing.stats()[name]),
    "answer": answer,
    "memory": memory,
    "queued": queued,
    "p50": calls_us[len(calls_us) // 2],
    "p99": calls_us[len(calls_us) * 99 // 100],
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
