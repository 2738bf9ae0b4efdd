"""Transports of httpx that trace what goes out, over any other transport."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, cast

import httpx

from iox_otel.http.client import ClientCall, ClientTracer

_SENT = "iox_otel_sent"
"""Among the extensions of a request, which a redirect takes over: how often it was sent."""


class TracedTransport(httpx.BaseTransport):
    """Has a CLIENT span for each request: `httpx.Client(transport=TracedTransport())`.

    The span is a child of what is current and lasts until the response's body was read or closed.
    `http.request.resend_count` counts redirects, and connections that the transport tried again.

    Args:
        transport: what sends; httpx's own if not given.
        tracer: writes headers in other formats than the default ones.
    """

    def __init__(
        self,
        transport: httpx.BaseTransport | None = None,
        *,
        tracer: ClientTracer | None = None,
    ) -> None:
        self._transport = httpx.HTTPTransport() if transport is None else transport
        self._tracer = ClientTracer() if tracer is None else tracer

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*, traced if it belongs to a trace."""
        call = self._tracer.begin(request.method, str(request.url))
        sent = _prepare(call, request, _counting)
        with call.sending():
            try:
                response = self._transport.handle_request(request)
            finally:
                call.resent(sent())
        call.answered(response.status_code)
        if call.is_followed:
            response.stream = _Stream(cast(httpx.SyncByteStream, response.stream), call)
        return response

    def close(self) -> None:
        """Close the transport beneath."""
        self._transport.close()


class AsyncTracedTransport(httpx.AsyncBaseTransport):
    """As `TracedTransport`, for `httpx.AsyncClient`."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        tracer: ClientTracer | None = None,
    ) -> None:
        self._transport = httpx.AsyncHTTPTransport() if transport is None else transport
        self._tracer = ClientTracer() if tracer is None else tracer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*, traced if it belongs to a trace."""
        call = self._tracer.begin(request.method, str(request.url))
        sent = _prepare(call, request, _counting_async)
        with call.sending():
            try:
                response = await self._transport.handle_async_request(request)
            finally:
                call.resent(sent())
        call.answered(response.status_code)
        if call.is_followed:
            response.stream = _AsyncStream(cast(httpx.AsyncByteStream, response.stream), call)
        return response

    async def aclose(self) -> None:
        """Close the transport beneath."""
        await self._transport.aclose()


class _Stream(httpx.SyncByteStream):
    """The body of a response, which ends the span."""

    def __init__(self, stream: httpx.SyncByteStream, call: ClientCall) -> None:
        self._stream = stream
        self._call = call
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        try:
            for part in self._stream:
                self._size += len(part)
                yield part
        except Exception as error:
            self._call.failed(error)
            raise

    def close(self) -> None:
        self._call.finish(self._size)
        self._stream.close()


class _AsyncStream(httpx.AsyncByteStream):
    """As `_Stream`."""

    def __init__(self, stream: httpx.AsyncByteStream, call: ClientCall) -> None:
        self._stream = stream
        self._call = call
        self._size = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._stream:
                self._size += len(part)
                yield part
        except Exception as error:
            self._call.failed(error)
            raise

    async def aclose(self) -> None:
        self._call.finish(self._size)
        await self._stream.aclose()


_Note = Callable[[str], None]


def _prepare(
    call: ClientCall, request: httpx.Request, watching: Callable[[Any, _Note], Any]
) -> Callable[[], int]:
    """Put the context into *request*; returns what tells how often it was sent again."""
    request.headers.update(call.headers)
    if call.recorder.span is None:
        return lambda: 0
    retries = 0
    redirects = request.extensions.get(_SENT, 0)

    def note(event: str) -> None:
        nonlocal retries
        if event == "connection.retry.started":
            retries += 1

    # A copy would not do: httpx hands this very dict to the request that follows a redirect.
    extensions = request.extensions
    extensions[_SENT] = redirects + 1
    trace = extensions.get("trace")
    extensions["trace"] = watching(getattr(trace, "iox_otel_inner", trace), note)
    return lambda: redirects + retries


def _counting(inner: Any, note: _Note) -> Any:
    """Return what httpcore tells of each step, in between the caller's own."""

    def trace(event: str, info: dict[str, Any]) -> None:
        note(event)
        if inner is not None:
            inner(event, info)

    trace.iox_otel_inner = inner  # type: ignore[attr-defined]
    return trace


def _counting_async(inner: Any, note: _Note) -> Any:
    async def trace(event: str, info: dict[str, Any]) -> None:
        note(event)
        if inner is not None:
            await inner(event, info)

    trace.iox_otel_inner = inner  # type: ignore[attr-defined]
    return trace
