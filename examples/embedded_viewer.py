"""A service that shows its own traces, at /debug/traces: uvicorn embedded_viewer:app"""

from fastapi import FastAPI, Request

from iox_otel import SpanRecorder
from iox_otel.http import span_context
from iox_otel.viewer import mount
from iox_otel_bridge import TracingConfig

tracing = TracingConfig.from_env(service_name="checkout").build()
app = FastAPI(middleware=[tracing.middleware("checkout http")])
mount(app, "/debug/traces", tracing)  # this machine only, unless it is given a token


@app.get("/checkout/{cart}")
async def checkout(cart: str, request: Request) -> dict[str, int]:
    ctx = span_context(request)  # None if this request is not sampled
    with SpanRecorder(ctx.child("load cart") if ctx else None) as recorder:
        recorder.set_metadata("cart", cart)
    return {"items": 3}
