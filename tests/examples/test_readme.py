"""The README's four steps, as they are written there, with a socket of ours for the Jaeger."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

from iox_otel_bridge.wire.jaeger import Batch, decode_batch

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 30
SPANS = {
    "IOx http",
    "query_database_sql",
    "query_planning",
    "sql_to_logical_plan",
    "create_physical_plan",
    "execute_stream_partitioned",
}
"""Of the query; the operators of `show tables` have no times, so they have no spans."""


def commands(step: int) -> list[str]:
    """Return the commands of a step of the README, one text each, backslashes and all."""
    block = (ROOT / "README.md").read_text().partition("## The four steps\n")[2]
    text = re.search(rf"^    # {step} .*\n((?:    [^#\n].*\n)+)", block, re.MULTILINE)
    assert text is not None
    return re.findall(r"^(?:.*\\\n)*.+", textwrap.dedent(text[1]), re.MULTILINE)


def environment(**variables: str) -> dict[str, str]:
    """Return the environment with our commands first, without settings of the machine's."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TRACES_", "OTEL_", "IOX_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return {**kept, "PATH": path, **variables}


def shell(command: str, **variables: str) -> str:
    """Run *command* as typed, in the clone; return what it prints."""
    run = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


def test_the_four_steps() -> None:
    """They give the answers the README promises, and the query's trace arrives at the Jaeger."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as jaeger:
        jaeger.bind(("127.0.0.1", 0))
        jaeger.settimeout(TIMEOUT_S)
        (run,) = commands(2)
        # The ports are the machine's; all else is the README's.
        run = run.replace("6831", str(jaeger.getsockname()[1])) + " --http-bind 127.0.0.1:0"
        server = subprocess.Popen(
            ["bash", "-c", f"exec env {run}"],
            cwd=ROOT,
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stderr is not None
            lines = iter(server.stderr.readline, "")
            url = next(m[1] for line in lines if (m := re.search(r"on (http://[^\s;]+);", line)))
            create, write, query = (shell(line, IOX_ADDR=url) for line in commands(3))
        finally:
            server.send_signal(signal.SIGTERM)
            log = server.communicate(timeout=TIMEOUT_S)[1]
        spans: dict[str, dict[str, object]] = {}
        while len(spans) < len(SPANS):  # in one datagram or more, as the clock has it
            batch = decode_batch(jaeger.recv(65_535))
            spans |= {s.operationName: {t.key: t.vStr for t in s.tags or ()} for s in batch.spans}

    assert server.returncode == 0
    assert "Spans: jaeger: 6 recorded, 6 delivered" in log
    assert (create, write) == ("Created database my_db\n", "1000 Lines OK\n")
    assert re.search(r"\| public +\| iox +\| cpu +\| BASE TABLE \|", query)
    assert service_of(batch) == ("iox-conductor", "42")
    assert set(spans) == SPANS
    assert spans["IOx http"]["jaeger-debug-id"] == "tracing-is-a-great-idea"
    assert spans["query_database_sql"]["query"] == "show tables"


def service_of(batch: Batch) -> tuple[str, str]:
    """Return the service's name and instance in *batch*."""
    (instance,) = [tag.vStr for tag in batch.process.tags if tag.key == "service.instance.id"]
    return batch.process.serviceName, instance
