"""Spans of either kind as `SpanRecord`s, the form in which they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from iox_otel import Span, SpanEvent, SpanKind, SpanStatus
from iox_otel.tree import SpanRecord

from .plain import text_of, time_of, times_of
from .sender import AnySpan

MAX_TEXT = 1_000
"""Characters of a text that a picture of a trace may show, however wide the terminal is."""
MAX_ITEMS = 64
"""Metadata of a span, events of a span, items of a sequence: as MAX_TEXT."""

_EXCEPTION = ("exception.type", "exception.message")
_STATUS = {
    StatusCode.UNSET: SpanStatus.UNKNOWN,
    StatusCode.OK: SpanStatus.OK,
    StatusCode.ERROR: SpanStatus.ERR,
}


def record_of(span: AnySpan, resource: Resource) -> SpanRecord:
    """Return the record of *span*, native or OpenTelemetry's.

    Args:
        span: is only read. Texts and times in the record are such, whatever the span has there.
        resource: names the service of native spans; OpenTelemetry's bring their own.
    """
    if isinstance(span, Span):
        record = SpanRecord.of(span, service=service_of(resource))
    else:
        record = _of_readable(span)
    record = record._replace(events=tuple(map(_timed, record.events)))
    start_ns, end_ns = record.start_ns, record.end_ns
    if start_ns is None or end_ns is None:  # unknown is shown as such
        return record._replace(start_ns=_known(start_ns), end_ns=_known(end_ns))
    start_ns, end_ns = times_of(start_ns, end_ns)
    return record._replace(start_ns=start_ns, end_ns=end_ns)


def _timed(event: SpanEvent) -> SpanEvent:
    if type(event.time_ns) is int:
        return event
    return SpanEvent(event.msg, event.metadata, time_ns=time_of(event.time_ns))


def _known(time_ns: int | None) -> int | None:
    return None if time_ns is None else time_of(time_ns)


def service_of(resource: Resource) -> str:
    """Return the resource's `service.name`, "" if it has none."""
    return text_of(resource.attributes.get("service.name", ""))


def _of_readable(span: ReadableSpan) -> SpanRecord:
    context, parent = span.get_span_context(), span.parent
    return SpanRecord(
        trace_id=context.trace_id if context else 0,
        span_id=context.span_id if context else 0,
        parent_span_id=(parent.span_id or None) if parent else None,
        name=text_of(span.name),
        start_ns=span.start_time,
        end_ns=span.end_time,
        kind=SpanKind(span.kind.value),  # the same numbers on both sides
        status=_STATUS[span.status.status_code],
        status_message=span.status.description and text_of(span.status.description),
        metadata={text_of(key): value for key, value in (span.attributes or {}).items()},
        events=tuple(
            SpanEvent(event.name, event.attributes, time_ns=event.timestamp)
            for event in span.events
        ),
        links=tuple((link.context.trace_id, link.context.span_id) for link in span.links),
        parent_is_remote=parent.is_remote if parent else False,
        service=service_of(span.resource),
    )


def slim(record: SpanRecord) -> SpanRecord:
    """Return *record* without what a picture of it would not show: bounded in size.

    Long texts and sequences are cut, so are long lists of metadata and events; of the events that
    are no exceptions the metadata goes.
    """
    return record._replace(
        name=record.name[:MAX_TEXT],
        status_message=record.status_message and record.status_message[:MAX_TEXT],
        metadata=_slim_metadata(record.metadata),
        events=tuple(
            SpanEvent(
                event.msg[:MAX_TEXT],
                {key: _slim_value(event.metadata.get(key, "")) for key in _EXCEPTION}
                if event.msg == "exception"
                else None,
                time_ns=event.time_ns,
            )
            for event in record.events[:MAX_ITEMS]
        ),
        links=record.links[:MAX_ITEMS],
    )


def _slim_metadata(metadata: Mapping[str, object]) -> dict[str, object]:
    return {
        key[:MAX_TEXT]: _slim_value(value) for key, value in islice(metadata.items(), MAX_ITEMS)
    }


def _slim_value(value: object) -> object:
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, list | tuple):
        return tuple(_slim_value(item) for item in value[:MAX_ITEMS])
    return value if isinstance(value, bool | int | float) else text_of(value)[:MAX_TEXT]


def weight(record: SpanRecord) -> tuple[bool, bool, int]:
    """Return what to choose by when not all spans of a trace can be shown, the largest first.

    Roots, then failures, then the longest: a span is mostly longer than those below it, so what is
    chosen hangs together.
    """
    is_root = record.parent_span_id is None or record.parent_is_remote
    return is_root, record.status is SpanStatus.ERR, record.duration_ns or 0
