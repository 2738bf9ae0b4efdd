"""The OpenTelemetry Collector as configured here, and what its file and metrics say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .build import COLLECTOR
from .metrics import metric
from .process import Process, free_port
from .records import records

CONFIGS = Path(__file__).parents[3] / "collector"


class Collector(Process):
    """A Collector on ports of its own; what it queues and writes lies in *folder*.

    Args:
        folder: its working directory.
        exporters: which of the configuration's exporters it sends to.
        config: a file in `collector/`.
        name: of its log, where two share a folder.
        environment: what else the configuration reads, e.g. JAEGER_OTLP_ENDPOINT.
    """

    def __init__(
        self,
        folder: Path,
        *,
        exporters: Sequence[str] = ("file",),
        config: str = "otel-config.yaml",
        name: str = "collector",
        **environment: str,
    ) -> None:
        grpc, http, self.compact_port, health, metrics = (free_port() for _ in range(5))
        self.otlp_grpc = f"http://127.0.0.1:{grpc}"
        self.otlp_http = f"http://127.0.0.1:{http}"
        self.metrics_url = f"http://127.0.0.1:{metrics}/metrics"
        self.traces_file = folder / "traces.jsonl"
        super().__init__(
            name,
            [COLLECTOR.path, "--config", CONFIGS / config],
            folder=folder,
            ready_url=f"http://127.0.0.1:{health}/",
            environment={
                "OTLP_GRPC_ENDPOINT": f"127.0.0.1:{grpc}",
                "OTLP_HTTP_ENDPOINT": f"127.0.0.1:{http}",
                "JAEGER_COMPACT_ENDPOINT": f"127.0.0.1:{self.compact_port}",
                "HEALTH_CHECK_ENDPOINT": f"127.0.0.1:{health}",
                "METRICS_HOST": "127.0.0.1",
                "METRICS_PORT": str(metrics),
                "COLLECTOR_EXPORTERS": f"[{', '.join(exporters)}]",
                "FILE_PATH": str(self.traces_file),
                **environment,
            },
        )

    def file_spans(self) -> Iterator[dict[str, Any]]:
        """Give the spans in its file, as OTLP's JSON with `resource`, `scope` and `schemas`."""
        for record in records(self.traces_file.read_bytes()):
            for batch in record["resourceSpans"]:
                for scope in batch["scopeSpans"]:
                    schemas = (batch.get("schemaUrl", ""), scope.get("schemaUrl", ""))
                    around = {"resource": batch["resource"], "scope": scope["scope"]}
                    for span in scope["spans"]:
                        yield {**span, **around, "schemas": schemas}

    def metric(self, name: str, **labels: str) -> float:
        """Return a metric of its own, see `metrics.metric`."""
        return metric(self.metrics_url, name, **labels)
