"""Tracing: what a configuration builds, installs and ends."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import grpc
import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from iox_otel import FanOutTraceCollector, Span, SpanRecorder, TraceCollector
from iox_otel.http import HeaderParser, span_context
from iox_otel_bridge import BridgeProcessor, ConfigError, Tracing, TracingConfig

TRACE_ID = 0xABC
SAMPLED = {"uber-trace-id": f"{TRACE_ID:x}:1:0:1"}


@pytest.fixture
def agent() -> Iterator[socket.socket]:
    """A Jaeger agent's socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        yield receiver


def to(agent: socket.socket, **settings: object) -> TracingConfig:
    """Return a configuration that sends to *agent*."""
    host, port = agent.getsockname()
    values = {"exporter": "jaeger", "jaeger_agent_host": host, "jaeger_agent_port": port}
    return TracingConfig(**{**values, **settings})


def dead_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def record(tracing: Tracing, name: str = "work") -> None:
    """Record one span."""
    with SpanRecorder(Span.root(name, tracing.collector)):
        pass


def until(condition: Callable[[], bool]) -> None:
    """Wait until *condition* holds."""
    deadline_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def run(code: str, **environ: str) -> str:
    """Return what a fresh interpreter prints that runs *code* with *environ*."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        env={"PATH": "", **environ},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_none_collects_nothing() -> None:
    """Without an exporter there is no collector, and everything else works and costs nothing."""
    tracing = TracingConfig().build()

    assert tracing.collector is None
    assert tracing.stats() == {} == tracing.destinations()
    assert tracing.force_flush() and tracing.shutdown() and tracing.shutdown(1)


def test_public_contracts_are_kept(agent: socket.socket) -> None:
    """The parts suit the protocols that they are passed on as."""
    with to(agent).build() as tracing:
        collector: TraceCollector | None = tracing.collector
        parser: HeaderParser = tracing.header_parser

    assert isinstance(collector, BridgeProcessor)
    assert parser.header_names and b"uber-trace-id" in parser.header_names


def test_jaeger(agent: socket.socket) -> None:
    """A span goes to the agent, under the service's name and with its tags."""
    config = to(agent, service_name="checkout", jaeger_tags="region=eu-1", server_id=42)
    with config.build() as tracing:
        record(tracing)
        assert tracing.force_flush()
        datagram = agent.recv(65536)

    assert all(text in datagram for text in (b"checkout", b"region", b"eu-1", b"42", b"work"))
    assert tracing.stats()["jaeger"].delivered == 1
    assert tracing.destinations() == {"jaeger": f"udp://127.0.0.1:{agent.getsockname()[1]}"}


def test_settings_of_jaeger_reach_the_wire(agent: socket.socket) -> None:
    """The size of a datagram is the one that was set."""
    with to(agent, jaeger_max_packet_bytes=1000).build() as tracing:
        for _ in range(100):
            record(tracing)
        assert tracing.force_flush()
        sizes = [len(agent.recv(65536)) for _ in range(4)]

    assert all(500 < size <= 1000 for size in sizes)


@contextmanager
def http_collector() -> Iterator[tuple[str, list[tuple[str, ExportTraceServiceRequest]]]]:
    """Run an OTLP/HTTP receiver; yield its URL, and the list of paths and requests it got."""
    received: list[tuple[str, ExportTraceServiceRequest]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append((self.path, ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def grpc_collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """Run an OTLP/gRPC receiver; yield its host:port and the list of requests it got."""
    received: list[ExportTraceServiceRequest] = []

    class Servicer(TraceServiceServicer):
        def Export(
            self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
        ) -> ExportTraceServiceResponse:
            received.append(request)
            return ExportTraceServiceResponse()

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    add_TraceServiceServicer_to_server(Servicer(), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", received
    finally:
        server.stop(None).wait(10)


def attributes(request: ExportTraceServiceRequest) -> dict[str, str]:
    """Return the attributes of the only Resource in *request*."""
    (spans,) = request.resource_spans
    return {pair.key: pair.value.string_value for pair in spans.resource.attributes}


@pytest.mark.parametrize("named_by", ["endpoint", "environment"])
def test_otlp_http(named_by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A span goes to /v1/traces under the endpoint, be it ours or OpenTelemetry's own."""
    with http_collector() as (url, received):
        environ = {"TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
        if named_by == "environment":
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        else:
            environ["TRACES_EXPORTER_OTLP_ENDPOINT"] = url
        with TracingConfig.from_env(service_name="checkout", environ=environ).build() as tracing:
            record(tracing)
            assert tracing.force_flush()

    ((path, request),) = received
    assert path == "/v1/traces"
    assert attributes(request)["service.name"] == "checkout"
    assert tracing.destinations() == {"otlp": f"{url}/v1/traces by http/protobuf"}


def test_otlp_grpc() -> None:
    """A span goes to the gRPC receiver, with the Resource that was configured."""
    with grpc_collector() as (address, received):
        config = TracingConfig(
            exporter="otlp",
            otlp_endpoint=f"http://{address}",
            jaeger_tags={"region": "eu-1"},
            resource_attributes={"host.name": "machine"},
            server_id=42,
        )
        with config.build() as tracing:
            record(tracing)
            assert tracing.force_flush()

    (request,) = received
    found = attributes(request)
    assert found["service.name"] == "unknown_service"
    assert (found["region"], found["host.name"], found["service.instance.id"]) == (
        "eu-1",
        "machine",
        "42",
    )
    (scope_spans,) = request.resource_spans[0].scope_spans
    assert scope_spans.scope.name == "iox-trace"


def test_console() -> None:
    """Spans go to standard output, one line of JSON each when that is no terminal."""
    out = run(
        """
        from iox_otel import Span, SpanRecorder
        from iox_otel_bridge import TracingConfig
        with TracingConfig.from_env(service_name="checkout").build() as tracing:
            with SpanRecorder(Span.root("work", tracing.collector)):
                pass
        """,
        TRACES_EXPORTER="console",
    )

    (line,) = out.splitlines()
    assert json.loads(line)["name"] == "work"


def test_several_exporters_have_a_queue_each(agent: socket.socket) -> None:
    """A receiver that is gone slows no other: its spans wait in a queue of their own."""
    config = to(agent, exporter="otlp,jaeger", otlp_endpoint=f"http://127.0.0.1:{dead_port()}")
    with config.build() as tracing:
        assert isinstance(tracing.collector, FanOutTraceCollector)
        record(tracing)
        assert b"work" in agent.recv(65536)
        assert not tracing.shutdown(0.5)
        stats = tracing.stats()

    assert list(stats) == ["otlp", "jaeger"]
    assert stats["jaeger"].delivered == stats["otlp"].recorded == 1
    assert stats["otlp"].dropped_shut_down == 1 and stats["otlp"].queued == 0


def test_queue_size_is_the_one_set(agent: socket.socket) -> None:
    """What exceeds the queue of one exporter is dropped and counted, there only."""
    config = to(
        agent,
        exporter="otlp,jaeger",
        otlp_endpoint=f"http://127.0.0.1:{dead_port()}",
        queue_size=10,
    )
    with config.build() as tracing:
        for _ in range(2):
            for _ in range(10):
                record(tracing)
            until(lambda: tracing.stats()["jaeger"].queued == 0)
        tracing.shutdown(0.5)
        stats = tracing.stats()

    assert stats["otlp"].dropped_queue_full == 10 == stats["otlp"].dropped_shut_down
    assert stats["jaeger"].delivered == 20 == stats["jaeger"].recorded


OWN = {
    "none": set[str](),
    "jaeger": {"thrift"},
    "otlp": {"grpc", "google.protobuf", "asyncio"},
    "otlp by http/protobuf": {
        "requests",
        "urllib3",
        "google.protobuf",
        "google.protobuf.json_format",
    },
    "console": {"rich"},
}


@pytest.mark.parametrize("exporter", [*OWN, "jaeger,console"])
def test_other_exporters_are_not_imported(exporter: str) -> None:
    """Building an exporter imports what it needs, and nothing that only another one needs.

    OTLP's two protocols are two exporters here.
    """
    name, _, protocol = exporter.partition(" by ")
    out = run(
        """
        import sys
        from iox_otel_bridge import TracingConfig
        TracingConfig.from_env().build()
        print(*sys.modules)
        """,
        TRACES_EXPORTER=name,
        TRACES_EXPORTER_OTLP_PROTOCOL=protocol or "grpc",
    )

    anyones = {"starlette"}.union(*OWN.values())
    assert set(out.split()) & anyones == set().union(*(OWN[part] for part in exporter.split(",")))


@pytest.mark.parametrize(
    "environ",
    [
        {"TRACES_EXPORTER": "jaeger"},
        {"TRACES_EXPORTER": "console"},
        {"TRACES_EXPORTER": "otlp"},
        {"TRACES_EXPORTER": "otlp", "TRACES_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
    ],
    ids=lambda environ: "-".join(environ.values()).replace("/", "-"),
)
def test_everything_is_imported_by_build(environ: dict[str, str], agent: socket.socket) -> None:
    """Sending imports nothing more: an import on the worker could wait for ever after a fork."""
    with http_collector() as (url, _), grpc_collector() as (address, _):
        environ = environ | {"TRACES_EXPORTER_JAEGER_AGENT_PORT": str(agent.getsockname()[1])}
        if environ["TRACES_EXPORTER"] == "otlp":
            plain = "TRACES_EXPORTER_OTLP_PROTOCOL" in environ
            environ = environ | {
                "TRACES_EXPORTER_OTLP_ENDPOINT": url if plain else f"http://{address}"
            }
        out = run(
            """
            import sys
            from iox_otel import Span, SpanRecorder
            from iox_otel_bridge import TracingConfig
            tracing = TracingConfig.from_env().build()
            before = set(sys.modules)
            recorder = SpanRecorder(Span.root("work", tracing.collector))
            recorder.set_metadata("rows", [1, 2])
            recorder.event_msg("event")
            recorder.error("failed")
            recorder.finish()
            delivered = tracing.force_flush(10)
            print("IMPORTED", delivered, *sorted(set(sys.modules) - before))
            """,
            **environ,
        )

    assert out.splitlines()[-1] == "IMPORTED True"


def test_bad_variable_of_an_exporter_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the official exporter cannot use ends `build`, in one line without a secret."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hunter2")

    with pytest.raises(ConfigError, match="^Cannot set up the traces exporter 'otlp': ") as caught:
        TracingConfig(exporter="otlp").build()

    assert "hunter2" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_header_names_are_settings() -> None:
    """Parser and propagator use the names that were set."""
    tracing = TracingConfig(
        jaeger_trace_context_header_name="X-Trace", jaeger_debug_name="x-debug"
    ).build()

    found = tracing.header_parser.parse([(b"x-trace", b"abc:1:0:1"), (b"x-debug", b"why")])
    assert found is not None and found.context is not None
    assert (found.context.trace_id, found.debug_id) == (TRACE_ID, "why")
    carrier: dict[str, str] = {}
    tracing.propagator.inject(carrier, tracing.propagator.extract({"x-trace": "abc:1:0:1"}))
    assert carrier["x-trace"].startswith(f"{TRACE_ID:032x}:")


async def _answer(request: Request) -> PlainTextResponse:
    ctx = span_context(request)
    with SpanRecorder(ctx.child("foo") if ctx else None) as recorder:
        recorder.set_metadata("rows", 3)
    return PlainTextResponse("done")


async def get(app: Starlette, *paths: str) -> list[httpx.Response]:
    """Return the answers to sampled requests for *paths*."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return [await client.get(path, headers=SAMPLED) for path in paths]


async def _bare(request: Request) -> PlainTextResponse:
    return PlainTextResponse("")


@pytest.mark.parametrize("framework", ["starlette", "fastapi"])
def test_middleware(framework: str, agent: socket.socket) -> None:
    """The middleware traces the requests of both frameworks, but for the paths excluded."""
    with to(agent).build() as tracing:
        middleware = [tracing.middleware("checkout http", exclude=("/health",))]
        app: Starlette
        if framework == "starlette":
            routes = [Route(path, _answer) for path in ("/work", "/health")]
            app = Starlette(routes=routes, middleware=middleware)
        else:
            app = FastAPI(middleware=middleware)
            app.add_route("/work", _answer)
            app.add_route("/health", _answer)
        untraced, response = asyncio.run(get(app, "/health", "/work"))
        assert tracing.force_flush()

    assert "trace-id" not in untraced.headers
    assert response.headers["trace-id"] == f"{TRACE_ID:032x}"
    assert tracing.stats()["jaeger"].delivered == 2
    assert b"checkout http" in agent.recv(65536)


def test_middleware_takes_what_the_layer_takes() -> None:
    """Metrics count the requests without an exporter, too; the flush at the end has its bound."""
    ended: list[tuple[str, str | None, str]] = []

    class Metrics:
        def request_ended(self, *, family: str, path: str | None, status: str, **_: Any) -> None:
            ended.append((family, path, status))

    tracing = TracingConfig().build()
    middleware = tracing.middleware("checkout http", metrics=Metrics(), flush_timeout_s=1.5)
    asyncio.run(get(Starlette(routes=[Route("/work", _answer)], middleware=[middleware]), "/work"))

    assert ended == [("http", "/work", "ok")]
    assert middleware.kwargs["flush_timeout_s"] == 1.5


def test_leaving_the_context_shuts_down(agent: socket.socket) -> None:
    """On leaving, what was recorded is delivered, and what comes later is dropped and counted."""
    with to(agent).build() as tracing:
        record(tracing)
    record(tracing)

    assert agent.recv(65536)
    stats = tracing.stats()["jaeger"]
    assert (stats.delivered, stats.dropped_shut_down, stats.queued) == (1, 1, 0)


def test_leaving_the_async_context_leaves_the_loop_running() -> None:
    """The shutdown waits for a dead receiver on a thread; the event loop goes on meanwhile."""
    config = TracingConfig(exporter="otlp", otlp_endpoint=f"http://127.0.0.1:{dead_port()}")

    async def main() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        async with config.build() as tracing:
            record(tracing)
            ticking = asyncio.create_task(tick())
        ticking.cancel()
        assert tracing.stats()["otlp"].dropped_shut_down == 1
        return ticks

    assert asyncio.run(main()) > 5


def test_an_exception_leaves_the_context_as_it_is(agent: socket.socket) -> None:
    """Leaving by an exception delivers as well, and the exception goes on."""
    with pytest.raises(KeyError), to(agent).build() as tracing:
        record(tracing)
        raise KeyError

    assert tracing.stats()["jaeger"].delivered == 1


INSTALL = """
    import os, signal, sys, logging
    logging.basicConfig(format="%(name)s %(message)s", stream=sys.stdout)
    from opentelemetry import trace
    from opentelemetry.propagate import get_global_textmap
    from iox_otel import Span
    from iox_otel_bridge import TracingConfig
    tracing = TracingConfig.from_env(service_name="checkout").build()
"""


def test_install_lets_opentelemetry_spans_join(agent: socket.socket) -> None:
    """Spans of OpenTelemetry's API join a sampled trace, and start none of their own."""
    out = run(
        INSTALL
        + """
    tracing.install()
    tracing.install()
    assert get_global_textmap() is tracing.propagator
    tracer = trace.get_tracer("library")
    with tracer.start_as_current_span("root of its own"):
        pass
    remote = get_global_textmap().extract({"uber-trace-id": "abc:1:0:1"})
    with tracer.start_as_current_span("joined", context=remote):
        pass
    assert tracing.force_flush()
    print(tracing.stats()["jaeger"].delivered)
    """,
        TRACES_EXPORTER="jaeger",
        TRACES_EXPORTER_JAEGER_AGENT_HOST="127.0.0.1",
        TRACES_EXPORTER_JAEGER_AGENT_PORT=str(agent.getsockname()[1]),
    )

    assert out == "1\n"
    datagram = agent.recv(65536)
    assert b"joined" in datagram and b"checkout" in datagram


def test_install_leaves_a_provider_that_is_set() -> None:
    """Where the application has a provider of its own, it stays, and the log says so."""
    out = run(
        INSTALL
        + """
    from opentelemetry.sdk.trace import TracerProvider
    provider = TracerProvider()
    trace.set_tracer_provider(provider)
    tracing.install()
    assert trace.get_tracer_provider() is provider
    assert get_global_textmap() is tracing.propagator
    """,
        TRACES_EXPORTER="jaeger",
    )

    (line,) = out.splitlines()
    assert line.startswith("iox_otel a TracerProvider is set already and stays")


def test_install_without_exporters_sets_the_propagator_only() -> None:
    """With nothing to export to, only headers are passed on."""
    out = run(
        INSTALL
        + """
    tracing.install()
    assert get_global_textmap() is tracing.propagator
    print(type(trace.get_tracer_provider()).__name__, signal.getsignal(signal.SIGTERM).name)
    """,
    )

    assert out.split() == ["ProxyTracerProvider", "SIG_DFL"]


def test_install_delivers_on_sigterm(agent: socket.socket) -> None:
    """A process that SIGTERM ends delivers what it has recorded, and still dies of the signal."""
    code = (
        INSTALL
        + """
    tracing.install()
    Span.root("last words", tracing.collector).export()
    os.kill(os.getpid(), signal.SIGTERM)
    """
    )
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={
            "TRACES_EXPORTER": "jaeger",
            "TRACES_EXPORTER_JAEGER_AGENT_HOST": "127.0.0.1",
            "TRACES_EXPORTER_JAEGER_AGENT_PORT": str(agent.getsockname()[1]),
        },
        timeout=50,
    )

    assert ran.returncode == -15
    assert b"last words" in agent.recv(65536)


def test_nothing_secret_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the build nor a failing delivery logs the headers of the exporter."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hunter2")
    config = TracingConfig(exporter="otlp", otlp_endpoint=f"http://127.0.0.1:{dead_port()}")

    with caplog.at_level(logging.DEBUG), config.build() as tracing:
        record(tracing)
        assert not tracing.shutdown(0.5)

    assert "hunter2" not in caplog.text
    assert "hunter2" not in repr(config) + str(tracing.destinations())


def test_an_exporter_that_is_added_gets_all_spans(agent: socket.socket) -> None:
    """Also those of requests, though the middleware was made before; and it has its counters."""
    added = InMemorySpanExporter()
    with TracingConfig().build() as tracing:
        middleware = tracing.middleware("IOx http", exclude=("/health",))
        tracing.add_exporter("mine", lambda: added, destination="my list")
        tracing.exclude("/traces", "/traces/*")
        app = Starlette(routes=[Route("/{path:path}", _bare)], middleware=[middleware])
        asyncio.run(get(app, "/cart", "/health", "/traces", "/traces/search"))
        assert tracing.force_flush()
        paths = [(span.attributes or {})["url.path"] for span in added.get_finished_spans()]
        assert paths == ["/cart"]
        assert tracing.stats()["mine"].delivered == 1
        assert tracing.destinations() == {"mine": "my list"}
        with pytest.raises(ValueError, match="there is an exporter 'mine' already"):
            tracing.add_exporter("mine", lambda: added, destination="my list")


def test_an_exporter_that_is_added_late_gets_opentelemetrys_spans() -> None:
    """Those of a provider that was installed before, or is installed for it."""
    for install_first in (True, False):
        out = run(
            f"""
            from opentelemetry import trace
            from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
            from iox_otel_bridge import IoxPropagator, TracingConfig

            exporter = InMemorySpanExporter()
            tracing = TracingConfig().build()
            if {install_first}:
                tracing.install()
            tracing.add_exporter("mine", exporter, destination="my list")
            tracing.install()
            parent = IoxPropagator().extract({SAMPLED!r})
            trace.get_tracer("lib").start_span("work", context=parent).end()
            print(tracing.force_flush(), [span.name for span in exporter.get_finished_spans()])
            """
        )
        assert out == "True ['work']\n"
