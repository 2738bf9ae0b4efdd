"""Every example runs as its first line says, and the README shows them as they are."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from peerkit.process import clean_environment

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
IOX_OTEL = str(Path(sys.executable).parent / "iox-otel")
TIMEOUT_S = 30


def spans_in(output: str) -> list[dict[str, Any]]:
    """Return the spans that the console exporter wrote as JSON lines."""
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


@contextmanager
def uvicorn(module: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Serve `examples/{module}.py` as its docstring says; yield the process and its URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        # Inherited, so that the port is taken from the start and connecting never fails.
        server = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", f"{module}:app", f"--fd={listener.fileno()}"],
            cwd=EXAMPLES,
            env=clean_environment(TRACES_EXPORTER="console"),
            pass_fds=[listener.fileno()],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        yield server, url
    finally:
        server.kill()
        server.communicate(timeout=TIMEOUT_S)


@pytest.mark.parametrize(
    ("module", "path", "metadata"),
    [
        ("starlette_app", "/checkout", {"items": 3}),
        ("fastapi_app", "/checkout/c-1", {"cart": "c-1"}),
        ("litestar_app", "/checkout/c-1", {}),
        ("asgi_app", "/checkout", {"items": 3}),
    ],
)
def test_a_service_is_traced_on_demand(module: str, path: str, metadata: dict[str, object]) -> None:
    """A debug id brings the trace, a request without one brings none, and SIGTERM loses nothing."""
    with uvicorn(module) as (server, url):
        plain = httpx.get(url + path, timeout=TIMEOUT_S)
        traced = httpx.get(url + path, headers={"jaeger-debug-id": "hello"}, timeout=TIMEOUT_S)
        server.send_signal(signal.SIGTERM)
        output, log = server.communicate(timeout=TIMEOUT_S)

    assert (plain.status_code, plain.json()) == (traced.status_code, traced.json())
    assert "trace-id" not in plain.headers
    spans = {span["name"]: span for span in spans_in(output)}
    assert set(spans) == {"checkout http", "load cart"}, log
    assert {span["trace_id"] for span in spans.values()} == {traced.headers["trace-id"]}
    assert spans["load cart"]["parent_span_id"] == spans["checkout http"]["span_id"]
    assert spans["load cart"]["attributes"] == metadata
    request = spans["checkout http"]["attributes"]
    assert request["jaeger-debug-id"] == "hello"
    route = None if module == "asgi_app" else path.replace("c-1", "{cart}")
    assert request.get("http.route") == route


@pytest.mark.parametrize(
    "command",
    [
        ["uvicorn", "fastapi_app:app", "--workers", "2"],
        ["gunicorn", "fastapi_app:app", "--workers", "2", "-k", "uvicorn_worker.UvicornWorker"],
        [
            "gunicorn",
            "--preload",
            "fastapi_app:app",
            "-w",
            "2",
            "-k",
            "uvicorn_worker.UvicornWorker",
        ],
    ],
    ids=["uvicorn", "gunicorn", "gunicorn --preload"],
)
def test_a_service_with_several_workers(command: list[str], tmp_path: Path) -> None:
    """Each has its own pipeline; SIGTERM to the whole loses nothing of any."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    bind = ["--port", str(port)] if command[0] == "uvicorn" else ["-b", f"127.0.0.1:{port}"]
    with (tmp_path / "out").open("w+") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", *command, *bind],
            cwd=EXAMPLES,
            env=clean_environment(TRACES_EXPORTER="console"),
            stdout=out,
            stderr=subprocess.DEVNULL,
        )
        try:
            url = f"http://127.0.0.1:{port}/checkout/c-1"
            until_served(url)
            for _ in range(20):  # a connection each, which any of the workers takes
                httpx.get(url, headers={"jaeger-debug-id": "hello"}, timeout=TIMEOUT_S)
            server.send_signal(signal.SIGTERM)
            server.wait(TIMEOUT_S)
        finally:
            server.kill()
            server.wait()
        out.seek(0)
        spans = spans_in(out.read())

    assert sorted(span["name"] for span in spans) == ["checkout http"] * 20 + ["load cart"] * 20
    assert len({span["trace_id"] for span in spans}) == 20


def until_served(url: str) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while True:
        try:
            httpx.get(url, timeout=TIMEOUT_S)
            return
        except httpx.TransportError:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)


def test_a_service_shows_its_own_traces() -> None:
    """The viewer in the application lists the trace of a request that was traced."""
    with uvicorn("embedded_viewer") as (_, url):
        traced = httpx.get(
            f"{url}/checkout/c-1", headers={"jaeger-debug-id": "hello"}, timeout=TIMEOUT_S
        )
        listed: list[dict[str, Any]] = []
        deadline_s = time.monotonic() + TIMEOUT_S
        while not listed and time.monotonic() < deadline_s:
            time.sleep(0.02)
            listed = httpx.get(f"{url}/debug/traces/api/viewer/traces").json()["data"]

    assert [(row["traceID"], row["spans"]) for row in listed] == [(traced.headers["trace-id"], 2)]


def test_the_processor_stands_in_for_the_sdks() -> None:
    """Of a program that knows nothing else of ours all spans are delivered, and counted."""
    ran = subprocess.run(
        [sys.executable, "plain_sdk.py"],
        cwd=EXAMPLES,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    assert ran.stdout.count('"service.name": "shop"') == 4
    assert "all delivered: True; Stats(recorded=4, delivered=4," in ran.stdout


def test_a_script_is_traced() -> None:
    """All spans of a script are out when it ends."""
    run = subprocess.run(
        [sys.executable, "script.py"],
        cwd=EXAMPLES,
        env=clean_environment(TRACES_EXPORTER="console"),
        capture_output=True,
        text=True,
        check=True,
        timeout=TIMEOUT_S,
    )

    names = sorted(span["name"] for span in spans_in(run.stdout))
    assert names == ["nightly report", "read orders", "send mail"]
    assert run.stderr == ""


def test_the_demo_shows_the_trace_of_the_query() -> None:
    """`make demo` ends with status 0, having shown the answer, the tree, and where it is shown."""
    run = subprocess.run(
        [sys.executable, str(EXAMPLES / "demo.py")],
        cwd=ROOT,
        env=clean_environment(COLUMNS="100"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert "Created database my_db\n" in run.stdout
    assert "1000 Lines OK\n" in run.stdout
    assert re.search(r"\| public +\| iox +\| cpu +\| BASE TABLE \|", run.stdout)
    tree = run.stdout[run.stdout.index("── trace ") :]
    assert "iox-conductor" in tree and "jaeger-debug-id=tracing-is-a-great-idea" in tree
    names = re.findall(r"^[│├└╴ ]*(\w[\w ]*?) {2,}[\d.]+ [nµm]?s", tree, re.MULTILINE)
    assert names[:5] == [
        "IOx http",
        "query_database_sql",
        "query_planning",
        "sql_to_logical_plan",
        "create_physical_plan",
    ]
    assert "execute_stream_partitioned" in names
    assert "█" in tree
    shown = re.search(
        r"The same in a browser: (http://127\.0\.0\.1:\d+)/trace/([0-9a-f]{32})\n", tree
    )
    assert shown is not None and f"trace {shown[2]}" in tree
    with pytest.raises(httpx.ConnectError):
        httpx.get(shown[1])


def test_the_demo_stays_up_on_a_terminal() -> None:
    """Until Ctrl-C the trace can be looked at; then it ends well."""
    ours, theirs = os.openpty()
    with open(ours, "rb", buffering=0) as terminal:
        demo = subprocess.Popen(
            [sys.executable, str(EXAMPLES / "demo.py")],
            cwd=ROOT,
            env=clean_environment(TERM="dumb"),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        try:
            said = b""
            while b"up until Ctrl-C" not in said:
                said += terminal.read(65_536)
            url = re.search(rb"browser: (\S+)/trace/([0-9a-f]{32})", said)
            assert url is not None
            trace = httpx.get(f"{url[1].decode()}/api/traces/{url[2].decode()}").json()
            assert len(trace["data"][0]["spans"]) == 6
            os.killpg(demo.pid, signal.SIGINT)
            assert demo.wait(TIMEOUT_S) == 0
        finally:
            demo.kill()
            demo.wait(TIMEOUT_S)


def test_every_example_is_tested() -> None:
    """An example that is added is added here too."""
    tested = {"starlette_app.py", "fastapi_app.py", "script.py", "demo.py", "plain_sdk.py"}
    tested |= {"embedded_viewer.py", "litestar_app.py", "asgi_app.py"}
    tested |= {"celery_app.py"}  # in tests/hooks

    assert {path.name for path in EXAMPLES.iterdir() if path.suffix == ".py"} == tested


def test_the_readme_shows_the_example() -> None:
    """What people copy from the README is what runs here."""
    code = (EXAMPLES / "fastapi_app.py").read_text().partition('"""\n\n')[2]

    assert textwrap.indent(code, "    ") in (ROOT / "README.md").read_text()


def test_every_link_in_the_documentation_leads_somewhere() -> None:
    """Relative links in the Markdown files name files that exist."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    links = [
        (page, link) for page in pages for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    ]

    assert links
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []
