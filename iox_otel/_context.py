"""SpanContext: a span's place in a trace, and who collects it. Agrees with IOx `trace::ctx`."""

from __future__ import annotations

import os
from _random import Random  # noqa: PLC2701  `random` costs ten times as much to import
from collections.abc import Iterable
from typing import TYPE_CHECKING

# A context opens spans and a span carries its context: the two modules need each other, and each
# reads the other's names at call time only.
from . import _clock, _limits, _recorder, _span
from ._current import current
from ._values import SpanKind, SpanStatus, text_of

if TYPE_CHECKING:
    from ._collector import TraceCollector
    from ._recorder import SpanRecorder
    from ._span import Span

MAX_TRACE_ID = (1 << 128) - 1
MAX_SPAN_ID = (1 << 64) - 1

# A generator of our own: `random.seed()` in the application changes no id, and a forked child does
# not repeat its parent's ids.
_generator = Random()
_bits = _generator.getrandbits
os.register_at_fork(after_in_child=_generator.seed)


def new_trace_id() -> int:
    """Return a random trace id in 1…2¹²⁸−1."""
    while not (trace_id := _bits(128)):
        pass
    return trace_id


def new_span_id() -> int:
    """Return a random span id in 1…2⁶⁴−1."""
    while not (span_id := _bits(64)):
        pass
    return span_id


class SpanContext:
    """The identity of a span: its ids, its trace's sampling decision, its collector.

    Args:
        trace_id: 1…2¹²⁸−1, the same for every span of a trace.
        span_id: 1…2⁶⁴−1, this span's own.
        parent_span_id: 1…2⁶⁴−1, or None for the root of a trace.
        links: (trace id, span id) of spans in this or other traces that this one follows from.
        collector: takes the finished spans; None records nothing.
        sampled: whether spans under this context are to be recorded at all.
        debug: sampled at somebody's explicit request (Jaeger's debug flag, B3's `d`).
        trace_state: W3C `tracestate` as received, passed on untouched.
        random_trace_id: whether the trace id is known to be random (W3C's random-trace-id flag),
            which samplers downstream may build on.

    Raises:
        ValueError: an id is zero or out of range.

    Sources: IOx `trace::ctx::SpanContext`; W3C Trace Context level 2 for `trace_state` and
    `random_trace_id`. These two, `debug`, `is_remote` and `parent_is_remote` are ours.
    """

    __slots__ = (
        "_links",
        "collector",
        "debug",
        "is_remote",
        "parent_is_remote",
        "parent_span_id",
        "random_trace_id",
        "sampled",
        "span_id",
        "trace_id",
        "trace_state",
    )

    trace_id: int
    span_id: int
    parent_span_id: int | None
    collector: TraceCollector | None
    sampled: bool
    debug: bool
    trace_state: str | None
    random_trace_id: bool
    is_remote: bool
    """True when this context came in with a request rather than being made here."""
    parent_is_remote: bool
    """True when the parent span was recorded by another process."""
    _links: list[tuple[int, int]] | None

    def __init__(
        self,
        *,
        trace_id: int,
        span_id: int,
        parent_span_id: int | None = None,
        links: Iterable[tuple[int, int]] = (),
        collector: TraceCollector | None = None,
        sampled: bool = True,
        debug: bool = False,
        trace_state: str | None = None,
        random_trace_id: bool = False,
    ) -> None:
        _check_id("trace_id", trace_id, MAX_TRACE_ID)
        _check_id("span_id", span_id, MAX_SPAN_ID)
        if parent_span_id is not None:
            _check_id("parent_span_id", parent_span_id, MAX_SPAN_ID)
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_span_id = parent_span_id
        self.collector = collector
        self.sampled = sampled
        self.debug = debug
        self.trace_state = trace_state
        self.random_trace_id = random_trace_id
        self.is_remote = False
        self.parent_is_remote = False
        self._links = None
        for linked_trace_id, linked_span_id in links:
            self.add_link(linked_trace_id, linked_span_id)

    @classmethod
    def new(cls, collector: TraceCollector | None) -> SpanContext:
        """Return the sampled root of a new trace, to be handed to *collector*."""
        return cls(
            trace_id=new_trace_id(),
            span_id=new_span_id(),
            collector=collector,
            random_trace_id=True,
        )

    @classmethod
    def current(cls) -> SpanContext | None:
        """Return the context of what this task is doing right now, see `iox_otel.current`.

        Children opened under it hang under the live span, native or OpenTelemetry's, or else under
        the caller's that came in with the request. None outside of both.
        """
        working_on = current.get()
        if working_on is None or type(working_on) is cls:
            return working_on
        return getattr(working_on, "ctx", None)

    @property
    def links(self) -> tuple[tuple[int, int], ...]:
        """The (trace id, span id) pairs that this span follows from."""
        return tuple(self._links) if self._links else ()

    def add_link(self, trace_id: int, span_id: int) -> bool:
        """Note that this span follows from the span *span_id* of the trace *trace_id*.

        Returns:
            Whether there was room, see `SpanLimits`.

        Raises:
            ValueError: an id is zero or out of range.
        """
        _check_id("linked trace_id", trace_id, MAX_TRACE_ID)
        _check_id("linked span_id", span_id, MAX_SPAN_ID)
        if self._links is None:
            self._links = []
        if len(self._links) >= _limits.MAX_LINKS:
            return False
        self._links.append((trace_id, span_id))
        return True

    def child(self, name: str) -> Span:
        """Return a new span under this one; it has no start yet and nobody exports it for you.

        Most code wants `recorder` instead, which times the span and exports it.
        """
        return _span.Span(name, self._child(_bits(64) or new_span_id()))

    def _child(self, span_id: int) -> SpanContext:
        """Return the context of a span under this one."""
        # Written out slot by slot: this is a hot path, and ids made here need no check.
        ctx = _new(SpanContext)
        ctx.trace_id = self.trace_id
        ctx.span_id = span_id
        ctx.parent_span_id = self.span_id
        ctx._links = None
        ctx.collector = self.collector
        ctx.sampled = self.sampled
        ctx.debug = self.debug
        ctx.trace_state = self.trace_state
        ctx.random_trace_id = self.random_trace_id
        ctx.is_remote = False
        ctx.parent_is_remote = self.is_remote
        return ctx

    def recorder(self, name: str) -> SpanRecorder:
        """Return the recorder of a new child span; the shared no-op when nobody would collect it.

        So an unsampled request, or one without a collector, builds no span at all.
        """
        if self.sampled and self.collector is not None:
            return self._recorder(name)
        return _recorder.NOOP

    def _recorder(self, name: str) -> SpanRecorder:
        """Return `SpanRecorder(self.child(name))`, whose context is made when it is asked for.

        Most spans are opened so: written out, it takes half of what the three calls take.
        """
        span = _new(_span.Span)
        span.name = name if type(name) is str else text_of(name)
        span._ctx = None
        span._parent = self
        span._span_id = _bits(64) or new_span_id()  # zero is no id
        span.kind = _INTERNAL
        span.status = _UNKNOWN
        span.status_message = None
        span.metadata = {}
        span._events = None
        span._cut = None
        span.end_ns = None
        recorder = _new(_recorder.SpanRecorder)
        recorder.span = span
        recorder._token = None
        try:
            span.start_ns = now_ns = _clock.wall_ns()
            recorder._epoch_ns = now_ns - _clock.monotonic_ns()
        except Exception:
            span.start_ns = None
            recorder._untimed()
        return recorder

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SpanContext):
            return NotImplemented
        return all(getattr(self, slot) == getattr(other, slot) for slot in _COMPARED)

    __hash__ = None  # type: ignore[assignment]  # mutable: links are added to it

    def __repr__(self) -> str:
        parent = f"{self.parent_span_id:016x}" if self.parent_span_id else None
        return (
            f"SpanContext(trace_id={self.trace_id:032x}, span_id={self.span_id:016x}, "
            f"parent_span_id={parent}, sampled={self.sampled}, debug={self.debug})"
        )


_new = object.__new__
_INTERNAL = SpanKind.INTERNAL
_UNKNOWN = SpanStatus.UNKNOWN
_COMPARED = (
    "trace_id",
    "span_id",
    "parent_span_id",
    "links",
    "collector",
    "sampled",
    "debug",
    "trace_state",
    "random_trace_id",
    "is_remote",
    "parent_is_remote",
)


def _check_id(what: str, value: int, largest: int) -> None:
    if not isinstance(value, int) or not 1 <= value <= largest:
        raise ValueError(f"{what} must be an integer from 1 to {largest:#x}, got {value!r}")
