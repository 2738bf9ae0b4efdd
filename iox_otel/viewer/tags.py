"""What Jaeger shows and searches as tags: of a span, of its process, and the fields of its logs.

Agrees with Jaeger 1.62: what came over UDP is shown as sent, what came as OTLP as its receiver
translates it (OpenTelemetry to Jaeger Transformation).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from typing import NamedTuple

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from . import gojson
from .stored import Source, StoredSpan, plain

KINDS = ("", "internal", "server", "client", "producer", "consumer")
"""A span's kind as its tag says it, by OTLP's numbers."""

Keys = Set[str] | None
"""Those of attributes that are wanted, None for all. Others may come along."""

UNSPECIFIED = "unspecified"
_FORMAT = "internal.span.format"
_STATUSES = {1: "OK", 2: "ERROR"}


class Tag(NamedTuple):
    """One tag or field."""

    key: str
    type: str
    """string, bool, int64, float64 or binary."""
    value: str | bool | int | float | bytes

    @property
    def text(self) -> str:
        """What a search compares with: Jaeger's `KeyValue.AsString`."""
        match self.value:
            case bool():
                return "true" if self.value else "false"
            case float():
                return _ODD.get(text := f"{self.value:.10g}", text)
            case bytes():
                return self.value.hex()
        return str(self.value)


_ODD = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}


def span_tags(stored: StoredSpan, keys: Keys = None) -> Iterator[Tag]:
    """Give the tags of a span, in no particular order."""
    if stored.source is Source.JAEGER:
        yield from _tags(stored.span.attributes, keys)
        if all(attribute.key != _FORMAT for attribute in stored.span.attributes):
            yield Tag(_FORMAT, "string", "proto")
        return
    span, scope = stored.span, stored.scope
    if scope.name:
        yield Tag("otel.scope.name", "string", scope.name)
    if scope.version:
        yield Tag("otel.scope.version", "string", scope.version)
    yield from _tags(span.attributes, keys)
    if 0 < span.kind < len(KINDS):
        yield Tag("span.kind", "string", KINDS[span.kind])
    if status := _STATUSES.get(span.status.code):
        yield Tag("otel.status_code", "string", status)
    if stored.is_error:
        yield Tag("error", "bool", True)
    if span.status.message:
        yield Tag("otel.status_description", "string", span.status.message)
    if span.trace_state:
        yield Tag("w3c.tracestate", "string", span.trace_state)
    yield Tag(_FORMAT, "string", "otlp")


def kind_of(stored: StoredSpan) -> str:
    """Return a span's kind as its tag `span.kind` says it; "unspecified" if that says none."""
    if stored.source is Source.OTLP:
        return KINDS[stored.span.kind] if 0 < stored.span.kind < len(KINDS) else UNSPECIFIED
    said = (tag.text for tag in _tags(stored.span.attributes, {"span.kind"}))
    return kind if (kind := next(said, "")) in KINDS[1:] else UNSPECIFIED


def kind_number_of(stored: StoredSpan) -> int:
    """Return a span's kind by OTLP's numbers, 0 if it says none; a Jaeger client's is a tag."""
    kind = kind_of(stored)
    return 0 if kind == UNSPECIFIED else KINDS.index(kind)


def process_tags(resource: Resource, keys: Keys = None) -> Iterator[Tag]:
    """Give the tags of a process: its resource's attributes but the service's name."""
    named = False
    for attribute in resource.attributes:
        if attribute.key == "service.name" and not named:
            named = True
        elif keys is None or attribute.key in keys:
            yield tag_of(attribute)


def log_fields(event: Span.Event, source: Source, keys: Keys = None) -> Iterator[Tag]:
    """Give the fields of a log: first the event's name, as `event`.

    Of OTLP not, if an attribute is called so; a Jaeger client's log may have two such fields.
    """
    if event.name and (
        source is Source.JAEGER or all(attribute.key != "event" for attribute in event.attributes)
    ):
        yield Tag("event", "string", event.name)
    yield from _tags(event.attributes, keys)


def all_tags(stored: StoredSpan, keys: Keys = None) -> Iterator[Tag]:
    """Give all that a search for a tag looks at."""
    yield from span_tags(stored, keys)
    yield from process_tags(stored.resource, keys)
    for event in stored.span.events:
        yield from log_fields(event, stored.source, keys)


def tag_of(attribute: KeyValue) -> Tag:
    """Return an attribute as a tag; one that holds nothing is an empty text."""
    return Tag(attribute.key, *_typed(attribute.value))


def _tags(attributes: Iterable[KeyValue], keys: Keys) -> Iterator[Tag]:
    if keys is None:
        return map(tag_of, attributes)
    return (tag_of(attribute) for attribute in attributes if attribute.key in keys)


def _typed(value: AnyValue) -> tuple[str, str | bool | int | float | bytes]:
    match value.WhichOneof("value"):
        case "string_value":
            return "string", value.string_value
        case "bool_value":
            return "bool", value.bool_value
        case "int_value":
            return "int64", value.int_value
        case "double_value":
            return "float64", value.double_value
        case "bytes_value":
            return "binary", value.bytes_value
        case None:
            return "string", ""
    return "string", gojson.json_of(plain(value))
