"""One websocket session, as TraceLayer sees it go by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iox_otel import SpanRecorder, SpanStatus
from iox_otel._recorder import _is_cancellation
from iox_otel._report import report
from iox_otel._values import qualified_name

from ._exchange import _with_trace_id
from ._route import route_template

if TYPE_CHECKING:
    from iox_otel import Span

    from ._asgi import Message, Receive, Scope, Send

_NORMAL = (1000, 1001, 1005)
"""Codes of a close that is no failure: done, going away, none given (RFC 6455, 7.4.1)."""


class Session:
    """The `receive` and the `send` of a websocket; ends its span, which counts the messages.

    There is one span for all of a session, and none for a message: of those it has the number and
    the bytes, each way. It has the status Ok if the session was accepted and closed as usual, Err
    if an exception ended it.

    Args:
        span: opened for this session.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, span: Span) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._recorder = SpanRecorder(span)
        self._span = span
        self._messages = {"received": 0, "sent": 0}
        self._bytes = {"received": 0, "sent": 0}
        self._is_accepted = False
        self._close_code: int | None = None

    async def receive(self) -> Message:
        """Pass on and count what the client sends."""
        message = await self._receive()
        try:
            if message["type"] == "websocket.receive":
                self._count("received", message)
            elif message["type"] == "websocket.disconnect" and self._close_code is None:
                self._close_code = message.get("code", 1005)
        except Exception:
            report("a websocket message could not be counted")
        return message

    async def send(self, message: Message) -> None:
        """Pass on and count what the application sends; the answer gets a header `trace-id`."""
        try:
            message = self._before(message)
        except Exception:
            report("a websocket message could not be counted")
        await self._send(message)

    def _before(self, message: Message) -> Message:
        kind = message["type"]
        if kind == "websocket.send":
            self._count("sent", message)
        elif kind == "websocket.close":
            self._close_code = message.get("code", 1000)
        elif kind in ("websocket.accept", "websocket.http.response.start"):
            status = message.get("status", 101)
            self._is_accepted = kind == "websocket.accept"
            self._recorder.set_metadata("http.response.status_code", status)
            self._recorder.event("accepted" if self._is_accepted else "refused")
            message = _with_trace_id(message, self._span.ctx.trace_id)
        return message

    def _count(self, way: str, message: Message) -> None:
        text, data = message.get("text"), message.get("bytes")
        self._messages[way] += 1
        self._bytes[way] += len(data or b"") if text is None else len(text.encode())

    def failed(self, error: BaseException) -> None:
        """Record that *error* leaves the application. Never raises."""
        if _is_cancellation(error):
            self._recorder.event("cancelled")
            return
        if self._close_code is not None and type(error).__name__ == "WebSocketDisconnect":
            return  # Starlette's word for a client that has left, which the code says
        self._recorder.set_metadata("error.type", qualified_name(type(error)))
        self._recorder.exception(error)

    def close(self) -> None:
        """End the span. Never raises."""
        recorder = self._recorder
        try:
            for way in self._messages:
                recorder.set_metadata(f"websocket.messages.{way}", self._messages[way])
                recorder.set_metadata(f"websocket.bytes.{way}", self._bytes[way])
            if self._close_code is not None:
                recorder.set_metadata("websocket.close.code", self._close_code)
            if self._is_accepted and self._close_code in _NORMAL:
                recorder.status(SpanStatus.OK)
            route = route_template(self._scope)
            if route is not None:
                recorder.set_metadata("http.route", route)
        except Exception:
            report("the end of a websocket could not be recorded")
        recorder.finish()
