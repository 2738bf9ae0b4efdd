"""What the viewer's store takes and how fast it answers: `python benchmarks/viewer_store.py`.

A million spans in traces of eight, of two services, ten attributes each, two of which have a value
of their own; as many again on top of a full store; searches of every kind; a file on disk. Rates
are of one thread. It takes three minutes and 1 GB of memory.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from iox_otel.viewer.query import Query
from iox_otel.viewer.search import find
from iox_otel.viewer.store import Store
from iox_otel.viewer.stored import Batch

TRACES_PER_ADD = 62
SPANS_PER_TRACE = 8
ROUNDS = 5
START_NS = 1_700_000_000_000_000_000
MS = 1_000_000


def resource(service: str) -> Resource:
    """Return a process of that service."""
    made = Resource()
    made.attributes.add(key="service.name").value.string_value = service
    for number in range(6):
        made.attributes.add(key=f"process.{number}").value.string_value = f"value {number}"
    return made


FRONT, BACK = resource("front"), resource("back")
SCOPE = InstrumentationScope(name="benchmark", version="1")


def span(trace: int, number: int) -> Span:
    """Return a span; one in a thousand traces ends in an error."""
    start_ns = START_NS + trace * MS + number * 1_000
    made = Span(
        trace_id=trace.to_bytes(16, "big"),
        span_id=(number + 1).to_bytes(8, "big"),
        parent_span_id=number.to_bytes(8, "big") if number else b"",
        name=f"operation {(trace + number) % 20}",
        kind=Span.SPAN_KIND_SERVER if number % 4 == 0 else Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=start_ns,
        end_time_unix_nano=start_ns + random.randrange(100 * MS),
    )
    for attribute in range(7):
        made.attributes.add(key=f"key.{attribute}").value.string_value = f"some text {attribute}"
    made.attributes.add(key="at").value.int_value = number
    made.attributes.add(key="user").value.int_value = trace % 10_000
    made.attributes.add(key="request").value.string_value = f"{trace:016x}{number}"
    if trace % 1_000 == 0 and number == SPANS_PER_TRACE - 1:
        made.status.code = Status.STATUS_CODE_ERROR
    return made


def batches(spans: int, first_trace: int = 1) -> Iterator[list[Batch]]:
    """Give what to add, one call after the other, up to so many spans."""
    per_add = TRACES_PER_ADD * SPANS_PER_TRACE
    for start in range(first_trace, first_trace + spans // SPANS_PER_TRACE, TRACES_PER_ADD):
        made = [span(start + n // SPANS_PER_TRACE, n % SPANS_PER_TRACE) for n in range(per_add)]
        halves = [made[0::2], made[1::2]]
        yield [Batch(FRONT, SCOPE, halves[0]), Batch(BACK, SCOPE, halves[1])]


def fill(store: Store, spans: int, first_trace: int = 1) -> str:
    """Add so many spans; tell how that went."""
    took_s: list[float] = []
    for some in batches(spans, first_trace):
        began = time.perf_counter()
        store.add(some)
        took_s.append(time.perf_counter() - began)
    per_add = TRACES_PER_ADD * SPANS_PER_TRACE
    return (
        f"{per_add * len(took_s) / sum(took_s):,.0f} spans/s "
        f"(half of the calls beyond {per_add / statistics.median(took_s):,.0f}), "
        f"longest call {max(took_s) * 1e3:.0f} ms"
    )


def queries(traces: int) -> dict[str, Query]:
    """Return a query of every kind."""
    middle_ns = START_NS + traces // 2 * MS
    common = ("key.1", "some text 1")
    rare = ("request", f"{traces // 2:016x}0")
    front = partial(Query, service="front")
    return {
        "everything": Query(),
        "service": front(),
        "service, 1500": front(limit=1500),
        "operation": front(operation="operation 3"),
        "operation of any service": Query(operation="operation 3"),
        "no such operation": front(operation="nothing"),
        "common tag": front(tags=(common,)),
        "common tag, 1500": front(tags=(common,), limit=1500),
        "common tag of a process": front(tags=(("process.1", "value 1"),)),
        "tag of a few traces": front(tags=(("user", "77"),)),
        "tag of one span": front(tags=(rare,)),
        "tag of one span, any service": Query(tags=(rare,)),
        "absent tag": front(tags=(("request", "nothing"),)),
        "operation and tag, 1500": front(operation="operation 3", tags=(common,), limit=1500),
        "two tags, never on one span": front(tags=(("at", "0"), ("at", "2"))),
        "longer than most": front(min_duration_ns=100 * MS - 1_000),
        "longer than all": front(min_duration_ns=200 * MS),
        "shorter than most": front(max_duration_ns=1_000),
        "time": front(start_ns=middle_ns, end_ns=middle_ns + 100 * MS),
        "errors": Query(errors_only=True),
        "errors, 1500": Query(service="back", errors_only=True, limit=1500),
        "no errors": front(errors_only=True),
    }


def search(store: Store, traces: int) -> None:
    """Print how long searches take, the longest of some rounds."""
    print("search                              found  longest ms")
    for name, query in queries(traces).items():
        took_ms = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            found = find(store, query)
            took_ms.append((time.perf_counter() - began) * 1e3)
        cut = ", cut short" if found.is_cut_short else ""
        print(f"  {name:<30} {len(found.rows):>8} {max(took_ms):>11.1f}{cut}")


def read(store: Store) -> None:
    """Print how long the other questions take."""
    questions: dict[str, Callable[[], object]] = {
        "services": store.services,
        "operations": lambda: store.operations("front"),
        "dependencies": lambda: store.dependencies(0, 2 * START_NS),
        "how much is kept": store.kept,
        "1500 traces": lambda: list(store.traces([n.to_bytes(16, "big") for n in range(1, 1501)])),
    }
    for name, question in questions.items():
        began = time.perf_counter()
        question()
        print(f"{name}: {(time.perf_counter() - began) * 1e3:.1f} ms")


def search_while_adding(store: Store, first_trace: int) -> None:
    """Print how long searches take while another thread adds as fast as it can."""
    writer = threading.Thread(target=fill, args=(store, 50_000, first_trace))
    writer.start()
    took_ms = []
    while writer.is_alive():
        began = time.perf_counter()
        find(store, Query(service="front", tags=(("key.1", "some text 1"),)))
        took_ms.append((time.perf_counter() - began) * 1e3)
        time.sleep(0.05)
    print(
        f"search while spans come: {statistics.median(took_ms):.1f} ms, at most {max(took_ms):.1f}"
    )


def resident_mb() -> float:
    """Return this process's memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=1_000_000)
    spans = parser.parse_args().spans
    traces = spans // SPANS_PER_TRACE
    before_mb = resident_mb()
    with Store(max_spans=spans) as store:
        print(f"filling: {fill(store, spans)}")
        kept = store.kept()
        print(
            f"{kept.spans:,} spans in {kept.bytes / 2**20:.0f} MiB, {kept.bytes / kept.spans:.0f} "
            f"bytes each; the process has grown by {resident_mb() - before_mb:.0f} MiB"
        )
        search(store, traces)
        read(store)
        print(f"full, the oldest go: {fill(store, spans // 2, 2 * traces)}")
        search_while_adding(store, 4 * traces)
        kept = store.kept()
        print(
            f"{kept.spans:,} spans in {kept.bytes / 2**20:.0f} MiB; "
            f"the process has grown by {resident_mb() - before_mb:.0f} MiB"
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "traces.db")
        with Store(file, max_spans=spans // 8) as store:
            print(f"a file: {fill(store, spans // 4)}")


if __name__ == "__main__":
    main()
