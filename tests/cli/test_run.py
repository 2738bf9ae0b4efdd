"""`iox-otel run` as its operator sees it, in a process of its own."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from iox_otel.cli import main
from iox_otel.cli.run import per_partition_tracing, stats_line
from iox_otel_bridge import Stats
from iox_otel_bridge.settings import SETTINGS

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_when_asked_to_with_all_spans(
    cli: Cli, start_server: Callable[..., Any], number: int
) -> None:
    """SIGTERM and Ctrl-C end the server within 2 s, with status 0 and every span delivered."""
    server = start_server(
        "--server-id", "42", "--traces-jaeger-tags", "a=b", TRACES_EXPORTER="console"
    )
    cli("database", "create", "db", "--host", server.url, "--header", "jaeger-debug-id:why")
    asked_s = time.monotonic()
    status = server.end(number)
    took_s = time.monotonic() - asked_s

    assert status == 0
    assert took_s < 2
    (span,) = [json.loads(line) for line in server.out]
    assert span["name"] == "IOx http"
    assert "Traceback" not in "".join(server.err)


@pytest.mark.parametrize(("sampler", "number"), [("always", 2), ("none", 0)])
def test_the_flag_has_requests_begin_traces(
    cli: Cli, start_server: Callable[..., Any], sampler: str, number: int
) -> None:
    """It beats its variable; without it nothing is traced that nobody asked for."""
    server = start_server(
        "--traces-sampler", sampler, TRACES_EXPORTER="console", TRACES_SAMPLER="ratio:0.5"
    )
    for database in ("db", "other"):
        cli("database", "create", database, "--host", server.url)
    server.end()

    spans = [json.loads(line) for line in server.out]
    assert [span["name"] for span in spans] == ["IOx http"] * number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_while_a_query_is_planned(start_server: Callable[..., Any], number: int) -> None:
    """What DataFusion computes while it plans, and cannot be interrupted, keeps no server."""
    server = start_server("-v", TRACES_EXPORTER="console")
    httpx.post(f"{server.url}/api/v3/configure/database", json={"db": "db"})
    asking = threading.Thread(
        target=httpx.get,
        args=(f"{server.url}/api/v3/query_sql",),
        kwargs={
            "params": {
                "db": "db",
                "q": "select levenshtein(repeat('a', 150000), repeat('b', 150000))",
            },
            "headers": {"jaeger-debug-id": "why"},
            "timeout": 20,
        },
    )
    asking.start()
    wait_until(lambda: "query to db" in "".join(server.err))
    asked_s = time.monotonic()
    status = server.end(number)
    took_s = time.monotonic() - asked_s
    asking.join(20)

    assert status == 0
    assert took_s < 2
    assert "Traceback" not in "".join(server.err)
    spans = [json.loads(line) for line in server.out]
    assert [span["name"] for span in spans if span["events"]] == [
        "create_physical_plan", "query_planning", "query_database_sql", "IOx http"
    ]  # fmt: skip
    ids = {span["span_id"] for span in spans}
    (root,) = [span for span in spans if span["parent_span_id"] not in ids]
    assert root["name"] == "IOx http"
    assert server.err[-1] == "Spans: console: 5 recorded, 5 delivered\n"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline_s
        threading.Event().wait(0.01)


def test_start_line(start_server: Callable[..., Any]) -> None:
    """It says where the server listens, where traces go, and that data is in memory."""
    server = start_server(
        "--traces-exporter", "jaeger,console", TRACES_EXPORTER_JAEGER_AGENT_HOST="localhost"
    )

    assert server.ready_line == (
        f"iox-otel listening on {server.url}; traces go to jaeger (udp://localhost:6831) "
        "and console (stdout); data is in memory only"
    )
    assert not server.out


def test_verbose_server_says_what_became_of_the_spans(
    cli: Cli, start_server: Callable[..., Any]
) -> None:
    """With -v the last line has the counts of every exporter."""
    server = start_server("-v", TRACES_EXPORTER="console")
    cli("database", "create", "db", "--host", server.url, "--gen-trace-id")

    assert server.end() == 0
    assert server.err[-1] == "Spans: console: 1 recorded, 1 delivered\n"


def test_lost_spans_are_told_without_being_asked(
    cli: Cli, start_server: Callable[..., Any]
) -> None:
    """With a receiver that is gone the server ends in time all the same, and says what it lost."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{probe.getsockname()[1]}"
        server = start_server("--traces-exporter-otlp-endpoint", endpoint, TRACES_EXPORTER="otlp")
        cli("database", "create", "db", "--host", server.url, "--gen-trace-id")
        asked_s = time.monotonic()
        status = server.end()

    assert status == 0
    assert time.monotonic() - asked_s < 2
    assert server.err[-1] == "Spans: otlp: 1 recorded, 0 delivered, 1 dropped (shut down)\n"


def test_ends_in_time_with_all_at_once(start_server: Callable[..., Any]) -> None:
    """Writes under way and a receiver that is gone share the 2 s that the end may take."""
    body = b"\n".join(b"m,t=%d f=%d,g=%di,h=%du %d" % (i % 99, i, i, i, i) for i in range(200_000))
    head = (
        b"POST /api/v3/write_lp?db=db HTTP/1.1\r\nhost: localhost\r\njaeger-debug-id: why\r\n"
        b"content-length: %d\r\n\r\n" % len(body)
    )
    with socket.socket() as probe, ExitStack() as clients:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{probe.getsockname()[1]}"
        server = start_server("--traces-exporter-otlp-endpoint", endpoint, TRACES_EXPORTER="otlp")
        httpx.post(f"{server.url}/api/v3/configure/database", json={"db": "db"})
        host, port = server.url.removeprefix("http://").split(":")
        for _ in range(5):
            client = clients.enter_context(socket.create_connection((host, int(port))))
            client.sendall(head + body)
        asked_s = time.monotonic()
        status = server.end()

    assert status == 0
    assert time.monotonic() - asked_s < 2
    assert " recorded, 0 delivered, " in server.err[-1]


def test_service_and_server_reach_the_spans(cli: Cli, start_server: Callable[..., Any]) -> None:
    """The service is iox-conductor unless something names it; the server id goes along."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent:
        agent.bind(("127.0.0.1", 0))
        agent.settimeout(10)
        environ = {
            "TRACES_EXPORTER": "jaeger",
            "TRACES_EXPORTER_JAEGER_AGENT_PORT": str(agent.getsockname()[1]),
            "INFLUXDB_IOX_ID": "4711",
        }
        for extra, name in (({}, b"iox-conductor"), ({"OTEL_SERVICE_NAME": "other"}, b"other")):
            server = start_server(**environ, **extra)
            cli("database", "create", "db", "--host", server.url, "--gen-trace-id")
            datagram = agent.recv(65536)
            server.end()

            assert name in datagram and b"4711" in datagram


@pytest.mark.parametrize("full", ["stdout", "stderr"])
def test_full_disk_does_not_stop_the_server(start_cli: Callable[..., Any], full: str) -> None:
    """Where neither spans nor log lines can be written, requests are served all the same."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    outputs = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with open("/dev/full", "wb") as file:
        outputs[full] = file.fileno()
        process = start_cli(
            "run", "-v", "--http-bind", f"127.0.0.1:{port}", "--traces-exporter", "console",
            **outputs,
        )  # fmt: skip
    deadline_s = time.monotonic() + 30
    status = None
    while status is None:
        assert process.poll() is None and time.monotonic() < deadline_s
        status = _status_of_traced_request(port)
    process.terminate()

    assert status == 200
    assert process.wait(30) == 0


def _status_of_traced_request(port: int) -> int | None:
    """Return the answer's status, or None while nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"jaeger-debug-id": "why"}
    try:
        connection.request("GET", "/api/v3/configure/database?format=json", headers=headers)
        return connection.getresponse().status
    except ConnectionRefusedError:
        time.sleep(0.01)
        return None
    finally:
        connection.close()


@pytest.mark.parametrize(("value", "wanted"), [(" Yes", True), ("no", False)])
def test_partitions_have_spans_if_the_variable_says_so(
    cli: Cli, start_server: Callable[..., Any], value: str, wanted: bool
) -> None:
    """INFLUXDB_IOX_PER_PARTITION_TRACING asks for a span for each partition of an operator."""
    server = start_server(TRACES_EXPORTER="console", INFLUXDB_IOX_PER_PARTITION_TRACING=value)
    sql = "select value from generate_series(1, 9)"
    database = ("database", "--host", server.url, "--gen-trace-id")
    cli(*database, "create", "db")
    cli(*database, "query", "db", sql)
    server.end()

    names = [json.loads(line)["name"] for line in server.out]
    assert "LazyMemoryExec" in names
    assert ("LazyMemoryExec (0)" in names) is wanted


@pytest.mark.parametrize("value", ["1", "yes", "y", "true", "t", "TRUE"])
def test_words_for_yes(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any word that the reference takes for yes does."""
    monkeypatch.setenv("INFLUXDB_IOX_PER_PARTITION_TRACING", value)

    assert per_partition_tracing()


def test_port_in_use(cli: Cli) -> None:
    """The address and the flag to choose another are named in one line, with status 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ran = cli("run", "--http-bind", address)

    assert ran.returncode == 1
    assert ran.stderr.startswith(f"Error: cannot listen on {address}: ")
    assert "--http-bind" in ran.stderr and ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "environ", "line"),
    [
        (
            (),
            {"TRACES_EXPORTER": "x"},
            "Invalid traces exporter 'x'. Valid options: none, jaeger, otlp, console",
        ),
        (
            ("--traces-exporter", "x"),
            {"TRACES_EXPORTER": "y"},
            "Invalid traces exporter 'x'. Valid options: none, jaeger, otlp, console",
        ),
        (
            (),
            {"TRACES_EXPORTER_JAEGER_AGENT_PORT": "70000"},
            "Invalid value '70000' for TRACES_EXPORTER_JAEGER_AGENT_PORT: "
            "expected a whole number from 1 to 65535",
        ),
        (
            (),
            {"TRACES_SAMPLER": "rate:10"},
            "Invalid value 'rate:10' for TRACES_SAMPLER: expected none, always, ratio:0.01, "
            "parent_ratio:0.01, rate:10/s or jaeger_remote[:URL]",
        ),
        (
            ("--traces-jaeger-tags", "a"),
            {},
            "Invalid value 'a' for --traces-jaeger-tags: invalid key=value pair (a)",
        ),
        (
            ("--server-id", "0"),
            {},
            "Invalid value '0' for --server-id: expected a whole number from 1 to 4294967295",
        ),
        (
            (),
            {"INFLUXDB_IOX_ID": "-1"},
            "Invalid value '-1' for INFLUXDB_IOX_ID: expected a whole number from 1 to 4294967295",
        ),
        (
            ("--http-bind", "8080"),
            {},
            "Invalid value '8080' for --http-bind: "
            "expected an address and a port such as 127.0.0.1:8080",
        ),
        (
            ("--http-bind", "127.0.0.1:65536"),
            {},
            "Invalid value '127.0.0.1:65536' for --http-bind: "
            "expected an address and a port such as 127.0.0.1:8080",
        ),
    ],
)
def test_bad_value_ends_in_one_line(
    cli: Cli, arguments: tuple[str, ...], environ: dict[str, str], line: str
) -> None:
    """A bad flag or variable is one line, exit status 2, never a traceback."""
    ran = cli("run", *arguments, **environ)

    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", f"{line}\n")


def test_every_setting_is_a_flag() -> None:
    """The help names every flag and every variable of the table."""
    shown = CliRunner().invoke(main, ["run", "--help"], terminal_width=1000).output

    assert all(f"{row.flag} " in shown and f"[{row.variable};" in shown for row in SETTINGS)


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_secrets_of_the_environment_are_shown_nowhere(
    cli: Cli, start_server: Callable[..., Any], protocol: str
) -> None:
    """Not by the help, not by an error about them, not by a server that cannot deliver."""
    otlp = {
        "TRACES_EXPORTER": "otlp",
        "TRACES_EXPORTER_OTLP_PROTOCOL": protocol,
        "TRACES_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
    }
    headers = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic hunter22"}
    malformed = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization hunter22 \x01=,=hunter22"}
    shown = cli("run", "--help", **otlp, **headers)
    refused = cli("run", "--http-bind", "nonsense", **otlp, **malformed)
    server = start_server("-vv", **otlp, **headers)
    cli("database", "create", "db", "--host", server.url, "--header", "jaeger-debug-id:why")
    server.end()
    said = [shown.stdout, shown.stderr, refused.stdout, refused.stderr, *server.out, *server.err]

    assert shown.returncode == 0
    assert "were lost" in "".join(server.err)
    assert "hunter22" not in "".join(said)


def test_version() -> None:
    """The version is that of the distribution."""
    assert CliRunner().invoke(main, ["--version"]).output.startswith("iox-otel, version 0.")


def test_help_imports_nothing_heavy() -> None:
    """Help comes at once: no command's libraries are loaded before it runs."""
    code = (
        "import sys; from iox_otel.cli import main; main(['--help'], standalone_mode=False);"
        "print([name for name in sys.modules if name.partition('.')[0] in ("
        "'datafusion', 'pyarrow', 'opentelemetry', 'httpx', 'uvicorn', 'starlette', 'rich')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("missing", "extra", "arguments"),
    [
        ("datafusion", "server", ("run", "--http-bind", "127.0.0.1:0")),
        ("uvicorn", "server", ("run", "--http-bind", "127.0.0.1:0")),
        ("httpx", "server", ("database", "list")),
        ("uvicorn", "viewer", ("viewer", "--port", "0")),
        ("orjson", "viewer", ("viewer", "--port", "0")),
        ("httpx", "viewer", ("traces",)),
    ],
)
def test_missing_extra(missing: str, extra: str, arguments: tuple[str, ...]) -> None:
    """Without the extra the line has the command that installs it."""
    code = (
        f"import sys; sys.modules[{missing!r}] = None;"
        f"from iox_otel.cli import main; main({list(arguments)!r})"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)

    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1 and missing in ran.stderr
    assert ran.stderr.endswith(f"pip install 'iox-otel[{extra}]'\n")


def test_stats_line() -> None:
    """Each exporter's counts are on the line, and only the reasons for which spans were lost."""
    stats = {"jaeger": Stats(5, 5, 0, 0, 0, 0), "otlp": Stats(6, 1, 2, 0, 3, 0)}

    assert stats_line(stats) == (
        "Spans: jaeger: 5 recorded, 5 delivered; "
        "otlp: 6 recorded, 1 delivered, 2 dropped (queue full), 3 dropped (shut down)"
    )
