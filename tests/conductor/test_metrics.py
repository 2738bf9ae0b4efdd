"""What the server tells Prometheus."""

from __future__ import annotations

import asyncio

import httpx
from prometheus_client.parser import text_string_to_metric_families

from iox_otel.conductor.app import create_app
from iox_otel.testing import CapturingTraceCollector
from iox_otel_bridge import Stats


def samples_of(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_requests_and_spans_are_counted(traces: CapturingTraceCollector) -> None:
    """By route and status; the scrape itself is neither traced nor counted."""
    stats = Stats(10, 5, 1, 2, 1, 1)
    app = create_app(collector=traces, stats=lambda: {"otlp": stats}, queue_size=100)

    async def main() -> str:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            await client.post("/api/v3/configure/database", json={"db": "a"})
            for path in ("/nowhere", "/elsewhere", "/metrics"):
                await client.get(path, headers={"jaeger-debug-id": "x"})
            scraped = await client.get("/metrics")
            assert scraped.headers["content-type"].startswith("text/plain; version=")
            return scraped.text

    samples = samples_of(asyncio.run(main()))
    counts = {
        (labels["http_route"], labels["http_response_status_code"]): value
        for labels, value in samples["http_server_request_duration_seconds_count"]
    }
    assert counts == {("/api/v3/configure/database", "200"): 1, ("", "404"): 2}
    exported = {
        labels["error_type"]: value
        for labels, value in samples["otel_sdk_exporter_span_exported_total"]
    }
    assert exported == {"": 5, "rejected": 2}
    ((labels, size),) = samples["otel_sdk_processor_span_queue_size"]
    assert (labels, size) == ({"otel_component_name": "otlp"}, 1)
    assert [span.metadata["url.path"] for span in traces.spans] == ["/nowhere", "/elsewhere"]


def test_openmetrics_for_who_asks_for_it(traces: CapturingTraceCollector) -> None:
    """As Prometheus itself does."""
    app = create_app(collector=traces)

    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            accept = "application/openmetrics-text; version=1.0.0"
            return await client.get("/metrics", headers={"accept": accept})

    scraped = asyncio.run(main())
    assert scraped.headers["content-type"].startswith("application/openmetrics-text")
    assert scraped.text.endswith("# EOF\n")
