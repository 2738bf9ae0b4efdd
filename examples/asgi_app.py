"""A traced service without a framework: TRACES_EXPORTER=console uvicorn asgi_app:app"""

from collections.abc import MutableMapping
from typing import Any

from iox_otel import SpanRecorder
from iox_otel.http import TraceLayer, span_context
from iox_otel_bridge import TracingConfig

tracing = TracingConfig.from_env(service_name="checkout").build()


async def checkout(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])  # so that the server knows: no lifespan here
    ctx = span_context(scope)  # None if this request is not sampled
    with SpanRecorder(ctx.child("load cart") if ctx else None) as recorder:
        recorder.set_metadata("items", 3)
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"items": 3}'})


app = TraceLayer(
    checkout,
    collector=tracing.collector,
    header_parser=tracing.header_parser,
    name="checkout http",
)
