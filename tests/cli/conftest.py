"""What the tests of the command line share: real processes, a server's among them."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

IOX_OTEL = (sys.executable, "-W", "error", "-c", "from iox_otel.cli import main; main()")
TIMEOUT_S = 30


def clean_environment(**environ: str) -> dict[str, str]:
    """Return this process's environment without what would configure ours, and with *environ*."""
    ours = re.compile("TRACES_|OTEL_|IOX_|INFLUXDB_|HTTPS?_PROXY|https?_proxy|ALL_PROXY|all_proxy")
    kept = {name: value for name, value in os.environ.items() if not ours.match(name)}
    return kept | environ


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """An environment that configures nothing of ours."""
    return clean_environment()


class Server:
    """A running `iox-otel run`."""

    def __init__(self, *flags: str, **environ: str) -> None:
        self.process = subprocess.Popen(
            [*IOX_OTEL, "run", "--http-bind", "127.0.0.1:0", *flags],
            env=clean_environment(**environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.out: list[str] = []
        self.err: list[str] = []
        ready: queue.Queue[str | None] = queue.Queue()
        assert self.process.stdout is not None and self.process.stderr is not None
        pipes = ((self.process.stdout, self.out), (self.process.stderr, self.err))
        self._readers = [threading.Thread(target=self._read, args=(*pipe, ready)) for pipe in pipes]
        for reader in self._readers:
            reader.start()
        found = ready.get(timeout=TIMEOUT_S)
        assert found is not None, "".join(self.err)
        self.ready_line = found
        self.url = found.split()[3].rstrip(";")

    @staticmethod
    def _read(pipe: Iterator[str], lines: list[str], ready: queue.Queue[str | None]) -> None:
        for line in pipe:
            lines.append(line)
            if line.startswith("iox-otel listening on "):
                ready.put(line.rstrip("\n"))
        ready.put(None)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send the signal *number*; return the exit status."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Return the exit status, when both outputs have been read."""
        try:
            status = self.process.wait(TIMEOUT_S)
        finally:
            self.process.kill()
            for reader in self._readers:
                reader.join()
            for pipe in (self.process.stdout, self.process.stderr):
                if pipe is not None:
                    pipe.close()
        return status


@pytest.fixture
def start_server() -> Iterator[Callable[..., Server]]:
    """Start servers with the flags and variables given; they end with the test."""
    servers: list[Server] = []

    def start(*flags: str, **environ: str) -> Server:
        servers.append(Server(*flags, **environ))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.end()


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    """The URL of a server that the tests of a module share."""
    server = Server()
    yield server.url
    server.end()


Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """Run `iox-otel` with arguments, standard input and variables; return what became of it."""
    directory: Path = tmp_path_factory.mktemp("cli")

    def run(*arguments: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*IOX_OTEL, *arguments],
            env=clean_environment(**environ),
            cwd=directory,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )

    return run


@pytest.fixture
def start_cli() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start `iox-otel` with arguments and what `Popen` takes; it is over when the test is."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([*IOX_OTEL, *arguments], env=clean_environment(), **options)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(TIMEOUT_S)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
