"""`iox-otel traces` and `iox-otel trace`, against a viewer in a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from iox_otel.viewer.stored import Batch
from peerkit.process import free_port
from peerkit.viewer import Viewer

Cli = Callable[..., subprocess.CompletedProcess[str]]
MS = 1_000_000
NOW_NS = time.time_ns()
HEADS = ("SPANS", "ERRORS", "SERVICE: ROOT")


def span(trace: int, number: int, parent: int = 0, *, name: str, ms: int, **tags: str) -> Span:
    """Return a span that began a minute times its trace's number ago."""
    start_ns = NOW_NS - trace * 60_000 * MS + number * MS
    made = Span(
        trace_id=trace.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        name=name,
        start_time_unix_nano=start_ns,
        end_time_unix_nano=start_ns + ms * MS,
    )
    for key, value in tags.items():
        made.attributes.add(key=key).value.string_value = value
    return made


def batch(service: str, *spans: Span) -> Batch:
    """Return spans of a service."""
    resource = Resource()
    resource.attributes.add(key="service.name").value.string_value = service
    return Batch(resource, InstrumentationScope(), spans)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The URL of a viewer with three traces of a shop."""
    viewer = Viewer()
    failed = span(2, 2, 1, name="SELECT", ms=40, db="orders")
    failed.status.code = Status.STATUS_CODE_ERROR
    failed.status.message = "no such table"
    viewer.add(
        batch("shop", span(1, 1, name="GET /cart", ms=90, user="ada")),
        batch("shop", span(2, 1, name="GET /orders", ms=100, user="ada")),
        batch("db", failed),
        batch("shop", span(120, 1, name="GET /\x1b[31mold", ms=5)),
    )
    yield viewer.url
    viewer.end()


def test_traces_are_listed_newest_first(cli: Cli, url: str) -> None:
    """A line each, with what tells one from another, safe for the terminal."""
    ran = cli("traces", "--url", url)
    assert (ran.returncode, ran.stderr) == (0, "")
    head, *rows = ran.stdout.splitlines()
    assert re.split(" {2,}", head) == ["TRACE ID", "START", "DURATION", *HEADS]
    assert [row[:32] for row in rows] == [f"{trace:032x}" for trace in (1, 2, 120)]
    when = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"
    assert re.fullmatch(rf"0+1  {when} +90 ms +1 +-  shop: GET /cart", rows[0])
    assert re.fullmatch(rf"0+2  {when} +100 ms +2 +1  shop: GET /orders", rows[1])
    assert rows[2].endswith(r"shop: GET /\x1b[31mold")


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        (["--service", "db"], [2]),
        (["--since", "30m"], [1, 2]),
        (["--since", "1d", "--limit", "1"], [1]),
        (["--tag", "user=ada"], [1, 2]),
        (["--tag", "user=ada", "--errors"], []),
        (["--errors"], [2]),
        (["--tag", "db=orders", "--service", "db", "--errors"], [2]),
        (["--errors", "--tag", "error=true", "--tag", "error=true"], [2]),
    ],
)
def test_conditions_hold_on_one_span(
    cli: Cli, url: str, flags: list[str], found: list[int]
) -> None:
    """Each of them takes away what does not fit; JSON has an object a line."""
    ran = cli("traces", "--json", *flags, IOX_OTEL_VIEWER_URL=url)
    assert ran.returncode == 0
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [int(row["traceID"], 16) for row in rows] == found


def test_json_says_what_the_table_says(cli: Cli, url: str) -> None:
    """With exact times and all services."""
    (line,) = cli("traces", "--json", "--errors", "--url", url).stdout.splitlines()
    row = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d", row.pop("start"))
    assert row == {
        "traceID": f"{2:032x}",
        "service": "shop",
        "name": "GET /orders",
        "durationUs": 100_000,
        "spans": 2,
        "errors": 1,
        "services": ["db", "shop"],
    }


def test_a_trace_is_shown_as_a_tree_with_its_waterfall(cli: Cli, url: str) -> None:
    """Names, services, durations, bars, what failed and why; its JSON is Jaeger's."""
    shown = cli("trace", "2", "--url", url, COLUMNS="100")
    assert (shown.returncode, shown.stderr) == (0, "")
    title, root, tags, child, *rest = shown.stdout.splitlines()
    assert f"{2:032x}" in title and "1 error" in title and "2 spans" in title
    assert re.fullmatch(r"GET /orders shop +100 ms  █+", root)
    assert tags.endswith("user=ada")
    assert re.fullmatch(r"└╴✗ SELECT db +40 ms +[▕▐]?█+.?", child)
    assert [line.strip() for line in rest] == ["no such table", "db=orders"]
    raw = json.loads(cli("trace", "--json", f"{2:032X}", "--url", url).stdout)
    assert [each["operationName"] for each in raw["data"][0]["spans"]] == ["GET /orders", "SELECT"]


def test_nothing_found_is_said(cli: Cli, url: str) -> None:
    """A search without a result is no failure, a trace that is not there is one."""
    none = cli("traces", "--service", "nobody", "--url", url)
    assert (none.returncode, none.stdout) == (0, "")
    assert none.stderr == "No traces of the last 2d fit\n"
    missing = cli("trace", "abc", "--url", url)
    assert (missing.returncode, missing.stdout) == (1, "")
    part = "; a whole id has 16 or 32 digits, not 3"
    assert missing.stderr == f"There is no trace abc at {url}{part}\n"
    for whole in ("abc".rjust(16, "0"), "abc".rjust(32, "0")):
        missing = cli("trace", whole, "--url", url)
        assert missing.stderr == f"There is no trace {whole} at {url}\n"


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (
            ["traces", "--since", "soon"],
            2,
            "Invalid value 'soon' for --since: expected a time like 90s, 30m, 1h30m or 7d",
        ),
        (
            ["traces", "--limit", "all"],
            2,
            "Invalid value 'all' for --limit: expected a whole number from 1 to 1500",
        ),
        (["traces", "--tag", "user"], 2, "Invalid value 'user' for --tag: expected KEY=VALUE"),
        (
            ["traces", "--tag", "a=b", "--tag", "c=d", "--tag", "a=c"],
            2,
            "Invalid value 'a=c' for --tag: "
            "Jaeger's API takes one value of a key, and there is --tag a=b",
        ),
        (
            ["traces", "--errors", "--tag", "error=no"],
            2,
            "Invalid value 'error=no' for --tag: "
            "Jaeger's API takes one value of a key, and there is --errors",
        ),
        (["trace", "xyz"], 2, "Invalid value 'xyz' for ID: expected up to 32 hex digits"),
        (
            ["traces", "--url", "localhost:16686"],
            2,
            "Invalid value 'localhost:16686' for --url: expected a URL like http://localhost:16686",
        ),
        (
            ["trace", "1", "--url", "localhost:16686/search?token=s3cret"],
            2,
            "Invalid value 'localhost:16686/search' for --url: "
            "expected a URL like http://localhost:16686",
        ),
        (
            ["traces", "--token", "s3\ncret"],
            2,
            "Invalid value for --token: it has control characters",
        ),
        (
            ["trace", "1", "--url", "http://127.0.0.1:{dead}/search?token=s3cret"],
            1,
            "Error reading the trace: cannot reach http://127.0.0.1:{dead}: Connection refused",
        ),
        (
            ["trace", "1", "--url", "http://u:secret@127.0.0.1:{dead}"],
            1,
            "Error reading the trace: cannot reach http://***@127.0.0.1:{dead}: Connection refused",
        ),
    ],
)
def test_what_is_wrong_is_one_line(cli: Cli, arguments: list[str], status: int, line: str) -> None:
    """It names the thing and the value."""
    dead = free_port()
    ran = cli(*(argument.format(dead=dead) for argument in arguments))
    assert (ran.returncode, ran.stderr) == (status, line.format(dead=dead) + "\n")


def test_a_viewer_with_a_token_wants_it(cli: Cli) -> None:
    """By flag, variable or the address it printed; without it, or with another, a line says so."""
    viewer = Viewer("--token", "s3cret")
    try:
        wants = "the viewer wants its token: say it with --token or IOX_OTEL_VIEWER_TOKEN"
        other = "that is not the token of this viewer: it is what the viewer's own --token was"
        for arguments, says in (
            (("traces",), f"Error searching for traces: {wants}"),
            (("trace", "1"), f"Error reading the trace: {wants}"),
            (("traces", "--token", "wrong"), f"Error searching for traces: {other}"),
        ):
            refused = cli(*arguments, "--url", viewer.url)
            assert (refused.returncode, refused.stderr) == (1, f"{says}\n")
        for flags, environ in (
            (("--url", viewer.url, "--token", " s3cret "), "wrong"),
            (("--url", viewer.url), "s3cret"),
            (("--url", f"{viewer.url}/?token=s3%63ret"), "wrong"),
            (("--url", f"{viewer.url}/search?service=x&token=s3cret#top"), ""),
            (("--url", f"{viewer.url}/trace/1?token=wrong", "--token", "s3cret"), ""),
        ):
            ran = cli("traces", *flags, IOX_OTEL_VIEWER_TOKEN=environ)
            assert (ran.returncode, ran.stderr) == (0, "No traces of the last 2d fit\n")
    finally:
        viewer.end()


class _Stranger(BaseHTTPRequestHandler):
    """Answers 200 with something else."""

    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b'{"data": 3}', b'{"data": ["a"]}', b'{"data": [{"spans": []}]}']
)
def test_what_is_no_jaeger_is_said_to_be_none(cli: Cli, body: bytes) -> None:
    """Neither a web page nor other JSON makes the command fail in another way."""
    handler = type("Handler", (_Stranger,), {"body": body})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        ran = cli("traces", "--service", "shop", "--url", address)
        server.shutdown()
    assert ran.returncode == 1
    assert ran.stderr == (
        f"Error searching for traces: {address} does not answer as a Jaeger does\n"
    )
