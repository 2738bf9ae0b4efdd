"""Streams and generators that are closed somewhere else than where they were opened."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextvars import copy_context
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from faultkit.serving import DEADLINE_S, serving
from iox_otel import Span, SpanRecorder, current
from iox_otel.http import TraceLayer, span_context
from iox_otel.testing import CapturingTraceCollector


@pytest.fixture
def collector() -> CapturingTraceCollector:
    return CapturingTraceCollector()


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing may be logged in any of this: no detach error, no exception never retrieved."""
    with caplog.at_level(logging.WARNING):
        yield
        gc.collect()
    assert [record.getMessage() for record in caplog.get_records("call")] == []


async def numbers(collector: CapturingTraceCollector) -> AsyncGenerator[int, None]:
    with SpanRecorder(Span.root("stream", collector)) as recorder, recorder.child("below"):
        for number in range(1_000):
            yield number
            await asyncio.sleep(0)


async def in_another_task(stream: AsyncGenerator[int, None]) -> None:
    await asyncio.create_task(stream.aclose())


async def in_another_thread(stream: AsyncGenerator[int, None]) -> None:
    await asyncio.to_thread(lambda: asyncio.run(closed(stream)))


async def closed(stream: AsyncGenerator[int, None]) -> None:
    before = current.get()
    await stream.aclose()
    assert current.get() is before


async def by_its_loop(stream: AsyncGenerator[int, None]) -> None:
    """Leave it to `asyncio.run`, which closes at its end what is still open."""


@pytest.mark.parametrize("close", [in_another_task, in_another_thread, by_its_loop, closed])
def test_an_async_generator_may_be_closed_anywhere(
    close: Callable[[AsyncGenerator[int, None]], Any], collector: CapturingTraceCollector
) -> None:
    """In another task, thread, loop or by the loop's end: its spans are exported, as no errors, and
    whoever closes it keeps the `current` it has."""

    async def main() -> None:
        stream = numbers(collector)

        async def begin() -> None:
            assert await anext(stream) == 0

        await asyncio.create_task(begin())
        assert current.get() is None
        with SpanRecorder(Span.root("closer", collector)) as recorder:
            await close(stream)
            assert current.get() is recorder.span
        assert current.get() is None

    asyncio.run(main())

    spans = {span.name: span for span in collector.spans}
    assert spans.keys() == {"stream", "below", "closer"}
    assert {span.status.name for span in spans.values()} == {"UNKNOWN"}
    assert [event.msg for event in spans["below"].events] == ["cancelled"]


@pytest.mark.parametrize("how", ["context", "thread", "garbage"])
def test_a_generator_may_be_closed_anywhere(how: str, collector: CapturingTraceCollector) -> None:
    """A plain one, too: in another context, another thread, or by nobody but the garbage."""

    def numbers() -> Generator[int, None, None]:
        with SpanRecorder(Span.root("stream", collector)):
            yield 1
            yield 2

    streams = [numbers()]
    copy_context().run(next, streams[0])
    assert current.get() is None
    if how == "context":
        copy_context().run(streams[0].close)
    elif how == "thread":
        thread = threading.Thread(target=streams[0].close)
        thread.start()
        thread.join()
    streams.clear()
    gc.collect()

    assert [span.name for span in collector.spans] == ["stream"]
    assert current.get() is None


def test_a_run_that_is_cancelled_ends_its_spans(collector: CapturingTraceCollector) -> None:
    """In the middle of streams in several tasks: all end, as cancelled, and nothing else leaves."""

    async def read() -> None:
        with SpanRecorder(Span.root("reader", collector)) as recorder:
            async for _ in numbers(collector):
                assert recorder.span is not None

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(read())
            await asyncio.sleep(0.01)
            this = asyncio.current_task()
            assert this is not None
            this.cancel()
            await asyncio.sleep(DEADLINE_S)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())

    names = [span.name for span in collector.spans]
    assert {name: names.count(name) for name in names} == {"reader": 5, "stream": 5, "below": 5}
    assert {span.status.name for span in collector.spans} == {"UNKNOWN"}
    assert current.get() is None


def send(connection: socket.socket, path: str) -> None:
    connection.settimeout(DEADLINE_S)
    headers = "host: x\r\nuber-trace-id: abc:1:0:1\r\nconnection: close\r\n"
    connection.sendall(f"GET {path} HTTP/1.1\r\n{headers}\r\n".encode())


def test_clients_that_leave_a_streaming_response_disturb_nothing(
    collector: CapturingTraceCollector,
) -> None:
    """Ten clients go in the middle of streams that hold spans open; the next request is as the
    first: its `current` is its own span."""

    async def pieces(request: Request) -> AsyncIterator[bytes]:
        context = span_context(request)
        assert context is not None
        with context.recorder("stream"):
            while True:
                yield b"piece" * 100
                await asyncio.sleep(0.001)

    async def stream(request: Request) -> Response:
        return StreamingResponse(pieces(request))

    async def plain(request: Request) -> Response:
        context, span = span_context(request), current.get()
        assert isinstance(span, Span) and span.ctx is context
        return PlainTextResponse("its own")

    app = Starlette(routes=[Route("/stream", stream), Route("/plain", plain)])
    with serving(
        TraceLayer(app, collector=collector, name="request"), log_level="warning"
    ) as address:
        for _ in range(10):
            with socket.create_connection(address) as connection:
                send(connection, "/stream")
                while b"piece" not in connection.recv(65536):
                    pass
        deadline_s = time.monotonic() + DEADLINE_S
        while len(collector.spans) < 20:
            gc.collect()
            assert time.monotonic() < deadline_s, collector.tree()
            time.sleep(0.005)
        with socket.create_connection(address) as connection:
            send(connection, "/plain")
            answer = b""
            while piece := connection.recv(65536):
                answer += piece

    assert answer.endswith(b"its own")
    names = [span.name for span in collector.spans]
    assert {name: names.count(name) for name in names} == {"request": 11, "stream": 10}
    assert not [span for span in collector.spans if span.status.name == "ERR"]
