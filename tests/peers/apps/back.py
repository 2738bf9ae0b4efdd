"""Ours: answers with the context that the request came with."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from iox_otel import SpanRecorder
from iox_otel.http import request_log_context, span_context
from iox_otel_bridge import TracingConfig

tracing = TracingConfig.from_env(service_name="back").build()


async def answer(request: Request) -> JSONResponse:
    ctx = span_context(request)
    with SpanRecorder(ctx.child("look up") if ctx else None):
        came = request_log_context(request)
    seen = came and {
        "trace_id": f"{came.trace_id:032x}",
        "sampled": came.sampled,
        "trace_state": came.trace_state,
    }
    return JSONResponse(seen)


async def ready(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ready")


app = Starlette(
    routes=[Route("/", answer), Route("/ready", ready)],
    middleware=[tracing.middleware("back http")],
)
