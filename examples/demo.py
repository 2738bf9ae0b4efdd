"""The four steps on one terminal: `make demo`.

Starts `iox-otel run` with the console exporter on a free port, creates and fills a database, asks
for its tables with a debug header, and shows the trace of that query. Ends the server and exits 0.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

IOX_OTEL = str(Path(sys.executable).parent / "iox-otel")
METRICS = Path(__file__).parent.parent / "tests" / "fixtures" / "lineproto" / "metrics.lp"
TRACING = {"TRACES_EXPORTER": "console", "TRACES_EXPORTER_CONSOLE_FORMAT": "tree"}
START_TIMEOUT_S = 30
STEP_TIMEOUT_S = 30


def say(command: list[str], variables: dict[str, str] | None = None) -> None:
    """Show *command* as one would type it."""
    words = [f"{name}={value}" for name, value in (variables or {}).items()]
    print("\n$", *words, "iox-otel", shlex.join(command), flush=True)


def start_server(log: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start the server on a free port; return it and its URL once it listens.

    Its stdout, where the console exporter writes, is this terminal; its log goes to *log*.
    """
    command = ["run", "--http-bind", "127.0.0.1:0"]
    say(command, TRACING)
    # Variables of the user's own would send the traces elsewhere.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("TRACES_", "OTEL_"))}
    with log.open("wb") as stderr:
        server = subprocess.Popen([IOX_OTEL, *command], stderr=stderr, env={**inherited, **TRACING})
    return server, wait_for_url(server, log)


def wait_for_url(server: subprocess.Popen[bytes], log: Path) -> str:
    """Return the URL in the server's first line; the demo ends if none comes."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s and server.poll() is None:
        said = log.read_text(errors="replace")
        if listening := re.search(r"listening on (http://[^\s;]+)", said):
            print(said.strip())
            return listening[1]
        time.sleep(0.05)
    server.kill()
    sys.exit(f"the server did not start:\n{log.read_text(errors='replace')}")


def database(url: str, *arguments: str) -> None:
    """Run `iox-otel database`, showing command and answer; the demo ends if it fails."""
    command = ["database", *arguments]
    server = {"IOX_ADDR": url}
    say(command, server)
    environment = {**os.environ, **server}
    subprocess.run([IOX_OTEL, *command], env=environment, check=True, timeout=STEP_TIMEOUT_S)


def main() -> None:
    """Run the steps."""
    with tempfile.TemporaryDirectory() as folder:
        server, url = start_server(Path(folder) / "server.log")
        try:
            database(url, "create", "my_db")
            database(url, "write", "my_db", os.path.relpath(METRICS))
            debug_header = "jaeger-debug-id:tracing-is-a-great-idea"
            database(url, "query", "my_db", "show tables", "--header", debug_header)
            print("\nWhat the server recorded of that query:\n", flush=True)
        finally:
            # It prints the trace 200 ms after the request, or now.
            server.send_signal(signal.SIGTERM)
            status = server.wait(STEP_TIMEOUT_S)
        if status != 0:
            sys.exit(f"the server ended with status {status}")


if __name__ == "__main__":
    main()
