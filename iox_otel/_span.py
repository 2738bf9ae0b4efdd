"""Span: a piece of work, growing or finished. Agrees with IOx `trace::span`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _clock, _context, _limits, _report
from ._limits import EVENTS, LINKS, METADATA, VALUES, SpanCut
from ._values import (
    SHORT_TYPES,
    MetaValue,
    SpanEvent,
    SpanKind,
    SpanStatus,
    event_metadata_of,
    event_time_ns,
    fitted,
    message_of,
    text_of,
)

if TYPE_CHECKING:
    from ._collector import TraceCollector
    from ._context import SpanContext

LOST = "a trace collector raised, its span is lost"
_UNKNOWN, _OK, _ERR = SpanStatus
_new = object.__new__


class Span:
    """One piece of work: a name, an identity, times, a status, metadata and events.

    A span is plain data. `SpanRecorder` times and exports one as the work runs; code that learns
    of work only afterwards fills in `start_ns` and `end_ns` itself and calls `export`.

    It holds so much and no more, see `SpanLimits`: what is beyond that is left out, and counted in
    `cut`. (What is put into `metadata` directly is not looked at.)

    Args:
        name: what the work is; few distinct names, details go into metadata. What is no text, here
            and in messages, becomes its `str()`.
        ctx: its place in the trace.
        kind: what side of a call it is.
        start_ns: Unix time in nanoseconds, None while unknown.
        end_ns: as `start_ns`.
    """

    # Most spans are opened by a recorder and never asked for their context: such a one has None in
    # `_ctx` and what it is made of in `_parent` and `_span_id`.
    __slots__ = (
        "_ctx",
        "_cut",
        "_events",
        "_parent",
        "_span_id",
        "end_ns",
        "kind",
        "metadata",
        "name",
        "start_ns",
        "status",
        "status_message",
    )

    def __init__(
        self,
        name: str,
        ctx: SpanContext,
        kind: SpanKind = SpanKind.INTERNAL,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> None:
        self.name = name if type(name) is str else text_of(name)
        self._ctx: SpanContext | None = ctx
        self._parent = ctx
        self._span_id = 0
        self.kind = kind
        self.start_ns = start_ns
        self.end_ns = end_ns
        self.status = _UNKNOWN
        self.status_message: str | None = None
        self.metadata: dict[str, MetaValue] = {}
        self._events: list[SpanEvent] | None = None
        self._cut: list[int] | None = None

    @classmethod
    def root(cls, name: str, collector: TraceCollector | None) -> Span:
        """Return the sampled root span of a new trace, to be handed to *collector*."""
        return cls(name, _context.SpanContext.new(collector))

    @property
    def ctx(self) -> SpanContext:
        """Its place in the trace."""
        ctx = self._ctx
        if ctx is None:
            ctx = self._ctx = self._parent._child(self._span_id)
        return ctx

    @property
    def events(self) -> tuple[SpanEvent, ...]:
        """What happened so far, in the order it was recorded."""
        return tuple(self._events) if self._events else ()

    @property
    def cut(self) -> SpanCut | None:
        """What it lost to the limits; None for most."""
        return SpanCut(*self._cut) if self._cut else None

    def child(self, name: str) -> Span:
        """Return a new span under this one, without a start; the caller exports it."""
        return self.ctx.child(name)

    def link(self, other: SpanContext) -> None:
        """Note that this span follows from *other*; never raises, an invalid one is left out."""
        try:
            if not self.ctx.add_link(other.trace_id, other.span_id):
                self._lose(LINKS)
        except Exception:
            _report.report("a link to an invalid span context was left out")

    def set_metadata(self, key: str, value: object) -> None:
        """Keep *value* under *key*, replacing what was there. Takes any type, see `MetaValue`."""
        if type(key) is not str:
            key = text_of(key)
        if len(value) > _limits.MAX_CHARS if type(value) is str else type(value) not in SHORT_TYPES:
            value = self._fitted(value)
        metadata = self.metadata
        if len(metadata) < _limits.MAX_METADATA or key in metadata:
            metadata[key] = value  # type: ignore[assignment]
        else:
            self._lose(METADATA)

    def event(self, event: SpanEvent | str, /, **metadata: object) -> None:
        """Add *event*, or a new one with that message at this moment, with *metadata* added."""
        self._add_event(event, metadata)

    def _add_event(self, event: SpanEvent | str, metadata: dict[str, object] | None) -> None:
        if type(event) is str:
            try:
                now_ns = _clock.wall_ns()
            except Exception:
                now_ns = event_time_ns()
            if len(event) > _limits.MAX_MESSAGE_CHARS:
                event = message_of(event, self._lose)
            details = {}
            if metadata:
                details = event_metadata_of(metadata, self._fitted)
                if len(metadata) > len(details):
                    self._lose(METADATA, len(metadata) - len(details))
            self._add_text(event, now_ns, details)
            return
        made: SpanEvent
        if not issubclass(type(event), SpanEvent):  # isinstance may raise, see `text_of`
            made = SpanEvent(event, metadata)  # type: ignore[arg-type]
        else:
            made = event  # type: ignore[assignment]
            if metadata:  # the caller may use it again
                self._lose_all(made)
                made = SpanEvent(made.msg, made.metadata | metadata, time_ns=made.time_ns)
        self._lose_all(made)
        self._keep(made)

    def _fitted(self, value: object) -> MetaValue:
        fit, shortened = fitted(value)
        if shortened:
            self._lose(VALUES, shortened)
        return fit

    def _add_text(self, msg: str, time_ns: int, metadata: dict[str, MetaValue]) -> None:
        """Add a new event with *metadata* as they are. Written out: most events are made so."""
        made = _new(SpanEvent)
        made.time_ns = time_ns
        made.msg = msg
        made.metadata = metadata
        if (events := self._events) is None:
            events = self._events = []
        if len(events) < _limits.MAX_EVENTS:
            events.append(made)
        else:
            self._keep(made)

    def _keep(self, event: SpanEvent) -> None:
        if (events := self._events) is None:
            events = self._events = []
        if len(events) < _limits.MAX_EVENTS:
            events.append(event)
            return
        if events:
            events[-1] = event
        self._lose(EVENTS)

    def _lose_all(self, event: SpanEvent) -> None:
        """Count what *event* had lost before it was given to this span."""
        for what, count in getattr(event, "_lost", {}).items():
            self._lose(what, count)

    def _lose(self, what: int, count: int = 1) -> None:
        """Count what is left out, as one of the fields of `SpanCut`."""
        if self._cut is None:
            self._cut = [0] * len(SpanCut._fields)
            _report.report(_limits.CUT, repr(text_of(self.name)[:80]))
        self._cut[what] += count

    def set_status(self, status: SpanStatus, message: str | None = None) -> None:
        """Set the status and its message. The first status that is set stays, as in IOx."""
        if self.status is _UNKNOWN:
            self.status = status
            self.status_message = None if message is None else message_of(message, self._lose)

    def ok(self, msg: str | None = None) -> None:
        """Add an event with *msg*, if any, and set the status Ok."""
        if msg is not None:
            self.event(msg)
        self.set_status(_OK, msg)

    def error(self, msg: str | None = None) -> None:
        """Add an event with *msg*, if any, and set the status Err."""
        if msg is not None:
            self.event(msg)
        self.set_status(_ERR, msg)

    def export(self) -> None:
        """Hand this span to its context's collector, if it has one. Never raises, never blocks."""
        collector = (self._ctx or self._parent).collector
        if collector is not None:
            try:
                collector.export(self)
            except Exception:
                _report.report(LOST)

    def __repr__(self) -> str:
        return f"Span({self.name!r}, {self.ctx!r}, status={self.status.name})"
