"""Not ours: plain OpenTelemetry between two of ours, set up by its own variables."""

import os

import httpx
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
HTTPXClientInstrumentor().instrument()


async def ask(_: Request) -> JSONResponse:
    async with httpx.AsyncClient() as client:
        answer = await client.get(os.environ["NEXT"])
    return JSONResponse(answer.json())


async def ready(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ready")


app = OpenTelemetryMiddleware(
    Starlette(routes=[Route("/", ask), Route("/ready", ready)]),
    excluded_urls="ready",
    exclude_spans=["receive", "send"],
)
