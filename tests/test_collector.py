"""The collectors that need no exporter."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest

from iox_otel import (
    FanOutTraceCollector,
    LogTraceCollector,
    RingBufferTraceCollector,
    Span,
    TraceCollector,
)


class Broken:
    """A collector that fails."""

    def export(self, span: Span) -> None:
        raise RuntimeError("broken")


class Flushable:
    """A collector whose flush takes as long as it is told."""

    def __init__(self, answer: bool, blocked: threading.Event | None = None) -> None:
        self.answer = answer
        self.blocked = blocked
        self.asked: list[int] = []

    def export(self, span: Span) -> None:
        pass

    def force_flush(self, timeout_millis: int) -> bool:
        self.asked.append(timeout_millis)
        if self.blocked is not None:
            self.blocked.wait()
        return self.answer

    shutdown = force_flush


def about(timeout_millis: int) -> Any:
    """Compare equal to one call with that time, or with what is left of it soon after."""
    return pytest.approx([timeout_millis], abs=90)


def test_ring_buffer_keeps_the_newest_oldest_first() -> None:
    """The oldest span makes room."""
    collector = RingBufferTraceCollector(2)
    for name in ("a", "b", "c"):
        Span.root(name, collector).export()

    assert [span.name for span in collector.spans()] == ["b", "c"]


@pytest.mark.parametrize("capacity", [0, -1])
def test_ring_buffer_needs_room(capacity: int) -> None:
    """A capacity that keeps nothing is refused."""
    with pytest.raises(ValueError, match=f"capacity must be at least 1, got {capacity}"):
        RingBufferTraceCollector(capacity)


def test_ring_buffer_is_read_while_others_record() -> None:
    """Reading never fails on a buffer that changes under it."""
    collector = RingBufferTraceCollector(1_000)
    stop = threading.Event()

    def record() -> None:
        while not stop.is_set():
            Span.root("x", collector).export()

    threads = [threading.Thread(target=record) for _ in range(2)]
    for thread in threads:
        thread.start()
    sizes = [len(collector.spans()) for _ in range(500)]
    stop.set()
    for thread in threads:
        thread.join()

    assert max(sizes) <= 1_000


def test_log_collector_logs_at_info(caplog: pytest.LogCaptureFixture) -> None:
    """One line a span, at INFO, logger "iox_otel"."""
    with caplog.at_level(logging.INFO, "iox_otel"):
        span = Span.root("foo", LogTraceCollector())
        span.set_metadata("rows", 3)
        span.export()

    (record,) = caplog.records
    assert (record.name, record.levelno) == ("iox_otel", logging.INFO)
    assert "'foo'" in record.getMessage() and "{'rows': 3}" in record.getMessage()


def test_fan_out_reaches_all_though_one_fails() -> None:
    """A broken collector keeps nothing from the others."""
    first, last = RingBufferTraceCollector(1), RingBufferTraceCollector(1)
    collector: TraceCollector = FanOutTraceCollector([first, Broken(), last])

    span = Span.root("foo", collector)
    span.export()

    assert first.spans() == last.spans() == [span]


@pytest.mark.parametrize("method", ["force_flush", "shutdown"])
def test_fan_out_flush_is_true_only_if_all_are(method: str) -> None:
    """Collectors without a flush count as flushed."""
    good, bad = Flushable(True), Flushable(False)

    assert getattr(FanOutTraceCollector([good, RingBufferTraceCollector(1)]), method)() is True
    assert getattr(FanOutTraceCollector([good, bad]), method)(timeout_s=0.5) is False
    assert bad.asked == about(500)


def test_fan_out_flush_keeps_its_deadline_beside_a_hanging_collector() -> None:
    """A collector that hangs delays neither the others nor the caller beyond the time given."""
    release = threading.Event()
    hanging, good = Flushable(True, release), Flushable(True)
    start_s = time.monotonic()
    try:
        flushed = FanOutTraceCollector([hanging, good]).force_flush(200)
        took_s = time.monotonic() - start_s
    finally:
        release.set()

    assert flushed is False
    assert good.asked == about(200)
    assert took_s < 2


def test_fan_out_flushes_as_each_can_before_an_exit() -> None:
    """Collectors that know when to give up are asked that way, the others as ever."""

    class Exiting(Flushable):
        def flush_before_exit(self, timeout_millis: int) -> bool:
            self.asked.append(-timeout_millis)
            return True

    exiting, plain = Exiting(True), Flushable(True)

    assert FanOutTraceCollector([exiting, plain]).flush_before_exit(timeout_s=0.5) is True
    assert (exiting.asked, plain.asked) == (about(-500), about(500))


def test_fan_out_flushes_in_turn_where_no_thread_can_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Late in the interpreter's exit the collectors are flushed all the same."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    first, second = Flushable(True), Flushable(True)

    assert FanOutTraceCollector([first, second]).force_flush(100) is True
    assert first.asked == second.asked == about(100)


def test_fan_out_keeps_its_deadline_where_no_thread_can_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Flushed in turn, each gets what the others left of the time."""

    class Slow(Flushable):
        def force_flush(self, timeout_millis: int) -> bool:
            self.asked.append(timeout_millis)
            time.sleep(timeout_millis / 1000)
            return False

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    slow = [Slow(False) for _ in range(3)]

    assert FanOutTraceCollector(slow).force_flush(100) is False
    assert [each.asked[0] > 0 for each in slow] == [True, False, False]


@pytest.mark.parametrize("timeout", [None, 0, -1.0, float("nan"), float("inf"), 1e300])
def test_fan_out_takes_any_timeout(timeout: float | None) -> None:
    """As a processor does: None is the default, and no number is too odd."""
    collector = FanOutTraceCollector([Flushable(True)])

    assert collector.force_flush(timeout) in (True, False)
    assert collector.shutdown(timeout_s=timeout) in (True, False)


def test_fan_out_flush_contains_a_collector_that_raises() -> None:
    """An exception in a collector's flush is an answer of False."""

    class Raising(Flushable):
        def force_flush(self, timeout_millis: int) -> bool:
            raise RuntimeError("broken flush")

    assert FanOutTraceCollector([Raising(True)]).force_flush(1_000) is False
