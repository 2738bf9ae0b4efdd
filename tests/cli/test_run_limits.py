"""What `iox-otel run` does not take on: each limit has an answer that names it and its flag."""

from __future__ import annotations

import gzip
import json
import re
import select
import socket
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]
MIB = 1024 * 1024
ENDLESS = "select value from generate_series(1, 100000000000) as t(value)"
NO_ROW = f"select max(value) from ({ENDLESS})"
LONG_PLANNING = "select levenshtein(repeat('a', 150000), repeat('b', 150000))"
SORT = "select value from generate_series(1, 20000000) as t(value) order by value % 7, value"
TRACED = {"jaeger-debug-id": "why"}
TIMED_OUT = "query took longer than one may: 0.5 s, see --query-timeout"


class Database:
    """A server with a database "db", and a client to it."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.url, timeout=30)
        self.http.post("/api/v3/configure/database", json={"db": "db"}).raise_for_status()

    def write(self, body: bytes, **headers: str) -> httpx.Response:
        return self.http.post("/api/v3/write_lp?db=db", content=body, headers=headers)

    def query(self, sql: str, **how: Any) -> httpx.Response:
        return self.http.get("/api/v3/query_sql", params=asked(sql), **how)

    def count(self) -> int:
        """Return how many rows the table m has."""
        (row,) = self.query("select count(*) as n from m").json()
        number: int = row["n"]
        return number

    def memory_mib(self, which: str = "VmRSS") -> float:
        """Return what the server's process takes now, or VmHWM for the most that it ever did."""
        status = Path(f"/proc/{self.server.process.pid}/status").read_text()
        found = re.search(rf"^{which}:\s+(\d+) kB$", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) / 1024

    def spans(self) -> dict[str, Any]:
        """Return the spans so far, by name."""
        return {span["name"]: span for span in map(json.loads, list(self.server.out))}


def asked(sql: str) -> dict[str, str]:
    return {"db": "db", "q": sql, "format": "json" if "count" in sql else "csv"}


@pytest.fixture
def start(start_server: Callable[..., Any]) -> Iterator[Callable[..., Database]]:
    """Start servers with the flags given."""
    with ExitStack() as clients:

        def start(*flags: str) -> Database:
            database = Database(start_server(*flags, TRACES_EXPORTER="console"))
            clients.callback(database.http.close)
            return database

        yield start


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline_s
        threading.Event().wait(0.01)


@cache
def zipped(size_bytes: int) -> bytes:
    """Return so many zeros as gzip."""
    compress = zlib.compressobj(9, zlib.DEFLATED, 31)
    pieces = [compress.compress(bytes(MIB)) for _ in range(size_bytes // MIB)]
    return b"".join([*pieces, compress.flush()])


def test_gzip_bombs(start: Callable[..., Database]) -> None:
    """A GiB in a MiB, in one member or in many, is refused at once, in bounded memory."""
    bomb = zipped(1024 * MIB)
    bombs = {
        "one": bomb,
        "many": zipped(9 * MIB) * 1_000,
        "many empty before it": gzip.compress(b"") * 1_000 + bomb,
    }
    database = start()
    database.write(b"m f=1 1")
    before_mib = database.memory_mib("VmHWM")

    for body in bombs.values():
        assert len(body) < 10 * MIB
        started_s = time.monotonic()
        answer = database.write(body, **{"content-encoding": "gzip"})
        assert (answer.status_code, answer.json()) == (
            413,
            {"error": "max request size (10485760 bytes) exceeded"},
        )
        assert time.monotonic() - started_s < 5
    assert database.memory_mib("VmHWM") - before_mib < 10 + 64


def test_gzip_in_gzip(start: Callable[..., Database]) -> None:
    """One layer is unzipped, as HTTP has it: what is within is no line protocol."""
    database = start()

    answer = database.write(gzip.compress(zipped(1024 * MIB)), **{"content-encoding": "gzip"})

    assert answer.status_code == 400
    assert database.memory_mib("VmHWM") < 400


def test_the_size_of_a_body(start: Callable[..., Database]) -> None:
    """The flag moves the limit."""
    database = start("--max-request-mb", "1")

    assert database.write(b"#" * MIB).status_code == 400
    assert database.write(b"#" * (MIB + 1)).status_code == 413


def test_a_query_that_takes_too_long(start: Callable[..., Database]) -> None:
    """Before there is a row the answer says so, and so do the spans; the query is given up."""
    database = start("--query-timeout", "0.5")

    answer = database.query(NO_ROW, headers=TRACED)

    assert (answer.status_code, answer.json()) == (503, {"error": TIMED_OUT})
    wait_until(lambda: "IOx http" in database.spans())
    for name in ("query_database_sql", "execute_stream_partitioned"):
        assert database.spans()[name]["status_message"] == TIMED_OUT
    wait_until(lambda: is_idle(database))


def test_a_query_that_takes_too_long_to_plan(start: Callable[..., Database]) -> None:
    """Its client hears the same; what computes goes on, and keeps nobody from asking."""
    database = start("--query-timeout", "0.5")

    answer = database.query(LONG_PLANNING, headers=TRACED)

    assert (answer.status_code, answer.json()) == (503, {"error": TIMED_OUT})
    assert database.query("select 1 as one").text == "one\n1\n"
    wait_until(lambda: "IOx http" in database.spans())
    assert "execute_stream_partitioned" not in database.spans()


def test_rows_that_take_too_long(start: Callable[..., Database]) -> None:
    """An answer that has begun is cut off, in one line of the log, and the spans say why."""
    database = start("--query-timeout", "0.5", "-v")

    url = f"{database.server.url}/api/v3/query_sql"
    with (
        pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"),
        httpx.stream("GET", url, params=asked(ENDLESS), headers=TRACED) as answer,
    ):
        assert answer.status_code == 200
        for _ in answer.iter_bytes():
            pass

    wait_until(lambda: "IOx http" in database.spans())
    for name in ("query_database_sql", "execute_stream_partitioned"):
        assert database.spans()[name]["status_message"] == TIMED_OUT
    assert database.spans()["IOx http"]["status"] == "error"
    database.server.end()
    log = "".join(database.server.err)
    assert f"cut off: {TIMED_OUT}" in log and "Traceback" not in log


def test_rows_that_nobody_reads(start: Callable[..., Database]) -> None:
    """A client that does not read holds neither the query nor its turn."""
    database = start("--query-timeout", "0.5", "--max-concurrent-queries", "1")
    url = f"{database.server.url}/api/v3/query_sql"
    with httpx.stream("GET", url, params=asked(ENDLESS), headers=TRACED):
        wait_until(lambda: "query_database_sql" in database.spans())

        assert database.query("select 1 as one").text == "one\n1\n"


def test_a_query_without_a_limit(start: Callable[..., Database]) -> None:
    """A timeout of 0 is none."""
    assert start("--query-timeout", "0").query("select 1 as one").text == "one\n1\n"


def is_idle(database: Database) -> bool:
    """Return whether the server uses less than a fifth of a processor for 0.2 s."""
    stat = Path(f"/proc/{database.server.process.pid}/stat")

    def ticks() -> int:
        fields = stat.read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = ticks()
    threading.Event().wait(0.2)
    return ticks() - before < 4


@pytest.mark.parametrize(
    "sql",
    [
        SORT,
        "select x, count(*) from (select value * 7 % 19999999 as x"
        " from generate_series(1, 20000000) as t(value)) group by x",
        "select array_agg(value) from generate_series(1, 20000000) as t(value)",
        "select count(*) from generate_series(1, 20000000) a(x)"
        " join generate_series(1, 20000000) b(y) on x = y",
    ],
)
def test_a_query_that_takes_too_much_memory(start: Callable[..., Database], sql: str) -> None:
    """It is refused, its spans say why, and the next one has all of its memory again."""
    database = start("--query-memory-mb", "32")

    for _ in range(3):
        answer = database.query(sql, headers=TRACED)
        expected = "query needs more memory than one may take: 32 MiB, see --query-memory-mb"
        assert (answer.status_code, answer.json()) == (503, {"error": expected})
    assert database.query("select 1 as one").text == "one\n1\n"
    assert database.memory_mib("VmHWM") < 450
    wait_until(lambda: "IOx http" in database.spans())
    assert database.spans()["query_database_sql"]["status_message"] == expected


def test_a_query_that_fits(start: Callable[..., Database]) -> None:
    """The same sort, of fewer rows, needs no more than it says."""
    answer = start("--query-memory-mb", "32").query(SORT.replace("20000000", "200000"))

    assert answer.text.count("\n") == 200_001


def test_queries_beyond_the_limit(start: Callable[..., Database]) -> None:
    """They wait; in vain they are told to come again, and when a query ends, one has its turn."""
    database = start("--max-concurrent-queries", "2")
    url = f"{database.server.url}/api/v3/query_sql"
    with ExitStack() as running:
        for _ in range(2):
            running.enter_context(httpx.stream("GET", url, params=asked(ENDLESS)))
        refused = database.query("select 1")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.json() == {
            "error": "too many queries at the same time: 2 run, see --max-concurrent-queries"
        }
        assert database.write(b"m f=1 1").status_code == 204
        with ThreadPoolExecutor() as threads:
            waiting = threads.submit(database.query, "select 1 as one")
            running.close()
            assert waiting.result(20).text == "one\n1\n"


def test_requests_beyond_the_limit(start: Callable[..., Database]) -> None:
    """They are told to come again, at once; health is not asked for in vain."""
    database = start("--max-concurrent-requests", "2")
    host, port = database.server.url.removeprefix("http://").split(":")
    head = b"POST /api/v3/write_lp?db=db HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nm"
    with ExitStack() as clients:
        waiting = []
        for _ in range(3):
            client = clients.enter_context(socket.create_connection((host, int(port))))
            client.sendall(head)
            waiting.append(client)
        ((answered,), _, _) = select.select(waiting, [], [], 10)
        assert answered.recv(100).startswith(b"HTTP/1.1 429 ")
        refused = database.query("select 1")
        assert database.http.get("/health").status_code == 200
    assert refused.headers["retry-after"] == "1"
    assert refused.json() == {
        "error": "too many requests at the same time: 2 are, see --max-concurrent-requests"
    }
    wait_until(lambda: database.query("select 1").status_code == 200)


def test_data_beyond_the_limit(start: Callable[..., Database]) -> None:
    """A write that does not fit is refused whole; what is there stays, and can be overwritten."""
    database = start("--max-data-mb", "2")
    lines = [
        "\n".join(f"m,t=a{i} f={i} {i}" for i in range(first, first + 1000))
        for first in range(0, 9000, 1000)
    ]
    statuses = [database.write(body.encode()).status_code for body in lines]
    kept = statuses.count(204)

    assert 1 < kept < 9 and statuses == [204] * kept + [507] * (9 - kept)
    assert database.count() == kept * 1000
    for _ in range(5):
        assert database.write(b"m,t=a5 f=7 5\nm,t=a6 f=7 6").status_code == 204
    assert database.count() == kept * 1000
    refused = database.http.post("/api/v2/write?bucket=db", content=lines[0] + "\n" + lines[-1])
    expected = (
        "no room for this: data may take 2 MiB of memory, see --max-data-mb; nothing was written"
    )
    assert refused.status_code == 507
    assert refused.json() == {"code": "unavailable", "message": expected, "error": expected}
    assert database.count() == kept * 1000


def test_a_result_is_streamed(start: Callable[..., Database]) -> None:
    """Rows come while the query runs, and the server does not keep what was sent."""
    database = start("--query-memory-mb", "8")
    rows = ENDLESS.replace("value", "value, repeat('x', 500) as text", 1)
    url = f"{database.server.url}/api/v3/query_sql"
    with httpx.stream("GET", url, params=asked(rows)) as answer:
        pieces = answer.iter_bytes()
        receive(pieces, 64 * MIB)  # until the allocators have what they keep
        before_mib = database.memory_mib()
        receive(pieces, 192 * MIB)
        assert database.memory_mib() - before_mib < 128


def receive(pieces: Iterator[bytes], size_bytes: int) -> None:
    while size_bytes > 0:
        size_bytes -= len(next(pieces))


def test_bodies_that_are_no_line_protocol(start: Callable[..., Database]) -> None:
    """They are given up before they take the server's time and memory."""
    database = start()

    answer = database.write(b"m f=1 1\n" + b"x\n" * 5_000_000)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith(
        "more than 10000 bad lines, nothing was written; the first is line 2: "
    )
    assert database.memory_mib("VmHWM") < 400
    assert "not found" in database.query("select count(*) from m").json()["error"]


@pytest.mark.parametrize(
    ("flag", "value", "expected"),
    [
        ("--max-request-mb", "0", "a whole number from 1 to 1000000"),
        ("--max-concurrent-requests", "no", "a whole number from 1 to 100000"),
        ("--max-concurrent-queries", "-1", "a whole number from 1 to 100000"),
        ("--query-timeout", "soon", "a number of seconds up to 86400, 0 for any time"),
        ("--query-timeout", "nan", "a number of seconds up to 86400, 0 for any time"),
        ("--query-timeout", "-1", "a number of seconds up to 86400, 0 for any time"),
        ("--query-memory-mb", "3", "a whole number from 4 to 1000000"),
        ("--max-data-mb", "1.5", "a whole number from 1 to 1000000"),
    ],
)
def test_limits_that_cannot_be(cli: Cli, flag: str, value: str, expected: str) -> None:
    """One line names the flag and the value."""
    ran = cli("run", f"{flag}={value}")

    line = f"Invalid value {value!r} for {flag}: expected {expected}\n"
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", line)
