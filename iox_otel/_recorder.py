"""SpanRecorder: times a span, and exports it when it is done. Agrees with IOx `trace::span`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from . import _clock, _limits, _report
from ._current import current
from ._span import LOST
from ._values import SHORT_TYPES, SpanEvent, SpanStatus, text_of

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

    from ._context import SpanContext
    from ._span import Span


class SpanRecorder:
    """Records *span*: started now, ended and exported exactly once when the work is finished.

    With None, because this request is not sampled or nobody collects, the shared no-op comes back:
    every method of it does nothing and allocates nothing. So code that records needs no `if`.

        with SpanRecorder(ctx.child("foo") if ctx else None) as recorder:
            recorder.set_metadata("rows", 3)

    As a context manager it is `current` inside the block. An exception that leaves the block adds
    an event "exception" (OpenTelemetry's semantic conventions), sets the status Err and goes on
    unchanged; a cancellation adds "cancelled" and leaves the status. Without `with`, call
    `finish()`; a recorder that is garbage-collected unfinished exports what it has and warns
    (ResourceWarning).

    Times: the start never lies in the future; the end comes from a monotonic clock, so a clock that
    is set during the span makes its duration neither negative nor longer.

    Not for use from two threads at once.
    """

    __slots__ = ("__weakref__", "_epoch_ns", "_token", "span")

    span: Span | None
    """The span being recorded; None for the no-op, and once it is finished or taken."""
    _epoch_ns: int | None
    """The wall clock's reading at the monotonic clock's zero, as of the start; None if unknown."""
    _token: Token[object] | None

    # All in __new__, so that None costs one comparison and no object.
    def __new__(cls, span: Span | None) -> SpanRecorder:
        if span is None:
            return NOOP
        self = object.__new__(cls)
        self.span = span
        self._token = None
        try:
            now_ns = _clock.wall_ns()
            self._epoch_ns = now_ns - _clock.monotonic_ns()
            if span.start_ns is None or span.start_ns > now_ns:
                span.start_ns = now_ns
        except Exception:
            self._untimed()
        return self

    def _untimed(self) -> None:
        """Go on without times: somebody has replaced a clock, or a start, by what does not work."""
        self._epoch_ns = None
        _report.report("a clock raised")

    def __enter__(self) -> SpanRecorder:
        if self.span is not None:
            self._token = current.set(self.span)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        token = self._token
        if token is not None:
            self._token = None
            try:
                current.reset(token)
            except ValueError:
                pass  # closed in another context (an async generator's): nothing to restore here
        if self.span is not None:
            try:
                if exc is not None:
                    self.exception(exc)
            except Exception:  # at the end of a runaway recursion there is no stack left for it
                _report_with_what_stack_is_left("an exception could not be recorded")
            try:
                self.finish()
            except Exception:
                _report_with_what_stack_is_left("a span could not be finished and is lost")

    def finish(self) -> None:
        """End the span and export it. Does nothing the second time."""
        span = self.span
        if span is None:
            return
        self.span = None
        try:
            end_ns = self._epoch_ns + _clock.monotonic_ns()  # type: ignore[operator]  # see below
            if span._events:
                end_ns = end_after(span._events[-1], end_ns)
            if span.end_ns is None or span.end_ns < end_ns:
                span.end_ns = end_ns
            # The application may have moved the start meanwhile.
            if span.start_ns is None or span.start_ns > end_ns:
                span.start_ns = end_ns
        except TypeError:  # there is no epoch; or the application has put there what is no number
            pass
        except Exception:
            _report.report("a clock raised")
        # As `Span.export`, written out: most spans end here.
        collector = (span._ctx or span._parent).collector
        if collector is not None:
            try:
                collector.export(span)
            except Exception:
                _report.report(LOST)

    def set_metadata(self, key: str, value: object) -> None:
        """Keep *value* under *key*, replacing what was there. Takes any type, see `MetaValue`."""
        span = self.span
        if span is not None:
            # As `Span.set_metadata`, written out: most is set here.
            if type(key) is not str:
                key = text_of(key)
            if (
                len(value) > _limits.MAX_CHARS
                if type(value) is str
                else type(value) not in SHORT_TYPES
            ):
                value = span._fitted(value)
            metadata = span.metadata
            if len(metadata) < _limits.MAX_METADATA or key in metadata:
                metadata[key] = value  # type: ignore[assignment]
            else:
                span._lose(_limits.METADATA)

    def event(self, event: SpanEvent | str, /, **metadata: object) -> None:
        """Add *event*, or a new one with that message at this moment, with *metadata* added."""
        span = self.span
        if span is not None:
            span._add_event(event, metadata)

    def event_msg(self, msg: str) -> None:
        """Add an event that is only a message."""
        if self.span is not None:
            self.span._add_event(msg, None)

    def exception(self, exc: BaseException) -> None:
        """Record *exc* as leaving the span: event "exception" and status Err, or "cancelled"."""
        if self.span is not None:
            _record_exception(self.span, exc)

    def ok(self, msg: str | None = None) -> None:
        """Add an event with *msg*, if any, and set the status Ok, unless one is set."""
        if self.span is not None:
            self.span.ok(msg)

    def error(self, msg: str | None = None) -> None:
        """Add an event with *msg*, if any, and set the status Err, unless one is set."""
        if self.span is not None:
            self.span.error(msg)

    def status(self, status: SpanStatus) -> None:
        """Set the status, unless one is set."""
        if self.span is not None:
            self.span.set_status(status)

    def take(self) -> SpanRecorder:
        """Move the span into a new recorder and return that; this one is a no-op from now on.

        For handing the span on, say from a handler to the body that it streams.
        """
        span = self.span
        if span is None:
            return NOOP
        self.span = None
        taken = object.__new__(type(self))
        taken.span = span
        taken._token = None
        taken._epoch_ns = self._epoch_ns
        return taken

    def child(self, name: str) -> SpanRecorder:
        """Return the recorder of a new span under this one; the no-op, if this is one."""
        span = self.span
        return NOOP if span is None else (span._ctx or span.ctx)._recorder(name)

    def child_span(self, name: str) -> Span | None:
        """Return a new span under this one for the caller to fill in and export, or None."""
        return None if self.span is None else self.span.ctx.child(name)

    def link(self, other: SpanContext) -> None:
        """Note that this span follows from *other*."""
        if self.span is not None:
            self.span.link(other)

    def __del__(self) -> None:
        try:
            span = self.span
        except AttributeError:  # never was one
            return
        if span is not None:
            self.finish()
            try:
                import warnings
            except ImportError:  # the interpreter ends and imports no more
                return
            warnings.warn(
                f"span {span.name!r} was never finished; use `with` or call finish()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )


def _make_noop() -> SpanRecorder:
    noop = object.__new__(SpanRecorder)
    noop.span = None
    noop._token = None
    return noop


NOOP = _make_noop()


_CLOCKS_APART_NS = 1_000_000
"""By how much the two clocks may disagree unless the wall clock was set."""


def end_after(last: SpanEvent, end_ns: int) -> int:
    """Return the end of a span: *end_ns*, or the time of its *last* event if that is just after it.

    An event's time is the wall clock's, the end is counted from the start by a monotonic one: where
    these differ by a little the end gives way, so that no event lies behind it.
    """
    return last.time_ns if end_ns < last.time_ns < end_ns + _CLOCKS_APART_NS else end_ns


def _report_with_what_stack_is_left(message: str) -> None:
    try:
        _report.report(message)
    except RecursionError:
        pass


def _record_exception(span: Span, exc: BaseException) -> None:
    if _is_cancellation(exc):
        span.event("cancelled")
        return
    event = SpanEvent.of_exception(exc)
    span.event(event)
    span.set_status(SpanStatus.ERR, event.metadata["exception.message"])  # type: ignore[arg-type]


_CANCELLATIONS = (("asyncio", "CancelledError"), ("trio", "Cancelled"))


def _is_cancellation(exc: BaseException) -> bool:
    if isinstance(exc, Exception):
        return False
    if isinstance(exc, GeneratorExit):
        return True
    # If the library was never imported, this is not its exception; importing asyncio costs 47 ms.
    return any(
        isinstance(exc, getattr(sys.modules.get(library), name, ()))
        for library, name in _CANCELLATIONS
    )
