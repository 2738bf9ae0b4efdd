"""Jaeger all-in-one, and what its query API says it holds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx

from . import gojson
from .build import JAEGER
from .metrics import metric
from .process import Process, free_port

IDS_PER_QUERY = 100
API_TIMEOUT_S = 60
NOT_FOUND = "trace not found"
"""What a query for many traces says of each that is not there, beside those that are."""


class Jaeger(Process):
    """Jaeger all-in-one with its storage in memory.

    Args:
        folder: for its log.
        max_traces: how many it keeps; further ones evict the oldest.
        compact_port: takes compact Thrift over UDP; if not given, a free one.
        query_port: has the UI and the query API; if not given, a free one.
        strategies: what its sampling endpoint answers, as `--sampling.strategies-file` has it; it
            reads the file anew once it is changed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_traces: int = 100_000,
        compact_port: int | None = None,
        query_port: int | None = None,
        strategies: Path | None = None,
    ) -> None:
        self.compact_port = compact_port or free_port()
        query = query_port or free_port()
        self.otlp_grpc_port, self.otlp_http_port, admin = (free_port() for _ in range(3))
        self.url = f"http://127.0.0.1:{query}"
        self.otlp_grpc = f"127.0.0.1:{self.otlp_grpc_port}"
        sampling = free_port()
        self.sampling = f"http://127.0.0.1:{sampling}/sampling"
        ports = {
            "processor.jaeger-compact.server-host-port": self.compact_port,
            "processor.jaeger-binary.server-host-port": free_port(),
            "processor.zipkin-compact.server-host-port": free_port(),
            "http-server.host-port": sampling,
            "collector.grpc-server.host-port": free_port(),
            "collector.http-server.host-port": free_port(),
            "collector.otlp.grpc.host-port": self.otlp_grpc_port,
            "collector.otlp.http.host-port": self.otlp_http_port,
            "query.http-server.host-port": query,
            "query.grpc-server.host-port": free_port(),
            "admin.http.host-port": admin,
        }
        super().__init__(
            "jaeger",
            [
                JAEGER.path,
                *(f"--{flag}=127.0.0.1:{port}" for flag, port in ports.items()),
                f"--memory.max-traces={max_traces}",
                "--collector.queue-size=200000",
                "--log-level=warn",
                *_reading(strategies),
            ],
            folder=folder,
            ready_url=f"http://127.0.0.1:{admin}/",
            environment={"SPAN_STORAGE_TYPE": "memory", "OTEL_TRACES_SAMPLER": "always_off"},
        )

    def api(self, path: str, **parameters: object) -> Any:
        """Return the `data` of an answer of the query API; raises on an answer that is an error."""
        query = {key: value for key, value in parameters.items() if value is not None}
        answer = httpx.get(f"{self.url}/api/{path}", params=query, timeout=API_TIMEOUT_S)  # type: ignore[arg-type]
        if answer.status_code == 404:
            return []
        body = gojson.loads(answer.text)
        errors = [error for error in body.get("errors") or () if error["msg"] != NOT_FOUND]
        assert not errors, errors
        return body["data"]

    def traces(self, trace_ids: Iterable[int]) -> list[dict[str, Any]]:
        """Return those of the traces that it holds, each as its API gives it."""
        ids = [f"{trace_id:032x}" for trace_id in trace_ids]
        found: list[dict[str, Any]] = []
        for start in range(0, len(ids), IDS_PER_QUERY):
            found += self.api("traces", traceID=ids[start : start + IDS_PER_QUERY])
        return found

    def spans(self, trace_ids: Iterable[int]) -> list[dict[str, Any]]:
        """Return the spans it holds of those traces, each with its `process` besides the key."""
        return [
            {**span, "process": trace["processes"][span["processID"]]}
            for trace in self.traces(trace_ids)
            for span in trace["spans"]
        ]

    def metric(self, name: str, **labels: str) -> float:
        """Return a metric of its own, see `metrics.metric`."""
        return metric(f"{self.ready_url}metrics", name, **labels)


def _reading(strategies: Path | None) -> list[str]:
    if strategies is None:
        return []
    return [
        f"--sampling.strategies-file={strategies}",
        "--sampling.strategies-reload-interval=100ms",
    ]
