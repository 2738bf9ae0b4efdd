"""OTLP requests: native spans written as bytes directly, others by OpenTelemetry's encoder.

Agrees with opentelemetry-proto, collector/trace/v1. Pure: nothing here touches a network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import INVALID_SPAN_CONTEXT

from iox_otel import Span
from iox_otel_bridge.sender import AnySpan
from iox_otel_bridge.span import SCOPE

from .otlp_shorten import shorten_span
from .otlp_span import encode_span, field, length, text_field, valid_utf8

_MAX_LENGTH_BYTES = 5


class Request(NamedTuple):
    """Some of the spans that were to be sent, as an ExportTraceServiceRequest of their own."""

    body: bytes
    span_count: int
    error: str = ""
    """Why there is no body: the one span that this stands for cannot be encoded."""


class PartialSuccess(NamedTuple):
    """What a receiver said about a request that it took."""

    rejected: int
    message: str


class RequestEncoder:
    """Makes requests of spans.

    Args:
        resource: what the native spans come from; spans of other libraries carry their own.
    """

    def __init__(self, resource: Resource) -> None:
        around = ReadableSpan(
            "",
            context=INVALID_SPAN_CONTEXT,
            resource=_valid(resource),
            instrumentation_scope=SCOPE,
        )
        encoded = encode_spans([around]).resource_spans[0]
        scoped = encoded.scope_spans[0]
        self._resource = field(0x0A, encoded.resource.SerializeToString())
        self._resource_schema = text_field(0x1A, encoded.schema_url)
        self._scope = field(0x0A, scoped.scope.SerializeToString())
        self._scope_schema = text_field(0x1A, scoped.schema_url)
        # The two lengths around the spans grow with them.
        self._overhead = len(self._frame([])) + 2 * _MAX_LENGTH_BYTES

    def encode(self, spans: Sequence[AnySpan], max_bytes: int) -> Iterator[Request]:
        """Yield requests of *max_bytes* bytes at most, each of *spans* in exactly one of them.

        Only a request of a single span of another library may be larger; a native one is cut down,
        see `shorten_span`. A span that cannot be encoded, whatever is wrong with it, costs the
        others nothing. Other threads may write to the spans meanwhile.
        """
        native: list[Span] = []
        foreign: list[ReadableSpan] = []
        for span in spans:
            if isinstance(span, Span):
                native.append(span)
            else:
                foreign.append(span)
        yield from _merged(self._native(native, max_bytes), _foreign(foreign, max_bytes), max_bytes)

    def _native(self, spans: Iterable[Span], max_bytes: int) -> Iterator[Request]:
        room = max_bytes - self._overhead
        parts: list[bytes] = []
        size = 0
        for span in spans:
            try:
                message = encode_span(span)
            except Exception as error:
                yield _unencodable(error)
                continue
            if len(message) > room:
                shorter = shorten_span(message, room)
                if shorter is None:
                    yield Request(b"", 1, "a span cannot be made small enough")
                    continue
                message = shorter
            prefix = length(len(message))
            cost = 1 + len(prefix) + len(message)
            if parts and size + cost > room:
                yield Request(self._frame(parts), len(parts) // 3)
                parts = []
                size = 0
            parts += (b"\x12", prefix, message)
            size += cost
        if parts:
            yield Request(self._frame(parts), len(parts) // 3)

    def _frame(self, spans: Sequence[bytes]) -> bytes:
        scope_spans = b"".join((self._scope, *spans, self._scope_schema))
        return field(0x0A, self._resource + field(0x12, scope_spans) + self._resource_schema)


def decode_request(body: bytes) -> ExportTraceServiceRequest:
    """Return *body* as the generated message. Raises protobuf's DecodeError."""
    return ExportTraceServiceRequest.FromString(body)


def decode_response(body: bytes) -> PartialSuccess:
    """Return what *body*, an ExportTraceServiceResponse, says. Raises protobuf's DecodeError."""
    return partial_success(ExportTraceServiceResponse.FromString(body))


def partial_success(response: ExportTraceServiceResponse) -> PartialSuccess:
    """Return what *response* says."""
    partial = response.partial_success
    return PartialSuccess(partial.rejected_spans, partial.error_message)


def split_request(body: bytes) -> tuple[Request, ...]:
    """Return *body* as two requests with half of its spans each; as one if it has but one span.

    Raises protobuf's DecodeError.
    """
    request = decode_request(body)
    count = sum(
        len(scoped.spans) for traced in request.resource_spans for scoped in traced.scope_spans
    )
    if count < 2:
        return (Request(body, count),)
    half = count // 2
    return _cut(body, 0, half), _cut(body, half, count)


def _cut(body: bytes, first: int, last: int) -> Request:
    """Return the spans from number *first* up to number *last* of *body*."""
    whole = decode_request(body)
    piece = ExportTraceServiceRequest()
    position = 0
    for traced in whole.resource_spans:
        scope_spans = []
        for scoped in traced.scope_spans:
            count = len(scoped.spans)
            del scoped.spans[max(last - position, 0) :]
            del scoped.spans[: max(first - position, 0)]
            position += count
            if scoped.spans:
                scope_spans.append(scoped)
        if scope_spans:
            kept = piece.resource_spans.add(resource=traced.resource, schema_url=traced.schema_url)
            kept.scope_spans.extend(scope_spans)
    return Request(piece.SerializeToString(), last - first)


def _foreign(spans: Sequence[ReadableSpan], max_bytes: int) -> Iterator[Request]:
    """Encode *spans*; halve them as long as they are too large or one of them cannot be encoded."""
    if not spans:
        return
    try:
        body = encode_spans(spans).SerializeToString()
    except Exception as error:
        if len(spans) == 1:
            yield _unencodable(error)
            return
    else:
        if len(spans) == 1 or len(body) <= max_bytes:
            yield Request(body, len(spans))
            return
    half = len(spans) // 2
    yield from _foreign(spans[:half], max_bytes)
    yield from _foreign(spans[half:], max_bytes)


def _merged(
    native: Iterable[Request], foreign: Iterable[Request], max_bytes: int
) -> Iterator[Request]:
    """Join neighbours that fit together: protobuf messages merge when they are concatenated."""
    waiting: Request | None = None
    for requests in (native, foreign):
        for request in requests:
            if request.error:
                yield request
            elif waiting is None:
                waiting = request
            elif len(waiting.body) + len(request.body) <= max_bytes:
                count = waiting.span_count + request.span_count
                waiting = Request(waiting.body + request.body, count)
            else:
                yield waiting
                waiting = request
    if waiting is not None:
        yield waiting


def _unencodable(error: Exception) -> Request:
    return Request(b"", 1, f"a span cannot be encoded: {type(error).__name__}")


def _valid(resource: Resource) -> Resource:
    """Return *resource* with texts that protobuf takes."""
    attributes = {
        valid_utf8(key).decode(): valid_utf8(value).decode() if isinstance(value, str) else value
        for key, value in resource.attributes.items()
    }
    return Resource(attributes, resource.schema_url)
