"""Ours, with OpenTelemetry's httpx instrumentation and what `tracing.install()` gives it."""

import os

import httpx
from opentelemetry import trace
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from iox_otel.http import request_log_context, span_context
from iox_otel_bridge import TracingConfig

tracing = TracingConfig.from_env(service_name="front").build()
tracing.install()
HTTPXClientInstrumentor().instrument()


async def ask(request: Request) -> JSONResponse:
    ctx = span_context(request) or request_log_context(request)
    assert ctx is not None
    here = trace.SpanContext(
        ctx.trace_id,
        ctx.span_id,
        is_remote=False,
        trace_flags=trace.TraceFlags(ctx.sampled),
        trace_state=trace.TraceState.from_header([ctx.trace_state or ""]),
    )
    with trace.use_span(trace.NonRecordingSpan(here)):
        async with httpx.AsyncClient() as client:
            answer = await client.get(os.environ["NEXT"])
    return JSONResponse(answer.json())


async def ready(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ready")


app = Starlette(
    routes=[Route("/", ask), Route("/ready", ready)],
    middleware=[tracing.middleware("front http")],
)
