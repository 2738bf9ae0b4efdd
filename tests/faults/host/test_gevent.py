"""Interpreters that gevent has patched, before and after iox_otel was imported."""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import pytest

pytest.importorskip("gevent", reason="gevent is not installed")

STEPS = {
    "patch": "from gevent import monkey; monkey.patch_all()",
    "tell gRPC": "from grpc.experimental.gevent import init_gevent; init_gevent()",
    "import": """
        import iox_otel
        from iox_otel import Span, SpanRecorder
        from iox_otel_bridge import TracingConfig
    """,
    "build": "tracing = TracingConfig.from_env(service_name='service').build()",
}
WORK = """
    import time
    import gevent

    def work(number):
        for _ in range(10):
            with SpanRecorder(Span.root("work", tracing.collector)) as recorder:
                gevent.sleep(0.001)
                assert iox_otel.current.get() is recorder.span

    longest_s, last_s = 0.0, None

    def tick():
        global longest_s, last_s
        while True:
            now_s = time.perf_counter()
            longest_s = max(longest_s, now_s - (last_s or now_s))
            last_s = now_s
            gevent.sleep(0.01)

    gevent.spawn(tick)
    jobs = [gevent.spawn(work, number) for number in range(10)]
    gevent.joinall(jobs, raise_error=True)
    until = time.perf_counter() + 8
    while tracing.stats()[exporter].queued and time.perf_counter() < until:
        gevent.sleep(0.02)
    print("in the background", tracing.stats()[exporter].delivered)
    print("others waited", longest_s > 0.3)
    Span.root("flushed", tracing.collector).export()
    print("flushed", tracing.force_flush(5))
    if not late:
        Span.root("at exit", tracing.collector).export()
"""
EARLY, LATE, LATEST = (
    ("patch", "import", "build"),
    ("import", "patch", "build"),
    ("import", "build", "patch"),
)
ORDERS = {"before": EARLY, "after the import": LATE, "after build": LATEST}
GREENLETS_STOP = "gevent has patched this process, and gRPC was not told"


class Sink:
    """A receiver that takes half a second over each request."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.environ = environ
        self.requests = 0

    def take(self) -> None:
        time.sleep(0.5)
        self.requests += 1


@contextmanager
def http_sink() -> Iterator[Sink]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            sink.take()
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        sink = Sink(otlp("http/protobuf", server.server_address[1]))
        yield sink
        server.shutdown()
        thread.join()


@contextmanager
def grpc_sink() -> Iterator[Sink]:
    class Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details: Any) -> Any:
            def export(body: bytes, context: Any) -> bytes:
                sink.take()
                return b""

            return grpc.unary_unary_rpc_method_handler(export)

    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool, handlers=[Handlers()])
        sink = Sink(otlp("grpc", server.add_insecure_port("127.0.0.1:0")))
        server.start()
        yield sink
        server.stop(0).wait()


@contextmanager
def jaeger_sink() -> Iterator[Sink]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent:
        agent.bind(("127.0.0.1", 0))
        yield Sink(
            {
                "TRACES_EXPORTER": "jaeger",
                "TRACES_EXPORTER_JAEGER_AGENT_HOST": "127.0.0.1",
                "TRACES_EXPORTER_JAEGER_AGENT_PORT": str(agent.getsockname()[1]),
            }
        )


def otlp(protocol: str, port: int) -> dict[str, str]:
    return {
        "TRACES_EXPORTER": "otlp",
        "TRACES_EXPORTER_OTLP_PROTOCOL": protocol,
        "TRACES_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
    }


def run(sink: Sink, *steps: str) -> subprocess.CompletedProcess[str]:
    script = "\n".join(textwrap.dedent(STEPS[step]) for step in steps)
    script += f"\nexporter = {sink.environ['TRACES_EXPORTER']!r}"
    # From Python 3.12 on, gevent wants a thread then, and there are none any more.
    script += f"\nlate = {steps == LATEST}\n" + textwrap.dedent(WORK)
    # gevent itself warns of a patch that comes late.
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env={"PYTHONPATH": ":".join(sys.path), **sink.environ},
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )


SINKS = {"http": http_sink, "jaeger": jaeger_sink}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("sink", SINKS.values(), ids=SINKS)
def test_spans_are_delivered_and_greenlets_go_on(sink: Any, order: tuple[str, ...]) -> None:
    """Recorded by greenlets, delivered in the background, by a flush and at exit; no greenlet waits
    for a slow receiver, and each has a `current` of its own."""
    with sink() as receiver:
        ran = run(receiver, *order)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [
        "in the background 100",
        "others waited False",
        "flushed True",
    ]


def test_grpc_works_once_it_was_told_of_gevent() -> None:
    """As gRPC asks for; nothing is said then."""
    with grpc_sink() as receiver:
        ran = run(receiver, "patch", "tell gRPC", "import", "build")

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [
        "in the background 100",
        "others waited False",
        "flushed True",
    ]


@pytest.mark.parametrize("order", [LATE, LATEST], ids=["after the import", "after build"])
def test_grpc_imported_before_the_patch_has_real_threads(order: tuple[str, ...]) -> None:
    """gRPC then waits on threads that gevent does not know."""
    with grpc_sink() as receiver:
        ran = run(receiver, *order)

    assert ran.returncode == 0
    assert ran.stdout.splitlines()[0] == "in the background 100"
    assert ran.stdout.splitlines()[2] == "flushed True"


def test_grpc_that_was_not_told_is_warned_of() -> None:
    """The spans arrive, but greenlets stop meanwhile: one line says so, and what to do."""
    with grpc_sink() as receiver:
        ran = run(receiver, *EARLY)

    assert ran.returncode == 0
    (line,) = ran.stderr.splitlines()
    assert GREENLETS_STOP in line and "init_gevent()" in line and "http/protobuf" in line
    assert ran.stdout.splitlines()[0] == "in the background 100"
    assert ran.stdout.splitlines()[2] == "flushed True"
