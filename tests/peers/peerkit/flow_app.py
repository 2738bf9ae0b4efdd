"""An application that records spans at a steady rate and says what became of them.

    python -m peerkit.flow_app PREFIX SPANS PER_SECOND

Where the spans go is in its environment. It prints a line of JSON every 50 ms and one at its end,
which comes when none is queued any more, or when its standard input is closed.
"""

from __future__ import annotations

import json
import sys
import threading
import time

from iox_otel import Span, SpanContext, TraceCollector
from iox_otel_bridge import TracingConfig
from iox_otel_bridge.tracing import Tracing

SPANS_PER_TRACE = 100
TELL_S = 0.05
PAUSE_S = 0.005
SHUTDOWN_S = 1.0


def make_span(prefix: int, number: int, collector: TraceCollector | None) -> Span:
    """Return the span *number* of the flow *prefix*."""
    ctx = SpanContext(
        trace_id=prefix << 64 | number // SPANS_PER_TRACE + 1,
        span_id=number + 1,
        collector=collector,
    )
    now_ns = time.time_ns()
    span = Span(f"span {number}", ctx, start_ns=now_ns, end_ns=now_ns + 1_000)
    span.metadata["number"] = number
    return span


class Recorder:
    """Records the spans, and tells how it goes."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing
        self._slowest_s = 0.0
        self._told_s = 0.0

    def record(self, span: Span) -> None:
        """Export *span*, and note how long that held up the application."""
        start_s = time.monotonic()
        span.export()
        self._slowest_s = max(self._slowest_s, time.monotonic() - start_s)

    def tell(self, *, ended: bool = False) -> None:
        """Print the counters, if it is time."""
        now_s = time.monotonic()
        if ended or now_s >= self._told_s + TELL_S:
            (stats,) = self._tracing.stats().values()
            told = {"at_s": now_s, "slowest_s": self._slowest_s, "ended": ended}
            print(json.dumps({**told, "stats": stats._asdict()}), flush=True)
            self._told_s = now_s

    def queued(self) -> int:
        """Return how many spans wait."""
        (stats,) = self._tracing.stats().values()
        return stats.queued


def _wait_to_be_asked(asked: threading.Event) -> None:
    sys.stdin.read()
    asked.set()


def main() -> None:
    """Record, wait, end."""
    prefix, count, per_second = map(int, sys.argv[1:])
    asked = threading.Event()
    threading.Thread(target=_wait_to_be_asked, args=(asked,), daemon=True).start()
    with TracingConfig.from_env(service_name="flow").build() as tracing:
        recorder = Recorder(tracing)
        start_s = time.monotonic()
        for number in range(count):
            while time.monotonic() < start_s + number / per_second:
                time.sleep(PAUSE_S)
            recorder.record(make_span(prefix, number, tracing.collector))
            recorder.tell()
        while recorder.queued() and not asked.wait(PAUSE_S):
            recorder.tell()
        tracing.shutdown(timeout_s=SHUTDOWN_S)
        recorder.tell(ended=True)


if __name__ == "__main__":
    main()
