"""What a middleware adds to a request of a bare ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from time import perf_counter, process_time
from typing import Any

from . import peers
from .timing import Measure

_AT_ONCE = 100
_TRACE_ID, _SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
_PLAIN = ((b"host", b"localhost"), (b"user-agent", b"bench"), (b"accept", b"*/*"))
SAMPLED = (b"uber-trace-id", f"{_TRACE_ID}:{_SPAN_ID}:0:1".encode())
UNSAMPLED = (b"uber-trace-id", f"{_TRACE_ID}:{_SPAN_ID}:0:0".encode())
_START: dict[str, Any] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain")],
}
_BODY = {"type": "http.response.body", "body": b"Hello"}
_REQUEST = {"type": "http.request", "body": b"", "more_body": False}


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Answer as an application does."""
    await receive()
    await send({**_START, "headers": list(_START["headers"])})
    await send(dict(_BODY))


async def _receive() -> Any:
    return dict(_REQUEST)


async def _send(message: Any) -> None:
    return None


def scope_of(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, Any]:
    """Return the scope of a request, as a server makes it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/api/v3/query_sql",
        "raw_path": b"/api/v3/query_sql",
        "query_string": b"q=select",
        "root_path": "",
        "headers": list(headers),
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8_181),
    }


async def _serve(app: Any, headers: Any, count: int) -> None:
    for _ in range(count):
        await app(scope_of(headers), _receive, _send)


def _timed(app: Any, headers: Any, count: int) -> float:
    """Return how long *count* requests took."""

    async def serve() -> float:
        began_s = perf_counter()
        await _serve(app, headers, count)
        return perf_counter() - began_s

    return _RUNNER.run(serve())


_RUNNER = asyncio.Runner()


def _added(app: Any, *extra: tuple[bytes, bytes], drain: Callable[[], object]) -> Measure:
    """Return what measures how much longer *app* takes than the bare one, by turns."""
    headers = (*_PLAIN, *extra)

    def measure(loops: int) -> float:
        took_s = 0.0
        for at in range(0, loops, _AT_ONCE):
            count = min(_AT_ONCE, loops - at)
            before_s = _timed(bare, headers, count)
            took_s += _timed(app, headers, count)
            drain()
            took_s -= (before_s + _timed(bare, headers, count)) / 2
        return took_s

    return measure


def _cpu(app: Any, *extra: tuple[bytes, bytes], drain: Callable[[], object]) -> Measure:
    """Return what measures how much more CPU the process takes with *app*, all threads of it,
    until all is encoded.
    """
    headers = (*_PLAIN, *extra)

    def took_s(served: Any, count: int, end: Callable[[], object]) -> float:
        began_s = process_time()
        _RUNNER.run(_serve(served, headers, count))
        end()
        return process_time() - began_s

    def measure(loops: int) -> float:
        return took_s(app, loops, drain) - took_s(bare, loops, lambda: None)

    return measure


def bare_request() -> Measure:
    """Measure the bare application."""
    return lambda loops: _timed(bare, _PLAIN, loops)


def traced(app: Any, collector: Any = None) -> tuple[Any, Any]:
    """Return *app* in our TraceLayer, which reads headers by the propagator; and the collector."""
    from iox_otel.http.layer import TraceLayer
    from iox_otel_bridge.propagator import JaegerPropagator, PropagatorHeaderParser

    collector = collector or peers.bridge()
    parser = PropagatorHeaderParser(JaegerPropagator())
    return TraceLayer(app, collector=collector, header_parser=parser, name="bench"), collector


def _ours(*extra: tuple[bytes, bytes]) -> Measure:
    app, collector = traced(bare)
    return _added(app, *extra, drain=collector.force_flush)


def untraced_ours() -> Measure:
    """Measure TraceLayer, no headers."""
    return _ours()


def unsampled_ours() -> Measure:
    """Measure TraceLayer, an unsampled header."""
    return _ours(UNSAMPLED)


def sampled_ours() -> Measure:
    """Measure TraceLayer, a sampled header."""
    return _ours(SAMPLED)


def sampled_cpu_ours() -> Measure:
    """Measure the CPU of the same, encoded as OTLP."""
    app, collector = traced(bare, peers.encoding_bridge())
    return _cpu(app, SAMPLED, drain=collector.force_flush)


def _otel_middleware(exclude: Any = None, exporter: Any = None) -> tuple[Any, Any]:
    from opentelemetry import propagate
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.propagators.jaeger import JaegerPropagator
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

    propagate.set_global_textmap(JaegerPropagator())
    provider = peers.otel_provider(ParentBased(ALWAYS_OFF), exporter)
    return OpenTelemetryMiddleware(bare, tracer_provider=provider, exclude_spans=exclude), provider


def _otel(*extra: tuple[bytes, bytes], exclude: Any = None) -> Measure:
    app, provider = _otel_middleware(exclude)
    return _added(app, *extra, drain=provider.force_flush)


def untraced_otel() -> Measure:
    """Measure OpenTelemetry's middleware, no headers, so not sampled."""
    return _otel()


def unsampled_otel() -> Measure:
    """Measure it with an unsampled header."""
    return _otel(UNSAMPLED)


def sampled_otel() -> Measure:
    """Measure it with a sampled header: three spans, as it does by default."""
    return _otel(SAMPLED)


def sampled_otel_one_span() -> Measure:
    """Measure it without its spans for `receive` and `send`."""
    return _otel(SAMPLED, exclude=["receive", "send"])


def sampled_cpu_otel() -> Measure:
    """Measure the CPU of the first, encoded as OTLP."""
    app, provider = _otel_middleware(exporter=peers.encoding_exporter())
    return _cpu(app, SAMPLED, drain=provider.force_flush)


def _elastic() -> tuple[Any, Any]:
    from elasticapm.contrib.asgi import ASGITracingMiddleware

    client = peers.elastic_client()
    return ASGITracingMiddleware(bare, client=client), client._transport.flush


def sampled_elastic() -> Measure:
    """Measure Elastic's middleware for Starlette's siblings."""
    app, flush = _elastic()
    return _added(app, _TRACEPARENT, drain=flush)


def sampled_cpu_elastic() -> Measure:
    """Measure the CPU of the same, encoded as Elastic's server wants it."""
    app, flush = _elastic()
    return _cpu(app, _TRACEPARENT, drain=flush)


_TRACEPARENT = (b"traceparent", f"00-{_TRACE_ID}-{_SPAN_ID}-01".encode())


def sampled_ddtrace() -> Measure:
    """Measure ddtrace's middleware."""
    peers.ddtrace_tracer()
    from ddtrace.contrib.asgi import TraceMiddleware

    return _added(TraceMiddleware(bare), _TRACEPARENT, drain=lambda: None)


def sampled_sentry() -> Measure:
    """Measure Sentry's middleware."""
    peers.sentry_sdk()
    from sentry_sdk.integrations.asgi import SentryAsgiMiddleware

    header = (b"sentry-trace", f"{_TRACE_ID}-{_SPAN_ID}-1".encode())
    return _added(SentryAsgiMiddleware(bare), header, drain=lambda: None)


def sampled_logfire() -> Measure:
    """Measure logfire's middleware."""
    logfire = peers.logfire_sdk()
    return _added(logfire.instrument_asgi(bare), _TRACEPARENT, drain=logfire.force_flush)
