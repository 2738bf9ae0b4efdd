"""StoredSpan: a span as the viewer keeps it, which is as OTLP says it.

The messages are those of opentelemetry-proto (trace/v1, common/v1, resource/v1). What came as OTLP
is kept unchanged; what came from a Jaeger client is said in the same messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

UNKNOWN_SERVICE = "unknown_service"

Plain = str | bool | int | float | bytes | list["Plain"] | dict[str, "Plain"] | None
"""What an attribute can hold, in Python's types."""


class Source(StrEnum):
    """Which wire a span came by."""

    JAEGER = "jaeger"
    OTLP = "otlp"


class Schemas(NamedTuple):
    """The URLs that say by which semantic conventions names are to be read; empty if none."""

    resource: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Spans of one resource and one scope, on their way into the store."""

    resource: Resource
    scope: InstrumentationScope
    spans: Sequence[Span]
    source: Source = Source.OTLP
    schemas: Schemas = Schemas()


class StoredSpan(NamedTuple):
    """One span of the store, with what it belongs to.

    Ids are bytes, 16 and 8 of them; a 64-bit trace id has zeros on the left. Times are Unix time in
    nanoseconds; an end of 0 means that the span has none.
    """

    span: Span
    resource: Resource
    scope: InstrumentationScope
    source: Source = Source.OTLP
    schemas: Schemas = Schemas()

    @property
    def trace_id(self) -> bytes:
        """The trace's id, 16 bytes."""
        return self.span.trace_id.rjust(16, b"\0")

    @property
    def span_id(self) -> bytes:
        """Its own id, 8 bytes."""
        return self.span.span_id.rjust(8, b"\0")

    @property
    def parent_id(self) -> bytes:
        """The parent's id, 8 bytes; empty for a root."""
        return parent_id_of(self.span)

    @property
    def service(self) -> str:
        """The service of its resource."""
        return service_of(self.resource)

    @property
    def duration_ns(self) -> int:
        """How long it took; 0 if it has no end, or one before its start."""
        return max(self.span.end_time_unix_nano - self.span.start_time_unix_nano, 0)

    @property
    def is_error(self) -> bool:
        """Whether its status is an error; of a Jaeger client's, whether its tag `error` is true."""
        if self.source is Source.OTLP:
            return self.span.status.code == Status.STATUS_CODE_ERROR
        return any(
            attribute.key == "error"
            and (attribute.value.bool_value or attribute.value.string_value == "true")
            for attribute in self.span.attributes
        )


def batches_of(request: ExportTraceServiceRequest) -> Iterator[Batch]:
    """Give what is in a request of OTLP."""
    for of_resource in request.resource_spans:
        for of_scope in of_resource.scope_spans:
            schemas = Schemas(of_resource.schema_url, of_scope.schema_url)
            yield Batch(of_resource.resource, of_scope.scope, of_scope.spans, Source.OTLP, schemas)


def parent_id_of(span: Span) -> bytes:
    """Return the id of a span's parent, 8 bytes; empty for a root."""
    parent = span.parent_span_id
    return parent.rjust(8, b"\0") if parent.strip(b"\0") else b""


def service_of(resource: Resource) -> str:
    """Return `service.name`, or `unknown_service`."""
    for attribute in resource.attributes:
        if attribute.key == "service.name":
            return attribute.value.string_value or UNKNOWN_SERVICE
    return UNKNOWN_SERVICE


def plain(value: AnyValue) -> Plain:
    """Return what an attribute holds, in Python's types; None if nothing."""
    match value.WhichOneof("value"):
        case "array_value":
            return [plain(item) for item in value.array_value.values]
        case "kvlist_value":
            return {item.key: plain(item.value) for item in value.kvlist_value.values}
        case None:
            return None
        case kind:
            held: Plain = getattr(value, kind)
            return held
