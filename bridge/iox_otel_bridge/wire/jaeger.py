"""Jaeger's agent protocol: spans and batches to and from `emitBatch` in compact Thrift.

Pure functions. What they make is what Jaeger's agent, Jaeger up to 1.62 and the OpenTelemetry
Collector take on UDP port 6831: one oneway message a datagram. `Batch.seqNo` and `Batch.stats` are
written by hand, since the packaged types have neither. Source: jaeger-idl, `agent.thrift` and
`jaeger.thrift`.
"""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.sdk.trace import ReadableSpan
from thrift.Thrift import TMessageType

from iox_otel import Span
from iox_otel_bridge.plain import text_of

from .errors import DecodeError
from .jaeger_batch import Batch, ClientStats, decode_batch
from .jaeger_shorten import shorten_process, shorten_span
from .jaeger_span import native_span, readable_span
from .jaeger_tags import mend_span, mend_tags, tags_of
from .jaeger_types import PROCESS, SPAN, Process
from .shorten import MARK

__all__ = [
    "MARK",
    "Batch",
    "ClientStats",
    "DecodeError",
    "decode_batch",
    "encode_batch",
    "encode_process",
    "encode_span",
    "max_batch_bytes",
    "shorten_process",
    "shorten_span",
]

UNKNOWN_SERVICE = "unknown_service"

_MAX_I64 = (1 << 63) - 1
# Protocol id; version 1 and type oneway; sequence id 0; the method's name; then the headers of
# field 1 of the arguments, the batch, and of field 1 of the batch, the process.
_HEAD = bytes((0x82, TMessageType.ONEWAY << 5 | 1, 0, 9)) + b"emitBatch\x1c\x1c"
_SPANS = b"\x19"
_SEQ_NO = b"\x16"
_STATS = b"\x1c"
_I64 = b"\x16"
_STOP = b"\x00"


def encode_span(span: Span | ReadableSpan) -> bytes:
    """Return *span* as an encoded Jaeger Span. See `native_span` and `readable_span`.

    Raises:
        Exception: it is not what its type says, for instance has no span context.
    """
    struct = native_span(span) if isinstance(span, Span) else readable_span(span)
    try:
        return SPAN.encode(struct)
    except Exception:  # rare: a lone surrogate, a number beyond 64 bits, a name that is no text
        mend_span(struct)
        return SPAN.encode(struct)


def encode_process(attributes: Mapping[str, object]) -> bytes:
    """Return an encoded Jaeger Process from the attributes of an OpenTelemetry Resource.

    `service.name` is its name, `host.name` the tag `hostname` unless there is such an attribute;
    the others are tags under their own names, sorted.
    """
    tags = dict(attributes)
    name = text_of(tags.pop("service.name", "") or UNKNOWN_SERVICE)
    if "host.name" in tags and "hostname" not in tags:
        tags["hostname"] = tags.pop("host.name")
    return PROCESS.encode(Process(name, mend_tags(tags_of(tags)) or None))


def encode_batch(
    process: bytes, spans: bytes, span_count: int, *, seq_no: int, stats: ClientStats
) -> bytes:
    """Return the datagram that brings *spans*, encoded and joined, from *process*."""
    return b"".join(
        (
            _HEAD,
            process,
            _SPANS,
            _list_header(span_count),
            spans,
            _SEQ_NO,
            _zigzag(seq_no),
            _STATS,
            *(_I64 + _zigzag(number) for number in stats),
            _STOP * 3,  # of the stats, the batch and the arguments
        )
    )


def max_batch_bytes(process_bytes: int, span_bytes: int, span_count: int) -> int:
    """Return how long a datagram can be at most, whatever its sequence number and statistics."""
    return _FRAME_BYTES + process_bytes + len(_list_header(span_count)) + span_bytes


def _list_header(size: int) -> bytes:
    """Return the header of a list of structs."""
    return bytes((size << 4 | 0xC,)) if size < 15 else b"\xfc" + _varint(size)


def _zigzag(number: int) -> bytes:
    """Return an i64 that is not negative."""
    return _varint(min(number, _MAX_I64) << 1)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


_LARGEST_STATS = ClientStats(_MAX_I64, _MAX_I64, _MAX_I64)
_FRAME_BYTES = len(encode_batch(b"", b"", 0, seq_no=_MAX_I64, stats=_LARGEST_STATS)) - len(
    _list_header(0)
)
