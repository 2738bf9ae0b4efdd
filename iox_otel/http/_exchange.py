"""One request being answered, as TraceLayer sees it go by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iox_otel import SpanStatus, _clock
from iox_otel._recorder import _is_cancellation, _record_exception, end_after
from iox_otel._report import report
from iox_otel._values import qualified_name

from . import classify
from ._disconnect import log_cancelled, says_disconnect
from ._route import route_template
from .classify import Classification

if TYPE_CHECKING:
    from iox_otel import MetaValue, Span, SpanContext

    from ._asgi import Message, Receive, Scope, Send
    from ._measure import Measure

MAX_BODY_EVENTS = 8
"""A streamed body gets this many events "returned body data"; the last one gives the totals."""

_HEADERS, _BODY, _TRAILERS, _DONE, _FAILED = range(5)
_CLASS_OK = Classification.OK
_STATUS_OK = SpanStatus.OK
_DATA = "returned body data"
_LAST_DATA = "returned body data and no trailers"
_CANCELLED_WHEN = (
    "before returning headers",
    "before fully returning body data",
    "before returning trailers",
)
_BODY_MESSAGES = frozenset(
    ("http.response.body", "http.response.pathsend", "http.response.zerocopysend")
)


class Exchange:
    """The `receive` and the `send` of one request; ends its span and its metrics.

    It holds no body and keeps no message back. The span ends when the last byte of the response
    was handed to the server. It is exported at that moment too, unless the response is a 5xx or a
    stream that just stopped: then an exception may still be on its way out of the application,
    and the export waits for it.

    Args:
        span: opened for this request, or None.
        context: what came in with the request, or None; names the trace in the log.
        measure: takes the metrics, or None.
    """

    __slots__ = (
        "_chunks",
        "_classification",
        "_context",
        "_ended_ns",
        "_epoch_ns",
        "_has_body",
        "_headers",
        "_headers_ns",
        "_last_is_out",
        "_measure",
        "_open",
        "_phase",
        "_receive",
        "_scope",
        "_send",
        "_send_error",
        "_size",
        "_span",
        "_started_ns",
        "_status",
        "_successful",
        "_trailers",
        "_when",
    )

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        span: Span | None,
        context: SpanContext | None,
        measure: Measure | None,
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._span = span
        self._context = context
        self._measure = measure
        self._phase = _HEADERS
        self._open = True
        self._successful = True
        self._has_body = True
        self._trailers = False
        self._last_is_out = False  # the last message was handed over, if not yet taken
        self._when: str | None = None  # at what point the client was found to be gone
        self._send_error: BaseException | None = None
        self._status: int | None = None
        self._classification = _CLASS_OK
        self._headers: Any = ()
        self._headers_ns = 0  # wall clock; 0 once "request processed" is recorded
        self._size = 0
        self._chunks = 0
        self._ended_ns: int | None = None  # monotonic
        now_ns = _clock.wall_ns()
        self._started_ns = _clock.monotonic_ns()
        self._epoch_ns = now_ns - self._started_ns
        if span is not None:
            span.start_ns = now_ns

    async def receive(self) -> Message:
        """Pass on what the client sends, and note that it went away."""
        message = await self._receive()
        # Servers say "disconnect" as well when the whole response is out.
        if message["type"] == "http.disconnect" and not self._last_is_out:
            self._client_is_gone()
        return message

    async def send(self, message: Message) -> None:
        """Pass on a message of the response, and note what it says."""
        kind = ""
        try:
            kind = message["type"]
            if self._open:
                message = self._before(kind, message)
        except Exception:
            report("a response could not be traced")
        try:
            await self._send(message)
        except OSError as error:  # how ASGI 2.4 servers say that the client is gone
            self._send_error = error
            self._client_is_gone()
            raise
        try:
            if self._open and (sent := _SENT.get(kind)) is not None:
                sent(self, message)
        except Exception:
            report("a response could not be traced")

    def failed(self, error: BaseException) -> None:
        """Record that *error* leaves the application. Never raises."""
        if not self._open or _is_cancellation(error):
            return  # of a cancellation, `close` says how far the response came
        try:
            if self._when is None or not says_disconnect(error, self._send_error):
                self._fail(error)
        except Exception:
            report("the exception of a request could not be recorded")

    def close(self) -> None:
        """End the span and the metrics, complete or not. Never raises; does it once."""
        if not self._open:
            return
        self._open = False
        self._send_error = None
        try:
            aborted = (self._phase != _DONE or self._when is not None) and self._cancelled()
            ended_ns = _clock.monotonic_ns() if self._ended_ns is None else self._ended_ns
            if self._span is not None:
                self._end_span(self._span, self._epoch_ns + ended_ns, aborted)
            if self._measure is not None:
                self._measure(
                    self._scope,
                    None if aborted else self._classification,
                    self._status,
                    ended_ns - self._started_ns,
                    self._size,
                )
        except Exception:
            report("the end of a request could not be recorded")

    # Before a message is handed to the server.

    def _before(self, kind: str, message: Message) -> Message:
        if self._phase == _HEADERS:
            if kind == "http.response.start":
                if self._span is not None:
                    message = _with_trace_id(message, self._span.ctx.trace_id)
                self._judge(message)
        elif self._is_last(kind, message):
            self._last_is_out = True
        return message

    def _judge(self, message: Message) -> None:
        status = message["status"]
        verdict = classify.OK if 200 <= status < 400 else classify.classify_status(status)
        self._status = status
        self._trailers = bool(message.get("trailers"))
        self._headers = headers = message.get("headers", ())
        bodyless = status < 200 or status in (204, 304)
        self._has_body = not bodyless and self._scope["method"] != "HEAD"
        if self._span is not None:
            self._span.set_metadata("http.response.status_code", status)
        if verdict is not classify.OK:
            self._take(verdict)
        elif isinstance(headers, (list, tuple)):
            self._judge_grpc(headers)  # an iterator is the server's to consume

    def _judge_grpc(self, headers: Any) -> None:
        for name, _ in headers:
            if name == b"grpc-status":
                verdict, message = classify.classify_headers(headers)
                if verdict is not classify.OK:
                    self._take(verdict, message)
                break

    def _take(self, verdict: classify.Verdict, grpc_message: str | None = None) -> None:
        self._successful = False
        self._classification = max(self._classification, verdict.classification)
        span = self._span
        if span is None:
            return
        details = {} if grpc_message is None else {"grpc-message": grpc_message}
        span.event(verdict.text, **details)
        if verdict.span_status is SpanStatus.ERR:
            span.set_status(SpanStatus.ERR, verdict.text)
            span.set_metadata("error.type", verdict.error_type)

    def _is_last(self, kind: str, message: Message) -> bool:
        if kind == "http.response.trailers":
            return not message.get("more_trailers")
        return kind in _BODY_MESSAGES and not self._trailers and not message.get("more_body")

    # After the server has taken a message.

    def _start_sent(self, message: Message) -> None:
        if self._phase == _HEADERS:
            self._phase = _BODY
            self._headers_ns = _clock.wall_ns()

    def _body_sent(self, message: Message) -> None:
        size = len(message.get("body", b"")) if self._has_body else 0
        self._returned(size, bool(message.get("more_body")))

    def _file_sent(self, message: Message) -> None:
        """A file that the server sends by itself: whole, or `count` bytes of it."""
        count = message.get("count")
        if count is None:
            length = classify.value_of(self._headers, b"content-length") or b""
            count = int(length) if length.isdigit() else None
        size = count if self._has_body else 0
        self._returned(size, bool(message.get("more_body")))

    def _returned(self, size: int | None, more: bool) -> None:
        """Note *size* bytes of body; None is a number that only the server knows."""
        if self._phase != _BODY:
            return
        if size:
            self._size += size
        if size != 0:
            self._chunks += 1
        if self._span is not None:
            self._body_event(self._span, size, more)
        if more:
            return
        if self._trailers:
            self._phase = _TRAILERS
        else:
            stopped = size == 0 and self._chunks > 0
            self._complete(wait=stopped or (self._status or 0) >= 500)

    def _body_event(self, span: Span, size: int | None, more: bool) -> None:
        if more and (size == 0 or self._chunks > MAX_BODY_EVENTS):
            return
        if not self._chunks and not self._trailers:
            if self._successful:
                self._headers_ns = 0
                span.event("request processed with empty response")
            return
        if self._headers_ns:
            self._processed(span)
        if not self._chunks:
            return
        details: dict[str, MetaValue] = {} if size is None else {"size": size}
        if not more and size != self._size:
            details |= {"total_size": self._size, "chunks": self._chunks}
        ending = _DATA if more or self._trailers else _LAST_DATA
        span._add_text(ending, _clock.wall_ns(), details)

    def _processed(self, span: Span) -> None:
        """Add the event of the headers, which had to wait to see whether there is a body."""
        if self._headers_ns and self._successful:
            span._add_text("request processed", self._headers_ns, {})
        self._headers_ns = 0

    def _trailers_sent(self, message: Message) -> None:
        if self._phase != _TRAILERS:
            return
        if self._successful:
            self._judge_grpc(message.get("headers", ()))
        if message.get("more_trailers"):
            return
        if self._successful and self._span is not None:
            self._span.event("returned trailers")
        self._complete(wait=(self._status or 0) >= 500)

    def _complete(self, *, wait: bool) -> None:
        self._phase = _DONE
        self._ended_ns = _clock.monotonic_ns()
        if not wait:
            self.close()

    # How it ended.

    def _client_is_gone(self) -> None:
        if self._phase != _DONE and self._when is None:
            self._when = _CANCELLED_WHEN[self._phase]

    def _fail(self, error: BaseException) -> None:
        in_body = self._phase in (_BODY, _TRAILERS)
        self._phase = _FAILED
        self._successful = False
        self._ended_ns = None
        self._classification = max(self._classification, Classification.SERVER_ERROR)
        span = self._span
        if span is None:
            return
        span.event("error getting frame" if in_body else "error processing request")
        _record_exception(span, error)
        span.set_metadata("error.type", qualified_name(type(error)))

    def _cancelled(self) -> bool:
        """Return whether the client did not get the whole response; log and record it.

        Called where not all of it was taken, or the client was found to be gone.
        """
        if self._phase == _FAILED:
            return False
        when = self._when or _CANCELLED_WHEN[self._phase]
        if self._span is not None:
            self._processed(self._span)
            self._span.event("cancelled", when=when)
        log_cancelled(self._context if self._span is None else self._span.ctx, when)
        return True

    def _end_span(self, span: Span, end_ns: int, aborted: bool) -> None:
        if self._successful and not aborted:
            span.set_status(_STATUS_OK)
        route = route_template(self._scope)
        if route is not None:
            span.set_metadata("http.route", route)
        if span._events:
            end_ns = end_after(span._events[-1], end_ns)
        if span.end_ns is None or span.end_ns < end_ns:
            span.end_ns = end_ns
        # The application may have moved the start meanwhile.
        if span.start_ns is None or span.start_ns > end_ns:
            span.start_ns = end_ns
        span.export()


_SENT = {
    "http.response.start": Exchange._start_sent,
    "http.response.body": Exchange._body_sent,
    "http.response.pathsend": Exchange._file_sent,
    "http.response.zerocopysend": Exchange._file_sent,
    "http.response.trailers": Exchange._trailers_sent,
}


def _with_trace_id(message: Message, trace_id: int) -> Message:
    headers = [header for header in message.get("headers", ()) if header[0] != b"trace-id"]
    headers.append((b"trace-id", b"%032x" % trace_id))
    return {**message, "headers": headers}
