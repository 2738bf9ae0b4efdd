"""Tests of how a response becomes events, status and metrics, against a server played by hand."""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from iox_otel import SpanStatus, _report, current
from iox_otel.testing import FakeClock

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
UNSAMPLED = (b"uber-trace-id", f"{TRACE_ID}:00f067aa0ba902b7:0:0".encode())
DISCONNECT = {"type": "http.disconnect"}


def start(status: int = 200, *headers: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    """Return the message with a response's status and headers."""
    return {"type": "http.response.start", "status": status, "headers": list(headers)} | more


def body(data: bytes = b"", *, more: bool = False) -> dict[str, Any]:
    """Return the message with a piece of a response's body."""
    return {"type": "http.response.body", "body": data, "more_body": more}


def trailers(*headers: tuple[bytes, bytes], more: bool = False) -> dict[str, Any]:
    """Return the message with a response's trailers."""
    return {"type": "http.response.trailers", "headers": list(headers), "more_trailers": more}


def answering(*messages: Any) -> Callable[..., Any]:
    """Return an application that sends *messages*; raises those that are exceptions."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            if isinstance(message, BaseException):
                raise message
            await send(message)

    return app


def events(bench: Any) -> list[str]:
    """Return what the request's span says happened, one text an event."""
    return [
        " ".join((event.msg, *(f"{key}={value}" for key, value in event.metadata.items())))
        for event in bench.collector.find("IOx http").events
    ]


@pytest.fixture(autouse=True)
def _no_silent_failures(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Fail a test in which the layer had to swallow an exception of its own."""
    monkeypatch.setattr(_report, "_last_ns", {})
    yield
    assert [
        record.getMessage()
        for record in caplog.get_records("call")
        if record.levelno >= logging.WARNING and "metrics raised" not in record.getMessage()
    ] == []


class Metrics:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def request_ended(self, **request: Any) -> None:
        """Keep *request*."""
        assert request["duration_ns"] >= 0
        self.requests.append(request)


# What the response gets.


def test_the_response_carries_the_trace_id(bench: Any) -> None:
    """One header of 32 hex digits is added; the application's own list is left alone."""
    message = start(200, (b"content-type", b"text/plain"))

    sent = bench.run(answering(message, body(b"x")))

    assert sent[0]["headers"] == [
        (b"content-type", b"text/plain"),
        (b"trace-id", TRACE_ID.encode()),
    ]
    assert message["headers"] == [(b"content-type", b"text/plain")]
    assert sent[1] == body(b"x")


def test_a_trace_id_has_leading_zeros(bench: Any) -> None:
    """The header is 32 digits also where the caller sent fewer."""
    sent = bench.run(answering(start(), body()), headers=[(b"uber-trace-id", b"a:b:0:1")])

    assert sent[0]["headers"] == [(b"trace-id", b"0" * 31 + b"a")]


@pytest.mark.parametrize(
    "headers", [None, (), iter([(b"trace-id", b"0"), (b"a", b"b")]), [[b"a", b"b"]]]
)
def test_headers_may_be_missing_or_any_iterable_of_pairs(bench: Any, headers: Any) -> None:
    """What ASGI allows is understood, and somebody else's `trace-id` is replaced."""
    message = start()
    if headers is None:
        del message["headers"]
    else:
        message["headers"] = headers

    sent = bench.run(answering(message, body()))

    names = [name for name, _ in sent[0]["headers"]]
    assert names[-1] == b"trace-id"
    assert names.count(b"trace-id") == 1
    assert bench.collector.find("IOx http").status is SpanStatus.OK


def test_other_messages_pass_untouched(bench: Any) -> None:
    """Early hints, pushes and a test client's debug information are the very same objects."""
    others = [
        {"type": "http.response.debug", "info": {}},
        {"type": "http.response.early_hint", "links": []},
        {"type": "http.response.push", "path": "/a", "headers": []},
    ]

    sent = bench.run(answering(*others, start(), body(b"x")))

    assert all(was is sent_ for was, sent_ in zip(others, sent, strict=False))
    assert bench.collector.find("IOx http").status is SpanStatus.OK


# What the span says.


def test_a_stream_has_bounded_events_and_totals(bench: Any) -> None:
    """However many pieces, the first eight are events and the last says how much there was."""
    pieces = [body(b"ab", more=True)] * 1000

    bench.run(answering(start(), *pieces, body(b"c")))

    assert events(bench) == [
        "request processed",
        *["returned body data size=2"] * 8,
        "returned body data and no trailers size=1 total_size=2001 chunks=1001",
    ]


def test_a_stream_that_ends_with_nothing_counts_its_pieces(bench: Any) -> None:
    """The empty message that ends a stream, and empty ones between, are no pieces."""
    bench.run(answering(start(), body(b"ab", more=True), body(more=True), body()))

    assert events(bench) == [
        "request processed",
        "returned body data size=2",
        "returned body data and no trailers size=0 total_size=2 chunks=1",
    ]


@pytest.mark.parametrize(
    ("status", "method", "data"),
    [
        (200, "GET", b""),
        (204, "GET", b""),
        (304, "GET", b"ignored"),
        (200, "HEAD", b"not sent by the server"),
        (302, "POST", b""),
    ],
)
def test_an_empty_response(bench: Any, status: int, method: str, data: bytes) -> None:
    """No body, or one that HTTP does not let through, is one event."""
    metrics = Metrics()

    bench.run(answering(start(status), body(data)), method=method, layer={"metrics": metrics})

    assert events(bench) == ["request processed with empty response"]
    assert bench.collector.find("IOx http").status is SpanStatus.OK
    assert metrics.requests[0]["response_body_bytes"] == 0


def test_the_span_ends_and_is_exported_when_the_body_is_out(bench: Any) -> None:
    """Not with the headers, and not only when the application is done with its own work."""
    seen: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        clock.advance(1)
        await send(body(b"x", more=True))
        seen.append(len(bench.collector.spans))
        clock.advance(1)
        await send(body(b"y"))
        seen.append(len(bench.collector.spans))
        clock.advance(60)

    with FakeClock() as clock:
        bench.run(app)

    span = bench.collector.find("IOx http")
    assert seen == [0, 1]
    assert span.end_ns - span.start_ns == 2_000_000_000


def test_the_time_of_the_headers_is_kept(bench: Any) -> None:
    """That the request was processed is known when the body comes, and was so before."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        clock.advance(1)
        await send(body(b"x"))

    with FakeClock() as clock:
        bench.run(app)

    processed, returned = bench.collector.find("IOx http").events
    assert returned.time_ns - processed.time_ns == 1_000_000_000


def test_a_failure_after_the_error_page_is_within_the_span(bench: Any) -> None:
    """The span goes on to the exception that it records."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answering(start(500), body(b"sorry"))(scope, receive, send)
        clock.advance(1)
        raise OutOfShards

    with FakeClock() as clock, pytest.raises(OutOfShards):
        bench.run(app)

    span = bench.collector.find("IOx http")
    assert span.end_ns == span.events[-1].time_ns


def test_an_error_page_ends_the_span_though_the_application_goes_on(bench: Any) -> None:
    """A 5xx waits for an exception to be exported, but its time is that of the response."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answering(start(500), body(b"sorry"))(scope, receive, send)
        clock.advance(60)

    with FakeClock() as clock:
        bench.run(app)

    span = bench.collector.find("IOx http")
    assert span.end_ns == span.start_ns


def test_no_event_lies_just_behind_the_end(bench: Any) -> None:
    """Events are timed by one clock and the end by another; where they differ the end gives way."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        clock.step_wall(200e-9)
        await answering(start(), body(b"y"))(scope, receive, send)

    with FakeClock() as clock:
        bench.run(app)

    span = bench.collector.find("IOx http")
    assert span.end_ns == span.events[-1].time_ns


def test_a_clock_that_is_set_back_makes_no_negative_duration(bench: Any) -> None:
    """The duration is by the monotonic clock."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        clock.step_wall(-3600)
        clock.advance(0.5)
        await answering(start(), body(b"y"))(scope, receive, send)

    with FakeClock() as clock:
        bench.run(app)

    span = bench.collector.find("IOx http")
    assert span.end_ns - span.start_ns == 500_000_000


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (400, "unexpected 4XX status code: 400 Bad Request"),
        (404, "not found"),
        (405, "method not allowed"),
    ],
)
def test_a_client_error_is_an_event_and_no_status(bench: Any, status: int, text: str) -> None:
    """The server did nothing wrong, as OpenTelemetry sees it."""
    bench.run(answering(start(status), body(b"no")))

    span = bench.collector.find("IOx http")
    assert events(bench) == [text, "returned body data and no trailers size=2"]
    assert span.status is SpanStatus.UNKNOWN
    assert "error.type" not in span.metadata


def test_a_server_error_is_an_error(bench: Any) -> None:
    """A 5xx that the application answers by itself names the status code."""
    bench.run(answering(start(503), body(b"later")))

    span = bench.collector.find("IOx http")
    text = "unexpected 5XX status code: 503 Service Unavailable"
    assert events(bench) == [text, "returned body data and no trailers size=5"]
    assert (span.status, span.status_message) == (SpanStatus.ERR, text)
    assert span.metadata["error.type"] == "503"


def test_what_the_application_set_as_status_stays(bench: Any) -> None:
    """The first status that is set stays, as everywhere."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        current.get().error("half of the shards did not answer")  # type: ignore[attr-defined]
        await answering(start(200), body(b"x"))(scope, receive, send)

    bench.run(app)

    span = bench.collector.find("IOx http")
    assert span.status is SpanStatus.ERR
    assert span.status_message == "half of the shards did not answer"


# Trailers and gRPC.


def test_trailers_end_the_response(bench: Any) -> None:
    """With trailers announced the body does not end the span, and the last of them does."""
    bench.run(
        answering(
            start(200, trailers=True),
            body(b"x"),
            trailers((b"a", b"b"), more=True),
            trailers((b"grpc-status", b"0")),
        )
    )

    assert events(bench) == [
        "request processed",
        "returned body data size=1",
        "returned trailers",
    ]
    assert bench.collector.find("IOx http").status is SpanStatus.OK


def test_trailers_after_an_empty_body(bench: Any) -> None:
    """A response of nothing but trailers is no empty response."""
    bench.run(answering(start(200, trailers=True), body(), trailers((b"grpc-status", b"0"))))

    assert events(bench) == ["request processed", "returned trailers"]


@pytest.mark.parametrize(
    ("code", "text", "status"),
    [
        (b"14", "unavailable grpc-message=no disk", SpanStatus.ERR),
        (b"5", "not found grpc-message=no disk", SpanStatus.UNKNOWN),
    ],
)
def test_a_grpc_error_comes_with_the_trailers(
    bench: Any, code: bytes, text: str, status: SpanStatus
) -> None:
    """HTTP says 200, gRPC what happened; the message is decoded."""
    metrics = Metrics()
    headers = (b"grpc-status", code), (b"grpc-message", b"no%20disk")

    bench.run(
        answering(start(200, trailers=True), body(b"x"), trailers(*headers)),
        headers=[
            (b"uber-trace-id", b"a:b:0:1"),
            (b"content-type", b"application/grpc+proto"),
        ],
        http_version="2",
        method="POST",
        layer={"metrics": metrics},
    )

    assert events(bench) == ["request processed", "returned body data size=1", text]
    assert bench.collector.find("IOx http").status is status
    assert metrics.requests[0]["family"] == "grpc"
    assert metrics.requests[0]["method"] is None
    assert metrics.requests[0]["status"] == (
        "server_error" if status is SpanStatus.ERR else "client_error"
    )


def test_a_grpc_error_may_come_with_the_headers(bench: Any) -> None:
    """A response without a body, "trailers only", has its status in the headers."""
    bench.run(answering(start(200, (b"grpc-status", b"4")), body()))

    span = bench.collector.find("IOx http")
    assert events(bench) == ["deadline exceeded"]
    assert (span.status, span.status_message) == (SpanStatus.ERR, "deadline exceeded")
    assert span.metadata["error.type"] == "DEADLINE_EXCEEDED"


# Files that the server sends.


def test_a_file_sent_by_the_server_ends_the_response(bench: Any) -> None:
    """`pathsend` is the whole body; its size is the one announced."""
    headers = [(b"content-length", b"123")]
    bench.run(
        answering(
            {"type": "http.response.start", "status": 200, "headers": headers},
            {"type": "http.response.pathsend", "path": "/etc/hostname"},
        )
    )

    assert events(bench) == ["request processed", "returned body data and no trailers size=123"]
    assert bench.collector.find("IOx http").status is SpanStatus.OK


def test_a_file_of_unknown_size(bench: Any) -> None:
    """What only the server knows is not made up."""
    bench.run(answering(start(), {"type": "http.response.zerocopysend", "file": 3}))

    assert events(bench)[:1] == ["request processed"]
    assert events(bench)[1].startswith("returned body data and no trailers")
    assert " size=" not in events(bench)[1]


def test_pieces_of_a_file(bench: Any) -> None:
    """`zerocopysend` with a count is a piece of a stream."""
    piece = {"type": "http.response.zerocopysend", "file": 3, "count": 10, "more_body": True}
    bench.run(answering(start(), piece, body(b"end")))

    assert events(bench) == [
        "request processed",
        "returned body data size=10",
        "returned body data and no trailers size=3 total_size=13 chunks=2",
    ]


# Exceptions of the application.


class OutOfShards(Exception):
    """An application's own exception."""


def test_an_exception_before_the_response(bench: Any) -> None:
    """It is recorded and goes on as it was: the same object, its own traceback."""
    error = OutOfShards("none left")

    with pytest.raises(OutOfShards) as raised:
        bench.run(answering(error))

    assert raised.value is error
    assert error.__cause__ is None and error.__context__ is None
    assert traceback.extract_tb(error.__traceback__)[-1].name == "app"
    span = bench.collector.find("IOx http")
    assert [event.msg for event in span.events] == ["error processing request", "exception"]
    assert span.events[1].metadata["exception.message"] == "none left"
    assert (span.status, span.status_message) == (SpanStatus.ERR, "none left")
    assert span.metadata["error.type"] == f"{__name__}.OutOfShards"


def test_an_exception_in_the_middle_of_the_body(bench: Any) -> None:
    """The client has part of the answer; the span says so."""
    with pytest.raises(OutOfShards):
        bench.run(answering(start(), body(b"ab", more=True), OutOfShards()))

    span = bench.collector.find("IOx http")
    assert [event.msg for event in span.events] == [
        "request processed",
        "returned body data",
        "error getting frame",
        "exception",
    ]
    assert span.status is SpanStatus.ERR
    assert span.metadata["http.response.status_code"] == 200


def test_an_exception_after_an_error_page(bench: Any) -> None:
    """Frameworks answer 500 first and raise then: status code and exception are both there."""
    with pytest.raises(ZeroDivisionError):
        bench.run(answering(start(500), body(b"sorry"), ZeroDivisionError("by zero")))

    span = bench.collector.find("IOx http")
    assert [event.msg for event in span.events] == [
        "unexpected 5XX status code: 500 Internal Server Error",
        "returned body data and no trailers",
        "error processing request",
        "exception",
    ]
    assert span.status is SpanStatus.ERR
    assert span.metadata["http.response.status_code"] == 500
    assert span.metadata["error.type"] == "ZeroDivisionError"


def test_an_exception_after_a_stream_that_just_stopped(bench: Any) -> None:
    """Some middleware ends a failed stream as if all were well, and raises only then."""
    with pytest.raises(OutOfShards):
        bench.run(answering(start(), body(b"ab", more=True), body(), OutOfShards("late")))

    span = bench.collector.find("IOx http")
    assert (span.status, span.status_message) == (SpanStatus.ERR, "late")


def test_an_exception_after_the_whole_response_goes_on(bench: Any) -> None:
    """Of work that follows a complete response the span knows nothing."""
    with pytest.raises(OutOfShards):
        bench.run(answering(start(), body(b"ab"), OutOfShards("in the background")))

    assert bench.collector.find("IOx http").status is SpanStatus.OK


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_the_end_of_the_process_goes_through(bench: Any, error: BaseException) -> None:
    """The span is exported also then."""
    with pytest.raises(type(error)):
        bench.run(answering(error))

    assert bench.collector.find("IOx http").status is SpanStatus.ERR


def test_an_unsampled_request_may_fail(bench: Any) -> None:
    """There is nothing to record, and the exception goes on."""
    error = OutOfShards()

    with pytest.raises(OutOfShards) as raised:
        bench.run(answering(start(), error), headers=[UNSAMPLED])

    assert raised.value is error


# Clients that go away.


def cancelled_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the log lines about cancelled requests."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "iox_otel" and record.levelno == logging.DEBUG
    ]


@pytest.mark.parametrize(
    ("messages", "when"),
    [
        ([], "before returning headers"),
        ([start()], "before fully returning body data"),
        ([start(), body(b"x", more=True)], "before fully returning body data"),
        ([start(trailers=True), body(b"x")], "before returning trailers"),
        (
            [start(trailers=True), body(b"x"), trailers(more=True)],
            "before returning trailers",
        ),
    ],
)
@pytest.mark.parametrize("ending", ["returns", "is cancelled"])
def test_a_response_that_is_not_complete_was_cancelled(
    bench: Any, caplog: pytest.LogCaptureFixture, messages: list[Any], when: str, ending: str
) -> None:
    """How far it came is logged with the trace id; the span is exported, its status left alone."""
    metrics = Metrics()
    errors = [asyncio.CancelledError()] if ending == "is cancelled" else []

    async def main() -> None:
        layer = bench.layer(answering(*messages, *errors), metrics=metrics)
        try:
            await bench.serve(layer)
        except asyncio.CancelledError:
            assert errors

    with caplog.at_level(logging.DEBUG, "iox_otel"):
        asyncio.run(main())

    assert cancelled_lines(caplog) == [f'request cancelled (trace={TRACE_ID} when="{when}")']
    span = bench.collector.find("IOx http")
    assert events(bench)[-1] == f"cancelled when={when}"
    assert span.status is SpanStatus.UNKNOWN
    assert metrics.requests[0]["status"] == "aborted"


def test_a_cancelled_task(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A real cancellation, from outside, while the application waits for something."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        waiting.set()
        await asyncio.Event().wait()

    waiting = asyncio.Event()

    async def main() -> None:
        task = asyncio.create_task(bench.serve(bench.layer(app)))
        await asyncio.wait_for(waiting.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with caplog.at_level(logging.DEBUG, "iox_otel"):
        asyncio.run(main())

    assert events(bench) == [
        "request processed",
        "cancelled when=before fully returning body data",
    ]
    assert len(cancelled_lines(caplog)) == 1


def test_a_cancellation_of_trio(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Starlette runs on trio as well, whose cancellation is a class of its own."""

    class Cancelled(BaseException):
        pass

    monkeypatch.setitem(sys.modules, "trio", SimpleNamespace(Cancelled=Cancelled))
    with pytest.raises(Cancelled):
        bench.run(answering(Cancelled()))

    assert events(bench) == ["cancelled when=before returning headers"]
    assert bench.collector.find("IOx http").status is SpanStatus.UNKNOWN


def test_a_disconnect_seen_by_the_application(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The client went away while the application read; that it answers nobody changes nothing."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert await receive() == DISCONNECT
        await answering(start(), body(b"x"))(scope, receive, send)

    with caplog.at_level(logging.DEBUG, "iox_otel"):
        bench.run(app, receives=[DISCONNECT])

    assert events(bench)[-1] == "cancelled when=before returning headers"
    assert bench.collector.find("IOx http").status is SpanStatus.UNKNOWN


def test_a_disconnect_after_the_response_is_none(bench: Any) -> None:
    """Servers say so to whoever still listens, while the last message is on its way or later."""
    listen: Any = None

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal listen
        listen = receive
        await answering(start(), body(b"x"))(scope, receive, send)
        await receive()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await listen()

    bench.run(app, receives=[DISCONNECT, DISCONNECT], send=send)

    assert bench.collector.find("IOx http").status is SpanStatus.OK


class ClientDisconnect(Exception):
    """Named as Starlette's."""


def _as_it_was(error: OSError) -> BaseException:
    return error


def _wrapped(error: OSError) -> BaseException:
    wrapped = RuntimeError("while sending")
    wrapped.__cause__ = error
    return ExceptionGroup("unhandled", [wrapped])


def _renamed(error: OSError) -> BaseException:
    return ClientDisconnect()


@pytest.mark.parametrize("raised_as", [_as_it_was, _wrapped, _renamed])
def test_a_send_that_fails_is_a_client_that_is_gone(
    bench: Any, raised_as: Callable[[OSError], BaseException]
) -> None:
    """What the server raises goes to the application, and on; it is no error of the request."""
    metrics = Metrics()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        try:
            await send(body(b"x", more=True))
        except OSError as error:
            raise raised_as(error) from error.__cause__

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            raise ConnectionResetError("gone")

    with pytest.raises((OSError, ExceptionGroup, ClientDisconnect)):
        bench.run(app, send=send, layer={"metrics": metrics})

    span = bench.collector.find("IOx http")
    assert events(bench) == [
        "request processed",
        "cancelled when=before fully returning body data",
    ]
    assert span.status is SpanStatus.UNKNOWN
    assert "error.type" not in span.metadata
    assert metrics.requests[0]["status"] == "aborted"


def test_a_failure_after_a_disconnect_is_a_failure(bench: Any) -> None:
    """That nobody waits for the answer does not hide a bug."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise OutOfShards("none left")

    with pytest.raises(OutOfShards):
        bench.run(app, receives=[DISCONNECT])

    assert bench.collector.find("IOx http").status is SpanStatus.ERR


def test_an_os_error_of_the_application_is_a_failure(bench: Any) -> None:
    """Only what `send` raised means the client."""
    with pytest.raises(FileNotFoundError):
        bench.run(answering(FileNotFoundError("metrics.lp")))

    assert bench.collector.find("IOx http").metadata["error.type"] == "FileNotFoundError"


def test_an_unsampled_request_that_is_cancelled_is_logged(
    bench: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The line helps whoever has only the log."""
    with caplog.at_level(logging.DEBUG, "iox_otel"):
        bench.run(answering(start()), headers=[UNSAMPLED])

    assert cancelled_lines(caplog) == [
        f'request cancelled (trace={TRACE_ID} when="before fully returning body data")'
    ]


# Metrics.


def test_metrics_are_told_of_every_request(bench: Any) -> None:
    """Traced or not, with what the application's path and status allow as labels."""
    metrics = Metrics()

    bench.run(answering(start(), body(b"abc")), path="/a/b", layer={"metrics": metrics})
    bench.run(
        answering(start(404), body(b"no")), headers=[], path="/made/up", layer={"metrics": metrics}
    )
    bench.run(answering(start(405), body()), headers=[], method="BREW", layer={"metrics": metrics})
    bench.run(answering(start(500), body()), headers=[UNSAMPLED], layer={"metrics": metrics})

    for request in metrics.requests:
        del request["duration_ns"]
        assert request.pop("family") == "http"
        assert request.pop("side") == "server"
    assert metrics.requests == [
        {
            "path": "/a/b",
            "method": "GET",
            "status": "ok",
            "status_code": 200,
            "response_body_bytes": 3,
        },
        {
            "path": None,
            "method": "GET",
            "status": "client_error",
            "status_code": 404,
            "response_body_bytes": 2,
        },
        {
            "path": "/x",
            "method": None,
            "status": "client_error",
            "status_code": 405,
            "response_body_bytes": 0,
        },
        {
            "path": "/x",
            "method": "GET",
            "status": "server_error",
            "status_code": 500,
            "response_body_bytes": 0,
        },
    ]
    assert len(bench.collector.spans) == 1


def test_metrics_alone_leave_the_headers_to_the_server(bench: Any) -> None:
    """An iterator can be read once, and without a span there is nothing to add to it."""
    headers = iter([(b"a", b"b")])
    metrics = Metrics()

    sent = bench.run(
        answering(start() | {"headers": headers}, body()), headers=[], layer={"metrics": metrics}
    )

    assert list(sent[0]["headers"]) == [(b"a", b"b")]
    assert metrics.requests[0]["status"] == "ok"


@pytest.mark.parametrize(
    ("version", "content_type", "family"),
    [
        ("2", b"application/grpc", "grpc"),
        ("3", b"application/grpc+proto", "grpc"),
        ("1.1", b"application/grpc", "http"),
        ("2", b"application/grpc-web", "http"),
    ],
)
def test_the_family_is_by_content_type_and_version(
    bench: Any, version: str, content_type: bytes, family: str
) -> None:
    """gRPC needs HTTP/2; the same content type over HTTP/1.1 is something else."""
    metrics = Metrics()
    headers = [(b"accept", b"*/*"), (b"content-type", content_type)]

    bench.run(
        answering(start(), body()),
        headers=headers,
        http_version=version,
        layer={"metrics": metrics},
    )

    assert metrics.requests[0]["family"] == family


def test_an_exception_is_counted_as_a_server_error(bench: Any) -> None:
    """Without a response there is no status code, but there was a request."""
    metrics = Metrics()

    with pytest.raises(OutOfShards):
        bench.run(answering(OutOfShards()), headers=[], layer={"metrics": metrics})

    assert metrics.requests[0]["status"] == "server_error"
    assert metrics.requests[0]["status_code"] is None


def test_metrics_count_once_and_to_the_end_of_the_body(bench: Any) -> None:
    """The time after the response is not the client's."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        clock.advance(2)
        await answering(start(), body(b"x"))(scope, receive, send)
        clock.advance(60)

    metrics = Metrics()
    with FakeClock() as clock:
        bench.run(app, headers=[], layer={"metrics": metrics})

    assert [request["duration_ns"] for request in metrics.requests] == [2_000_000_000]


def test_metrics_that_raise_harm_nobody(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The response and the span are as ever, and the log says what happened."""

    class Broken:
        def request_ended(self, **request: Any) -> None:
            raise RuntimeError("registry closed")

    sent = bench.run(answering(start(), body(b"x")), layer={"metrics": Broken()})

    assert len(sent) == 2
    assert bench.collector.find("IOx http").status is SpanStatus.OK
    assert "request metrics raised, a request is not counted" in caplog.text
