"""Whatever is on the command line: a status that says how it ended, and never a traceback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# One process runs all command lines, one by one: to start one for each would take most of the time.
HOST = """
import contextlib, io, json, sys
from iox_otel.cli import main
for line in sys.__stdin__:
    out, err = io.StringIO(), io.StringIO()
    sys.stdin = io.TextIOWrapper(io.BytesIO(b"m f=1\\nm f="))
    status = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(json.loads(line))
        except SystemExit as end:
            status = end.code
        except BaseException as defect:
            status = repr(defect)
    print(json.dumps([status, err.getvalue()]), file=sys.__stdout__, flush=True)
"""
Run = Callable[[list[str]], tuple[object, str]]


@pytest.fixture(scope="module")
def taken() -> Iterator[int]:
    """A port where something listens that does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def run(environment: dict[str, str]) -> Iterator[Run]:
    """Runs command lines, in an environment where all default addresses are dead."""
    with socket.create_server(("127.0.0.1", 0)) as once_open:
        dead = f"http://127.0.0.1:{once_open.getsockname()[1]}"
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", HOST],
        env=environment | {"IOX_ADDR": dead, "IOX_OTEL_VIEWER_URL": dead},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        pipes = process.stdin, process.stdout

        def answer(arguments: list[str]) -> tuple[object, str]:
            print(json.dumps(arguments), file=pipes[0], flush=True)
            status, err = json.loads(pipes[1].readline())
            return status, err

        yield answer
        process.stdin.close()
        assert process.wait(30) == 0


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
NUMBERS = st.sampled_from(["0", "1", "-1", "1e9", "99999999999999999999", "0x1", "٣", "", " 7 "])
WORDS = st.sampled_from(["json", "pretty", "ns", "auto", "jaeger", "otlp", "console,jaeger", "a:b"])
ADDRESSES = st.sampled_from(
    ["127.0.0.1:0", "[::1]:1", ":1", "http://127.0.0.1:1", "http://u:p@127.0.0.1:1/x?y#z"]
    + ["ftp://x", "http://", "http://[", "127.0.0.1:99999", "//", "\n", "http://127.0.0.1:x"]
)
VALUES = TEXTS | NUMBERS | WORDS | ADDRESSES
COMMANDS = {
    "database create": ["--host", "--header", "--gen-trace-id", "--timeout", "-v"],
    "database list": ["--host", "--header", "--gen-trace-id", "--timeout", "-v"],
    "database write": ["--precision", "--accept-partial", "--host", "--header", "--timeout"],
    "database query": ["--format", "--host", "--header", "--gen-trace-id", "--timeout"],
    "traces": ["--service", "--since", "--tag", "--errors", "--limit", "--json", "--token"],
    "trace": ["--json", "--token", "--url"],
    "database": ["--help", "-v"],
    "": ["--help", "--version", "-h", "--x"],
}
# These would serve if they could: what they need last is taken.
SERVERS = {
    "viewer": ["--udp-port", "--otlp-grpc-port", "--otlp-http-port", "--max-spans", "--max-mb"]
    + ["--token"],
    "run": ["--server-id", "-v", "--traces-exporter", "--traces-jaeger-tags"]
    + ["--traces-exporter-jaeger-service-name", "--traces-exporter-jaeger-agent-port"]
    + ["--traces-exporter-jaeger-trace-context-header-name", "--traces-trust-headers"]
    + ["--traces-exporter-otlp-protocol", "--traces-exporter-otlp-endpoint"]
    + ["--traces-queue-size", "--traces-queue-bytes", "--traces-max-debug-per-second"],
}


@st.composite
def command_lines(draw: st.DrawFn, commands: dict[str, list[str]]) -> list[str]:
    """Return a command with options of its own, most of them, and values of all kinds."""
    command = draw(st.sampled_from(sorted(commands)))
    options = st.sampled_from(commands[command])
    parts = st.one_of(
        st.tuples(options, VALUES),
        st.tuples(VALUES),
        st.builds("{}={}".format, options, VALUES).map(lambda one: (one,)),
    )
    arguments = [each for part in draw(st.lists(parts, max_size=4)) for each in part]
    return [*command.split(), *arguments]


def check(status: object, err: str) -> None:
    """What a command line may end with."""
    assert status in (0, 1, 2), err
    assert "Traceback" not in err
    assert status == 0 or err.strip()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(command_lines(COMMANDS))
def test_clients_end(run: Run, arguments: list[str]) -> None:
    """With 0, 1 or 2; and a word on stderr if it was not 0."""
    check(*run(arguments))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(command_lines(SERVERS))
def test_servers_that_cannot_listen_end(run: Run, taken: int, arguments: list[str]) -> None:
    """So do the servers: this one finds its port taken, whatever else it is told."""
    flag = {"viewer": f"--port={taken}", "run": f"--http-bind=127.0.0.1:{taken}"}[arguments[0]]
    status, err = run([*arguments, flag])
    check(status, err)
    assert status in (1, 2) or "--help" in arguments
