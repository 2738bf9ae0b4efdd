"""What the server tells Prometheus: its requests, and what became of its spans."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from iox_otel_bridge import Stats
from iox_otel_bridge.metrics import RequestMeter, observe_pipelines


class Metrics:
    """Measures requests, and answers `/metrics` in Prometheus's or OpenMetrics' text.

    Args:
        stats: what became of the spans, by exporter.
        capacity: how many spans may wait for one exporter.
    """

    def __init__(self, stats: Callable[[], Mapping[str, Stats]], capacity: int) -> None:
        self._registry = CollectorRegistry()
        reader = PrometheusMetricReader(True, scope_info_enabled=False, registry=self._registry)
        # A registry of its own, so that nothing else in the process comes in.
        provider = MeterProvider([reader], resource=Resource.get_empty(), shutdown_on_exit=False)
        self.requests = RequestMeter(provider)
        observe_pipelines(stats, capacity, provider)

    async def answer(self, request: Request) -> Response:
        """Answer with all figures as they are now."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        text = await run_in_threadpool(encode, self._registry)
        return Response(text, media_type=content_type)
