"""`iox-otel viewer` as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import httpx

from iox_otel.viewer import otlp_json
from iox_otel.viewer.stored import Batch

from .process import clean_environment

IOX_OTEL = (sys.executable, "-W", "error", "-c", "from iox_otel.cli import main; main()")
FREE_PORTS = ("--port", "--udp-port", "--otlp-grpc-port", "--otlp-http-port")
TIMEOUT_S = 30


class Viewer:
    """A viewer in a process of its own, on free ports, with an empty store in memory.

    Attributes:
        url: of its page, without a slash at the end.
        intake: addresses such as 127.0.0.1:6831 by `udp`, `grpc` and `http`.
    """

    def __init__(self, *flags: str) -> None:
        token = flags[flags.index("--token") + 1] if "--token" in flags else ""
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        ports = [text for flag in FREE_PORTS for text in (flag, "0")]
        self.process = subprocess.Popen(
            [*IOX_OTEL, "viewer", *ports, *flags],
            env=clean_environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.ready_line = self.process.stderr.readline()
        assert self.ready_line.startswith("iox-otel viewer on "), self.ready_line
        self.url = self.ready_line.split()[3].rpartition("/")[0]
        self.err: list[str] = []
        self._reader = threading.Thread(target=self.err.extend, args=(self.process.stderr,))
        self._reader.start()
        self.intake: dict[str, str] = self.status()["intake"]  # type: ignore[assignment]

    def add(self, *batches: Batch) -> None:
        """Keep these spans, as if they had come in; they are stored when this returns."""
        body = json.dumps(otlp_json.json_of(batches))
        headers = {"Content-Type": "application/json", **self._headers}
        url = f"{self.url}/api/viewer/upload"
        httpx.post(url, content=body, headers=headers, timeout=TIMEOUT_S).raise_for_status()

    def status(self) -> dict[str, object]:
        """Return what it tells the page of itself."""
        url = f"{self.url}/api/viewer/status"
        answer: dict[str, object] = httpx.get(url, headers=self._headers).json()
        return answer

    def end(self) -> None:
        """End it as an operator would; it must do so well."""
        try:
            self.process.terminate()
            assert self.process.wait(TIMEOUT_S) == 0, self.err
        finally:
            self.process.kill()
            self._reader.join()
            assert self.process.stderr is not None
            self.process.stderr.close()
