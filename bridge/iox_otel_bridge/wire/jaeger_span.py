"""Spans of both kinds as Jaeger Spans. Agrees with IOx `trace_exporters::jaeger::span`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind as OtelSpanKind
from opentelemetry.trace import StatusCode

from iox_otel import Span, SpanEvent, SpanKind, SpanStatus
from iox_otel_bridge.plain import MAX_TIME_NS, text_of, time_of, times_of

from .jaeger_tags import tags_of
from .jaeger_types import CHILD_OF, FOLLOWS_FROM, LogStruct, SpanRef, SpanStruct, StrTag, signed

_SAMPLED = 1
_DEBUG = 2

_OK = SpanStatus.OK
_ERR = SpanStatus.ERR

# INTERNAL has no tag (OpenTelemetry to Jaeger Transformation, "SpanKind").
_KINDS = {
    SpanKind.SERVER: "server",
    SpanKind.CLIENT: "client",
    SpanKind.PRODUCER: "producer",
    SpanKind.CONSUMER: "consumer",
}
_OTEL_KINDS = {
    OtelSpanKind.SERVER: "server",
    OtelSpanKind.CLIENT: "client",
    OtelSpanKind.PRODUCER: "producer",
    OtelSpanKind.CONSUMER: "consumer",
}


def native_span(span: Span) -> SpanStruct:
    """Return a native span in Jaeger's form.

    - Links are FOLLOWS_FROM references; the parent has a field of its own, and is a CHILD_OF
      reference only if a link leads to it too.
    - Times are cut to microseconds. A missing start or end is equal to the other, both missing are
      now; an end before the start is the start, a time beyond 64 bits the end of what they hold.
    - The status is a tag `ok` or `error`, the kind a tag `span.kind`. Metadata under these names
      wins.
    - An event is a log: first a field `event` with its message, then its metadata, sorted by key;
      metadata named `event` follows as a second such field, which the Collector prefers.
    - What the span lost to its limits is counted in OpenTelemetry's `otel.dropped_…_count`.
    - The status's message is one more log at the span's end, unless an event says it already: as
      its message, or as `exception.message`.
    """
    ctx = span.ctx
    metadata = span.metadata.copy()  # the application may still write to it
    status = span.status
    if status == _OK:
        metadata.setdefault("ok", True)
    elif status == _ERR:
        metadata.setdefault("error", True)
    if (kind := _KINDS.get(span.kind)) is not None:
        metadata.setdefault("span.kind", kind)
    if (cut := span.cut) is not None:
        dropped = _dropped(cut.metadata, cut.events, cut.links)
        metadata |= {key: count for key, count in dropped if count}
    start_ns, end_ns = _times(span.start_ns, span.end_ns)
    events = span.events
    logs = [_log(event.time_ns, event.msg, event.metadata) for event in events]
    message = "" if span.status_message is None else _text(span.status_message)
    if message and not _is_said(message, events):
        logs.append(_log(end_ns, message, None))
    return SpanStruct(
        ctx.trace_id,
        ctx.span_id,
        ctx.parent_span_id or 0,
        _text(span.name),
        _SAMPLED | _DEBUG if ctx.debug else _SAMPLED if ctx.sampled else 0,
        start_ns // 1000,
        (end_ns - start_ns) // 1000,
        _references(ctx.links, (ctx.trace_id, ctx.parent_span_id)),
        tags_of(metadata) if metadata else None,
        logs or None,
    )


def readable_span(span: ReadableSpan) -> SpanStruct:
    """Return a span of another OpenTelemetry library in Jaeger's form.

    As `native_span`, and by OpenTelemetry's own mapping where the native model has nothing like it:
    the status is `otel.status_code` and `otel.status_description`, and `error` if it is one; the
    instrumentation scope is `otel.scope.name` and `otel.scope.version`, its attributes join the
    span's; what the SDK dropped is counted in `otel.dropped_…_count`. Attributes of the span under
    any of these names win. A link's attributes have no place in Jaeger and are left out.

    Sources: OpenTelemetry to Jaeger Transformation; OpenTelemetry Transformation to non-OTLP
    Formats.

    Raises:
        ValueError: it has no span context.
    """
    context = span.get_span_context()
    if context is None:
        raise ValueError("a span without a context")
    start_ns, end_ns = _times(span.start_time, span.end_time)
    parent_span_id = span.parent.span_id if span.parent is not None else 0
    links = [(link.context.trace_id, link.context.span_id) for link in span.links]
    return SpanStruct(
        context.trace_id,
        context.span_id,
        parent_span_id,
        _text(span.name),
        int(context.trace_flags) & _SAMPLED,  # the next bit is W3C's "random", not debug
        start_ns // 1000,
        (end_ns - start_ns) // 1000,
        _references(links, (context.trace_id, parent_span_id)),
        tags_of(_otel_attributes(span)) or None,
        [_otel_log(event) for event in span.events] or None,
    )


def _times(start_ns: Any, end_ns: Any) -> tuple[int, int]:
    if type(start_ns) is int and type(end_ns) is int and 0 <= start_ns <= end_ns <= MAX_TIME_NS:
        return start_ns, end_ns
    return times_of(start_ns, end_ns)


def _references(
    links: Collection[tuple[int, int]], parent: tuple[int, int | None]
) -> list[Any] | None:
    if not links:
        return None
    references = [_reference(FOLLOWS_FROM, *link) for link in links]
    if parent in links:
        # Jaeger then leaves the field of the parent alone, and would take the first link into the
        # same trace for the parent.
        references.insert(0, _reference(CHILD_OF, *parent))  # type: ignore[arg-type]
    return references


def _reference(kind: int, trace_id: int, span_id: int) -> Any:
    return SpanRef(kind, signed(trace_id), signed(trace_id >> 64), signed(span_id))


def _log(time_ns: Any, event: str, metadata: Mapping[str, object] | None) -> LogStruct:
    if type(time_ns) is not int or not 0 <= time_ns <= MAX_TIME_NS:
        time_ns = time_of(time_ns)
    fields = tags_of(metadata) if metadata else []
    fields.insert(0, StrTag("event", _text(event)))
    return LogStruct(time_ns // 1000, fields)


def _text(value: object) -> str:
    # Left to Thrift, None would be left out and bytes taken unchecked.
    return value if type(value) is str else text_of(value)


def _is_said(message: str, events: Iterable[SpanEvent]) -> bool:
    return any(
        event.msg == message or event.metadata.get("exception.message") == message
        for event in events
    )


def _otel_log(event: Any) -> LogStruct:
    attributes = dict(event.attributes or {})
    if dropped := getattr(event, "dropped_attributes", 0):
        attributes.setdefault("otel.dropped_attributes_count", dropped)
    return _log(event.timestamp, event.name, attributes)


def _otel_attributes(span: ReadableSpan) -> dict[str, object]:
    attributes: dict[str, object] = dict(span.attributes or {})
    for key, value in _otel_facts(span):
        if value:
            attributes.setdefault(key, value)
    if span.instrumentation_scope is not None:
        for key, value in (span.instrumentation_scope.attributes or {}).items():
            attributes.setdefault(key, value)
    return attributes


def _otel_facts(span: ReadableSpan) -> Iterable[tuple[str, object]]:
    """Yield what Jaeger has no field for; what is empty or zero is not to be told."""
    if (kind := _OTEL_KINDS.get(span.kind)) is not None:
        yield "span.kind", kind
    status = span.status
    if status.status_code is not StatusCode.UNSET:
        yield "otel.status_code", status.status_code.name
        yield "otel.status_description", status.description
        yield "error", status.status_code is StatusCode.ERROR
    scope = span.instrumentation_scope
    if scope is not None:
        yield "otel.scope.name", scope.name
        yield "otel.scope.version", scope.version
    yield from _dropped(span.dropped_attributes, span.dropped_events, span.dropped_links)


def _dropped(attributes: int, events: int, links: int) -> Iterable[tuple[str, int]]:
    yield "otel.dropped_attributes_count", attributes
    yield "otel.dropped_events_count", events
    yield "otel.dropped_links_count", links
