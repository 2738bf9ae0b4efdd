"""Use from where Python code runs at odd moments: signal handlers, finalizers, exit handlers.

tests/bridge/test_processor.py has what strikes within `export` itself.
"""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from iox_otel import SpanContext, failures
from iox_otel_bridge import BridgeProcessor


class Counting(SpanExporter):
    """Counts spans by their name, and collects garbage while it does."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            self.counts[span.name] = self.counts.get(span.name, 0) + 1
        Cyclic.make()
        gc.collect(0)
        return SpanExportResult.SUCCESS


class Cyclic:
    """Garbage that records a span, asks for a flush and reads the counters when it is collected."""

    processor: BridgeProcessor
    collected = made = 0
    limit = 1_000_000

    @classmethod
    def make(cls) -> None:
        if cls.made < cls.limit:  # each of those in `export` brings about one more export
            cls.made += 1
            cls().itself = cls

    def __init__(self) -> None:
        self.itself: object = None
        self.cycle = self

    def __del__(self) -> None:
        Cyclic.collected += 1
        SpanContext.new(self.processor).recorder("finalizer").finish()
        self.processor.begin_flush()
        self.processor.stats()


def test_signal_handlers_and_finalizers_record_flush_and_count_at_any_moment() -> None:
    """A thousand signals strike at recording, at the log line of a failure and at `stats`; garbage
    is collected within `export` of the exporter's thread. All is counted, and nothing deadlocks."""
    exporter = Counting()
    processor = Cyclic.processor = BridgeProcessor(exporter, max_batch_size=32)
    context = SpanContext.new(processor)
    signals = recorded = 0

    class Broken:
        def export(self, span: object) -> None:
            raise RuntimeError("broken")

    broken = SpanContext.new(Broken())
    before = sum(failures().values())

    def on_alarm(signum: int, frame: object) -> None:
        nonlocal signals
        signals += 1
        # Not by `with`, which sets a ContextVar: Python 3.11 itself crashes if a handler does
        # so while the collector of garbage runs within another `set` (see docs/library.md).
        recorder = context.recorder("signal")
        recorder.event("struck", at=str(frame))
        recorder.child("below").finish()
        recorder.finish()
        broken.recorder("lost").finish()
        processor.begin_flush()
        assert processor.stats().recorded

    previous = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0007)
    try:
        while signals < 1_000:
            with context.recorder("plain") as recorder:
                recorder.set_metadata("n", recorded)
                recorder.event("working")
            broken.recorder("lost").finish()
            Cyclic.make()
            recorded += 1
            if recorded % 2_000 == 0:
                assert processor.force_flush(timeout_s=20)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    Cyclic.limit = Cyclic.made
    while Cyclic.collected < Cyclic.made:
        gc.collect()
    assert processor.force_flush(timeout_s=20)

    counts = exporter.counts
    assert counts["plain"] == recorded
    assert counts["signal"] == counts["below"] == signals
    assert sum(failures().values()) - before == recorded + signals
    assert counts["finalizer"] == Cyclic.collected > 100
    stats = processor.stats()
    assert stats.delivered == stats.recorded == sum(counts.values())
    assert processor.shutdown(timeout_s=20)


LATE = """
    import atexit, sys

    def early():
        context.recorder("registered before").finish()
        processor.begin_flush()
        print("before", *processor.stats()[:2], flush=True)

    atexit.register(early)

    from iox_otel import SpanContext, SpanRecorder
    from iox_otel_bridge import BridgeProcessor
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Printing(SpanExporter):
        def export(self, spans):
            for span in spans:
                print("exported", span.name, flush=True)
            return SpanExportResult.SUCCESS

    processor = BridgeProcessor(Printing(), schedule_delay_s=60)
    context = SpanContext.new(processor)

    def late():
        context.recorder("registered after").finish()
        print("flushed", processor.force_flush(timeout_s=5), flush=True)
        context.recorder("and once more").finish()

    atexit.register(late)

    class Last:
        # Keeps what it needs: the module's globals are gone when it is collected.
        context, processor, recorder = context, processor, SpanRecorder

        def __del__(self):
            self.context.recorder("at the very end").finish()
            self.processor.begin_flush()
            self.processor.force_flush(timeout_s=1)
            self.processor.stats()

    sys.last = Last()
    last = Last()
    last.cycle = last
"""


def test_exit_handlers_and_finalizers_at_the_very_end_are_harmless() -> None:
    """What handlers registered after ours record is delivered, what comes later is dropped; nothing
    is written to the error output, and the process ends at once with its own status."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(LATE) + "\nsys.exit(7)\n"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (7, "")
    assert ran.stdout.splitlines() == [
        "exported registered after",
        "flushed True",
        "exported and once more",
        "before 3 2",
    ]
