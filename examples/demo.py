"""The four steps on one terminal: `make demo`.

Starts `iox-otel viewer`, and `iox-otel run`, which sends its traces there; creates and fills a
database, asks for its tables with a debug header, and shows the trace of that query and where to
look at it. On a terminal both stay up until Ctrl-C; else they are ended, and the status is 0.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

IOX_OTEL = str(Path(sys.executable).parent / "iox-otel")
METRICS = Path(__file__).parent.parent / "tests" / "fixtures" / "lineproto" / "metrics.lp"
DEBUG_ID = "tracing-is-a-great-idea"
START_TIMEOUT_S = 30
STEP_TIMEOUT_S = 30
PORTS = {
    "--port": (16686, socket.SOCK_STREAM),
    "--udp-port": (6831, socket.SOCK_DGRAM),
    "--otlp-grpc-port": (4317, socket.SOCK_STREAM),
    "--otlp-http-port": (4318, socket.SOCK_STREAM),
}


def say(command: list[str], variables: dict[str, str] | None = None) -> None:
    """Show *command* as one would type it."""
    words = [f"{name}={value}" for name, value in (variables or {}).items()]
    print("\n$", *words, "iox-otel", shlex.join(command), flush=True)


def environment(variables: dict[str, str]) -> dict[str, str]:
    """Return the machine's environment and *variables*; of others, traces would go elsewhere."""
    ours = ("TRACES_", "OTEL_", "IOX_")
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)} | variables


def is_free(port: int, kind: socket.SocketKind) -> bool:
    """Tell whether nobody has *port*."""
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:  # what was closed a moment ago is free for a server
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Server:
    """A command that runs until it is ended; its log goes to a file."""

    def __init__(self, command: list[str], variables: dict[str, str], log: Path) -> None:
        say(command, variables)
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                [IOX_OTEL, *command], stderr=stderr, env=environment(variables)
            )
        self._log = log

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return where *pattern* is in the log; the demo ends if it does not come."""
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline_s and self._process.poll() is None:
            if found := re.search(pattern, self._log.read_text(errors="replace")):
                print(self._log.read_text(errors="replace").strip())
                return found
            time.sleep(0.05)
        sys.exit(f"it did not start:\n{self._log.read_text(errors='replace')}")

    def end(self) -> None:
        """End it, and have it deliver what it has."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STEP_TIMEOUT_S)
        finally:
            self._process.kill()

    def wait(self) -> None:
        """Wait until it ends by itself."""
        self._process.wait()


def run(*command: str, variables: dict[str, str], is_shown: bool = True) -> str:
    """Run a command, and show what it says; the demo ends if it fails."""
    if is_shown:
        say(list(command), variables)
    done = subprocess.run(
        [IOX_OTEL, *command],
        env=environment(variables),
        stdout=None if is_shown else subprocess.PIPE,
        text=True,
        check=True,
        timeout=STEP_TIMEOUT_S,
    )
    return done.stdout or ""


def wait_for_trace(viewer: dict[str, str]) -> str:
    """Return the id of the query's trace, once the viewer has all of it."""
    search = ("traces", "--service", "iox-conductor", "--tag", f"jaeger-debug-id={DEBUG_ID}")
    deadline_s = time.monotonic() + STEP_TIMEOUT_S
    before = None
    while time.monotonic() < deadline_s:
        found = run(*search, "--json", variables=viewer, is_shown=False)
        if found and found == before:
            return str(json.loads(found.splitlines()[0])["traceID"])
        before = found
    sys.exit("the trace of the query did not arrive")


def start_viewer(folder: Path) -> tuple[Server, str, str]:
    """Start the viewer; return it, its URL, and the port where it takes Jaeger's datagrams."""
    command = ["viewer"]
    for flag, (port, kind) in PORTS.items():
        if not is_free(port, kind):
            command += [flag, "0"]
    viewer = Server(command, {}, folder / "viewer.log")
    ready = viewer.wait_for(r"on (http://[^\s/]+)/search;.* Jaeger UDP [^\s;,]+:(\d+)")
    return viewer, ready[1], ready[2]


def main() -> None:
    """Run the steps."""
    with tempfile.TemporaryDirectory() as folder:
        servers: list[Server] = []
        try:
            viewer, url, port = start_viewer(Path(folder))
            servers.append(viewer)
            tracing = {
                "TRACES_EXPORTER": "jaeger",
                "TRACES_EXPORTER_JAEGER_AGENT_HOST": "localhost",
                "TRACES_EXPORTER_JAEGER_AGENT_PORT": port,
            }
            command = ["run", "-v", "--server-id=42", "--http-bind", "127.0.0.1:0"]
            server = Server(command, tracing, Path(folder) / "server.log")
            servers.append(server)
            database = {"IOX_ADDR": server.wait_for(r"listening on (http://[^\s;]+)")[1]}
            run("database", "create", "my_db", variables=database)
            run("database", "write", "my_db", os.path.relpath(METRICS), variables=database)
            header = f"jaeger-debug-id:{DEBUG_ID}"
            query = ("database", "query", "my_db", "show tables", "--header", header)
            run(*query, variables=database)
            seen = {} if url.endswith(":16686") else {"IOX_OTEL_VIEWER_URL": url}
            trace_id = wait_for_trace(seen)
            run("trace", trace_id, variables=seen)
            print(f"\nThe same in a browser: {url}/trace/{trace_id}", flush=True)
            if sys.stdin.isatty() and sys.stdout.isatty():
                print("The viewer and the server are up until Ctrl-C.", flush=True)
                viewer.wait()
        except KeyboardInterrupt:
            print()
        finally:
            for each in reversed(servers):
                each.end()


if __name__ == "__main__":
    main()
