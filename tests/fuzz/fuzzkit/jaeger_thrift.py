"""Jaeger's datagrams in compact Thrift: what anyone may send to a UDP port."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.transport.TTransport import TMemoryBuffer

from iox_otel.viewer.stored import Batch, Source
from iox_otel_bridge.wire import jaeger, jaeger_types
from iox_otel_bridge.wire.errors import DecodeError
from iox_otel_bridge.wire.jaeger_decode import decode_datagram

from .decoder import Decoder, Keeper, read
from .examples import spans

_keeper = Keeper()


def _decode(datagram: bytes) -> Iterator[Batch]:
    emitted = decode_datagram(datagram)
    _keeper.counts.take_datagram(emitted)
    yield Batch(emitted.resource, InstrumentationScope(), emitted.spans, Source.JAEGER)


def _run(datagram: bytes) -> bool:
    _decode_in_python(datagram)
    batches = read(_decode, datagram)
    if batches:
        _keeper.keep(batches, datagram)
    return batches is not None


def _decode_in_python(datagram: bytes) -> None:
    """Decode without the C decoder, as where there is none: the fuzzer sees into this one."""
    compiled, jaeger_types.fastbinary = jaeger_types.fastbinary, None
    try:
        decode_datagram(datagram)
    except DecodeError:
        pass
    finally:
        jaeger_types.fastbinary = compiled


def _seeds() -> Sequence[bytes]:
    process = jaeger.encode_process({"service.name": "checkout", "client-uuid": "ab", "n": 1})
    encoded = [jaeger.encode_span(span) for span in spans()]
    stats = jaeger.ClientStats(1, 2, 3)
    every = (jaeger_types.STRING, jaeger_types.DOUBLE, jaeger_types.BOOL, jaeger_types.LONG)
    tags = [
        jaeger_types.Tag("k", kind, "text", 0.5, True, -5, b"\0\xff")
        for kind in (*every, jaeger_types.BINARY)
    ]
    odd = jaeger_types.SPAN.decode(encoded[1])
    odd.tags, odd.parentSpanId = tags, 0
    buffer = TMemoryBuffer()
    odd.write(TCompactProtocol(buffer))
    several = b"".join(encoded)
    return [
        jaeger.encode_batch(process, b"", 0, seq_no=1, stats=stats),
        *(jaeger.encode_batch(process, span, 1, seq_no=9, stats=stats) for span in encoded),
        jaeger.encode_batch(process, several, len(encoded), seq_no=12, stats=stats),
        jaeger.encode_batch(process, bytes(buffer.getvalue()), 1, seq_no=1, stats=stats),
    ]


DECODER = Decoder("jaeger-thrift", _run, _seeds, ("emitBatch", "event", "client-uuid"))
