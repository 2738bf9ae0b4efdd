"""The OpenTelemetry Collector as configured here, and what its file and metrics say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from .build import COLLECTOR
from .process import Process, free_port

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
        """Give the spans in its file, as OTLP's JSON with their `resource`; a torn line is none.

        Only the last line may be torn, by a Collector that was killed while it wrote.
        """
        for line in self.traces_file.read_text().splitlines():
            try:
                batches = json.loads(line)["resourceSpans"]
            except ValueError:
                continue
            for batch in batches:
                for scope in batch["scopeSpans"]:
                    for span in scope["spans"]:
                        yield {**span, "resource": batch["resource"]}

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum over the series of a metric of its own; 0 while it has none.

        Args:
            name: as Prometheus shows it, without `_total`.
            labels: what a series must have to count.
        """
        text = httpx.get(self.metrics_url, timeout=10).raise_for_status().text
        series = re.findall(rf"^{name}(?:_total)?(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE)
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(float(value) for of, value in series if all(label in of for label in wanted))
