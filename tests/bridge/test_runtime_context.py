"""One current span for native code and for OpenTelemetry's: in one trace, whoever opens a span."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import fakeredis
import httpx
import opentelemetry.context
import pytest
import redis
import requests
import sqlalchemy
from opentelemetry import baggage, propagate, trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.dbapi import instrument_connection
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.logging import LoggingInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import TracerProvider as AnyProvider
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from iox_otel import Span, SpanContext, SpanRecorder, current
from iox_otel.http import TraceLayer
from iox_otel.testing import CapturingTraceCollector
from iox_otel_bridge import IoxPropagator
from iox_otel_bridge.live import LiveSpan
from iox_otel_bridge.runtime_context import IoxRuntimeContext, install

TRACE_ID = 0xABC
SAMPLED = {"uber-trace-id": f"{TRACE_ID:x}:1:0:1"}


@pytest.fixture
def collector() -> CapturingTraceCollector:
    return CapturingTraceCollector()


@pytest.fixture(autouse=True)
def installed(
    collector: CapturingTraceCollector, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Both sides have one current span; what was before comes back at the end."""
    before = opentelemetry.context._RUNTIME_CONTEXT
    textmap = propagate.get_global_textmap()
    monkeypatch.setattr(opentelemetry.context, "_RUNTIME_CONTEXT", before)
    propagate.set_global_textmap(IoxPropagator())
    install(collector)
    yield
    propagate.set_global_textmap(textmap)


@pytest.fixture
def theirs() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(theirs: InMemorySpanExporter) -> Iterator[AnyProvider]:
    provider = TracerProvider(sampler=ParentBased(ALWAYS_OFF))
    provider.add_span_processor(SimpleSpanProcessor(theirs))
    yield provider
    provider.shutdown()


@pytest.fixture
def tracer(provider: AnyProvider) -> trace.Tracer:
    return provider.get_tracer("test")


def root(collector: CapturingTraceCollector, name: str = "work") -> SpanRecorder:
    return SpanRecorder(Span.root(name, collector))


def only(exporter: InMemorySpanExporter) -> ReadableSpan:
    (span,) = exporter.get_finished_spans()
    return span


def is_child(span: ReadableSpan, native: Span) -> bool:
    parent = span.parent
    assert parent is not None
    return (parent.trace_id, parent.span_id) == (native.ctx.trace_id, native.ctx.span_id)


# Native outside, OpenTelemetry inside.


def test_within_a_native_span_it_is_opentelemetrys_current_one(
    collector: CapturingTraceCollector,
) -> None:
    """And what is set on it arrives; outside there is none."""
    with root(collector) as recorder:
        span = trace.get_current_span()
        assert isinstance(span, LiveSpan) and span.native is recorder.span
        assert trace.get_current_span() is span
        span.set_attribute("rows", 3)

    assert trace.get_current_span() is trace.INVALID_SPAN
    assert collector.find("work").metadata == {"rows": 3}


def test_their_span_is_a_child_of_the_native_one(
    collector: CapturingTraceCollector, tracer: trace.Tracer, theirs: InMemorySpanExporter
) -> None:
    """With the native one current again afterwards."""
    with root(collector) as recorder:
        native = recorder.span
        assert native is not None
        with tracer.start_as_current_span("theirs"):
            pass
        assert current.get() is native

    assert is_child(only(theirs), native)


def test_native_under_theirs_under_native(
    collector: CapturingTraceCollector, tracer: trace.Tracer, theirs: InMemorySpanExporter
) -> None:
    """One trace, each under the one before."""
    with root(collector), tracer.start_as_current_span("theirs"):
        context = SpanContext.current()
        assert context is not None and context.collector is collector
        with context.recorder("inner"), tracer.start_as_current_span("innermost"):
            pass

    innermost, middle = theirs.get_finished_spans()
    inner = collector.find("inner")
    assert is_child(innermost, inner)
    assert is_child(middle, collector.find("work"))
    assert middle.context is not None
    assert inner.ctx.parent_span_id == middle.context.span_id
    assert not inner.ctx.parent_is_remote


def test_under_an_unsampled_context_nobody_starts_a_trace(
    tracer: trace.Tracer, theirs: InMemorySpanExporter
) -> None:
    """The incoming context is OpenTelemetry's parent, with its decision."""
    incoming = SpanContext(trace_id=TRACE_ID, span_id=1, sampled=False)
    incoming.is_remote = True
    token = current.set(incoming)
    try:
        with tracer.start_as_current_span("theirs") as span:
            assert span.get_span_context().trace_id == TRACE_ID
            inner = SpanContext.current()
            assert inner is not None and not inner.sampled
    finally:
        current.reset(token)

    assert theirs.get_finished_spans() == ()


def test_what_a_context_carries_stays_below_native_spans(
    collector: CapturingTraceCollector,
) -> None:
    """Baggage attached outside is there inside, and goes where it ends."""
    token = opentelemetry.context.attach(baggage.set_baggage("tenant", "a"))
    with root(collector):
        assert baggage.get_baggage("tenant") == "a"
        assert isinstance(trace.get_current_span(), LiveSpan)
        inner = opentelemetry.context.attach(baggage.set_baggage("user", "b"))
        assert (baggage.get_baggage("tenant"), baggage.get_baggage("user")) == ("a", "b")
        opened_within = SpanContext.current()
        opentelemetry.context.detach(inner)
        assert baggage.get_baggage("user") is None
    opentelemetry.context.detach(token)

    assert baggage.get_baggage("tenant") is None
    assert opened_within is not None
    assert opened_within.span_id == collector.find("work").ctx.span_id


def test_what_was_attached_before_stays(
    collector: CapturingTraceCollector, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever was there first can detach it as well."""
    runtime = opentelemetry.context._RUNTIME_CONTEXT
    assert isinstance(runtime, IoxRuntimeContext)
    opentelemetry.context._RUNTIME_CONTEXT = runtime._beneath
    token = opentelemetry.context.attach(baggage.set_baggage("tenant", "a"))
    install(collector)

    assert baggage.get_baggage("tenant") == "a"
    opentelemetry.context.detach(token)
    assert baggage.get_baggage("tenant") is None
    assert not caplog.records


def test_the_runtime_context_that_a_variable_names_stays_beneath() -> None:
    """OTEL_PYTHON_CONTEXT is read by OpenTelemetry when it is imported."""
    code = """
        from opentelemetry import baggage, context
        from iox_otel_bridge.runtime_context import install
        beneath = context._RUNTIME_CONTEXT
        install(None)
        token = context.attach(baggage.set_baggage("tenant", "a"))
        assert baggage.get_baggage("tenant", beneath.get_current()) == "a"
        context.detach(token)
        print(type(beneath).__name__)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | {"OTEL_PYTHON_CONTEXT": "contextvars_context"},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (done.stdout, done.stderr) == ("ContextVarsRuntimeContext\n", "")


def test_a_later_install_changes_the_collector_only() -> None:
    """There is one runtime context, however often it is installed."""
    runtime = opentelemetry.context._RUNTIME_CONTEXT
    other = CapturingTraceCollector()
    install(other)

    assert opentelemetry.context._RUNTIME_CONTEXT is runtime
    assert isinstance(runtime, IoxRuntimeContext) and runtime.collector is other


# OpenTelemetry outside, native inside.


def test_within_their_span_native_ones_hang_under_it(
    collector: CapturingTraceCollector, theirs: InMemorySpanExporter
) -> None:
    """As children in the same trace, given to the collector that was installed."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(theirs))
    with provider.get_tracer("test").start_as_current_span("theirs") as span:
        context = SpanContext.current()
        assert context is not None
        with context.recorder("native"):
            pass

    native = collector.find("native")
    outer = span.get_span_context()
    assert (native.ctx.trace_id, native.ctx.parent_span_id) == (outer.trace_id, outer.span_id)
    assert SpanContext.current() is None


def test_a_context_without_a_span_has_none() -> None:
    """Baggage alone does not make a trace."""
    token = opentelemetry.context.attach(baggage.set_baggage("tenant", "a"))
    assert SpanContext.current() is None
    opentelemetry.context.detach(token)


def test_where_instrumentation_is_suppressed_native_spans_are_too(
    collector: CapturingTraceCollector, tracer: trace.Tracer
) -> None:
    """The exporter of another library must not trace itself by way of ours."""
    with root(collector), suppress_instrumentation():
        context = SpanContext.current()
        assert context is not None and not context.sampled


def _served(app: Any, headers: dict[str, str]) -> httpx.Response:
    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/", headers=headers)

    return asyncio.run(get())


async def _hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.mark.parametrize("headers", [SAMPLED, {}, {"jaeger-debug-id": "x"}])
def test_a_layer_within_their_middleware_is_in_their_trace(
    collector: CapturingTraceCollector, theirs: InMemorySpanExporter, headers: dict[str, str]
) -> None:
    """Their server span is the parent of ours, whether they started the trace or the caller."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(theirs))
    layer = TraceLayer(_hello, collector=collector, name="IOx http")
    middleware = OpenTelemetryMiddleware(
        layer, tracer_provider=provider, exclude_spans=["receive", "send"]
    )
    response = _served(middleware, headers)

    ours, outer = collector.find("IOx http"), only(theirs).context
    assert outer is not None
    assert (ours.ctx.trace_id, ours.ctx.parent_span_id) == (outer.trace_id, outer.span_id)
    assert response.headers["trace-id"] == f"{outer.trace_id:032x}"
    assert ours.metadata.get("jaeger-debug-id") == headers.get("jaeger-debug-id")


def test_a_layer_within_their_unsampled_middleware_goes_by_the_headers(
    collector: CapturingTraceCollector, provider: AnyProvider
) -> None:
    """A debug id has the request traced, though they know nothing of it."""
    layer = TraceLayer(_hello, collector=collector, name="IOx http")
    middleware = OpenTelemetryMiddleware(layer, tracer_provider=provider)
    _served(middleware, {})
    assert not collector.spans

    _served(middleware, {"jaeger-debug-id": "x"})
    assert collector.find("IOx http").ctx.parent_span_id is None


def test_their_middleware_within_the_layer_is_in_our_trace(
    collector: CapturingTraceCollector, provider: AnyProvider, theirs: InMemorySpanExporter
) -> None:
    """A traced request only: of others they know, but do not record them."""
    inner = OpenTelemetryMiddleware(
        _hello, tracer_provider=provider, exclude_spans=["receive", "send"]
    )
    app = TraceLayer(inner, collector=collector, name="IOx http")
    _served(app, {})
    _served(app, SAMPLED)

    assert is_child(only(theirs), collector.find("IOx http"))
    assert collector.find("IOx http").ctx.trace_id == TRACE_ID


# Across tasks, threads and generators.


def test_over_tasks_and_threads(
    collector: CapturingTraceCollector, tracer: trace.Tracer, theirs: InMemorySpanExporter
) -> None:
    """Tasks and `to_thread` take the current span along; a new thread has none."""

    def seen() -> trace.Span:
        return trace.get_current_span()

    async def main() -> None:
        with root(collector) as recorder:
            native = recorder.span
            assert native is not None
            for task in [asyncio.create_task(asyncio.to_thread(seen)) for _ in range(3)]:
                span = await task
                assert isinstance(span, LiveSpan) and span.native is native
            bare: list[trace.Span] = []
            thread = threading.Thread(target=lambda: bare.append(seen()))
            thread.start()
            thread.join()
            assert bare == [trace.INVALID_SPAN]

            async def child(name: str) -> None:
                with tracer.start_as_current_span(name):
                    await asyncio.sleep(0)
                    context = SpanContext.current()
                    assert context is not None
                    with context.recorder(f"native {name}"):
                        await asyncio.sleep(0)

            await asyncio.gather(child("a"), child("b"))

    asyncio.run(main())
    spans = {span.name: span for span in theirs.get_finished_spans()}
    for name in ("a", "b"):
        context = spans[name].context
        assert context is not None
        assert collector.find(f"native {name}").ctx.parent_span_id == context.span_id


def test_a_generator_that_is_closed_elsewhere_raises_and_logs_nothing(
    collector: CapturingTraceCollector, tracer: trace.Tracer, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a span of theirs or ours around a `yield`, closed by another task or by the collector."""

    async def rows() -> AsyncIterator[int]:
        with root(collector), tracer.start_as_current_span("theirs"):
            yield 1
            yield 2

    async def begin(generator: AsyncIterator[int]) -> None:
        assert await anext(generator) == 1

    async def main() -> None:
        generator = rows()
        await asyncio.create_task(begin(generator))
        await generator.aclose()  # type: ignore[attr-defined]

        forgotten = rows()
        await asyncio.create_task(begin(forgotten))
        del forgotten
        gc.collect()
        await asyncio.sleep(0)
        assert current.get() is None

    asyncio.run(main())
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_context_that_is_detached_twice_or_elsewhere_is_none_of_the_applications_business(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither raises, and nothing is logged."""
    token = contextvars.copy_context().run(
        opentelemetry.context.attach, baggage.set_baggage("a", "b")
    )
    opentelemetry.context.detach(token)
    token = opentelemetry.context.attach(baggage.set_baggage("a", "b"))
    opentelemetry.context.detach(token)
    opentelemetry.context.detach(token)

    assert not caplog.records


def test_a_streamed_body_is_within_the_request(
    collector: CapturingTraceCollector, tracer: trace.Tracer, theirs: InMemorySpanExporter
) -> None:
    """Whatever iterates over it: a thread for a generator, the task for an async one."""

    async def body() -> AsyncIterator[bytes]:
        for part in (b"a", b"b"):
            with tracer.start_as_current_span("part"):
                yield part

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(body())

    app = Starlette(routes=[Route("/", stream)])
    _served(TraceLayer(app, collector=collector, name="IOx http"), SAMPLED)

    request = collector.find("IOx http")
    assert [is_child(span, request) for span in theirs.get_finished_spans()] == [True, True]


# The instrumentation of real libraries.


class _Answer(BaseHTTPRequestHandler):
    headers_seen: list[str | None] = []

    def do_GET(self) -> None:
        self.headers_seen.append(self.headers["uber-trace-id"])
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    _Answer.headers_seen.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def _check_client(collector: CapturingTraceCollector, theirs: InMemorySpanExporter) -> None:
    client = only(theirs)
    assert is_child(client, collector.find("work"))
    assert client.kind is trace.SpanKind.CLIENT
    (header,) = _Answer.headers_seen
    assert header is not None
    trace_id, span_id, _, flags = header.split(":")
    assert client.context is not None
    assert (int(trace_id, 16), int(span_id, 16)) == (
        client.context.trace_id,
        client.context.span_id,
    )
    assert flags == "1"


def test_httpx(
    collector: CapturingTraceCollector,
    provider: AnyProvider,
    theirs: InMemorySpanExporter,
    server: str,
) -> None:
    """Their client's span is under ours, and the server is told of it."""
    with httpx.Client() as client:
        HTTPXClientInstrumentor.instrument_client(client, tracer_provider=provider)
        with root(collector):
            client.get(server)

    _check_client(collector, theirs)


def test_requests(
    collector: CapturingTraceCollector,
    provider: AnyProvider,
    theirs: InMemorySpanExporter,
    server: str,
) -> None:
    """As with httpx."""
    RequestsInstrumentor().instrument(tracer_provider=provider)
    try:
        with root(collector):
            requests.get(server, timeout=10)
    finally:
        RequestsInstrumentor().uninstrument()

    _check_client(collector, theirs)


def test_sqlalchemy(
    collector: CapturingTraceCollector, provider: AnyProvider, theirs: InMemorySpanExporter
) -> None:
    """A statement is under the span that runs it."""
    engine = sqlalchemy.create_engine("sqlite://")
    SQLAlchemyInstrumentor().instrument(engine=engine, tracer_provider=provider)
    try:
        with root(collector), engine.connect() as connection:
            connection.execute(sqlalchemy.text("select 1")).all()
    finally:
        SQLAlchemyInstrumentor().uninstrument()
        engine.dispose()

    spans = theirs.get_finished_spans()
    assert "select" in {span.name.split()[0] for span in spans}
    assert all(is_child(span, collector.find("work")) for span in spans)


def test_sqlite3(
    collector: CapturingTraceCollector, provider: AnyProvider, theirs: InMemorySpanExporter
) -> None:
    """By OpenTelemetry's instrumentation of Python's database interface."""
    plain = sqlite3.connect(":memory:")
    connection = instrument_connection("test", plain, "sqlite", tracer_provider=provider)
    with root(collector):
        connection.cursor().execute("select 1").fetchall()
    plain.close()

    assert is_child(only(theirs), collector.find("work"))


def test_redis(
    collector: CapturingTraceCollector, provider: AnyProvider, theirs: InMemorySpanExporter
) -> None:
    """A command to a server."""
    server = fakeredis.TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with redis.Redis(port=server.server_address[1], decode_responses=True) as client:
            client.ping()
            RedisInstrumentor.instrument_client(client, tracer_provider=provider)
            with root(collector):
                client.set("table", "cpu")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

    span = only(theirs)
    assert span.name == "SET"
    assert is_child(span, collector.find("work"))


def test_logging(collector: CapturingTraceCollector, provider: AnyProvider) -> None:
    """Their fields of a log record name the native span."""
    LoggingInstrumentor().instrument(
        tracer_provider=provider, inject_trace_context=True, enable_log_auto_instrumentation=False
    )
    try:
        with root(collector) as recorder:
            record = logging.getLogRecordFactory()("n", logging.INFO, "p", 1, "m", (), None)
            assert recorder.span is not None
            ctx = recorder.span.ctx
    finally:
        LoggingInstrumentor().uninstrument()

    fields: Any = record
    assert fields.otelTraceID == f"{ctx.trace_id:032x}"
    assert fields.otelSpanID == f"{ctx.span_id:016x}"
    assert fields.otelTraceSampled is True


def test_a_pool_of_threads(collector: CapturingTraceCollector) -> None:
    """`in_context` takes the current span to where a function runs."""
    from iox_otel import in_context

    with ThreadPoolExecutor(2) as pool, root(collector) as recorder:
        assert recorder.span is not None

        def work(number: int) -> int | None:
            context = SpanContext.current()
            return None if context is None else context.span_id * number

        span_id = recorder.span.ctx.span_id
        assert list(pool.map(work, (1, 2))) == [None, None]
        assert list(pool.map(in_context(work), (1, 2))) == [span_id, span_id * 2]
