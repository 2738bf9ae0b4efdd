"""Requests and pipelines as OpenTelemetry metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import opentelemetry.context
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from iox_otel import Span
from iox_otel.hooks.httpx import AsyncTracedTransport
from iox_otel.http import TraceLayer
from iox_otel.http.client import ClientTracer
from iox_otel.testing import CapturingTraceCollector
from iox_otel_bridge import BridgeProcessor, Stats
from iox_otel_bridge.metrics import RequestMeter, observe_pipelines
from iox_otel_bridge.runtime_context import install


@pytest.fixture
def reader() -> Iterator[InMemoryMetricReader]:
    reader = InMemoryMetricReader()
    yield reader
    reader.shutdown()


def points_in(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    """Return the points of each metric, by its name."""
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: list(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


async def item(request: Request) -> Response:
    if request.path_params["id"] == 0:
        raise LookupError("no such item")
    return PlainTextResponse("hello")


APP = Starlette(routes=[Route("/items/{id:int}", item)])


def requested(app: Any, *paths: str, headers: dict[str, str] | None = None, **options: Any) -> None:
    async def main() -> None:
        inner = httpx.ASGITransport(app, raise_app_exceptions=False)
        transport = AsyncTracedTransport(inner, **options) if options else inner
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            for path in paths:
                await client.get(path, headers=headers)

    asyncio.run(main())


def test_requests_are_one_histogram(reader: InMemoryMetricReader) -> None:
    """Their rate by its count, errors by `error.type`, durations by its buckets; few labels."""
    meter = RequestMeter(MeterProvider([reader]))
    layer = TraceLayer(APP, collector=None, name="http", metrics=meter)
    requested(layer, "/items/1", "/items/2", "/items/0", "/nowhere", "/elsewhere")

    points = points_in(reader)
    counted = {
        (
            point.attributes.get("http.route"),
            point.attributes.get("http.response.status_code"),
            point.attributes.get("error.type"),
        ): point.count
        for point in points["http.server.request.duration"]
    }
    assert counted == {
        ("/items/{id}", 200, None): 2,
        ("/items/{id}", 500, "500"): 1,
        (None, 404, None): 2,
    }
    first = points["http.server.request.duration"][0]
    assert first.attributes["http.request.method"] == "GET"
    assert first.explicit_bounds[:2] == (0.005, 0.01)
    assert 0 < first.sum < 5
    sizes = {point.sum for point in points["http.server.response.body.size"]}
    assert 10 in sizes


def test_a_duration_has_its_trace_as_an_exemplar(
    reader: InMemoryMetricReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a sampled request, once both sides have one current span."""
    runtime = opentelemetry.context._RUNTIME_CONTEXT
    monkeypatch.setattr(opentelemetry.context, "_RUNTIME_CONTEXT", runtime)
    collector = CapturingTraceCollector()
    install(collector)
    meter = RequestMeter(MeterProvider([reader]))
    layer = TraceLayer(APP, collector=collector, name="http", metrics=meter)
    requested(layer, "/items/1", headers={"jaeger-debug-id": "x"})

    (point,) = points_in(reader)["http.server.request.duration"]
    (exemplar,) = point.exemplars
    assert exemplar.trace_id == collector.find("http").ctx.trace_id


def test_requests_that_go_out(reader: InMemoryMetricReader) -> None:
    """Traced or not; every failure has a type."""
    meter = RequestMeter(MeterProvider([reader]))
    requested(APP, "/items/1", "/nowhere", tracer=ClientTracer(metrics=meter))

    counted = {
        (point.attributes["http.response.status_code"], point.attributes.get("error.type"))
        for point in points_in(reader)["http.client.request.duration"]
    }
    assert counted == {(200, None), (404, "404")}


def test_one_that_is_not_answered(reader: InMemoryMetricReader) -> None:
    """Counts as aborted, once."""
    call = ClientTracer(metrics=RequestMeter(MeterProvider([reader]))).begin("BREW", "http://x/")
    call.failed(OSError("refused"))
    call.finish()

    (point,) = points_in(reader)["http.client.request.duration"]
    assert point.count == 1
    assert point.attributes == {"http.request.method": "_OTHER", "error.type": "aborted"}


def test_pipelines_under_the_names_of_the_sdk(reader: InMemoryMetricReader) -> None:
    """Each counter, by exporter and reason."""
    stats = {"otlp": Stats(21, 6, 5, 4, 3, 3), "jaeger": Stats(1, 1, 0, 0, 0, 0)}
    observe_pipelines(lambda: stats, 100, MeterProvider([reader]))

    values = {
        (name, *(value for _, value in sorted(point.attributes.items(), reverse=True))): point.value
        for name, points in points_in(reader).items()
        for point in points
    }
    processed, exported = "otel.sdk.processor.span.processed", "otel.sdk.exporter.span.exported"
    assert values[processed, "otlp"] == 10
    assert values[processed, "otlp", "queue_full"] == 5
    assert values[processed, "otlp", "already_shutdown"] == 3
    assert values[exported, "otlp"] == 6
    assert values[exported, "otlp", "rejected"] == 4
    assert values[exported, "jaeger"] == 1
    assert values["otel.sdk.processor.span.queue.size", "otlp"] == 3
    assert values["otel.sdk.processor.span.queue.capacity", "otlp"] == 100


def test_a_real_pipeline(reader: InMemoryMetricReader) -> None:
    """Its counters move on as spans are delivered."""
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    processor = BridgeProcessor(InMemorySpanExporter)
    observe_pipelines(lambda: {"mine": processor.stats()}, 100, MeterProvider([reader]))
    for expected in (1, 2):
        Span.root("work", processor).export()
        assert processor.force_flush(timeout_s=5)
        (delivered, _) = points_in(reader)["otel.sdk.exporter.span.exported"]
        assert delivered.value == expected
    processor.shutdown()
