"""A traced Starlette service: TRACES_EXPORTER=console uvicorn starlette_app:app"""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from iox_otel import SpanRecorder
from iox_otel.http import span_context
from iox_otel_bridge import TracingConfig

tracing = TracingConfig.from_env(service_name="checkout").build()


async def checkout(request: Request) -> JSONResponse:
    ctx = span_context(request)  # None if this request is not sampled
    with SpanRecorder(ctx.child("load cart") if ctx else None) as recorder:
        recorder.set_metadata("items", 3)
    return JSONResponse({"items": 3})


app = Starlette(
    routes=[Route("/checkout", checkout)], middleware=[tracing.middleware("checkout http")]
)
