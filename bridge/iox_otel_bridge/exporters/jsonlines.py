"""Spans as JSON, one line each, for log collectors and `jq`.

A line is strict JSON (RFC 8259) in UTF-8 with these keys, always all of them, in this order:

    trace_id, span_id      32 and 16 hex digits
    parent_span_id         16 hex digits, or null
    name
    kind                   "internal", "server", "client", "producer" or "consumer"
    start, end             RFC 3339 in UTC with nanoseconds, or null while unknown
    start_unix_ns,
    end_unix_ns            the same as integers, or null; beyond what a double holds exactly
    duration_ns            an integer, or null
    status                 "unknown", "ok" or "error"
    status_message         or null
    attributes             object
    events                 list of {"time", "time_unix_ns", "name", "attributes"}
    links                  list of {"trace_id", "span_id", "attributes"}
    service                the resource's service.name
    resource               object: the attributes of the resource
    scope                  {"name", "version"}: who recorded it; version may be null

NaN and the infinities are the texts "NaN", "Infinity" and "-Infinity", integers beyond 64 bits are
texts too, a lone surrogate is the text of its escape, and no control character or mark of direction
is there other than escaped.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from iox_otel.display import format_value
from iox_otel.tree import SpanRecord
from iox_otel_bridge.plain import text_of
from iox_otel_bridge.records import record_of
from iox_otel_bridge.sender import AnySpan
from iox_otel_bridge.span import SCOPE

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATUS = ("unknown", "ok", "error")
_MAX_DEPTH = 8
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

_INVISIBLE = re.compile("[\x7f-\x9f\xad\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""What JSON leaves as it is, but a terminal obeys, or an editor takes for the end of a line."""


def json_line(span: AnySpan, resource: Resource) -> str:
    """Return *span* as one line of JSON, without the line's end.

    Args:
        span: native, or OpenTelemetry's, which brings its own resource and scope.
        resource: of native spans.
    """
    record = record_of(span, resource)
    if not isinstance(span, ReadableSpan):
        return record_line(record, resource)
    links = [
        _link(link.context.trace_id, link.context.span_id, link.attributes or {})
        for link in span.links
    ]
    return record_line(record, span.resource, span.instrumentation_scope, links)


def record_line(
    record: SpanRecord,
    resource: Resource,
    scope: InstrumentationScope | None = SCOPE,
    links: list[object] | None = None,
) -> str:
    """As `json_line`; *links* are those of the record, with attributes, if there are any."""
    fields = _fields(record)
    if links is not None:
        fields["links"] = links
    fields["resource"] = _object(resource.attributes)
    fields["scope"] = {
        "name": scope.name if scope else "",
        "version": (scope.version or None) if scope else None,
    }
    return _INVISIBLE.sub(lambda match: f"\\u{ord(match[0]):04x}", _encode(_valid(fields)))


def _fields(record: SpanRecord) -> dict[str, object]:
    return {
        "trace_id": f"{record.trace_id:032x}",
        "span_id": f"{record.span_id:016x}",
        "parent_span_id": f"{record.parent_span_id:016x}" if record.parent_span_id else None,
        "name": record.name,
        "kind": record.kind.name.lower(),
        "start": rfc3339(record.start_ns),
        "end": rfc3339(record.end_ns),
        "start_unix_ns": record.start_ns,
        "end_unix_ns": record.end_ns,
        "duration_ns": record.duration_ns,
        "status": _STATUS[record.status],
        "status_message": record.status_message,
        "attributes": _object(record.metadata),
        "events": [
            {
                "time": rfc3339(event.time_ns),
                "time_unix_ns": event.time_ns,
                "name": event.msg,
                "attributes": _object(event.metadata),
            }
            for event in record.events
        ],
        "links": [_link(trace_id, span_id, {}) for trace_id, span_id in record.links],
        "service": record.service,
    }


def _link(trace_id: int, span_id: int, attributes: Mapping[str, object]) -> object:
    return {
        "trace_id": f"{trace_id:032x}",
        "span_id": f"{span_id:016x}",
        "attributes": _object(attributes),
    }


def rfc3339(time_ns: int | None) -> str | None:
    """Return a Unix time in nanoseconds as RFC 3339 in UTC, with all nine decimals.

    None if it is None, or beyond the years 1 to 9999.
    """
    if time_ns is None:
        return None
    seconds, ns = divmod(time_ns, 1_000_000_000)
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return None
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ns:09d}Z".rjust(30, "0")


def _object(values: Mapping[str, object]) -> dict[str, object]:
    return {text_of(key): _value(value, _MAX_DEPTH) for key, value in values.items()}


def _value(value: object, depth: int) -> object:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return int(value) if -(1 << 63) <= value < 1 << 64 else format_value(value)
    if isinstance(value, float):
        return _float(float(value))
    if depth and isinstance(value, Mapping):
        return {text_of(key): _value(item, depth - 1) for key, item in value.items()}
    if depth and isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_value(item, depth - 1) for item in value]
    return text_of(value)


def _float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _valid(value: object) -> object:
    """Return *value* with all text in it valid Unicode."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_valid(key): _valid(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_valid(item) for item in value]
    return value
