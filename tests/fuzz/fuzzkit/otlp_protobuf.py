"""OTLP requests in protobuf: the bodies of gRPC and of HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource

from iox_otel.viewer.stored import Batch, batches_of
from iox_otel_bridge.wire.otlp import RequestEncoder
from iox_otel_bridge.wire.otlp_decode import read_request

from .decoder import Decoder, Keeper, read
from .examples import spans

_keeper = Keeper()


def _decode(body: bytes) -> Iterator[Batch]:
    yield from batches_of(read_request(body))


def _run(body: bytes) -> bool:
    batches = read(_decode, body)
    if batches:
        _keeper.keep(batches, body)
    return batches is not None


def seeds() -> Sequence[bytes]:
    """Return requests of our own encoder, and one with what it never writes."""
    encoder = RequestEncoder(Resource({"service.name": "checkout", "n": 1}, "https://schema"))
    made = [request.body for request in encoder.encode(spans(), 1 << 20)]
    made += [request.body for span in spans() for request in encoder.encode([span], 1 << 20)]
    return [*made, _foreign().SerializeToString()]


def _foreign() -> ExportTraceServiceRequest:
    values = [
        {"bytesValue": "AP8="},
        {"doubleValue": "-Infinity"},
        {"arrayValue": {"values": [{"intValue": "1"}, {}, {"arrayValue": {}}]}},
        {"kvlistValue": {"values": [{"key": "k", "value": {"doubleValue": 0.5}}]}},
        {},
    ]
    attributes = [{"key": f"k{number}", "value": value} for number, value in enumerate(values)]
    dropped = {"attributes": attributes, "droppedAttributesCount": 3}
    ids = {"traceId": "AAAAAAAAAAAAAAAAAAAAAQ==", "spanId": "AAAAAAAAAAI="}
    span = ids | dropped | {"name": "all", "kind": 4, "flags": 0x301, "links": [ids | dropped]}
    span |= {"events": [{"name": "e", **dropped}], "status": {"code": 2, "message": "why"}}
    of_scope = {"scope": {"name": "lib", "version": "1", **dropped}, "spans": [span]}
    of_resource = {"resource": dropped, "scopeSpans": [of_scope], "schemaUrl": "https://res"}
    return ParseDict({"resourceSpans": [of_resource]}, ExportTraceServiceRequest())


DECODER = Decoder("otlp-protobuf", _run, seeds)
