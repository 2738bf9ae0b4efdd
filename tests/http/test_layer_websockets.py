"""TraceLayer around websockets, over real sockets: one span for a session, and its counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from faultkit.serving import serving, wait_until
from iox_otel import SpanKind, SpanStatus, current
from iox_otel.http import TraceLayer, request_log_context, span_context
from iox_otel.testing import CapturingTraceCollector

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADERS = {"uber-trace-id": f"{TRACE_ID}:00f067aa0ba902b7:0:1"}
UNSAMPLED = {"uber-trace-id": f"{TRACE_ID}:00f067aa0ba902b7:0:0"}


async def echo(websocket: WebSocket) -> None:
    """Say three times what is heard, and close."""
    await websocket.accept()
    for _ in range(2):
        text = await websocket.receive_text()
        for _ in range(3):
            await websocket.send_text(text)
    await websocket.send_bytes(b"1234")
    await websocket.close()


async def until_left(websocket: WebSocket) -> None:
    """Listen for ever."""
    await websocket.accept()
    while True:
        await websocket.receive_text()


async def failing(websocket: WebSocket) -> None:
    """Break in the middle."""
    await websocket.accept()
    await websocket.receive_text()
    raise LookupError("no such cart")


async def refusing(websocket: WebSocket) -> None:
    """Take nobody."""
    await websocket.close()


def session_with(
    app: Callable[[WebSocket], Awaitable[None]],
    traces: CapturingTraceCollector,
    talk: Callable[[ClientConnection], object],
    headers: dict[str, str] = HEADERS,
) -> None:
    """Serve *app* by uvicorn and *talk* to it; it has ended when this returns."""
    layer = TraceLayer(
        Starlette(routes=[WebSocketRoute("/chat/{room}", app)]), collector=traces, name="IOx http"
    )
    with (
        serving(layer) as (host, port),
        connect(f"ws://{host}:{port}/chat/7?token=secret", additional_headers=headers) as client,
    ):
        assert client.response is not None
        assert client.response.headers.get("trace-id") == (TRACE_ID if headers is HEADERS else None)
        talk(client)
    if headers is HEADERS:
        wait_until(lambda: traces.spans)


def talk_and_listen(client: ClientConnection) -> None:
    for text in ("hello", "wörld"):
        client.send(text)
    heard = [client.recv() for _ in range(7)]
    assert heard == ["hello"] * 3 + ["wörld"] * 3 + [b"1234"]
    with pytest.raises(ConnectionClosed):
        client.recv()


def test_a_session_is_one_span(traces: CapturingTraceCollector) -> None:
    """With the number of messages and bytes each way, and no span for a message."""
    session_with(echo, traces, talk_and_listen)

    (span,) = traces.spans
    assert (span.kind, span.status) == (SpanKind.SERVER, SpanStatus.OK)
    assert f"{span.ctx.trace_id:032x}" == TRACE_ID
    assert span.metadata == {
        "http.request.method": "GET",
        "url.path": "/chat/7",
        "url.scheme": "ws",
        "http.response.status_code": 101,
        "websocket.messages.received": 2,
        "websocket.messages.sent": 7,
        "websocket.bytes.received": 11,
        "websocket.bytes.sent": 37,
        "websocket.close.code": 1000,
    } | ({"http.route": "/chat/{room}"} if "http.route" in span.metadata else {})
    assert [event.msg for event in span.events] == ["accepted"]


def test_a_client_that_leaves_is_no_failure(traces: CapturingTraceCollector) -> None:
    """Its code is there; what Starlette raises then is not the application's error."""
    session_with(until_left, traces, lambda client: client.send("hello"))

    (span,) = traces.spans
    assert span.metadata["websocket.close.code"] == 1000
    assert span.metadata["websocket.messages.received"] == 1
    assert span.status is SpanStatus.OK
    assert [event.msg for event in span.events] == ["accepted"]


def test_an_exception_ends_the_session(traces: CapturingTraceCollector) -> None:
    """The span has it, with the messages so far."""

    def talk(client: ClientConnection) -> None:
        client.send("hello")
        with pytest.raises(ConnectionClosed):
            client.recv()

    session_with(failing, traces, talk)

    (span,) = traces.spans
    assert span.status is SpanStatus.ERR
    assert span.metadata["error.type"] == "LookupError"
    assert span.metadata["websocket.messages.received"] == 1
    assert [event.msg for event in span.events] == ["accepted", "exception"]


def test_a_session_that_is_refused(traces: CapturingTraceCollector) -> None:
    """The client hears 403; the span says that it was closed and never accepted."""
    with pytest.raises(InvalidStatus, match="403"):
        session_with(refusing, traces, lambda client: None)
    wait_until(lambda: traces.spans)

    (span,) = traces.spans
    assert span.status is SpanStatus.UNKNOWN
    assert span.events == ()


def test_an_unsampled_session_has_none(traces: CapturingTraceCollector) -> None:
    """But the application knows the caller's context."""
    seen: list[Any] = []

    async def look(websocket: WebSocket) -> None:
        seen.append((span_context(websocket), request_log_context(websocket), current.get()))
        await echo(websocket)

    session_with(look, traces, talk_and_listen, UNSAMPLED)

    assert not traces.spans
    ((span, incoming, now),) = seen
    assert span is None and now is incoming
    assert f"{incoming.trace_id:032x}" == TRACE_ID


def test_work_within_a_session_is_under_its_span(traces: CapturingTraceCollector) -> None:
    """Whoever asks for the current context finds it."""

    async def work(websocket: WebSocket) -> None:
        context = span_context(websocket)
        assert context is not None
        with context.recorder("work"):
            await echo(websocket)

    session_with(work, traces, talk_and_listen)

    session = traces.find("IOx http")
    assert traces.find("work").ctx.parent_span_id == session.ctx.span_id
