"""Spans from where they are recorded to a receiver on this machine."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from contextlib import ExitStack
from time import perf_counter, process_time
from typing import Any

from .encoding import KEYS, values_of
from .sink import sink
from .timing import Measure

_FLUSH_S = 60
_OURS_AT_ONCE = 20_000
_OTEL_AT_ONCE = 2_048
"""Of more the SDK drops some, by default."""

Clock = Callable[[], float]


def _endpoint(how: str) -> str:
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(sink(how))


def _until_delivered(
    record: Callable[[int], object], flush: Callable[[], object], at_once: int, clock: Clock
) -> Measure:
    def measure(loops: int) -> float:
        began_s = clock()
        for at in range(0, loops, at_once):
            record(min(at_once, loops - at))
            assert flush()
        return clock() - began_s

    return measure


def tracing_to_sink(how: str) -> Any:
    """Return tracing of ours with its default settings, to a receiver of its own."""
    from iox_otel_bridge import TracingConfig

    protocol: Any = "grpc" if how == "grpc" else "http/protobuf"
    return TracingConfig(
        exporter="otlp", otlp_endpoint=_endpoint(how), otlp_protocol=protocol, service_name="bench"
    ).build()


def _ours(how: str, clock: Clock) -> Measure:
    from iox_otel import Span

    tracing = tracing_to_sink(how)
    root = Span.root("root", tracing.collector).ctx
    values = values_of(1)

    def record(count: int) -> None:
        for _ in range(count):
            with root.recorder("child") as span:
                for key, value in zip(KEYS, values, strict=True):
                    span.set_metadata(key, value)

    return _until_delivered(record, lambda: tracing.force_flush(_FLUSH_S), _OURS_AT_ONCE, clock)


def _otel(how: str, clock: Clock) -> Measure:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    endpoint = _endpoint(how)
    exporter: Any
    if how == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc

        exporter = Grpc(endpoint=endpoint)
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Http

        exporter = Http(endpoint=f"{endpoint}/v1/traces")
    provider = TracerProvider(resource=Resource.create({"service.name": "bench"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("bench")
    values = values_of(1)

    def record(count: int) -> None:
        for _ in range(count):
            with tracer.start_as_current_span("child") as span:
                for key, value in zip(KEYS, values, strict=True):
                    span.set_attribute(key, value)

    flush_ms = _FLUSH_S * 1_000
    return _until_delivered(record, lambda: provider.force_flush(flush_ms), _OTEL_AT_ONCE, clock)


def grpc_cpu_ours() -> Measure:
    """Measure CPU until spans are delivered by gRPC."""
    return _ours("grpc", process_time)


def grpc_cpu_otel() -> Measure:
    """Measure the same of the SDK."""
    return _otel("grpc", process_time)


def http_cpu_ours() -> Measure:
    """Measure CPU until spans are delivered by HTTP."""
    return _ours("http", process_time)


def http_cpu_otel() -> Measure:
    """Measure the same of the SDK."""
    return _otel("http", process_time)


def grpc_ours() -> Measure:
    """Measure how long it takes until spans are delivered by gRPC."""
    return _ours("grpc", perf_counter)


def grpc_otel() -> Measure:
    """Measure the same of the SDK."""
    return _otel("grpc", perf_counter)


def http_ours() -> Measure:
    """Measure how long it takes until spans are delivered by HTTP."""
    return _ours("http", perf_counter)


def http_otel() -> Measure:
    """Measure the same of the SDK."""
    return _otel("http", perf_counter)


def _burst_ours(spans: int) -> int:
    from iox_otel import Span

    tracing = tracing_to_sink("grpc")
    root = Span.root("root", tracing.collector).ctx
    for _ in range(spans):
        with root.recorder("child") as span:
            span.set_metadata("table", "metrics")
    tracing.force_flush(_FLUSH_S)
    delivered: int = tracing.stats()["otlp"].delivered
    return spans - delivered


def _burst_otel(spans: int) -> int:
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

    delivered = 0

    class Counting(OTLPSpanExporter):
        def export(self, spans: Any, **options: Any) -> SpanExportResult:
            nonlocal delivered
            result = super().export(spans, **options)
            delivered += len(spans) * (result is SpanExportResult.SUCCESS)
            return result

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Counting(endpoint=_endpoint("grpc"))))
    tracer = provider.get_tracer("bench")
    for _ in range(spans):
        with tracer.start_as_current_span("child") as span:
            span.set_attribute("table", "metrics")
    provider.force_flush(_FLUSH_S * 1_000)
    return spans - delivered


def lost_of_20_000_ours() -> float:
    """Count what is lost of a burst."""
    return _burst_ours(20_000)


def lost_of_20_000_otel() -> float:
    """Count the same of the SDK."""
    return _burst_otel(20_000)


def lost_of_100_000_ours() -> float:
    """Count what is lost of a burst."""
    return _burst_ours(100_000)


def lost_of_100_000_otel() -> float:
    """Count the same of the SDK."""
    return _burst_otel(100_000)
