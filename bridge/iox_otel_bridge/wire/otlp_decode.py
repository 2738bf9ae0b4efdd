"""OTLP requests, from protobuf and from JSON, as messages; and what is too much in them cut.

Agrees with opentelemetry-proto and with the OTLP specification, "JSON Protobuf Encoding": ids are
hexadecimal there, enums numbers, and unknown fields are passed over.
"""

from __future__ import annotations

import base64
import json
from typing import Any, NamedTuple

from google.protobuf import json_format
from google.protobuf.message import DecodeError as ProtobufError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from .errors import DecodeError, one_line

_ID_FIELDS = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")
_ELLIPSIS = "…"
# How the fields of a span begin, up to its attributes.
_ATTRIBUTE, _KIND = 0x4A, 0x30
_DELIMITED = frozenset((0x0A, 0x12, 0x1A, 0x22, 0x2A, _ATTRIBUTE))
_FIXED64 = frozenset((0x39, 0x41))
_NO_REQUEST = (
    ValueError,
    RecursionError,
    json_format.ParseError,
    AttributeError,
    TypeError,
    SystemError,  # protobuf's, where a lone surrogate is in the name of a field
)

_Holder = Span | Span.Event | Span.Link | Resource | InstrumentationScope
"""What has attributes."""


class Limits(NamedTuple):
    """How much of one span, and of what it belongs to, is kept."""

    attributes: int = 1_024
    """Of the span, of each event and link, of its resource and scope; further ones are counted as
    dropped."""
    events: int = 16_384
    """And as many links; further ones are counted as dropped."""
    text: int = 262_144
    """Letters of a name or a value, or bytes of one; what is longer ends in an ellipsis."""


def read_request(body: bytes) -> ExportTraceServiceRequest:
    """Return the request that *body* holds as protobuf.

    Raises:
        DecodeError: it holds none.
    """
    try:
        return ExportTraceServiceRequest.FromString(body)
    except ProtobufError as exc:
        raise DecodeError(f"not an ExportTraceServiceRequest: {exc}") from exc


def read_json_request(body: bytes) -> ExportTraceServiceRequest:
    """Return the request that *body* holds as JSON.

    Raises:
        DecodeError: it holds none.
    """
    try:
        said = load_json(body)
        if not isinstance(said, dict):
            raise DecodeError(f"expected an object, got {type(said).__name__}")
        _write_ids_in_base64(said)
        return json_format.ParseDict(said, ExportTraceServiceRequest(), ignore_unknown_fields=True)
    except DecodeError:
        raise
    except _NO_REQUEST as exc:
        reason = one_line(str(exc))
        raise DecodeError(f"not an ExportTraceServiceRequest in JSON: {reason}") from exc


def load_json(text: str | bytes) -> Any:
    """Return what `json.loads` does, but for `-0`: by that Go's servers mean a double's zero."""
    return json.loads(text, parse_int=lambda digits: -0.0 if digits == "-0" else int(digits))


def request_to_json(request: ExportTraceServiceRequest) -> dict[str, Any]:
    """Return *request* as OTLP's JSON says it; `read_json_request` takes it back unchanged."""
    said: dict[str, Any] = json_format.MessageToDict(request, use_integers_for_enums=True)
    for span in _spans(said):
        for holder in (span, *span.get("links", ())):
            for field in _ID_FIELDS[:3]:
                if field in holder:
                    holder[field] = base64.b64decode(holder[field]).hex()
    return said


def attributes_in(span: Span, body: bytes) -> list[bytes]:
    """Return the attributes of *span*, each as bytes, cut out of the *body* that it serialises to.

    To serialise them one by one takes three times as long. Protobuf writes fields in the order of
    their numbers, and what it does not know after all others.
    """
    cut_out: list[bytes] = []
    at, end = 0, len(body)
    while at < end:
        tag = body[at]
        if tag in _DELIMITED:
            size, start = body[at + 1], at + 2
            if size > 0x7F:
                size, start = _varint(body, at + 1)
            at = start + size
            if tag == _ATTRIBUTE:
                cut_out.append(body[start:at])
        elif tag in _FIXED64:
            at += 9
        elif tag == _KIND:
            _, at = _varint(body, at + 1)
        else:
            break
    if len(cut_out) == len(span.attributes):
        return cut_out
    return [attribute.SerializeToString() for attribute in span.attributes]


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins there, and where it ends."""
    number = shift = 0
    while (byte := body[at]) > 0x7F:
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return number | byte << shift, at + 1


def cut(span: Span, limits: Limits) -> None:
    """Change *span* so that it keeps to *limits*, and counts what it lost by that."""
    if span.ByteSize() <= min(limits.attributes, limits.events, limits.text):
        return  # each thing in it takes more than a byte
    span.name = _shorter(span.name, limits.text)
    span.trace_state = _shorter(span.trace_state, limits.text)
    span.status.message = _shorter(span.status.message, limits.text)
    span.dropped_events_count += _drop(span.events, limits.events)
    span.dropped_links_count += _drop(span.links, limits.events)
    for event in span.events:
        event.name = _shorter(event.name, limits.text)
    for link in span.links:
        link.trace_state = _shorter(link.trace_state, limits.text)
    holders: list[_Holder] = [span, *span.events, *span.links]
    for holder in holders:
        _cut_attributes(holder, limits)


def cut_context(context: Resource | InstrumentationScope, limits: Limits) -> None:
    """Do what `cut` does to what spans belong to."""
    if context.ByteSize() <= min(limits.attributes, limits.text):
        return
    if isinstance(context, InstrumentationScope):
        context.name = _shorter(context.name, limits.text)
        context.version = _shorter(context.version, limits.text)
    _cut_attributes(context, limits)


def _write_ids_in_base64(said: dict[str, Any]) -> None:
    for span in _spans(said):
        for holder in (span, *(span.get("links") or ())):
            for field in _ID_FIELDS:
                if holder.get(field) is not None:  # null is the default, as in all of JSON Protobuf
                    raw = bytes.fromhex(holder[field])
                    holder[field] = base64.b64encode(raw).decode()


def _spans(said: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        span
        for batch in said.get("resourceSpans") or said.get("resource_spans") or ()
        for scope in batch.get("scopeSpans") or batch.get("scope_spans") or ()
        for span in scope.get("spans") or ()
    ]


def _cut_attributes(holder: _Holder, limits: Limits) -> None:
    holder.dropped_attributes_count += _drop(holder.attributes, limits.attributes)
    for attribute in holder.attributes:
        if attribute.ByteSize() > limits.text:
            attribute.key = _shorter(attribute.key, limits.text)
            _cut_value(attribute.value, limits.text)


def _drop(listed: Any, kept: int) -> int:
    dropped = max(len(listed) - kept, 0)
    if dropped:
        del listed[kept:]
    return dropped


def _shorter(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + _ELLIPSIS


def _cut_value(value: AnyValue, letters: int) -> None:
    match value.WhichOneof("value"):
        case "string_value":
            value.string_value = _shorter(value.string_value, letters)
        case "bytes_value":
            value.bytes_value = value.bytes_value[:letters]
        case "array_value" | "kvlist_value":
            value.string_value = f"<{value.ByteSize()} bytes, too large to keep>"
