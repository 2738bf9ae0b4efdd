"""`iox-otel database` against a real server, as its user sees it."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[bytes]]
METRICS = Path(__file__).parents[1] / "fixtures" / "lineproto" / "metrics.lp"

_names = iter(f"db_{number}" for number in range(1000))


@pytest.fixture
def database(cli: Cli, server_url: str) -> str:
    """A new database of its own for the test."""
    name = next(_names)
    assert cli("database", "create", name, IOX_ADDR=server_url).returncode == 0
    return name


def test_create(cli: Cli, server_url: str) -> None:
    """A new database is confirmed; one that exists is an error, on stderr, with status 1."""
    first, second = (cli("database", "create", "my_db", "--host", server_url) for _ in range(2))

    assert (first.returncode, first.stdout, first.stderr) == (0, "Created database my_db\n", "")
    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr == "Error creating database: Database already exists\n"


def test_list(cli: Cli, server_url: str, database: str) -> None:
    """Every database has a line of its own; the options may stand before the command."""
    ran = cli("database", "--host", server_url, "list")

    assert ran.returncode == 0
    assert database in ran.stdout.splitlines()


def test_write_and_query(cli: Cli, server_url: str, database: str) -> None:
    """The lines of a real file are written, and a query prints a table of them."""
    wrote = cli("database", "write", database, str(METRICS), IOX_ADDR=server_url)
    asked = cli("database", "query", database, "show tables", IOX_ADDR=server_url)

    assert (wrote.returncode, wrote.stdout, wrote.stderr) == (0, "1000 Lines OK\n", "")
    assert asked.returncode == 0
    rows = [re.split(r" *\| *", line.strip("| ")) for line in asked.stdout.splitlines()]
    assert ["table_catalog", "table_schema", "table_name", "table_type"] in rows
    assert ["public", "iox", "cpu", "BASE TABLE"] in rows


def test_write_from_stdin_and_files_together(
    cli: Cli, server_url: str, database: str, tmp_path: Path
) -> None:
    """Several files count together, - is stdin, and comments and blank lines do not count."""
    file = tmp_path / "a.lp"
    file.write_text("# comment\n\ncpu v=1 1\ncpu v=2 2")

    ran = cli(
        "database", "write", database, str(file), "-", "--precision", "s",
        IOX_ADDR=server_url, stdin="cpu v=3 3\n",
    )  # fmt: skip
    asked = cli(
        "database", "query", database, "select * from cpu order by time", "--format", "csv",
        IOX_ADDR=server_url,
    )  # fmt: skip

    assert ran.stdout == "3 Lines OK\n"
    assert [row["time"] for row in csv.DictReader(asked.stdout.splitlines())] == [
        "1970-01-01T00:00:01Z",
        "1970-01-01T00:00:02Z",
        "1970-01-01T00:00:03Z",
    ]


BAD = 'cpu v=1 1\n\nmem s="two\nlines" 1\nbad line\ncpu v="text" 1\ncpu v=2 2\n'


def test_refused_lines_are_reported_with_their_numbers(
    cli: Cli, server_url: str, database: str, tmp_path: Path
) -> None:
    """The good lines are kept; each bad one is named by file and line; the status is 1."""
    file = tmp_path / "bad.lp"
    file.write_text(BAD)

    ran = cli("database", "write", database, str(file), IOX_ADDR=server_url)

    assert (ran.returncode, ran.stdout) == (1, "3 Lines OK\n")
    *lines, last = ran.stderr.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{file}:5", f"{file}:6"]
    assert "'v'" in lines[1]
    assert last == "Error writing: 2 lines refused, 3 kept"
    asked = cli(
        "database", "query", database, "select count(*) as n from cpu", "--format", "json",
        IOX_ADDR=server_url,
    )  # fmt: skip
    assert json.loads(asked.stdout) == [{"n": 2}]


def test_nothing_is_kept_unless_partial_writes_are_accepted(
    cli: Cli, server_url: str, database: str
) -> None:
    """With --no-accept-partial a bad line keeps out those beside it."""
    ran = cli(
        "database", "write", database, "-", "--no-accept-partial", IOX_ADDR=server_url, stdin=BAD
    )

    assert (ran.returncode, ran.stdout) == (1, "0 Lines OK\n")
    *lines, last = ran.stderr.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["stdin:5", "stdin:6"]
    assert last == "Error writing: 5 lines refused, 0 kept"


def test_large_file_goes_in_several_requests(
    cli: Cli, server_url: str, database: str, tmp_path: Path
) -> None:
    """What is larger than the server takes at once is cut; line numbers stay those of the file."""
    file = tmp_path / "large.lp"
    with file.open("w") as out:
        for number in range(60_000):
            out.write(f'cpu,host=h{number % 7} v={number},s="{"x" * 20}" {number + 1}\n')
        out.write("bad\n")

    ran = cli("database", "write", database, str(file), "-v", IOX_ADDR=server_url)

    assert (ran.returncode, ran.stdout) == (1, "60000 Lines OK\n")
    requests = [
        line for line in ran.stderr.splitlines() if line.startswith("POST /api/v3/write_lp")
    ]
    assert len(requests) == 3
    assert f"{file}:60001: " in ran.stderr


def test_long_line_is_written(cli: Cli, server_url: str, database: str, tmp_path: Path) -> None:
    """A line may be as long as a request of the server's."""
    file = tmp_path / "long.lp"
    fields = ",".join(f's{number}="{"x" * 60_000}"' for number in range(150))
    file.write_text(f'cpu {fields} 1\ncpu s="y" 2\n')

    ran = cli("database", "write", database, str(file), IOX_ADDR=server_url)

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "2 Lines OK\n", "")


def test_line_that_is_too_long_is_refused_whole(
    cli: Cli, server_url: str, database: str, tmp_path: Path
) -> None:
    """It has one error with its number; nothing of it is written, and the lines around it are."""
    file = tmp_path / "long.lp"
    file.write_text(f'cpu v=1 1\ncpu s="{"x" * 11_000_000}\ncpu v=5 5\n" 2\ncpu v=3 3\nbad\n')

    ran = cli("database", "write", database, str(file), IOX_ADDR=server_url)
    asked = cli(
        "database", "query", database, "select v from cpu order by v", "--format", "csv",
        IOX_ADDR=server_url,
    )  # fmt: skip

    assert (ran.returncode, ran.stdout) == (1, "2 Lines OK\n")
    long, bad, last = ran.stderr.splitlines()
    assert long == f"{file}:2: line is longer than 10485760 bytes"
    assert bad.startswith(f"{file}:6: ")
    assert last == "Error writing: 2 lines refused, 2 kept"
    assert [row["v"] for row in csv.DictReader(asked.stdout.splitlines())] == ["1.0", "3.0"]


def test_string_without_an_end(cli: Cli, server_url: str, database: str, tmp_path: Path) -> None:
    """Lines behind a forgotten quote are kept if they fit into a request, else the line is told."""
    file = tmp_path / "open.lp"
    lines = 'cpu v=1 1\ncpu s="oops 2\n' + "cpu v=3,w=4 3\n" * 20_000
    file.write_text(lines)

    ran = cli("database", "write", database, str(file), IOX_ADDR=server_url)

    assert (ran.returncode, ran.stdout) == (1, "20001 Lines OK\n")
    assert ran.stderr.startswith(f"{file}:2: ") and ran.stderr.count("\n") == 2
    file.write_text(lines + "cpu v=3,w=4 3\n" * 800_000)
    ran = cli("database", "write", database, str(file), IOX_ADDR=server_url)
    assert (ran.returncode, ran.stdout) == (1, "1 Lines OK\n")
    assert ran.stderr.splitlines() == [
        f"{file}:2: line is longer than 10485760 bytes; a string in it has no end",
        "Error writing: 1 lines refused, 1 kept",
    ]


class Strict(BaseHTTPRequestHandler):
    """Takes writes of a megabyte and a bit."""

    def do_POST(self) -> None:
        """Answer a write."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(413 if len(body) > 1_100_000 else 204)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_server_that_takes_less(cli: Cli, tmp_path: Path) -> None:
    """A line that is too long for the server is refused by itself, and the file goes on."""
    file = tmp_path / "long.lp"
    file.write_text(f'cpu v=1 1\n# comment\ncpu s="{"x" * 2_000_000}" 2\ncpu v=3 3\n')
    with ThreadingHTTPServer(("127.0.0.1", 0), Strict) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}"
            ran = cli("database", "write", "db", str(file), "--host", url)
        finally:
            server.shutdown()
            thread.join()

    assert (ran.returncode, ran.stdout) == (1, "2 Lines OK\n")
    assert ran.stderr.splitlines() == [
        f"{file}:3: 413 {HTTPStatus(413).phrase}",  # which depends on Python's version
        "Error writing: 1 lines refused, 2 kept",
    ]


@pytest.mark.parametrize("text", ["", "\n", "# comment\n\n#cpu v=1 1"])
def test_write_of_nothing_is_an_error(cli: Cli, text: str) -> None:
    """Without a line no server is asked, so it is not said that all went well."""
    ran = cli("database", "write", "db", "-", "--host", "http://127.0.0.1:1", stdin=text)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "Error writing: no lines to write\n"


def test_unreadable_file_stops_before_anything_is_written(
    cli: Cli, server_url: str, database: str
) -> None:
    """A file that is not there is one line, and the files beside it are not sent either."""
    ran = cli("database", "write", database, str(METRICS), "nowhere.lp", IOX_ADDR=server_url)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "Error reading nowhere.lp: No such file or directory\n"
    asked = cli("database", "query", database, "select * from cpu", IOX_ADDR=server_url)
    assert asked.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("write", "nowhere", "-"), "Error writing: "),
        (("query", "nowhere", "select 1"), "Error querying database: "),
    ],
)
def test_database_that_does_not_exist(
    cli: Cli, server_url: str, arguments: tuple[str, ...], start: str
) -> None:
    """The error is one line and names the command that makes the database."""
    ran = cli("database", *arguments, IOX_ADDR=server_url, stdin="cpu v=1\n")

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(start) and ran.stderr.count("\n") == 1
    assert "iox-otel database create nowhere" in ran.stderr


def test_sql_that_does_not_parse(cli: Cli, server_url: str, database: str) -> None:
    """The planner's message arrives, on one line."""
    ran = cli("database", "query", database, "selec\n1", IOX_ADDR=server_url)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("Error querying database: ") and ran.stderr.count("\n") == 1
    assert "selec" in ran.stderr


@pytest.mark.parametrize("format", ["json", "csv"])
def test_query_formats(cli: Cli, server_url: str, database: str, format: str) -> None:
    """JSON and CSV are for programs: nothing else is on stdout, a generated id neither."""
    ran = cli(
        "database", "query", database, "select 1 as a, 'x' as b", "--format", format,
        "--gen-trace-id", IOX_ADDR=server_url,
    )  # fmt: skip

    rows: list[dict[str, Any]]
    if format == "json":
        rows = json.loads(ran.stdout)
    else:
        rows = list(csv.DictReader(ran.stdout.splitlines()))
    assert [{key: str(value) for key, value in row.items()} for row in rows] == [
        {"a": "1", "b": "x"}
    ]
    assert ran.stdout.endswith("\n")
    assert re.fullmatch(r"Trace ID set to [0-9a-f]{32}\n", ran.stderr)


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("create", "db"), "Error creating database: "),
        (("list",), "Error listing databases: "),
        (("write", "db", "-"), "Error writing: "),
        (("query", "db", "select 1"), "Error querying database: "),
    ],
)
def test_unreachable_server(cli: Cli, arguments: tuple[str, ...], start: str) -> None:
    """A server that is not there is one line with its address, and status 1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        ran = cli(
            "database", *arguments, "--host", f"http://user:hunter2@127.0.0.1:{port}",
            stdin="cpu v=1\n", HTTP_PROXY="http://127.0.0.1:1",
        )  # fmt: skip

    assert (ran.returncode, ran.stdout) == (1, "")
    expected = f"{start}cannot reach http://***@127.0.0.1:{port}: Connection refused\n"
    assert ran.stderr == expected


@contextmanager
def one_answer(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Listen for one request, answer with *answer* and hang up; yield the URL and the request.

    Without an answer the connection stays open until the block is left.
    """
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                requests.append(connection.recv(65536))
                if answer:
                    connection.sendall(answer)
                else:
                    done.wait(30)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", requests
        finally:
            done.set()
            thread.join()


def test_server_that_does_not_answer(cli: Cli) -> None:
    """The wait ends after the time that was set."""
    with one_answer(b"") as (url, _):
        ran = cli("database", "list", "--host", url, "--timeout", "0.2")

    assert ran.returncode == 1
    assert ran.stderr == f"Error listing databases: no answer from {url} within 0.2 s\n"


def test_answer_that_breaks_off(cli: Cli) -> None:
    """A result that ends too early is an error, after what has come of it."""
    answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nrows\n\r\n"
    with one_answer(answer) as (url, _):
        ran = cli("database", "query", "db", "select 1", "--host", url)

    assert (ran.returncode, ran.stdout) == (1, "rows\n")
    assert ran.stderr.startswith("Error querying database: ") and ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>\n <b>Bad\x1b[31m gateway</b>", "<html> <b>Bad\ufffd[31m gateway</b>"),
        (b"", "502 Bad Gateway"),
        (b"[]", "[]"),
        (b'{"error": 5}', "502 Bad Gateway"),
    ],
)
def test_answer_of_something_else(cli: Cli, body: bytes, message: str) -> None:
    """What is no answer of such a server is shown on one line, without terminal escapes."""
    answer = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    with one_answer(answer) as (url, _):
        ran = cli("database", "create", "db", "--host", url)

    assert (ran.returncode, ran.stderr) == (1, f"Error creating database: {message}\n")


def test_list_of_something_else(cli: Cli) -> None:
    """A 200 that is no list of databases is an error, too."""
    with one_answer(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n[5]") as (url, _):
        ran = cli("database", "list", "--host", url)

    expected = f"Error listing databases: {url} does not answer as this server does\n"
    assert (ran.returncode, ran.stderr) == (1, expected)


def test_headers_of_every_place_are_sent(cli: Cli) -> None:
    """Headers before and behind the command are merged, and arrive byte for byte."""
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]"
    with one_answer(answer) as (url, requests):
        ran = cli(
            "database", "--header", "x-a:1:2", "--host", url,
            "list", "--header", "x-b: grüße", "--header", "x-b:again",
        )  # fmt: skip

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    (request,) = requests
    for line in (b"x-a: 1:2", "x-b: grüße".encode(), b"x-b: again"):
        assert b"\r\n" + line + b"\r\n" in request


def test_header_without_a_colon(cli: Cli) -> None:
    """The line is the reference's, wherever the header stands, and the status is 2."""
    for arguments in (("--header", "novalue", "list"), ("list", "--header", "novalue")):
        ran = cli("database", *arguments)

        assert (ran.returncode, ran.stdout) == (2, "")
        assert ran.stderr == "Invalid key value pair - expected 'KEY:VALUE' got 'novalue'\n"


def test_generated_trace_id_is_traced(
    cli: Cli, start_server: Callable[..., Any], tmp_path: Path
) -> None:
    """--gen-trace-id prints the id of the trace that the server then has."""
    server = start_server(TRACES_EXPORTER="console")
    ran = cli("database", "--gen-trace-id", "create", "db", "--host", server.url)

    printed, created = ran.stdout.splitlines()
    trace_id = printed.removeprefix("Trace ID set to ")
    assert created == "Created database db"
    assert server.end() == 0
    assert {json.loads(line)["trace_id"] for line in server.out} == {trace_id}


def test_reader_that_goes_away_is_no_error(
    start_cli: Start, server_url: str, database: str
) -> None:
    """`iox-otel database query ... | head` ends quietly."""
    sql = "select a.value, b.value from generate_series(1, 2000) a, generate_series(1, 2000) b"
    process = start_cli(
        "database", "query", database, sql, "--format", "csv", "--host", server_url,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None

    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.wait(30)


ROWS = "select a.value, b.value from generate_series(1, 200) a, generate_series(1, 200) b"


@pytest.mark.parametrize(
    "arguments",
    [
        ("query", "{db}", "select 1"),
        ("query", "{db}", ROWS, "--format", "csv"),
        ("list",),
        ("--help",),
    ],
    ids=["short", "long", "list", "help"],
)
def test_full_disk(
    start_cli: Start, server_url: str, database: str, arguments: tuple[str, ...]
) -> None:
    """An answer that cannot be written is one line and status 1."""
    words = [word.format(db=database) for word in arguments]
    with open("/dev/full", "wb") as full:
        process = start_cli(
            "database", "--host", server_url, *words, stdout=full, stderr=subprocess.PIPE
        )
    _, err = process.communicate(timeout=30)

    assert (process.returncode, err) == (1, b"cannot write to stdout: No space left on device\n")


def test_interrupt_ends_quietly(start_cli: Start) -> None:
    """Ctrl-C ends a command that waits for the server without a word, with the shell's 130."""
    with one_answer(b"") as (url, requests):
        process = start_cli("database", "list", "--host", url, stderr=subprocess.PIPE)
        until(lambda: bool(requests))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)

    assert (process.returncode, err) == (130, b"")


def test_closed_outputs(start_cli: Start, server_url: str, database: str) -> None:
    """With stdout and stderr closed from the start a command does what it was asked for."""
    code = (
        "import sys; sys.stdout = sys.stderr = None;"  # as Python itself does
        "from iox_otel.cli import main; main()"
    )
    for arguments in (("write", database, str(METRICS)), ("query", database, "select 1")):
        ran = subprocess.run(
            [sys.executable, "-c", code, "database", "--host", server_url, *arguments], timeout=30
        )

        assert ran.returncode == 0


def test_progress_is_for_terminals(start_cli: Start, server_url: str, database: str) -> None:
    """On a terminal a write draws a bar, on stderr; what counts is on stdout."""
    terminal, child_side = pty.openpty()
    process = start_cli(
        "database", "write", database, str(METRICS), "--host", server_url,
        stdout=subprocess.PIPE, stderr=child_side,
    )  # fmt: skip
    os.close(child_side)
    drawn = b""
    try:
        while piece := os.read(terminal, 65536):
            drawn += piece
    except OSError:  # Linux's way to say that the other side is closed
        pass
    os.close(terminal)
    out, _ = process.communicate(timeout=30)

    assert (process.returncode, out) == (0, b"1000 Lines OK\n")
    assert b"writing" in drawn and b"kB" in drawn


def until(condition: Callable[[], bool]) -> None:
    """Wait until *condition* holds."""
    deadline_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
