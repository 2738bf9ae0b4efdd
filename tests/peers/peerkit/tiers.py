"""An agent and the gateways behind it, and what they make of a trace."""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from .collector import Collector


class Tiers:
    """One agent that routes to *count* gateways, each with a file of its own.

    Args:
        folder: every Collector gets a folder of its own in it.
        count: how many gateways.
        exporter: which of the agent's exporters routes.
        agent: what else the agent's configuration reads.
        gateway: what else the gateways' configuration reads.
    """

    def __init__(
        self,
        folder: Path,
        *,
        count: int = 2,
        exporter: str = "load_balancing",
        agent: Mapping[str, str] | None = None,
        gateway: Mapping[str, str] | None = None,
    ) -> None:
        self.gateways = [
            _collector(folder / f"gateway-{n}", "gateway-config.yaml", ("file",), gateway or {})
            for n in range(1, count + 1)
        ]
        addresses = [gateway.otlp_grpc.removeprefix("http://") for gateway in self.gateways]
        routes = {
            "GATEWAYS": f"[{', '.join(addresses)}]",
            "GATEWAY_DNS_NAME": "127.0.0.1",
            "GATEWAY_DNS_PORT": addresses[0].rpartition(":")[2],
        }
        self.agent = _collector(
            folder / "agent", "otel-config.yaml", (exporter,), {**routes, **(agent or {})}
        )
        self._running = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as running:
            for collector in (*self.gateways, self.agent):
                running.enter_context(collector)
            self._running = running.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()


def _collector(
    folder: Path, config: str, exporters: Sequence[str], environment: Mapping[str, str]
) -> Collector:
    folder.mkdir()
    red = {"RED_EXPORTERS": "[file/red]", "RED_INTERVAL": "1s"}
    return Collector(
        folder, config=config, exporters=exporters, name=folder.name, **{**red, **environment}
    )


def kept(gateway: Collector) -> dict[str, set[str]]:
    """Return the ids of the spans in a gateway's file, by trace id."""
    traces: defaultdict[str, set[str]] = defaultdict(set)
    if gateway.traces_file.exists():
        for span in gateway.file_spans():
            traces[span["traceId"]].add(span["spanId"])
    return dict(traces)


def counted_calls(gateway: Collector) -> dict[str, int]:
    """Return how many spans a gateway has counted before it sampled, by their status code."""
    file = gateway.folder / "gateway-metrics.jsonl"
    lines = file.read_text().rpartition("\n")[0].splitlines() if file.exists() else []
    calls: defaultdict[str, int] = defaultdict(int)
    for resource in json.loads(lines[-1] if lines else "{}").get("resourceMetrics", ()):
        for scope in resource["scopeMetrics"]:
            for metric in scope["metrics"]:
                if metric["name"] == "traces.span.metrics.calls":
                    for point in metric["sum"]["dataPoints"]:
                        calls[_text(point, "status.code")] += int(point["asInt"])
    return dict(calls)


def _text(point: Mapping[str, list[dict[str, dict[str, str]]]], key: str) -> str:
    (value,) = (a["value"]["stringValue"] for a in point["attributes"] if str(a["key"]) == key)
    return value
