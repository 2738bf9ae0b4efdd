"""What `iox-otel viewer` does not do: one line says why, and the status is not 0."""

from __future__ import annotations

import re
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest

from iox_otel.viewer.store import Store

Cli = Callable[..., subprocess.CompletedProcess[str]]
FREE = [
    text
    for flag in ("port", "udp-port", "otlp-grpc-port", "otlp-http-port")
    for text in (f"--{flag}", "0")
]
TIMEOUT_S = 20


def refused(cli: Cli, *flags: str, status: int, **environ: str) -> str:
    """Return the one line of a viewer that does not start."""
    done = cli("viewer", *FREE, *flags, **environ)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr.rstrip("\n")


@pytest.mark.parametrize("flag", ["--port", "--udp-port", "--otlp-grpc-port", "--otlp-http-port"])
def test_a_port_in_use(cli: Cli, flag: str) -> None:
    """The line names the port, and the flag that chooses another."""
    kind = socket.SOCK_DGRAM if flag == "--udp-port" else socket.SOCK_STREAM
    with closing(socket.socket(socket.AF_INET, kind)) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        line = refused(cli, flag, str(port), status=1)
    off = "" if flag == "--port" else f" ({flag} off does without)"
    assert line == (
        f"Error: cannot listen on 127.0.0.1:{port}: "
        f"the port is in use, choose another with {flag}{off}"
    )


@pytest.mark.parametrize("more", [(), ("--token", "s3cret")])
def test_a_port_that_another_viewer_has(
    cli: Cli, started: Callable[..., str], more: tuple[str, ...]
) -> None:
    """The line says where that one is, also if it wants a token."""
    url = re.split("[ ;?]", started(*more))[3].removesuffix("/search").rstrip("/")
    line = refused(cli, "--port", url.rpartition(":")[2], status=1)
    assert line.endswith(f"choose another with --port; a viewer already runs at {url}")


def test_a_port_that_something_else_has(cli: Cli) -> None:
    """What does not answer, or not like a viewer, is none."""
    with HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        line = refused(cli, "--port", str(server.server_port), status=1)
        server.shutdown()
        thread.join()
    assert line.endswith("choose another with --port")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--port", "off"), "--port"),
        (("--port", "x"), "--port"),
        (("--udp-port", "65536"), "--udp-port"),
        (("--otlp-grpc-port", "-1"), "--otlp-grpc-port"),
        (("--otlp-http-port", ""), "--otlp-http-port"),
        (("--port", "9" * 5_000), "--port"),
        (("--port", "²"), "--port"),
        (("--host", "0.0.0.0"), "--token"),
        (("--host", "0.0.0.0", "--token", ""), "--token"),
        (("--host", "::"), "--token"),
        (("--db", ""), "Invalid value '' for --db: expected the name of a file"),
    ],
)
def test_flags_that_cannot_be(cli: Cli, flags: tuple[str, ...], says: str) -> None:
    """The line names the flag; the status is 2."""
    assert says in refused(cli, *flags, status=2)


@pytest.mark.parametrize(("flag", "least"), [("--max-spans", 1), ("--max-mb", 192)])
@pytest.mark.parametrize("text", ["abc", "0", "-1", "1.5", "", "9" * 5_000])
def test_numbers_that_cannot_be(cli: Cli, flag: str, least: int, text: str) -> None:
    """The line names the flag and the value."""
    expected = f"expected a whole number from {least} to 1000000000000"
    line = refused(cli, f"{flag}={text}", status=2)
    assert line == f"Invalid value {text!r} for {flag}: {expected}"


@pytest.mark.parametrize("flags", [("--no-such-flag",), ("argument",)])
def test_flags_that_click_refuses(cli: Cli, flags: tuple[str, ...]) -> None:
    """The last line names the flag; the status is 2."""
    done = cli("viewer", *FREE, *flags)
    assert done.returncode == 2
    assert flags[0] in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_host_that_is_none(cli: Cli) -> None:
    """It is looked up once it is to be listened on."""
    line = refused(cli, "--host", "nowhere.invalid", status=1)
    assert line.startswith("Error: cannot listen on nowhere.invalid:0: ")


def _foreign(path: Path) -> None:
    path.write_text("these are no traces at all, " * 100)


def _of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE other (n)")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_foreign, "file is not a database"),
        (_of_another_program, "is a database of another program"),
        (Path.mkdir, "unable to open database file"),
    ],
)
def test_a_file_that_is_none_of_the_viewers(
    cli: Cli, tmp_path: Path, make: Callable[[Path], None], says: str
) -> None:
    """It is named, and stays as it was."""
    path = tmp_path / "traces.db"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    line = refused(cli, "--db", str(path), status=1)
    assert str(path) in line and says in line
    assert (path.read_bytes() if path.is_file() else b"") == before


@pytest.mark.parametrize("path", ["/proc/traces.db", "no/such/folder/traces.db"])
def test_a_file_that_cannot_be_written(cli: Cli, path: str) -> None:
    """It is named."""
    assert path in refused(cli, "--db", path, status=1)


@pytest.fixture
def started(start_cli: Callable[..., Any], tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start viewers with the flags given; return the line that says that it is ready, and more."""

    def start(*flags: str, lines: int = 1) -> str:
        options = {"stderr": subprocess.PIPE, "text": True, "cwd": tmp_path}
        process = start_cli("viewer", *FREE, *flags, **options)
        return "".join(process.stderr.readline() for _ in range(lines))

    yield start


@pytest.mark.parametrize("exists", [False, True])
def test_a_file_in_use(
    cli: Cli, started: Callable[..., str], tmp_path: Path, *, exists: bool
) -> None:
    """Two viewers would write over each other's traces, though neither has any yet."""
    if exists:
        Store(tmp_path / "traces.db").close()
    started("--db", "traces.db")
    line = refused(cli, "--db", str(tmp_path / "traces.db"), status=1)
    assert "traces.db: database is locked" in line


@pytest.mark.parametrize(
    ("host", "reached"), [("0.0.0.0", "http://localhost"), ("::", "http://[::1]")]
)
def test_a_host_that_others_reach(started: Callable[..., str], host: str, reached: str) -> None:
    """The address leads there from this machine, a warning says how from others; all by token."""
    said = started("--host", host, "--token", "s3cret", lines=2)
    ready, warning = said.splitlines()
    assert warning.startswith(
        "Warning: other machines can reach this, by the name or address of this one."
    )
    found = re.match(r"iox-otel viewer on (http://\S+:\d+)(/\?token=s3cret); ", ready)
    assert found is not None, ready
    url, query = found.groups()
    assert url.startswith(reached)
    assert httpx.get(f"{url}/api/viewer/status", timeout=TIMEOUT_S).status_code == 401
    with httpx.Client(base_url=url, follow_redirects=True, timeout=TIMEOUT_S) as client:
        assert client.get(query).status_code == 200
        assert client.get("/api/viewer/status").status_code == 200


def test_it_listens_for_this_machine_only(started: Callable[..., str]) -> None:
    """Unless it is told otherwise."""
    ready = started()
    ports = re.findall(r"(\S+):\d+[/,;]", ready)
    assert len(ports) == 4
    assert {host.rpartition("/")[2] for host in ports} == {"127.0.0.1"}
    assert "token" not in ready
