"""A peer as a process of its own, on ports of its own."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

import httpx

READY_S = 90
"""A peer that has not answered by then never will; Zipkin's Java takes 10 s on a busy machine."""
POLL_S = 0.05
T = TypeVar("T")


def free_port(wanted: int | None = None) -> int:
    """Return a port of loopback that is free over TCP and UDP: *wanted* if that one is.

    Another lies below those that the kernel gives to clients, so it is still free when the peer
    that had it is started again.
    """
    port = random.randrange(10_000, 32_000) if wanted is None else wanted
    while not is_free(port) or (port in _given and port != wanted):
        port = random.randrange(10_000, 32_000)
    _given.add(port)
    return port


_given: set[int] = set()
"""Ports that are about to be taken, though they are still free."""


def is_free(port: int) -> bool:
    """Tell whether nobody has *port* of loopback, over TCP or UDP."""
    return all(_can_bind(port, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM))


def _can_bind(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def clean_environment(**variables: str) -> dict[str, str]:
    """Return the machine's environment without settings of tracing, our commands first on PATH.

    Args:
        variables: what is added to it.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TRACES_", "OTEL_", "IOX_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return {**kept, "PATH": path, **variables}


def wait_for(what: str, get: Callable[[], T | None], timeout_s: float = 30) -> T:
    """Return the first answer of *get* that is not None.

    Raises:
        TimeoutError: there was none within *timeout_s*; names *what*.
    """
    deadline = time.monotonic() + timeout_s
    while (answer := get()) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {what} within {timeout_s:g} s")
        time.sleep(POLL_S)
    return answer


class Process:
    """A peer that can be started, stopped, killed, and started again as it was.

    Args:
        name: of its log in *folder*.
        command: what to run.
        folder: where it runs and its log lies.
        ready_url: answers 200 once the peer is ready.
        environment: beside the machine's own, of which no setting of tracing counts.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        folder: Path,
        ready_url: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.command = command
        self.folder = folder
        self.ready_url = ready_url
        self.environment = environment or {}
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The id of the running process."""
        assert self._process is not None, f"{self.name} does not run"
        return self._process.pid

    def start(self) -> Self:
        """Start the peer and return once it is ready."""
        assert self._process is None, f"{self.name} runs already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=clean_environment(**self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_for(f"answer of {self.name}", self._ready, READY_S)
        except BaseException:
            self.kill()
            raise
        return self

    def _ready(self) -> bool | None:
        assert self._process is not None
        if (status := self._process.poll()) is not None:
            end = self.log.read_text(errors="replace")[-3_000:]
            raise RuntimeError(f"{self.name} ended with status {status}:\n{end}")
        try:
            return httpx.get(self.ready_url, timeout=2).status_code == 200 or None
        except httpx.HTTPError:
            return None

    def stop(self, timeout_s: float = 30) -> None:
        """End the peer as an operator would, by SIGTERM; nothing if it does not run."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            self._process = None

    def kill(self) -> None:
        """End the peer by SIGKILL; nothing if it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
