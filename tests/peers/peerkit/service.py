"""A service under uvicorn, as a process of its own."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from .jaeger import Jaeger
from .process import Process, free_port


def settings(exporter: str, jaeger: Jaeger) -> dict[str, str]:
    """Return the variables that send spans by *exporter*, `jaeger` or `otlp`, to *jaeger*."""
    return {
        "TRACES_EXPORTER": exporter,
        "TRACES_EXPORTER_JAEGER_AGENT_HOST": "127.0.0.1",
        "TRACES_EXPORTER_JAEGER_AGENT_PORT": str(jaeger.compact_port),
        "TRACES_EXPORTER_OTLP_ENDPOINT": f"http://{jaeger.otlp_grpc}",
    }


class Service(Process):
    """An ASGI application.

    Args:
        command: how uvicorn is told to serve it, such as `uvicorn module:app`.
        source: the folder of the module.
        folder: for its log.
        ready: a path that is answered with 200.
        environment: its settings.
        wanted_port: where it listens, if that port is free; else, and without one, elsewhere.
    """

    def __init__(
        self,
        command: str,
        *,
        source: Path,
        folder: Path,
        ready: str,
        environment: Mapping[str, str],
        wanted_port: int | None = None,
    ) -> None:
        port = free_port(wanted_port)
        self.url = f"http://127.0.0.1:{port}"
        words = shlex.split(command)
        super().__init__(
            words[-1].partition(":")[0],
            [*words, f"--app-dir={source}", f"--port={port}"],
            folder=folder,
            ready_url=self.url + ready,
            environment=environment,
        )
