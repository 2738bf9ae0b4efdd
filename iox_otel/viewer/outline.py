"""A trace as plain text, for an issue report."""

from __future__ import annotations

from collections.abc import Iterable

from iox_otel import SpanEvent, SpanKind, SpanStatus
from iox_otel.tree import SpanRecord, trace_text

from .stored import StoredSpan, plain
from .tags import kind_number_of

_STATUSES = {1: SpanStatus.OK, 2: SpanStatus.ERR}


def outline_of(spans: Iterable[StoredSpan]) -> str:
    """Return the tree of *spans*, with its services and times, as `iox_otel.tree` writes it."""
    return trace_text(map(_with_service, spans), times=True) + "\n"


def _with_service(stored: StoredSpan) -> SpanRecord:
    record = record_of(stored)
    return record._replace(name=f"{record.service}: {record.name}")


def record_of(stored: StoredSpan) -> SpanRecord:
    """Return a span of the store as what trees are drawn of."""
    span = stored.span
    parent_id = stored.parent_id
    status = _STATUSES.get(span.status.code, SpanStatus.UNKNOWN)
    return SpanRecord(
        trace_id=int.from_bytes(stored.trace_id),
        span_id=int.from_bytes(stored.span_id),
        parent_span_id=int.from_bytes(parent_id) if parent_id else None,
        name=span.name,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano or None,
        kind=SpanKind(max(0, kind_number_of(stored) - 1)),
        status=SpanStatus.ERR if stored.is_error else status,
        status_message=span.status.message or None,
        metadata={each.key: plain(each.value) for each in span.attributes},
        events=tuple(
            SpanEvent(
                event.name,
                {each.key: plain(each.value) for each in event.attributes},
                time_ns=event.time_unix_nano,
            )
            for event in span.events
        ),
        service=stored.service,
    )
