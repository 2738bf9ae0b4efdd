"""BridgedSpan: a native span as OpenTelemetry's exporters and processors want to see it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from iox_otel import Span, SpanStatus
from iox_otel import SpanKind as NativeKind

from .plain import Scalar, text_of, time_of, times_of, value_of
from .trace_state import trace_state_of

AttributeValue = Scalar | tuple[Scalar, ...]


def _version() -> str:
    try:
        return version("iox-otel")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return ""


SCOPE = InstrumentationScope("iox-trace", _version())
"""The instrumentation scope of every native span."""

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_UNSAMPLED = TraceFlags(TraceFlags.DEFAULT)
_KINDS = {kind: SpanKind(kind.value) for kind in NativeKind}
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
    return Attributes({text_of(key): value_of(value) for key, value in copy.items()})


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
    _instrumentation_scope = SCOPE
    _instrumentation_info = None

    def __init__(self, native: Span, resource: Resource) -> None:
        self._native = native
        self._resource = resource

    @cached_property
    def _name(self) -> str:  # type: ignore[override]
        return text_of(self._native.name)

    @cached_property
    def _kind(self) -> SpanKind:  # type: ignore[override]
        try:
            return _KINDS.get(self._native.kind, SpanKind.INTERNAL)
        except TypeError:  # no number, nor anything else that has a hash
            return SpanKind.INTERNAL

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
        return SpanContext(ctx.trace_id, span_id, is_remote, flags, trace_state_of(ctx.trace_state))

    @cached_property
    def _times(self) -> tuple[int, int]:
        return times_of(self._native.start_ns, self._native.end_ns)

    @property
    def _start_time(self) -> int:  # type: ignore[override]
        return self._times[0]

    @property
    def _end_time(self) -> int:  # type: ignore[override]
        return self._times[1]

    @cached_property
    def _status(self) -> Status:  # type: ignore[override]
        native = self._native
        if native.status == SpanStatus.ERR:
            message = native.status_message
            return Status(StatusCode.ERROR, None if message is None else text_of(message))
        return _OK if native.status == SpanStatus.OK else _UNSET

    @cached_property
    def _attributes(self) -> Attributes:  # type: ignore[override]
        return attributes(self._native.metadata)

    @cached_property
    def _events(self) -> tuple[Event, ...]:  # type: ignore[override]
        return tuple(
            Event(text_of(event.msg), attributes(event.metadata), time_of(event.time_ns))
            for event in self._native.events
        )

    @property
    def dropped_attributes(self) -> int:
        """How many were left out, its events' included, see `iox_otel.SpanLimits`."""
        return 0 if (cut := self._native.cut) is None else cut.metadata

    @property
    def dropped_events(self) -> int:
        """How many were left out."""
        return 0 if (cut := self._native.cut) is None else cut.events

    @property
    def dropped_links(self) -> int:
        """How many were left out."""
        return 0 if (cut := self._native.cut) is None else cut.links

    @cached_property
    def _links(self) -> tuple[Link, ...]:  # type: ignore[override]
        # Whose spans they are is not known; as a parent, a linked span is usually somebody else's.
        return tuple(
            Link(SpanContext(trace_id, span_id, is_remote=True, trace_flags=_SAMPLED))
            for trace_id, span_id in self._native.ctx.links
        )
