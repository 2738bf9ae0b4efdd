"""Zipkin, and what its API says it holds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx

from . import gojson
from .build import ZIPKIN
from .process import Process, free_port

IDS_PER_QUERY = 100
API_TIMEOUT_S = 60


class Zipkin(Process):
    """Zipkin's server with its storage in memory.

    Args:
        folder: for its log.
    """

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.endpoint = f"{self.url}/api/v2/spans"
        super().__init__(
            "zipkin",
            ["java", "-Xmx2g", "-jar", ZIPKIN.path],
            folder=folder,
            ready_url=f"{self.url}/health",
            environment={
                "QUERY_PORT": str(port),
                "ARMERIA_PORTS_0_IP": "127.0.0.1",
                "ARMERIA_PORTS_0_PORT": str(port),
                "ARMERIA_PORTS_0_PROTOCOLS_0": "http",
                "STORAGE_TYPE": "mem",
                "MEM_MAX_SPANS": "1000000",
                "SELF_TRACING_ENABLED": "false",
            },
        )

    def spans(self, trace_ids: Iterable[int]) -> list[dict[str, Any]]:
        """Return the spans it holds of those traces, each as its API gives it."""
        ids = [f"{trace_id:032x}" for trace_id in trace_ids]
        return [
            span
            for start in range(0, len(ids), IDS_PER_QUERY)
            for trace in self._traces(ids[start : start + IDS_PER_QUERY])
            for span in trace
        ]

    def _traces(self, ids: list[str]) -> list[list[dict[str, Any]]]:
        if len(ids) == 1:  # the query for many refuses one
            answer = self._get(f"trace/{ids[0]}")
            return [] if answer is None else [answer]
        found: list[list[dict[str, Any]]] = self._get("traceMany", traceIds=",".join(ids))
        return found

    def _get(self, path: str, **parameters: str) -> Any:
        url = f"{self.url}/api/v2/{path}"
        answer = httpx.get(url, params=parameters, timeout=API_TIMEOUT_S)
        if answer.status_code == 404:
            return None
        # It reckons U+2028 beside other letters beyond ASCII as longer than it writes them, and
        # fills up with zeros.
        return gojson.loads(answer.raise_for_status().text.rstrip("\0"))
