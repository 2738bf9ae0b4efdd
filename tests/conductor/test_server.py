"""The server as a process: ready, busy, asked to end, in the way of another."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from iox_otel.conductor.query_api import MAX_PLANNING
from iox_otel.conductor.server import ListenError, PortInUseError, listen, serve

SAMPLED = {"uber-trace-id": "4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0:1"}
END_S = 2.0
"""From the signal to the end of the process."""

SCRIPT = """
import json, sys
from iox_otel.conductor.app import create_app
from iox_otel.conductor.logs import configure_logging
from iox_otel.conductor.server import serve
from iox_otel.testing import CapturingTraceCollector

configure_logging(int(sys.argv[1]))
collector = CapturingTraceCollector()
app = create_app(collector=collector)
serve(app, host="127.0.0.1", port=0, on_ready=lambda url: print(url, flush=True))
print(json.dumps([[s.name, s.status.name, [e.msg for e in s.events]] for s in collector.spans]))
"""


class Server:
    """A server process, with a database "db" and a client."""

    def __init__(self, log: Path, verbosity: int) -> None:
        self._log = log
        with log.open("w") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-c", SCRIPT, str(verbosity)],
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        self.client = httpx.Client(base_url=self.url, timeout=10)
        self.client.post("/api/v3/configure/database", json={"db": "db"}).raise_for_status()

    def end(self, number: int = signal.SIGTERM) -> list[list[Any]]:
        """Send the signal; return the name, status and events of each span, once it has ended."""
        started = time.monotonic()
        self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=10)
        assert time.monotonic() - started < END_S
        assert self.process.returncode == 0, self.log
        spans: list[list[Any]] = json.loads(out)
        return spans

    @property
    def log(self) -> str:
        return self._log.read_text()


@contextmanager
def running(log: Path, *, verbosity: int = 1) -> Iterator[Server]:
    server = Server(log, verbosity)
    try:
        yield server
    finally:
        server.client.close()
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path / "log") as server:
        yield server


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, f"still not {what}"
        threading.Event().wait(0.01)


def query(sql: str) -> dict[str, str]:
    return {"db": "db", "q": sql, "format": "csv"}


LONG_PLANNING = "select levenshtein(repeat('a', 150000), repeat('b', 150000))"
ENDLESS = "select value from generate_series(1, 100000000000) as t(value)"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_asked(server: Server, number: int) -> None:
    """On SIGINT and SIGTERM the server ends with status 0, connections kept alive or not."""
    server.client.get("/api/v3/query_sql", params=query("select 1"), headers=SAMPLED)

    names = [name for name, _, _ in server.end(number)]

    assert "IOx http" in names and "execute_stream_partitioned" in names


def test_it_ends_while_it_streams(server: Server) -> None:
    """A result that would never end is cut off, and its spans are there."""
    url = "/api/v3/query_sql"
    with server.client.stream("GET", url, params=query(ENDLESS), headers=SAMPLED) as response:
        assert next(response.iter_bytes())
        spans = server.end()

    assert "Traceback" not in server.log
    ended = {name: events for name, _, events in spans}
    assert "cancelled" in ended["execute_stream_partitioned"]
    assert {"IOx http", "query_database_sql", "query_planning"} <= ended.keys()


def test_it_ends_while_a_query_computes(server: Server) -> None:
    """A query without a first row is given up."""
    sql = f"select count(*) from ({ENDLESS}) a join generate_series(1, 3) as b(v) on a.value > b.v"
    asking = threading.Thread(target=lambda: swallow(server, sql))
    asking.start()
    wait_until(lambda: "query to db" in server.log, "planning")

    names = [name for name, _, _ in server.end()]

    asking.join(10)
    assert "IOx http" in names and "query_database_sql" in names


def swallow(server: Server, sql: str) -> None:
    try:
        httpx.get(f"{server.url}/api/v3/query_sql", params=query(sql), headers=SAMPLED, timeout=10)
    except httpx.TransportError:
        pass


def test_it_ends_while_it_writes(server: Server) -> None:
    """A long write is given up, with all of it or nothing done, its client told, and traced."""
    body = "\n".join(f"m,t={i % 99} f={i},g={i}i,h={i}u {i}" for i in range(200_000))
    url = f"{server.url}/api/v3/write_lp?db=db"
    answers: list[httpx.Response] = []

    def write() -> None:
        answers.append(httpx.post(url, content=body, headers=SAMPLED, timeout=10))

    writing = threading.Thread(target=write)
    writing.start()
    wait_until(lambda: not is_idle(server.process.pid), "busy")
    spans = server.end()
    writing.join(10)

    (answer,) = answers
    assert answer.status_code in (204, 503)
    assert [name for name, _, _ in spans][-2:] == ["write_lp", "IOx http"]
    assert "ERR" not in [status for _, status, _ in spans]
    given_up = [name for name, _, events in spans[:-2] if events == ["cancelled"]]
    assert (given_up in (["parse"], ["append"])) is (answer.status_code == 503)
    assert "Traceback" not in server.log


def test_it_ends_with_clients_that_say_nothing(server: Server) -> None:
    """Neither an open connection nor half a request keeps the server."""
    host, port = server.url.removeprefix("http://").split(":")
    idle = socket.create_connection((host, int(port)))
    half = socket.create_connection((host, int(port)))
    half.sendall(b"POST /api/v3/write_lp?db=db HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nm f")

    with idle, half:
        server.end()


def test_it_ends_at_once_when_asked_twice(server: Server) -> None:
    """A second signal does not wait for what still runs."""
    with server.client.stream("GET", "/api/v3/query_sql", params=query(ENDLESS)) as response:
        assert next(response.iter_bytes())
        server.process.send_signal(signal.SIGINT)
        server.end(signal.SIGINT)


def test_a_client_that_goes_away(server: Server) -> None:
    """The query of a client that went away is ended, and traced."""
    with server.client.stream(
        "GET", "/api/v3/query_sql", params=query(ENDLESS), headers=SAMPLED
    ) as response:
        assert next(response.iter_bytes())

    wait_until(lambda: is_idle(server.process.pid), "idle")
    spans = {name: events for name, _, events in server.end()}
    assert "cancelled" in spans["execute_stream_partitioned"]
    assert {"IOx http", "query_database_sql"} <= spans.keys()


def test_a_client_that_does_not_wait(server: Server) -> None:
    """A query whose client goes away before there is a row is ended as well."""
    sql = f"select max(value) from ({ENDLESS})"

    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{server.url}/api/v3/query_sql", params=query(sql), headers=SAMPLED, timeout=0.5)

    wait_until(lambda: is_idle(server.process.pid), "idle")
    spans = {name: events for name, _, events in server.end()}
    assert "cancelled" in spans["execute_stream_partitioned"]
    assert {"IOx http", "query_database_sql"} <= spans.keys()


def test_queries_that_are_planned_for_long(server: Server) -> None:
    """As many as may be planned at a time hold up other queries only, also when nobody waits."""
    url = httpx.URL(f"{server.url}/api/v3/query_sql", params=query(LONG_PLANNING))
    for count in range(1, MAX_PLANNING + 1):
        with socket.create_connection((url.host, url.port)) as client:
            client.sendall(b"GET %s HTTP/1.1\r\nhost: x\r\n\r\n" % url.raw_path)
            wait_until(partial(has_begun, server, count), "planning")

    written = server.client.post("/api/v3/write_lp?db=db", content="m f=1")
    refused = server.client.get("/api/v3/query_sql", params=query("select 1"))

    assert written.status_code == 204
    assert (refused.status_code, refused.json()) == (
        503,
        {"error": "server is busy: too much planning at the same time"},
    )


def has_begun(server: Server, count: int) -> bool:
    return server.log.count("query to db") == count


def processor_time_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_idle(pid: int) -> bool:
    """Return whether the process uses less than a fifth of a processor for 0.2 s."""
    before = processor_time_s(pid)
    threading.Event().wait(0.2)
    return processor_time_s(pid) - before < 0.04


def test_log_lines_have_the_trace(server: Server) -> None:
    """What is logged of a traced request has its trace id, what is not has none."""
    server.client.get("/api/v3/query_sql", params=query("select 1"), headers=SAMPLED)
    server.client.get("/api/v3/query_sql", params=query("select 2"))
    server.end()

    lines = server.log.splitlines()
    (traced,) = [line for line in lines if "query to db: 'select 1'" in line]
    (untraced,) = [line for line in lines if "query to db: 'select 2'" in line]
    assert " trace=4bf92f3577b34da6a3ce929d0e0e4736 " in traced
    assert "trace=" not in untraced


def test_details_in_the_log(tmp_path: Path) -> None:
    """With -vv the log has the plan of a query, and nothing of what its libraries did."""
    with running(tmp_path / "log", verbosity=2) as server:
        server.client.get("/api/v3/query_sql", params=query("select 1 as one"))
        server.end()

        lines = [line for line in server.log.splitlines() if " DEBUG " in line]
        assert any("plan: ProjectionExec: expr=[1 as one]\\n" in line for line in lines)
        assert all(line.split()[2].startswith("iox_otel") for line in lines)


def test_a_body_that_is_too_long(server: Server) -> None:
    """A client that sends more than the server takes reads the answer, listening or not."""
    body = b"m f=1 1\n" * 2_000_000

    response = server.client.post("/api/v3/write_lp?db=db", content=body)

    assert response.status_code == 413


def test_answers_are_sent_at_once() -> None:
    """Connections do not hold an answer back until the one before it is acknowledged."""

    async def accepted_option() -> int:
        accepted: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()

        class Accepting(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                accepted.set_result(transport.get_extra_info("socket"))

        with listen("127.0.0.1", 0) as listener:
            async with await asyncio.get_running_loop().create_server(Accepting, sock=listener):
                _, writer = await asyncio.open_connection(*listener.getsockname())
                connection = await asyncio.wait_for(accepted, 10)
                option = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                writer.close()
                await writer.wait_closed()
        return option

    assert asyncio.run(accepted_option()) == 1


def test_a_port_in_use() -> None:
    """The error is one line that names the address and the flag."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError) as caught:
            serve(nothing, host="127.0.0.1", port=port, on_ready=print)

    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{port}: the port is in use, choose another with --http-bind"
    )


@pytest.mark.parametrize("host", ["203.0.113.1", "no such host"])
def test_an_address_that_cannot_be(host: str) -> None:
    """An address that is not this machine's is an error that names it."""
    with pytest.raises(ListenError, match=rf"^cannot listen on {host}:0: \w+"):
        serve(nothing, host=host, port=0, on_ready=print)


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("nobody calls this")
