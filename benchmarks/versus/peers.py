"""The peers, set up as their own pages say, but with what they export thrown away."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

UNREACHABLE = "http://127.0.0.1:9"
"""Where the libraries that insist on it believe their server to be; nothing is sent there."""


def bridge() -> Any:
    """Return a processor of ours, over what stands in for one of our exporters."""
    from iox_otel_bridge import BridgeProcessor
    from iox_otel_bridge.sender import AnySpan, Batch, Outcome, Sender, Verdict

    class Discard(Sender):
        def encode(self, spans: Sequence[AnySpan]) -> Sequence[Batch]:
            return (Batch(b"", len(spans), 1),)

        def send(self, batch: Batch, timeout_s: float) -> Outcome:
            return Outcome(Verdict.DELIVERED)

    return BridgeProcessor(Discard)


def encoding_bridge() -> Any:
    """Return a processor of ours over what encodes spans as our OTLP exporters do."""
    from opentelemetry.sdk.resources import Resource

    from iox_otel_bridge import BridgeProcessor
    from iox_otel_bridge.sender import AnySpan, Batch, Outcome, Sender, Verdict
    from iox_otel_bridge.wire.otlp import RequestEncoder

    class Encode(Sender):
        def __init__(self) -> None:
            self._encoder = RequestEncoder(Resource.create())

        def encode(self, spans: Sequence[AnySpan]) -> Sequence[Batch]:
            requests = self._encoder.encode(spans, 4 << 20)
            return [Batch(each.body, each.span_count, len(each.body)) for each in requests]

        def send(self, batch: Batch, timeout_s: float) -> Outcome:
            return Outcome(Verdict.DELIVERED)

    return BridgeProcessor(Encode)


def encoding_exporter() -> Any:
    """Return an exporter of OpenTelemetry that encodes spans as its OTLP exporters do."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Encode(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            encode_spans(spans).SerializeToString()
            return SpanExportResult.SUCCESS

    return Encode()


def discarding_exporter() -> Any:
    """Return an exporter of OpenTelemetry that takes everything."""
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Discard(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    return Discard()


def otel_provider(sampler: Any = None, exporter: Any = None) -> Any:
    """Return a provider of OpenTelemetry's SDK, with its batch processor."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(BatchSpanProcessor(exporter or discarding_exporter()))
    return provider


def jaeger_exporter(host: str, port: int) -> Any:
    """Return the exporter for Jaeger that OpenTelemetry had until 2023."""
    import opentelemetry.sdk.environment_variables as names

    for each in _JAEGER_VARIABLES:  # it imports their names, which newer releases have no more
        setattr(names, f"OTEL_EXPORTER_JAEGER_{each}", f"OTEL_EXPORTER_JAEGER_{each}")
    from opentelemetry.exporter.jaeger.thrift import JaegerExporter

    return JaegerExporter(host, port, udp_split_oversized_batches=True)


_JAEGER_VARIABLES = (
    *("AGENT_HOST", "AGENT_PORT", "AGENT_SPLIT_OVERSIZED_BATCHES"),
    *("ENDPOINT", "PASSWORD", "TIMEOUT", "USER"),
)


def ddtrace_tracer() -> Any:
    """Return ddtrace's tracer; finished traces are dropped by a filter, before they are encoded."""
    os.environ.update(
        DD_INSTRUMENTATION_TELEMETRY_ENABLED="false",
        DD_REMOTE_CONFIGURATION_ENABLED="false",
        DD_TRACE_AGENT_URL=UNREACHABLE,
    )
    from ddtrace.trace import TraceFilter, tracer

    class Drop(TraceFilter):  # type: ignore[misc]  # has no types here
        def process_trace(self, trace: Any) -> None:
            return None

    tracer.configure(trace_processors=[Drop()])
    return tracer


def elastic_client() -> Any:
    """Return a client of Elastic APM."""
    from elasticapm import Client, instrument

    client = Client(
        service_name="bench",
        server_url=UNREACHABLE,
        transport_class="versus.elastic.DiscardingTransport",
        metrics_interval="0s",
        central_config="false",
        cloud_provider="none",
    )
    instrument()
    return client


def sentry_sdk() -> Any:
    """Return Sentry's SDK, begun."""
    import sentry_sdk as sdk

    class Discard(sdk.transport.Transport):  # type: ignore[misc]  # has no types here
        def capture_envelope(self, envelope: Any) -> None:
            return None

    sdk.init(dsn="http://key@127.0.0.1:9/1", traces_sample_rate=1.0, transport=Discard)
    return sdk


def logfire_sdk() -> Any:
    """Return logfire, begun."""
    import logfire
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    logfire.configure(
        send_to_logfire=False,
        console=False,
        additional_span_processors=[BatchSpanProcessor(discarding_exporter())],
    )
    return logfire
