"""Spans recorded until they are queued, and spans that nobody wants."""

from __future__ import annotations

from typing import Any

from . import peers
from .timing import Measure, Recording, recording, repeating


def _ours(record: Any) -> Measure:
    from iox_otel import Span, SpanRecorder

    processor = peers.bridge()

    def end(root: Any) -> None:
        root.finish()
        processor.force_flush()

    return recording(Recording(lambda: SpanRecorder(Span.root("root", processor)), record, end))


def child_ours() -> Measure:
    """Measure `child` of a recorder, two `set_metadata`."""

    def record(root: Any, count: int) -> None:
        for _ in range(count):
            with root.child("child") as span:
                span.set_metadata("table", "metrics")
                span.set_metadata("rows", 42)

    return _ours(record)


def event_ours() -> Measure:
    """Measure the same with three and an event."""

    def record(root: Any, count: int) -> None:
        for _ in range(count):
            with root.child("child") as span:
                span.set_metadata("table", "metrics")
                span.set_metadata("rows", 42)
                span.set_metadata("took", 1.5)
                span.event("the rows are here")

    return _ours(record)


def _otel(record: Any) -> Measure:
    provider = peers.otel_provider()
    tracer = provider.get_tracer("bench")

    def begin() -> Any:
        root = tracer.start_as_current_span("root")
        root.__enter__()
        return tracer, root

    def end(begun: Any) -> None:
        begun[1].__exit__(None, None, None)
        provider.force_flush()

    return recording(Recording(begin, record, end))


def child_otel() -> Measure:
    """Measure `start_as_current_span`, two `set_attribute`."""

    def record(begun: Any, count: int) -> None:
        tracer = begun[0]
        for _ in range(count):
            with tracer.start_as_current_span("child") as span:
                span.set_attribute("table", "metrics")
                span.set_attribute("rows", 42)

    return _otel(record)


def event_otel() -> Measure:
    """Measure the same with three and an event."""

    def record(begun: Any, count: int) -> None:
        tracer = begun[0]
        for _ in range(count):
            with tracer.start_as_current_span("child") as span:
                span.set_attribute("table", "metrics")
                span.set_attribute("rows", 42)
                span.set_attribute("took", 1.5)
                span.add_event("the rows are here")

    return _otel(record)


def child_ddtrace() -> Measure:
    """Measure `tracer.trace`, two `set_tag`."""
    tracer = peers.ddtrace_tracer()

    def record(_: Any, count: int) -> None:
        for _ in range(count):
            with tracer.trace("child") as span:
                span.set_tag("table", "metrics")
                span.set_tag("rows", 42)

    return recording(Recording(lambda: tracer.trace("root"), record, lambda root: root.finish()))


def child_elastic() -> Measure:
    """Measure `capture_span` with two labels."""
    from elasticapm import capture_span

    client = peers.elastic_client()

    def record(_: Any, count: int) -> None:
        for _ in range(count):
            with capture_span("child", labels={"table": "metrics", "rows": 42}):
                pass

    def end(_: Any) -> None:
        client.end_transaction("root", "ok")
        client._transport.flush()

    return recording(Recording(lambda: client.begin_transaction("bench"), record, end))


def child_sentry() -> Measure:
    """Measure `start_span`, two `set_data`."""
    sdk = peers.sentry_sdk()

    def begin() -> Any:
        return sdk.start_transaction(name="root").__enter__()

    def record(_: Any, count: int) -> None:
        for _ in range(count):
            with sdk.start_span(op="child", name="child") as span:
                span.set_data("table", "metrics")
                span.set_data("rows", 42)

    return recording(Recording(begin, record, lambda root: root.__exit__(None, None, None)))


def child_logfire() -> Measure:
    """Measure `logfire.span` with two attributes."""
    logfire = peers.logfire_sdk()

    def begin() -> Any:
        return logfire.span("root").__enter__()

    def record(_: Any, count: int) -> None:
        for _ in range(count):
            with logfire.span("child", table="metrics", rows=42):
                pass

    def end(root: Any) -> None:
        root.__exit__(None, None, None)
        logfire.force_flush()

    return recording(Recording(begin, record, end))


def noop_ours() -> Measure:
    """Measure `SpanRecorder(None)`, three `set_metadata`."""
    from iox_otel import SpanRecorder

    def body(loops: int) -> None:
        for _ in range(loops):
            with SpanRecorder(None) as span:
                span.set_metadata("table", "metrics")
                span.set_metadata("rows", 42)
                span.set_metadata("took", 1.5)

    return repeating(body)


def unsampled_ours() -> Measure:
    """Measure `recorder` of an unsampled context, three `set_metadata`."""
    from iox_otel import SpanContext

    context = SpanContext(trace_id=1, span_id=1, collector=peers.bridge(), sampled=False)

    def body(loops: int) -> None:
        for _ in range(loops):
            with context.recorder("child") as span:
                span.set_metadata("table", "metrics")
                span.set_metadata("rows", 42)
                span.set_metadata("took", 1.5)

    return repeating(body)


def unsampled_otel() -> Measure:
    """Measure a span that the SDK's sampler does not want, three `set_attribute`."""
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    return repeating(_three_attributes(peers.otel_provider(ALWAYS_OFF).get_tracer("bench")))


def noop_otel() -> Measure:
    """Measure the same of OpenTelemetry's API, without an SDK."""
    from opentelemetry import trace

    return repeating(_three_attributes(trace.get_tracer("bench")))


def _three_attributes(tracer: Any) -> Any:
    def body(loops: int) -> None:
        for _ in range(loops):
            with tracer.start_as_current_span("child") as span:
                span.set_attribute("table", "metrics")
                span.set_attribute("rows", 42)
                span.set_attribute("took", 1.5)

    return body
