"""Running a program to its end, and counting what came of it."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from iox_otel_bridge import Stats
from peerkit.process import clean_environment, free_port, wait_for

from .endings import Ending, program_of
from .sinks import Arrived, Sinks

LIMIT_S = 30.0
_SETTLED_S = 0.02


class Books(NamedTuple):
    """What one process says of its spans at its very end."""

    udp: Stats
    otlp: Stats

    @classmethod
    def read(cls, numbers: list[int]) -> Books:
        """Return them from *numbers*, as they were printed."""
        width = len(Stats._fields)
        return cls(*(Stats(*numbers[at : at + width]) for at in range(0, len(numbers), width)))


class Ended(NamedTuple):
    """One program that came to its end."""

    status: int
    took_s: float
    """From the signal, or from the end of main if it ends by itself, to the end of the process."""
    stderr: str
    books: dict[int, Books]
    """Of it, and of its children that recorded something, by their ids."""
    made: int
    """How many spans it says that it recorded, beside those that were asked for."""
    otlp: Arrived
    udp: Arrived
    traces: tuple[int, int]
    """Of how many traces these spans are, by OTLP and by UDP."""
    signalled_ns: int
    service: str


def end(ending: Ending, sinks: Sinks, service: str, protocol: str, folder: Path) -> Ended:
    """Run the program of *ending* until it has ended in that way."""
    path = folder / "program.py"
    path.write_text(program_of(ending))
    port = free_port()
    arguments = [each.format(port=port) for each in ending.server] or [str(path)]
    return run(
        arguments,
        sinks=sinks,
        service=ending.service + service,
        protocol=protocol,
        folder=folder,
        by=ending.by,
        requests=ending.requests if ending.server else 0,
        port=port,
    )


def run(
    arguments: list[str],
    *,
    sinks: Sinks,
    service: str,
    protocol: str,
    folder: Path,
    by: int | None,
    requests: int = 0,
    port: int = 0,
    after_s: float = 0.0,
    extra: dict[str, str] | None = None,
) -> Ended:
    """Run Python with *arguments*; send it *requests*, then the signal *by*, if there is any.

    Args:
        after_s: how long to wait with the signal.
    """
    began_s = time.monotonic()
    variables = clean_environment(**sinks.environment(service, protocol), **(extra or {}))
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        signalled_ns = 0
        try:
            said = ""
            if by is not None:
                said = _await_ready(process, requests, port)
                time.sleep(after_s)
                began_s, signalled_ns = time.monotonic(), time.time_ns()
                process.send_signal(by)
            stdout, stderr = process.communicate(timeout=LIMIT_S)
        except BaseException:
            process.kill()
            raise
    ended_s = time.monotonic()
    otlp = sinks.otlp(protocol)
    books, made = {}, 0
    for line in (said + stdout).splitlines():
        match line.split():
            case "END", at_s if by is None:
                began_s = float(at_s)
            case "AT", at_ns:
                signalled_ns = int(at_ns)
            case "MADE", number:
                made = int(number)
            case "STATS", pid, *numbers:
                books[int(pid)] = Books.read([*map(int, numbers)])
    # Datagrams that were sent may still be in the socket.
    sent = sum(each.udp.delivered for each in books.values())
    _settle(lambda: sinks.udp.arrivals.of(service).total() >= sent)
    return Ended(
        process.returncode,
        ended_s - began_s,
        stderr,
        books,
        made,
        otlp.of(service),
        sinks.udp.arrivals.of(service),
        (otlp.traces(service), sinks.udp.arrivals.traces(service)),
        signalled_ns,
        service,
    )


def _await_ready(process: subprocess.Popen[str], requests: int, port: int) -> str:
    if not requests:
        assert process.stdout is not None
        line = process.stdout.readline()
        if "READY" not in line:
            process.kill()
            raise AssertionError(f"it did not begin: {process.communicate()[1]}")
        return line
    wait_for("server", lambda: _ask(port) or None, LIMIT_S)
    for number in range(requests):
        # A worker that is being recycled may close the connection under a request.
        wait_for("answer", lambda at=number: _ask(port, at + 1) or None, LIMIT_S)  # type: ignore[misc]
    return ""


def _ask(port: int, trace_id: int = 0) -> bool:
    """Send one request, traced if it has a *trace_id*; return whether it was answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    headers = {"uber-trace-id": f"{trace_id:x}:1:0:1"} if trace_id else {}
    try:
        connection.request("GET", "/", headers=headers)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _settle(done: Callable[[], bool], timeout_s: float = 2.0) -> None:
    until_s = time.monotonic() + timeout_s
    while not done() and time.monotonic() < until_s:
        time.sleep(_SETTLED_S)
