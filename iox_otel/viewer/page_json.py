"""Traces as the page gets them.

Times are nanoseconds from the start of the trace, which itself is text: JavaScript's numbers are
exact to 2**53 only. What its numbers cannot say at all (larger integers, NaN, infinities) is text.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from iox_otel_bridge.wire.otlp_decode import attributes_in

from .search import Row
from .stored import Plain, Source, StoredSpan, plain, service_of
from .tags import kind_number_of

SAFE = (1 << 53) - 1
_TYPES = {
    "string_value": "string",
    "bool_value": "bool",
    "int_value": "int",
    "double_value": "double",
    "bytes_value": "bytes",
    "array_value": "array",
    "kvlist_value": "map",
}
_JAEGER_FLAGS = 0xFF

Message = TypeVar("Message", Resource, InstrumentationScope)


def row_of(row: Row) -> dict[str, Any]:
    """Return a trace as a row of the list."""
    return {
        "traceID": row.trace_id.hex(),
        "service": row.service,
        "name": row.name,
        "startNs": str(row.start_ns),
        "duration": row.duration_ns,
        "spans": row.spans,
        "errors": row.errors,
        "services": row.services,
    }


def trace_of(spans: Sequence[StoredSpan]) -> dict[str, Any]:
    """Return the trace of *spans*, which must be of one and at least one.

    Its `attributes` are all that anything in it has, each once; elsewhere are their numbers. What a
    span does not have is left out. `unpacked` in page/js/packed.js undoes both.
    """
    start_ns = min(stored.span.start_time_unix_nano for stored in spans)
    end_ns = max(stored.span.start_time_unix_nano + stored.duration_ns for stored in spans)
    resources, scopes = _Numbered[Resource](), _Numbered[InstrumentationScope]()
    attributes = _Attributes()
    ordered = sorted(spans, key=lambda stored: stored.span.start_time_unix_nano)
    listed = [
        _span(
            stored,
            start_ns,
            attributes,
            resources.number(stored.resource),
            scopes.number(stored.scope),
        )
        for stored in ordered
    ]
    return {
        "traceID": spans[0].trace_id.hex(),
        "startNs": str(start_ns),
        "duration": end_ns - start_ns,
        "resources": [
            {
                "service": service_of(resource),
                "attributes": attributes.of(resource),
                "dropped": resource.dropped_attributes_count,
            }
            for resource in resources.listed
        ],
        "scopes": [
            {
                "name": scope.name,
                "version": scope.version,
                "attributes": attributes.of(scope),
            }
            for scope in scopes.listed
        ],
        "spans": listed,
        "attributes": attributes.listed,
    }


class _Numbered(Generic[Message]):
    """Gives equal messages the same number."""

    def __init__(self) -> None:
        self.listed: list[Message] = []
        self._numbers: dict[bytes, int] = {}
        self._same: dict[int, int] = {}

    def number(self, message: Message) -> int:
        """Return the number of *message*, which must live as long as this does."""
        if (known := self._same.get(id(message))) is not None:
            return known
        key = message.SerializeToString(deterministic=True)
        number = self._numbers.setdefault(key, len(self.listed))
        if number == len(self.listed):
            self.listed.append(message)
        self._same[id(message)] = number
        return number


def _span(
    stored: StoredSpan, start_ns: int, attributes: _Attributes, resource: int, scope: int
) -> dict[str, Any]:
    span = stored.span
    began_ns, ended_ns = span.start_time_unix_nano, span.end_time_unix_nano
    said: dict[str, Any] = {
        "id": stored.span_id.hex(),
        "parent": stored.parent_id.hex() or None,
        "name": span.name,
        "resource": resource,
        "scope": scope,
        "kind": kind_number_of(stored),
        "start": began_ns - start_ns,
        "duration": max(ended_ns - began_ns, 0) if ended_ns else None,
        "attributes": attributes.of_span(span),
    }
    if span.HasField("status") and (span.status.code or span.status.message):
        said["status"] = {"code": span.status.code, "message": span.status.message}
    if said["start"] > SAFE:
        said["startNs"] = str(began_ns)
    # To go through none takes as long as to go through one.
    if len(events := span.events):
        said["events"] = [_event(each, start_ns, attributes) for each in events]
    if len(links := span.links):
        said["links"] = [_link(each, attributes) for each in links]
    if dropped := _dropped(span):
        said["dropped"] = dropped
    if state := span.trace_state:
        said["state"] = state
    if stored.source is Source.JAEGER:
        return said | {"source": "jaeger", "flags": span.flags & _JAEGER_FLAGS}
    if flags := span.flags:
        said["flags"] = flags
    return said


def _dropped(span: Span) -> dict[str, int]:
    attributes = span.dropped_attributes_count
    events, links = span.dropped_events_count, span.dropped_links_count
    if not (attributes or events or links):
        return {}
    return {"attributes": attributes, "events": events, "links": links}


def _event(event: Span.Event, start_ns: int, attributes: _Attributes) -> dict[str, Any]:
    return {
        "time": event.time_unix_nano - start_ns,
        "name": event.name,
        "attributes": attributes.of(event),
        "dropped": event.dropped_attributes_count,
    }


def _link(link: Span.Link, attributes: _Attributes) -> dict[str, Any]:
    return {
        "traceID": link.trace_id.rjust(16, b"\0").hex(),
        "spanID": link.span_id.rjust(8, b"\0").hex(),
        "attributes": attributes.of(link),
        "state": link.trace_state,
        "flags": link.flags,
        "dropped": link.dropped_attributes_count,
    }


class _Attributes:
    """Gives equal attributes the same number; `listed` has them as JSON: key, type, value."""

    def __init__(self) -> None:
        self.listed: list[list[Any]] = []
        self._numbers: dict[bytes, int] = {}

    def of_span(self, span: Span) -> list[int]:
        """Return the numbers of a span's attributes."""
        return self._numbered(attributes_in(span, span.SerializeToString()))

    def of(self, holder: Span.Event | Span.Link | Resource | InstrumentationScope) -> list[int]:
        """Return the numbers of the attributes of something else."""
        return self._numbered([each.SerializeToString() for each in holder.attributes])

    def _numbered(self, attributes: list[bytes]) -> list[int]:
        numbers = self._numbers
        return [
            number if (number := numbers.get(each)) is not None else self._add(each)
            for each in attributes
        ]

    def _add(self, said: bytes) -> int:
        attribute = KeyValue.FromString(said)
        number = self._numbers[said] = len(self.listed)
        self.listed.append([attribute.key, *_typed(attribute.value)])
        return number


def _typed(value: AnyValue) -> tuple[str, Any]:
    kind = value.WhichOneof("value")
    match kind:
        case "string_value":
            return "string", value.string_value
        case None:
            return "null", None
    return _TYPES.get(kind, "string"), _shown(plain(value))


def _shown(value: Plain) -> Any:
    """Return a value as JSON that JavaScript reads without loss."""
    match value:
        case bool() | str() | None:
            return value
        case int():
            return value if abs(value) <= SAFE else str(value)
        case float():
            if math.isfinite(value):
                return value
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case bytes():
            return base64.b64encode(value).decode()
        case list():
            return [_shown(item) for item in value]
    return {key: _shown(item) for key, item in value.items()}
