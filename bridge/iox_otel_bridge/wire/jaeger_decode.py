"""Jaeger's datagrams as OTLP's messages, with nothing lost: what a receiver of both keeps.

Source: jaeger-idl, `agent.thrift` and `jaeger.thrift`; the name of a link's attribute is that of
OpenTelemetry's semantic conventions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from .jaeger_batch import ClientStats, decode_batch
from .jaeger_types import BINARY, BOOL, CHILD_OF, DOUBLE, LONG, STRING
from .otlp_span import length, sized_attribute

REF_TYPE = "opentracing.ref_type"
"""The attribute of a link that says what kind of reference it was: child_of or follows_from."""

_U64 = (1 << 64) - 1
_FLAGS = 0xFF
_MAX_KNOWN = 4_096
_MAX_KNOWN_BYTES = 128

# How an attribute begins in each of the messages that have some.
_OF_RESOURCE, _OF_EVENT, _OF_SPAN = b"\x0a", b"\x1a", b"\x4a"

_known: dict[tuple[str, str | int], bytes] = {}
"""Keys and values that were seen lately, as attributes: most are seen again and again."""


class Emitted(NamedTuple):
    """What a datagram brought."""

    resource: Resource
    """The Process: its name is `service.name`, its tags are the other attributes."""
    spans: list[Span]
    seq_no: int | None
    """The number of the datagram among those of its client."""
    client_uuid: str
    """The client, as its Process says; empty if that does not."""
    stats: ClientStats | None
    """What the client lost since it started."""


def decode_datagram(datagram: bytes) -> Emitted:
    """Return what is in a datagram of a Jaeger client.

    Tags keep their type and order. A log's first field `event` is the event's name, if it is text
    and not empty; the other fields are attributes. All references are links, told apart by
    `REF_TYPE`; the parent is the one that Jaeger takes for it: the span's own field, else the first
    CHILD_OF of the same trace, else the first FOLLOWS_FROM. The flags are Jaeger's: 1 sampled,
    2 debug, 8 firehose. A time before 1970 is 0, a negative duration none.

    Raises:
        DecodeError: it is not an `emitBatch` message, or lacks a required field.
    """
    batch = decode_batch(datagram)
    process = batch.process
    resource = Resource()
    _put(resource.attributes.add(), "service.name").string_value = process.serviceName
    _put_all(resource, _OF_RESOURCE, process.tags or ())
    return Emitted(
        resource,
        [_span(span) for span in batch.spans],
        batch.seq_no,
        next((tag.vStr for tag in process.tags or () if tag.key == "client-uuid" and tag.vStr), ""),
        batch.stats,
    )


def _span(span: Any) -> Span:
    trace_id = _trace_id(span)
    start_us = max(span.startTime, 0)
    made = Span(
        trace_id=trace_id,
        span_id=_span_id(span.spanId),
        parent_span_id=_parent_of(span, trace_id),
        name=span.operationName,
        flags=span.flags & _FLAGS,
        start_time_unix_nano=start_us * 1_000 & _U64,
        end_time_unix_nano=(start_us + max(span.duration, 0)) * 1_000 & _U64,
    )
    _put_all(made, _OF_SPAN, span.tags or ())
    for log in span.logs or ():
        _add_event(made, log)
    for reference in span.references or ():
        kind = "child_of" if reference.refType == CHILD_OF else "follows_from"
        link = made.links.add(trace_id=_trace_id(reference), span_id=_span_id(reference.spanId))
        _put(link.attributes.add(), REF_TYPE).string_value = kind
    return made


def _add_event(span: Span, log: Any) -> None:
    event = span.events.add(time_unix_nano=max(log.timestamp, 0) * 1_000 & _U64)
    fields = list(log.fields)
    at = next((at for at, field in enumerate(fields) if field.key == "event"), None)
    if at is not None and fields[at].vType == STRING and fields[at].vStr:
        event.name = fields.pop(at).vStr
    _put_all(event, _OF_EVENT, fields)


def _parent_of(span: Any, trace_id: bytes) -> bytes:
    if span.parentSpanId:
        return _span_id(span.parentSpanId)
    same = [ref for ref in span.references or () if _trace_id(ref) == trace_id]
    children = [ref for ref in same if ref.refType == CHILD_OF]
    return next((_span_id(ref.spanId) for ref in children or same), b"")


def _put_all(holder: Resource | Span | Span.Event, head: bytes, tags: Iterable[Any]) -> None:
    """Add attributes to what has some: as bytes, which is much faster than one by one."""
    if attributes := [_attribute(tag) for tag in tags]:
        holder.MergeFromString(head + head.join(attributes))


def _attribute(tag: Any) -> bytes:
    """Return a tag as an attribute, with its length before it."""
    kind, key = tag.vType, tag.key
    if kind == STRING:
        text = tag.vStr or ""
        return _known.get((key, text)) or _keep(key, text)
    if kind == LONG:
        number = tag.vLong or 0
        return _known.get((key, number)) or _keep(key, number)
    if kind == BOOL:
        return sized_attribute(key, tag.vBool or False)
    if kind == DOUBLE:
        return sized_attribute(key, 0.0 if tag.vDouble is None else tag.vDouble)
    value = AnyValue(bytes_value=tag.vBinary or b"") if kind == BINARY else None
    body = KeyValue(key=key, value=value).SerializeToString()
    return length(len(body)) + body


def _keep(key: str, value: str | int) -> bytes:
    """Return an attribute, and remember it unless it is long."""
    made = sized_attribute(key, value)
    if len(made) <= _MAX_KNOWN_BYTES:
        if len(_known) >= _MAX_KNOWN:
            _known.clear()
        _known[key, value] = made
    return made


def _put(attribute: KeyValue, key: str) -> AnyValue:
    attribute.key = key
    return attribute.value


def _trace_id(ids: Any) -> bytes:
    high, low = ids.traceIdHigh & _U64, ids.traceIdLow & _U64
    return bytes((high << 64 | low).to_bytes(16, "big"))


def _span_id(number: int) -> bytes:
    return (number & _U64).to_bytes(8, "big")
