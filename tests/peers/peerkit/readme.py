"""The README's four steps: what it tells to type, and doing that."""

from __future__ import annotations

import re
import signal
import subprocess
import textwrap
from pathlib import Path
from typing import NamedTuple

from .process import clean_environment

ROOT = Path(__file__).parents[3]
TIMEOUT_S = 30


class Done(NamedTuple):
    """What the commands printed."""

    create: str
    write: str
    query: str
    log: str
    """The rest of the server's log, after the line with its address."""
    status: int
    """With which the server ended, after SIGTERM."""


def section(heading: str) -> str:
    """Return what the README has under *heading*."""
    return (ROOT / "README.md").read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]


def commands(step: int) -> list[str]:
    """Return the commands of a step of the README, one text each, backslashes and all."""
    text = re.search(rf"^    # {step} .*\n((?:    [^#\n].*\n)+)", section("The four steps"), re.M)
    assert text is not None
    return re.findall(r"^(?:.*\\\n)*.+", textwrap.dedent(text[1]), re.MULTILINE)


def shell(command: str, **variables: str) -> str:
    """Run *command* as typed, in the clone; return what it prints."""
    run = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env=clean_environment(**variables),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


def serve_and_query(*, agent_port: int, bind: str | None = None) -> Done:
    """Do steps 2 and 3, then end the server as an operator would.

    Args:
        agent_port: of the Jaeger, in the place of the README's.
        bind: where the server listens, instead of at its default address.
    """
    (run,) = commands(2)
    run = run.replace("6831", str(agent_port)) + (f" --http-bind {bind}" if bind else "")
    server = subprocess.Popen(
        ["bash", "-c", f"exec env {run}"],
        cwd=ROOT,
        env=clean_environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stderr is not None
        lines = iter(server.stderr.readline, "")
        url = next(m[1] for line in lines if (m := re.search(r"on (http://[^\s;]+);", line)))
        address = {"IOX_ADDR": url} if bind else {}
        create, write, query = (shell(line, **address) for line in commands(3))
    finally:
        server.send_signal(signal.SIGTERM)
        log = server.communicate(timeout=TIMEOUT_S)[1]
    return Done(create, write, query, log, server.returncode)
