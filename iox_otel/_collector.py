"""TraceCollector, and the collectors that need no exporter. Agrees with IOx `trace`."""

from __future__ import annotations

from _thread import get_ident  # noqa: PLC2701  `threading` costs more to import
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from . import _clock, _report

if TYPE_CHECKING:
    from ._span import Span


class TraceCollector(Protocol):
    """Takes finished spans.

    `export` runs on the thread that recorded the span, perhaps inside `__del__` or a signal
    handler: it must not raise, must not block, and must take no lock.
    """

    def export(self, span: Span) -> None:
        """Take *span*; it is finished, and the collector may keep it."""


class LogTraceCollector:
    """Logs each span at INFO to the logger "iox_otel".

    A span that a logging handler records while it is told of another is not logged: that would
    never end.
    """

    def __init__(self) -> None:
        import logging

        self._logger = logging.getLogger("iox_otel")
        self._logging: set[int] = set()  # threads

    def export(self, span: Span) -> None:
        """Log *span* on one line."""
        thread = get_ident()
        if thread in self._logging:
            _report.report("a span recorded by a logging handler is not logged")
            return
        self._logging.add(thread)
        try:
            self._logger.info("span %r %r %r %r", span, span.metadata, span.start_ns, span.end_ns)
        finally:
            self._logging.discard(thread)


class RingBufferTraceCollector:
    """Keeps the newest *capacity* spans in memory; the oldest make room.

    Raises:
        ValueError: capacity is less than 1.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity!r}")
        self._spans: deque[Span] = deque(maxlen=capacity)

    def export(self, span: Span) -> None:
        """Keep *span*."""
        self._spans.append(span)

    def spans(self) -> list[Span]:
        """Return the spans kept, oldest first. Other threads may go on recording."""
        while True:
            try:
                return list(self._spans)
            except RuntimeError:  # another thread appended while this one copied
                continue


DEFAULT_TIMEOUT_MS = 30_000
_LONGEST_TIMEOUT_MS = 86_400_000


class FanOutTraceCollector:
    """Hands each span to all of *collectors*; one that fails does not keep it from the rest."""

    def __init__(self, collectors: Sequence[TraceCollector]) -> None:
        self.collectors = tuple(collectors)

    def export(self, span: Span) -> None:
        """Hand *span* to each collector in turn."""
        for collector in self.collectors:
            try:
                collector.export(span)
            except Exception:
                _report.report("a trace collector raised, its span is lost")

    def force_flush(
        self, timeout_millis: float | None = DEFAULT_TIMEOUT_MS, *, timeout_s: float | None = None
    ) -> bool:
        """Flush all collectors that can be, at the same time; True if each delivered everything.

        They are called with milliseconds, as the SDK calls its processors. Blocks for the time
        given at most.

        Args:
            timeout_millis: how long to wait at most; None is the default as well.
            timeout_s: the same in seconds, instead.
        """
        return self._together(("force_flush",), timeout_millis, timeout_s)

    def flush_before_exit(
        self, timeout_millis: float | None = DEFAULT_TIMEOUT_MS, *, timeout_s: float | None = None
    ) -> bool:
        """As `force_flush`; collectors that know when to give up before an exit do so."""
        return self._together(("flush_before_exit", "force_flush"), timeout_millis, timeout_s)

    def shutdown(
        self, timeout_millis: float | None = DEFAULT_TIMEOUT_MS, *, timeout_s: float | None = None
    ) -> bool:
        """As `force_flush`, and shut them down."""
        return self._together(("shutdown",), timeout_millis, timeout_s)

    def _together(
        self, methods: Sequence[str], timeout_millis: float | None, timeout_s: float | None
    ) -> bool:
        """Call the first of *methods* that each collector has, on a thread of its own: a dead
        collector delays no other."""
        from threading import Thread

        deadline_ns = _clock.monotonic_ns() + _milliseconds(timeout_millis, timeout_s) * 1_000_000
        answers: list[bool] = []

        def ask(call: Callable[[int], bool]) -> None:
            try:
                answers.append(call(_milliseconds_until(deadline_ns)))
            except Exception:
                _report.report("the flush or shutdown of a trace collector raised")

        calls = [call for each in self.collectors if (call := _first_of(methods, each))]
        threads = []
        for call in calls:
            thread = Thread(target=ask, args=(call,), daemon=True)
            try:
                thread.start()
                threads.append(thread)
            except RuntimeError:  # the interpreter ends and takes no more threads
                ask(call)
        for thread in threads:
            thread.join(_milliseconds_until(deadline_ns) / 1000)
        return len(answers) == len(calls) and all(answers)


def _first_of(methods: Sequence[str], collector: TraceCollector) -> Callable[[int], bool] | None:
    for method in methods:
        call: Callable[[int], bool] | None = getattr(collector, method, None)
        if call is not None:
            return call
    return None


def _milliseconds(timeout_millis: float | None, timeout_s: float | None) -> int:
    if timeout_s is not None:
        timeout_millis = timeout_s * 1000
    elif timeout_millis is None:
        timeout_millis = DEFAULT_TIMEOUT_MS
    # NaN compares with nothing and comes out as 0.
    return int(min(timeout_millis, _LONGEST_TIMEOUT_MS)) if timeout_millis > 0 else 0


def _milliseconds_until(deadline_ns: int) -> int:
    return max(0, (deadline_ns - _clock.monotonic_ns()) // 1_000_000)
