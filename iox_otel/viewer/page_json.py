"""Traces as the page gets them.

Times are nanoseconds from the start of the trace, which itself is text: JavaScript's numbers are
exact to 2**53 only. What its numbers cannot say at all (larger integers, NaN, infinities) is text.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from .search import Row
from .stored import Plain, Source, StoredSpan, plain
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
_MAX_KNOWN_BYTES = 256

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
    """Return the trace of *spans*, which must be of one and at least one."""
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
    services = {resources.number(stored.resource): stored.service for stored in spans}
    return {
        "traceID": spans[0].trace_id.hex(),
        "startNs": str(start_ns),
        "duration": end_ns - start_ns,
        "resources": [
            {
                "service": services[number],
                "attributes": attributes.of(resource.attributes),
                "dropped": resource.dropped_attributes_count,
            }
            for number, resource in enumerate(resources.listed)
        ],
        "scopes": [
            {
                "name": scope.name,
                "version": scope.version,
                "attributes": attributes.of(scope.attributes),
            }
            for scope in scopes.listed
        ],
        "spans": listed,
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
    return {
        "id": stored.span_id.hex(),
        "parent": stored.parent_id.hex() or None,
        "name": span.name,
        "resource": resource,
        "scope": scope,
        "kind": kind_number_of(stored),
        "start": span.start_time_unix_nano - start_ns,
        "duration": stored.duration_ns if span.end_time_unix_nano else None,
        "status": {"code": span.status.code, "message": span.status.message},
        "attributes": attributes.of(span.attributes),
        "events": [
            {
                "time": event.time_unix_nano - start_ns,
                "name": event.name,
                "attributes": attributes.of(event.attributes),
                "dropped": event.dropped_attributes_count,
            }
            for event in span.events
        ],
        "links": [
            {
                "traceID": link.trace_id.rjust(16, b"\0").hex(),
                "spanID": link.span_id.rjust(8, b"\0").hex(),
                "attributes": attributes.of(link.attributes),
                "state": link.trace_state,
                "flags": link.flags,
                "dropped": link.dropped_attributes_count,
            }
            for link in span.links
        ],
        "dropped": {
            "attributes": span.dropped_attributes_count,
            "events": span.dropped_events_count,
            "links": span.dropped_links_count,
        },
        "state": span.trace_state,
        "flags": span.flags & _JAEGER_FLAGS if stored.source is Source.JAEGER else span.flags,
        "source": stored.source,
    }


class _Attributes:
    """Gives attributes as JSON; those that are said again and again are made once."""

    def __init__(self) -> None:
        self._known: dict[bytes, list[Any]] = {}

    def of(self, attributes: Iterable[KeyValue]) -> list[list[Any]]:
        """Return *attributes*; nobody may change what they are made of."""
        listed = []
        for each in attributes:
            said = each.SerializeToString()
            if (made := self._known.get(said)) is None:
                made = [each.key, *_typed(each.value)]
                if len(said) <= _MAX_KNOWN_BYTES:
                    self._known[said] = made
            listed.append(made)
        return listed


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
