"""What an exporter of the application's may do wrong: raise anything, answer nonsense, hang."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from iox_otel import SpanContext
from iox_otel_bridge import BridgeProcessor


class Unprintable(Exception):
    def __repr__(self) -> str:
        raise RuntimeError("no text")

    __str__ = __repr__


class Misbehaving(SpanExporter):
    """Does as it is told once, and exports from then on."""

    def __init__(self, first: Any) -> None:
        self.first = first
        self.names: list[str] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        first, self.first = self.first, SpanExportResult.SUCCESS
        if isinstance(first, BaseException):
            raise first
        if first is SpanExportResult.SUCCESS:
            self.names += [span.name for span in spans]
        answer: SpanExportResult = first
        return answer


@pytest.mark.parametrize(
    "first",
    [RuntimeError(), RecursionError(), SystemExit(3), KeyboardInterrupt(), GeneratorExit()]
    + [Unprintable(), None, 0, "SUCCESS", object()],
    ids=lambda first: repr(type(first).__name__),
)
def test_whatever_an_exporter_does_costs_that_batch_only(
    first: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The spans are counted, one line tells of it, and the next ones are delivered."""
    exporter = Misbehaving(first)
    processor = BridgeProcessor(exporter, schedule_delay_s=0.01, name="theirs")
    context = SpanContext.new(processor)
    try:
        context.recorder("first").finish()
        until(lambda: processor.stats().queued == 0)
        context.recorder("second").finish()
        until(lambda: processor.stats().queued == 0)
    finally:
        processor.shutdown(timeout_s=5)

    stats = processor.stats()
    kept = isinstance(first, KeyboardInterrupt)  # nobody's fault: tried again
    assert exporter.names == (["first", "second"] if kept else ["second"])
    assert (stats.delivered, stats.dropped_export_failed) == ((2, 0) if kept else (1, 1))
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == (1 if kept else 2)  # the failure, and at the end what was lost in all
    assert lines[0].startswith("theirs: ")


def test_an_exporter_without_a_flush_of_its_own_has_nothing_to_flush() -> None:
    """The base class says neither yes nor no; what was exported is delivered."""
    processor = BridgeProcessor(Misbehaving(SpanExportResult.SUCCESS))
    SpanContext.new(processor).recorder("work").finish()

    assert processor.force_flush(timeout_s=5) is True
    assert processor.shutdown(timeout_s=5) is True


def test_an_exporter_that_never_comes_back_delays_nobody() -> None:
    """Recording goes on, and flush and shutdown return in their time, with every span counted."""
    release = threading.Event()

    class Hanging(Misbehaving):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            release.wait()
            return SpanExportResult.SUCCESS

    processor = BridgeProcessor(Hanging(None), schedule_delay_s=0.01, max_queue_size=50)
    context = SpanContext.new(processor)
    try:
        for _ in range(100):
            context.recorder("work").finish()
        began_s = time.monotonic()
        assert processor.force_flush(timeout_s=0.2) is False
        assert processor.shutdown(timeout_s=0.2) is False
        assert time.monotonic() - began_s < 2
        stats = processor.stats()
        assert stats.recorded == 100 == stats.dropped_queue_full + stats.dropped_shut_down
    finally:
        release.set()


class Recording(logging.Handler):
    """A handler of the application's that records a span for every line."""

    def __init__(self, context: SpanContext) -> None:
        super().__init__()
        self.context = context
        self.lines = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += 1
        self.context.recorder("log").finish()


@pytest.fixture
def handlers() -> Iterator[list[logging.Handler]]:
    added: list[logging.Handler] = []
    yield added
    for each in added:
        logging.getLogger("iox_otel").removeHandler(each)


def test_spans_recorded_while_a_failure_is_logged_do_not_make_more_of_it(
    handlers: list[logging.Handler],
) -> None:
    """Each failure is logged, which records a span, whose export fails: that ends at one line."""

    class Failing(Misbehaving):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            raise RuntimeError("broken")

    processor = BridgeProcessor(Failing(None), schedule_delay_s=0.01)
    context = SpanContext.new(processor)
    handler = Recording(context)
    logging.getLogger("iox_otel").addHandler(handler)
    handlers.append(handler)
    context.recorder("work").finish()
    until(lambda: processor.stats().dropped_export_failed == 2)
    time.sleep(0.2)

    assert handler.lines == 1
    assert processor.stats().recorded == 2
    processor.shutdown(timeout_s=5)


def until(condition: Any) -> None:
    deadline_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline_s, "the condition never came true"
        time.sleep(0.005)
