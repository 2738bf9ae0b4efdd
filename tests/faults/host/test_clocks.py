"""What happens when somebody puts other clocks in the place of Python's."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from iox_otel import RingBufferTraceCollector, SpanContext, SpanEvent, SpanRecorder, _clock
from iox_otel_bridge import BridgeProcessor

SECOND = 1_000_000_000


def broken() -> int:
    raise RuntimeError("no clock")


@pytest.mark.parametrize("name", ["wall_ns", "monotonic_ns"])
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_clock_that_raises_costs_the_times_only(
    name: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work goes on, and its span is exported with all else."""
    collector = RingBufferTraceCollector(10)
    context = SpanContext.new(collector)
    if when == "before":
        monkeypatch.setattr(_clock, name, broken)
    with SpanRecorder(context.child("outer")) as outer, context.recorder("inner") as inner:
        monkeypatch.setattr(_clock, name, broken)
        outer.event("said")
        inner.event(SpanEvent("made"))
        inner.set_metadata("k", 1)

    inner_span, outer_span = collector.spans()
    assert [event.msg for event in inner_span.events + outer_span.events] == ["made", "said"]
    assert inner_span.metadata == {"k": 1}


@contextmanager
def frozen(at_s: float) -> Iterator[None]:
    """Freeze all clocks as freezegun does: in `time`, and wherever a module has one by any name."""
    fakes: dict[Any, Callable[[], float]] = {
        time.time: lambda: at_s,
        time.time_ns: lambda: int(at_s * SECOND),
        time.monotonic: lambda: at_s,
        time.monotonic_ns: lambda: int(at_s * SECOND),
        time.perf_counter: lambda: at_s,
        time.perf_counter_ns: lambda: int(at_s * SECOND),
    }
    replaced = []
    for module in [*sys.modules.values()]:
        if module.__name__ != "threading" and not module.__name__.startswith("_pytest"):
            for name in dir(module):
                try:
                    real = getattr(module, name, None)
                    if fake := fakes.get(real):
                        replaced.append((module, name, real))
                        setattr(module, name, fake)
                except Exception:  # noqa: S112
                    continue  # a lazy module, or a value without a hash
    try:
        yield
    finally:
        for module, name, real in replaced:
            setattr(module, name, real)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # it looks at every name there is
def test_a_span_open_while_the_time_is_frozen_or_thawed_keeps_sane_times() -> None:
    """It starts by the clock of its start, and lasts as long as it really did."""
    collector = RingBufferTraceCollector(10)
    context = SpanContext.new(collector)
    across = context.recorder("across")
    with frozen(1_000_000_000.0):
        across.finish()
        context.recorder("within").finish()
        left = context.recorder("left")
    left.finish()

    spans = {span.name: span for span in collector.spans()}
    for span in spans.values():
        assert span.start_ns is not None and span.end_ns is not None
        assert 0 <= span.end_ns - span.start_ns < 60 * SECOND
    assert spans["within"].start_ns == spans["left"].start_ns == 1_000_000_000 * SECOND


class Dead(SpanExporter):
    """Never comes back, until it is let."""

    def __init__(self) -> None:
        self.release = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.release.wait(20)
        return SpanExportResult.SUCCESS


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_deadlines_are_kept_while_the_time_is_frozen() -> None:
    """A test that freezes the time still gets its flush and shutdown answered."""
    exporter = Dead()
    processor = BridgeProcessor(exporter, schedule_delay_s=0.01)
    real = time.perf_counter
    began_s = real()
    try:
        with frozen(1_000_000_000.0):
            SpanContext.new(processor).recorder("work").finish()
            assert processor.force_flush(timeout_s=0.2) is False
            assert processor.shutdown(timeout_s=0.2) is False
    finally:
        exporter.release.set()
    assert real() - began_s < 5
