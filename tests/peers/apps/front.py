"""Ours: asks the next service, in the header format that SEND names."""

import os

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from iox_otel import SpanContext, SpanKind, SpanRecorder
from iox_otel.http import format_jaeger_trace_context, request_log_context, span_context
from iox_otel.http.headers import (
    format_b3_multi,
    format_b3_single,
    format_traceparent,
    format_tracestate,
)
from iox_otel_bridge import TracingConfig

tracing = TracingConfig.from_env(service_name="front").build()


def headers_of(ctx: SpanContext) -> dict[str, str]:
    match os.environ["SEND"]:
        case "jaeger":
            return {"uber-trace-id": format_jaeger_trace_context(ctx)}
        case "b3":
            return {"b3": format_b3_single(ctx)}
        case "b3multi":
            return format_b3_multi(ctx)
        case _:
            state = format_tracestate(ctx)
            return {"traceparent": format_traceparent(ctx)} | (
                {"tracestate": state} if state else {}
            )


async def ask(request: Request) -> JSONResponse:
    here = span_context(request)  # None if this request is not sampled
    with SpanRecorder(here.child("GET") if here else None) as recorder:
        span = recorder.span
        if span is not None:
            span.kind = SpanKind.CLIENT
        # Without a span the incoming context goes on, so that the next service learns of
        # "not sampled" rather than starting a trace.
        ctx = span.ctx if span is not None else request_log_context(request)
        async with httpx.AsyncClient() as client:
            answer = await client.get(os.environ["NEXT"], headers=headers_of(ctx) if ctx else {})
    return JSONResponse(answer.json())


async def ready(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ready")


app = Starlette(
    routes=[Route("/", ask), Route("/ready", ready)],
    middleware=[tracing.middleware("front http")],
)
