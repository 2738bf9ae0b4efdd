"""BridgedSpan: a native span as OpenTelemetry's exporters and processors want to see it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property, lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags, TraceState
from opentelemetry.trace.status import Status, StatusCode

from iox_otel import Span, SpanStatus

AttributeValue = str | bool | int | float | tuple[str | bool | int | float, ...]

MAX_TIME_NS = (1 << 64) - 1


def _version() -> str:
    try:
        return version("iox-otel")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return ""


SCOPE = InstrumentationScope("iox-trace", _version())
"""The instrumentation scope of every native span."""

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_UNSAMPLED = TraceFlags(TraceFlags.DEFAULT)
_NO_STATE = TraceState()
_UNSET = Status(StatusCode.UNSET)
_OK = Status(StatusCode.OK)


class Attributes(dict[str, AttributeValue]):
    """Attributes of a span or event, with the count that some exporters ask of them."""

    dropped = 0
    """Nothing is ever dropped here."""


def attributes(metadata: Mapping[str, Any]) -> Attributes:
    """Return a copy of *metadata* with every value in the form OpenTelemetry allows.

    An integer beyond 64 bits becomes its text (as do all those in a list with it), a lone surrogate
    "?", and what no attribute may hold its `str()`.
    """
    copy = dict(metadata)  # one step: other threads may still write to it
    return Attributes({valid_text(key): attribute_value(value) for key, value in copy.items()})


def attribute_value(value: object) -> AttributeValue:
    """Return *value* in the form OpenTelemetry allows; see `attributes`."""
    if isinstance(value, list | tuple):
        items = tuple(_scalar(item) for item in value)
        return items if len({type(item) for item in items}) <= 1 else tuple(map(str, items))
    return _scalar(value)


def _scalar(value: object) -> str | bool | int | float:
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return int(value) if -(1 << 63) <= value < 1 << 63 else _digits(value)
    return valid_text(value)


def _digits(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # more digits than Python converts (sys.set_int_max_str_digits)
        return hex(number)


def valid_text(value: object) -> str:
    """Return *value* as text that UTF-8 can carry: one lone surrogate fails a whole batch."""
    text = value if isinstance(value, str) else str(value)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


@lru_cache(maxsize=256)
def _trace_state(text: str) -> TraceState:
    return TraceState.from_header([text])


class BridgedSpan(ReadableSpan):
    """A `ReadableSpan` over the native span *native*; everything is converted when first read.

    The trace flags hold nothing but the sampling decision: exporters hand them on as Jaeger's,
    where the next bit means something else.

    Args:
        native: is finished.
        resource: where it comes from.
    """

    # Under their private names, since that is what ReadableSpan's own properties and `to_json`
    # read; its __init__, which would set them all, is not called.
    def __init__(self, native: Span, resource: Resource) -> None:
        self._native = native
        self._resource = resource
        self._instrumentation_scope = SCOPE
        self._instrumentation_info = None

    @cached_property
    def _name(self) -> str:  # type: ignore[override]
        return valid_text(self._native.name)

    @cached_property
    def _kind(self) -> SpanKind:  # type: ignore[override]
        return SpanKind(int(self._native.kind))

    @cached_property
    def _context(self) -> SpanContext:  # type: ignore[override]
        return self._context_of(self._native.ctx.span_id, is_remote=False)

    @cached_property
    def _parent(self) -> SpanContext | None:  # type: ignore[override]
        ctx = self._native.ctx
        if ctx.parent_span_id is None:
            return None
        return self._context_of(ctx.parent_span_id, is_remote=ctx.parent_is_remote)

    def _context_of(self, span_id: int, *, is_remote: bool) -> SpanContext:
        ctx = self._native.ctx
        flags = _SAMPLED if ctx.sampled else _UNSAMPLED
        state = _trace_state(ctx.trace_state) if ctx.trace_state else _NO_STATE
        return SpanContext(ctx.trace_id, span_id, is_remote, flags, state)

    @cached_property
    def _start_time(self) -> int:  # type: ignore[override]
        native = self._native
        if native.start_ns is not None:
            return _time(native.start_ns)
        return time.time_ns() if native.end_ns is None else _time(native.end_ns)

    @cached_property
    def _end_time(self) -> int:  # type: ignore[override]
        end_ns = self._native.end_ns
        return self._start_time if end_ns is None else _time(end_ns)

    @cached_property
    def _status(self) -> Status:  # type: ignore[override]
        native = self._native
        if native.status == SpanStatus.ERR:
            message = native.status_message
            return Status(StatusCode.ERROR, None if message is None else valid_text(message))
        return _OK if native.status == SpanStatus.OK else _UNSET

    @cached_property
    def _attributes(self) -> Attributes:  # type: ignore[override]
        return attributes(self._native.metadata)

    @cached_property
    def _events(self) -> tuple[Event, ...]:  # type: ignore[override]
        return tuple(
            Event(valid_text(event.msg), attributes(event.metadata), _time(event.time_ns))
            for event in self._native.events
        )

    @cached_property
    def _links(self) -> tuple[Link, ...]:  # type: ignore[override]
        # Whose spans they are is not known; as a parent, a linked span is usually somebody else's.
        return tuple(
            Link(SpanContext(trace_id, span_id, is_remote=True, trace_flags=_SAMPLED))
            for trace_id, span_id in self._native.ctx.links
        )


def _time(time_ns: int) -> int:
    """Return *time_ns*, moved into what 64 bits hold: the application may have set anything."""
    return min(max(time_ns, 0), MAX_TIME_NS)
