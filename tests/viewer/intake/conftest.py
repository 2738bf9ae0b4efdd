"""Real senders, and what they sent as the store has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import AnyValue


@pytest.fixture
def send_with_sdk() -> Callable[[SpanExporter], ReadableSpan]:
    """Send a span of trace 0xABC with the OpenTelemetry SDK; it is sent when this returns.

    The exporter is shut down.
    """
    return _send_with_sdk


def _send_with_sdk(exporter: SpanExporter) -> ReadableSpan:
    resource = Resource({"service.name": "shop", "n": 1}, "https://resource")
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("lib", "1", "https://scope", {"of": "scope"})
    state = TraceState([("vendor", "value")])
    parent = SpanContext(0xABC, 0xD, True, TraceFlags(1), state)
    values: Mapping[str, AnyValue] = {
        "s": "text",
        "b": True,
        "i": 1 << 60,
        "f": 0.1,
        "list": ["a", "b"],
    }
    with tracer.start_as_current_span(
        "checkout",
        set_span_in_context(NonRecordingSpan(parent)),
        kind=trace.SpanKind.CLIENT,
        attributes=values,
        links=[trace.Link(parent, values)],
    ) as span:
        span.add_event("retry", values)
        span.set_status(trace.StatusCode.ERROR, "broken")
    provider.shutdown()
    assert isinstance(span, ReadableSpan)
    return span


@pytest.fixture
def as_request(receiving: Any) -> Callable[[int], ExportTraceServiceRequest]:
    """Return a trace, once it is there, as a request; all is of its first span's scope."""

    def make(trace_id: int) -> ExportTraceServiceRequest:
        first, *_ = spans = receiving.wait_for(trace_id)
        made = ExportTraceServiceRequest()
        schemas = first.schemas
        of_resource = made.resource_spans.add(resource=first.resource, schema_url=schemas.resource)
        of_scope = of_resource.scope_spans.add(scope=first.scope, schema_url=schemas.scope)
        of_scope.spans.extend(stored.span for stored in spans)
        return made

    return make
