"""Spans turned into what goes over the wire."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from . import peers
from .timing import Measure, repeating

_SPANS = 512
"""In a batch: the default of both."""
_MAX_BYTES = 4 << 20
KEYS = [f"attribute.number.{number:03}" for number in range(10)]


def values_of(number: int) -> list[str]:
    """Return ten texts of twenty characters, as no other span has them."""
    return [f"{at} of span {number:010}" for at in range(len(KEYS))]


def _batches(batch: Callable[[], object]) -> Measure:
    """Return what measures *batch*, which deals with all spans."""

    def body(loops: int) -> None:
        for _ in range(loops):
            batch()

    return repeating(body)


def native_spans() -> list[Any]:
    """Return spans of ours, ten attributes each."""
    from iox_otel import RingBufferTraceCollector, Span, SpanRecorder

    kept = RingBufferTraceCollector(_SPANS)
    root = Span.root("root", kept)
    for number in range(_SPANS):
        with SpanRecorder(root.child("child")) as span:
            for key, value in zip(KEYS, values_of(number), strict=True):
                span.set_metadata(key, value)
    return kept.spans()


def otel_spans() -> list[Any]:
    """Return spans of the SDK, ten attributes each."""
    tracer = peers.otel_provider().get_tracer("bench")
    spans = []
    with tracer.start_as_current_span("root"):
        for number in range(_SPANS):
            with tracer.start_as_current_span("child") as span:
                for key, value in zip(KEYS, values_of(number), strict=True):
                    span.set_attribute(key, value)
            spans.append(span)
    return spans


def otlp_ours() -> Measure:
    """Measure our encoder; what it makes, decoded, is what the SDK's makes of the same spans."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.resources import Resource

    from iox_otel_bridge import BridgedSpan
    from iox_otel_bridge.wire.otlp import RequestEncoder, decode_request

    resource = Resource.create()
    spans = native_spans()
    encoder = RequestEncoder(resource)
    (made,) = encoder.encode(spans, _MAX_BYTES)
    theirs = encode_spans([BridgedSpan(span, resource) for span in spans])
    assert decode_request(made.body).resource_spans == theirs.resource_spans
    return _batches(lambda: list(encoder.encode(spans, _MAX_BYTES)))


def otlp_otel() -> Measure:
    """Measure the SDK's encoder."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    spans = otel_spans()
    return _batches(lambda: encode_spans(spans).SerializeToString())


def _agent() -> tuple[socket.socket, str, int]:
    """Return a socket that takes datagrams, and where it is; nobody reads them."""
    agent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    agent.bind(("127.0.0.1", 0))
    return agent, *agent.getsockname()


def _sending(batch: Callable[[], object], agent: socket.socket) -> Measure:
    """Return what measures *batch*, which sends to *agent*, and keeps that open."""
    measure = _batches(batch)

    def measure_open(loops: int) -> float:
        assert agent.fileno() >= 0  # else nobody is there
        return measure(loops)

    return measure_open


def jaeger_ours() -> Measure:
    """Measure our Jaeger exporter, its datagrams included."""
    from opentelemetry.sdk.resources import Resource

    from iox_otel_bridge.exporters.jaeger import JaegerSender

    agent, host, port = _agent()
    sender = JaegerSender(host=host, port=port, resource=Resource.create())
    spans = native_spans()

    def batch() -> None:
        for each in sender.encode(spans):
            sender.send(each, 1.0)

    return _sending(batch, agent)


def jaeger_otel() -> Measure:
    """Measure the exporter that OpenTelemetry had until 2023, its datagrams included."""
    agent, host, port = _agent()
    exporter = peers.jaeger_exporter(host, port)
    spans = otel_spans()
    return _sending(lambda: exporter.export(spans), agent)
