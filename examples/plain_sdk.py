"""OpenTelemetry's SDK with BridgeProcessor in the place of its BatchSpanProcessor.

python examples/plain_sdk.py
"""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter

from iox_otel_bridge import BridgeProcessor

processor = BridgeProcessor(ConsoleSpanExporter)
provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
provider.add_span_processor(processor)
trace.set_tracer_provider(provider)

tracer = trace.get_tracer("shop")
with tracer.start_as_current_span("checkout"):
    for number in range(3):
        with tracer.start_as_current_span("load cart") as span:
            span.set_attribute("cart", number)

delivered = processor.force_flush(timeout_s=5)
print(f"all delivered: {delivered}; {processor.stats()}")
