"""Tests of TraceLayer under a real server, over loopback sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from faultkit.serving import DEADLINE_S, serving
from iox_otel import SpanStatus
from iox_otel.http import TraceLayer, span_context
from iox_otel.testing import CapturingTraceCollector

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADERS = f"uber-trace-id: {TRACE_ID}:00f067aa0ba902b7:0:1\r\n"


def get(connection: socket.socket, path: str) -> None:
    """Send a sampled request."""
    connection.settimeout(DEADLINE_S)
    connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n{HEADERS}\r\n".encode())


def read_until(connection: socket.socket, end: bytes) -> bytes:
    """Return what is received up to *end*."""
    received = b""
    while end not in received:
        piece = connection.recv(65536)
        assert piece, received
        received += piece
    return received


@pytest.fixture(name="collector")
def _collector() -> CapturingTraceCollector:
    return CapturingTraceCollector()


def test_a_request_over_a_socket(collector: CapturingTraceCollector) -> None:
    """The client gets the body and the trace id, and the whole trace is there."""

    async def hello(request: Request) -> Response:
        ctx = span_context(request)
        assert ctx is not None
        with ctx.recorder("foo"):
            return PlainTextResponse("hello")

    app = TraceLayer(Starlette(routes=[Route("/a", hello)]), collector=collector, name="IOx http")
    with serving(app) as address, socket.create_connection(address) as connection:
        for _ in range(2):  # the connection is kept, the state is not
            get(connection, "/a")
            answer = read_until(connection, b"hello")
            assert f"trace-id: {TRACE_ID}\r\n".encode() in answer

    for span, child in zip(collector.find_all("IOx http"), collector.find_all("foo"), strict=True):
        assert child.ctx.parent_span_id == span.ctx.span_id
        assert span.status is SpanStatus.OK
        assert span.metadata["http.route"] == "/a"


def test_a_client_that_goes_away_in_the_middle_of_a_stream(
    collector: CapturingTraceCollector,
) -> None:
    """The server cancels the stream; the span is exported, and is no error."""
    released: list[str] = []

    async def pieces() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"piece"
                await asyncio.sleep(0.001)
        finally:
            released.append("stream")

    async def stream(request: Request) -> Response:
        return StreamingResponse(pieces())

    app = TraceLayer(Starlette(routes=[Route("/", stream)]), collector=collector, name="IOx http")
    with serving(app) as address:
        with socket.create_connection(address) as connection:
            get(connection, "/")
            read_until(connection, b"piece")
        [span] = collector.wait_for(1, timeout_s=DEADLINE_S)

    assert span.status is SpanStatus.UNKNOWN
    assert "error.type" not in span.metadata
    assert span.events[-1].msg == "cancelled"
    assert span.events[-1].metadata == {"when": "before fully returning body data"}
    assert len(span.events) < 20


def test_a_client_that_goes_away_before_the_response(collector: CapturingTraceCollector) -> None:
    """An application that waits for its client sees the end, and so does the span."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            while (await receive())["type"] != "http.disconnect":
                pass

    layer = TraceLayer(app, collector=collector, name="IOx http")
    with serving(layer, lifespan="off") as address:
        with socket.create_connection(address) as connection:
            get(connection, "/")
        [span] = collector.wait_for(1, timeout_s=DEADLINE_S)

    assert span.events[-1].metadata == {"when": "before returning headers"}


def test_an_exception_is_answered_by_the_server(collector: CapturingTraceCollector) -> None:
    """Nobody else makes a response: the server does, and the span has the exception."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("no such shard")

    layer = TraceLayer(app, collector=collector, name="IOx http")
    with (
        serving(layer, lifespan="off") as address,
        socket.create_connection(address) as connection,
    ):
        get(connection, "/")
        assert b"500 Internal Server Error" in read_until(connection, b"\r\n\r\n")

    assert collector.find("IOx http").metadata["error.type"] == "LookupError"


def test_the_end_of_the_server_flushes() -> None:
    """The last request's span is in the collector when it is flushed, and the server waits."""
    flushed: list[int] = []

    class Flushable(CapturingTraceCollector):
        def force_flush(self, timeout_millis: int) -> bool:
            flushed.append(len(self.spans))
            return True

    async def hello(request: Request) -> Response:
        return PlainTextResponse("hello")

    app = TraceLayer(Starlette(routes=[Route("/", hello)]), collector=Flushable(), name="IOx http")
    with serving(app) as address, socket.create_connection(address) as connection:
        get(connection, "/")
        read_until(connection, b"hello")
        assert flushed == []

    assert flushed == [1]
