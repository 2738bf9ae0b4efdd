"""A native span as the bytes of an OTLP `Span` message, without a message object in between.

Agrees with opentelemetry-proto (trace/v1/trace.proto, common/v1/common.proto), and field by field
with what `opentelemetry.exporter.otlp.proto.common` makes of the same span. The numbers in front of
the values are protobuf's tags: field number * 8 + wire type.
"""

from __future__ import annotations

import struct
from typing import Any

from iox_otel import Span, SpanEvent, SpanKind, SpanStatus
from iox_otel_bridge.plain import items_of, text_of, time_of, times_of, value_of

_MASK = (1 << 64) - 1
_MAX_COUNT = (1 << 32) - 1
_pack_double = struct.Struct("<d").pack
_pack_times = struct.Struct("<BQBQ").pack
_pack_time = struct.Struct("<BQ").pack


def encode_span(span: Span) -> bytes:
    """Return *span* as a `Span` message.

    A missing start or end is the other one, or else now; a time beyond 64 bits is moved to the end
    of what they hold. Values change as in `BridgedSpan`: a lone surrogate becomes "?", an integer
    beyond 64 bits its text. Other threads may write to the span meanwhile.

    Raises:
        Exception: of any kind, if the span's attributes hold what no span can hold.
    """
    ctx = span.ctx
    out = [
        b"\x0a\x10",
        ctx.trace_id.to_bytes(16, "big"),
        b"\x12\x08",
        ctx.span_id.to_bytes(8, "big"),
    ]
    if ctx.trace_state:
        out.append(text_field(0x1A, ctx.trace_state))
    parent = ctx.parent_span_id
    if parent:
        out += (b"\x22\x08", parent.to_bytes(8, "big"))
    out += (
        _NAMES.get(span.name) or _cached(_NAMES, 0x2A, span.name),
        _KINDS.get(span.kind, _INTERNAL),
        _times(span.start_ns, span.end_ns),
    )
    if span.metadata:
        _attributes(b"\x4a", span.metadata, out)
    cut = span.cut
    if cut:
        _count(0x50, cut.metadata, out)
    for event in span.events:
        message = _event(event)
        out += (b"\x5a", length(len(message)), message)
    if cut:
        _count(0x60, cut.events, out)
    for linked_trace_id, linked_span_id in ctx.links:
        out += (
            b"\x6a\x21\x0a\x10",
            linked_trace_id.to_bytes(16, "big"),
            b"\x12\x08",
            linked_span_id.to_bytes(8, "big"),
            _LINK_FLAGS,
        )
    if cut:
        _count(0x70, cut.links, out)
    out += (_status(span), _REMOTE_PARENT if parent and ctx.parent_is_remote else _LOCAL_PARENT)
    return b"".join(out)


def sized_attribute(key: str, value: str | bool | int | float) -> bytes:
    """Return an attribute as a `KeyValue` message, with its length before it."""
    out: list[bytes] = []
    _attributes(b"", {key: value}, out)
    return b"".join(out)


def length(size: int) -> bytes:
    """Return *size* as protobuf writes lengths."""
    return _VARINTS[size] if size < _FEW else _varint(size)


def field(tag: int, message: bytes) -> bytes:
    """Return *message* as a field of the message around it."""
    return b"".join((_VARINTS[tag], length(len(message)), message))


def text_field(tag: int, text: str) -> bytes:
    """Return *text* as a field; nothing if it is empty, as proto3 has it."""
    return field(tag, valid_utf8(text)) if text else b""


def valid_utf8(text: object) -> bytes:
    """Return *text*, or the text of whatever else it is, with "?" for each lone surrogate."""
    return (text if type(text) is str else text_of(text)).encode("utf-8", "replace")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


_FEW = 1 << 11
_VARINTS = [bytes((number,)) for number in range(128)]
_VARINTS += [bytes((number & 127 | 128, number >> 7)) for number in range(128, _FEW)]
_INTS = [b"\x18" + varint for varint in _VARINTS]
_TEXT_HEADS = [
    b"\x12%b\x0a%b" % (length(1 + len(each) + size), each) for size, each in enumerate(_VARINTS)
]
"""Of an attribute, what comes before a text of that size."""

# SpanFlags: bit 8 says that bit 9 tells whether the (parent or linked) span is of another process.
_LOCAL_PARENT = b"\x85\x01" + (0x100).to_bytes(4, "little")
_REMOTE_PARENT = b"\x85\x01" + (0x300).to_bytes(4, "little")
_LINK_FLAGS = b"\x35" + (0x300).to_bytes(4, "little")

_INTERNAL = b"\x30\x01"
_KINDS = {kind: b"\x30" + _VARINTS[kind + 1] for kind in SpanKind}
_UNSET = b"\x7a\x00"
_STATUSES = {
    SpanStatus.UNKNOWN: _UNSET,
    SpanStatus.OK: b"\x7a\x02\x18\x01",
    SpanStatus.ERR: b"\x7a\x02\x18\x02",
}

# Names and keys are few and come again and again: their fields are kept. Bounded in number and in
# length, since nobody stops an application from making up names.
_MAX_CACHED = 4096
_MAX_CACHED_BYTES = 128
_NAMES: dict[object, bytes] = {}
_KEYS: dict[object, bytes] = {}


def _cached(cache: dict[object, bytes], tag: int, text: object) -> bytes:
    encoded = field(tag, valid_utf8(text))
    if type(text) is str and len(encoded) <= _MAX_CACHED_BYTES:
        if len(cache) >= _MAX_CACHED:
            cache.clear()
        cache[text] = encoded
    return encoded


def _count(tag: int, count: int, out: list[bytes]) -> None:
    if count:
        out += (_VARINTS[tag], _varint(min(count, _MAX_COUNT)))


def _times(start_ns: Any, end_ns: Any) -> bytes:
    try:
        if start_ns <= end_ns:
            return _pack_times(0x39, start_ns, 0x41, end_ns)
    except (struct.error, TypeError):  # missing, or no number OTLP has: once in a long while
        pass
    start_ns, end_ns = times_of(start_ns, end_ns)
    return _pack_times(0x39, start_ns, 0x41, end_ns)


def _status(span: Span) -> bytes:
    if span.status == SpanStatus.ERR and span.status_message:
        return field(0x7A, text_field(0x12, span.status_message) + b"\x18\x02")
    return _STATUSES.get(span.status, _UNSET)


def _event(event: SpanEvent) -> bytes:
    try:
        packed = _pack_time(0x09, event.time_ns)
    except struct.error:
        packed = _pack_time(0x09, time_of(event.time_ns))
    message = valid_utf8(event.msg)
    out = [packed, b"\x12", length(len(message)), message]
    if event.metadata:
        _attributes(b"\x1a", event.metadata, out)
    return b"".join(out)


def _attributes(tag: bytes, metadata: dict[str, Any], out: list[bytes]) -> None:
    for key, value in metadata.copy().items():  # the application may still write to it
        encoded_key = _KEYS.get(key) or _cached(_KEYS, 0x0A, key)
        if type(value) is str:  # as most are: what comes before the text is ready
            encoded = value.encode("utf-8", "replace")
            size = len(encoded)
            if size < _FEW:
                head = _TEXT_HEADS[size]
                size += len(encoded_key) + len(head)
                out += (tag, length(size), encoded_key, head, encoded)
                continue
        encoded = _any_value(value)
        head = b"\x12" + length(len(encoded))
        size = len(encoded_key) + len(head) + len(encoded)
        out += (tag, length(size), encoded_key, head, encoded)


def _any_value(value: Any) -> bytes:
    kind = type(value)
    if kind is str:
        text: bytes = value.encode("utf-8", "replace")
        return b"".join((b"\x0a", length(len(text)), text))
    if kind is bool:
        return b"\x10\x01" if value else b"\x10\x00"
    if kind is int:
        if 0 <= value < _FEW:
            few: bytes = _INTS[value]
            return few
        if -(1 << 63) <= value < 1 << 63:
            return b"\x18" + _varint(value & _MASK)
        return _any_value(text_of(value))
    if kind is float:
        return b"\x21" + _pack_double(value)
    if kind is tuple:
        return field(0x2A, b"".join([field(0x0A, _any_value(item)) for item in items_of(value)]))
    # Put into the metadata past `set_metadata`.
    return _any_value(value_of(value))
