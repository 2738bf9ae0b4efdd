"""What the hooks of HTTP clients record and send: the same, whatever the client."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest
import requests
import urllib3

from iox_otel import SpanContext, SpanKind, SpanStatus, current
from iox_otel.hooks.httpx import AsyncTracedTransport, TracedTransport
from iox_otel.hooks.requests import TracedAdapter
from iox_otel.hooks.urllib3 import TracedPoolManager
from iox_otel.http import TraceHeaderParser
from iox_otel.http.client import DEFAULT_FORMATS, ClientTracer, trace_headers
from iox_otel.testing import CapturingTraceCollector
from peerkit.process import free_port

Get = Callable[[str], object]


def by_httpx(formats: Sequence[str], headers: dict[str, str]) -> Iterator[Get]:
    transport = TracedTransport(tracer=ClientTracer(formats=formats))
    with httpx.Client(transport=transport, headers=headers, follow_redirects=True) as client:
        yield client.get


def by_async_httpx(formats: Sequence[str], headers: dict[str, str]) -> Iterator[Get]:
    def get(url: str) -> httpx.Response:
        async def main() -> httpx.Response:
            transport = AsyncTracedTransport(tracer=ClientTracer(formats=formats))
            async with httpx.AsyncClient(
                transport=transport, headers=headers, follow_redirects=True
            ) as client:
                return await client.get(url)

        return asyncio.run(main())

    yield get


def by_requests(formats: Sequence[str], headers: dict[str, str]) -> Iterator[Get]:
    with requests.Session() as session:
        session.headers.update(headers)
        session.mount("http://", TracedAdapter(tracer=ClientTracer(formats=formats)))
        yield session.get


def by_urllib3(formats: Sequence[str], headers: dict[str, str]) -> Iterator[Get]:
    with TracedPoolManager(tracer=ClientTracer(formats=formats), headers=headers) as pool:
        yield lambda url: pool.request("GET", url)


CLIENTS = {
    "httpx": by_httpx,
    "async httpx": by_async_httpx,
    "requests": by_requests,
    "urllib3": by_urllib3,
}


@pytest.fixture(params=CLIENTS)
def get(request: pytest.FixtureRequest) -> Iterator[Get]:
    """Sends a GET by each of the clients; the caller's own header of a trace is replaced."""
    yield from CLIENTS[request.param](DEFAULT_FORMATS, {"Uber-Trace-Id": "1:1:0:0", "x-mine": "1"})


def test_a_request_has_a_span_whose_context_is_sent(
    get: Get, answering: Any, traces: CapturingTraceCollector
) -> None:
    """By OpenTelemetry's conventions; the server gets the client span as its caller."""
    with traces.root() as root:
        get(f"{answering.url}/cart?user=ada&sig=secret")
        assert root.span is not None and current.get() is root.span

    client = traces.find("GET")
    assert client.kind is SpanKind.CLIENT
    assert client.ctx.parent_span_id == traces.find("test").ctx.span_id
    size = client.metadata.pop("http.response.body.size", 5)
    assert size == 5
    assert client.metadata == {
        "http.request.method": "GET",
        "url.full": f"{answering.url}/cart?user=ada&sig=REDACTED",
        "server.address": "127.0.0.1",
        "server.port": answering.port,
        "http.response.status_code": 200,
    }
    assert client.status is SpanStatus.UNKNOWN
    (headers,) = answering.seen
    assert headers["x-mine"] == "1"
    assert {name: headers[name] for name in trace_headers(client.ctx)} == trace_headers(client.ctx)


def test_an_unsampled_trace_is_passed_on_without_a_span(
    get: Get, answering: Any, traces: CapturingTraceCollector
) -> None:
    """So that the server does not start one of its own."""
    context = SpanContext(trace_id=0xABC, span_id=0xD, collector=traces, sampled=False)
    token = current.set(context)
    try:
        get(f"{answering.url}/cart")
    finally:
        current.reset(token)

    assert not traces.spans
    assert answering.seen[0]["uber-trace-id"] == f"{0xABC:032x}:{0xD:016x}:0:0"


def test_outside_of_any_trace_nothing_is_done(get: Get, answering: Any) -> None:
    """The caller's own headers go as they are."""
    get(f"{answering.url}/cart")

    assert answering.seen[0]["uber-trace-id"] == "1:1:0:0"
    assert "traceparent" not in answering.seen[0]


def test_a_client_error_is_one_here(
    get: Get, answering: Any, traces: CapturingTraceCollector
) -> None:
    """404 and the like are errors of who asked, by the conventions."""
    with traces.root():
        get(f"{answering.url}/missing")

    client = traces.find("GET")
    assert client.status is SpanStatus.ERR
    assert client.metadata["http.response.status_code"] == 404
    assert client.metadata["error.type"] == "404"


def test_nobody_answers(get: Get, traces: CapturingTraceCollector) -> None:
    """The exception goes on as it was, and the span has it."""
    with traces.root(), pytest.raises(Exception, match="refused|attempts failed") as raised:
        get(f"http://127.0.0.1:{free_port()}/cart")

    client = traces.find("GET")
    assert client.status is SpanStatus.ERR
    assert str(client.metadata["error.type"]).endswith(raised.type.__qualname__)
    assert [event.msg for event in client.events] == ["exception"]


def test_a_redirect(get: Get, answering: Any, traces: CapturingTraceCollector) -> None:
    """A span for all of it or one for each, as the client does it; each sends its own context."""
    with traces.root():
        get(f"{answering.url}/redirect")

    spans = traces.find_all("GET")
    assert len(answering.seen) == 2
    assert len(spans) in (1, 2)
    sent = [headers["uber-trace-id"].split(":")[1] for headers in answering.seen]
    ids = [f"{span.ctx.span_id:016x}" for span in spans]
    assert sent == (ids if len(ids) == 2 else ids * 2)
    parents = {span.ctx.parent_span_id for span in spans}
    assert parents == {traces.find("test").ctx.span_id}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("formats", [("b3",), ("b3multi",), ("tracecontext",), ("jaeger", "b3")])
def test_other_formats(
    client: str, formats: tuple[str, ...], answering: Any, traces: CapturingTraceCollector
) -> None:
    """Each is read back as the span that was sent; no other is written."""
    opened = CLIENTS[client](formats, {})
    with traces.root():
        next(opened)(f"{answering.url}/cart")
    assert list(opened) == []  # which closes it

    (headers,) = answering.seen
    found = TraceHeaderParser().parse(
        [(name.encode(), text.encode()) for name, text in headers.items()]
    )
    assert found is not None and found.context is not None
    assert found.context.span_id == traces.find("GET").ctx.span_id
    assert ("uber-trace-id" in headers) is ("jaeger" in formats)
    assert ("traceparent" in headers) is ("tracecontext" in formats)


# What only some can do.


def test_urllib3_counts_what_was_tried_again(
    answering: Any, traces: CapturingTraceCollector
) -> None:
    """Two answers of 503, then a redirect: one span, sent three times after the first."""
    answering.failures = 2
    retries = urllib3.Retry(5, status_forcelist=[503], backoff_factor=0)
    with traces.root(), TracedPoolManager(retries=retries) as pool:
        assert pool.request("GET", f"{answering.url}/redirect").status == 200

    client = traces.find("GET")
    assert client.metadata["http.request.resend_count"] == 3
    assert client.status is SpanStatus.UNKNOWN


def test_requests_counts_what_was_tried_again(
    answering: Any, traces: CapturingTraceCollector
) -> None:
    """As its adapter is told."""
    answering.failures = 2
    retries = urllib3.Retry(5, status_forcelist=[503], backoff_factor=0)
    with traces.root(), requests.Session() as session:
        session.mount("http://", TracedAdapter(max_retries=retries))
        assert session.get(f"{answering.url}/cart").status_code == 200

    assert traces.find("GET").metadata["http.request.resend_count"] == 2


def test_httpx_counts_redirects_and_connections(
    answering: Any, traces: CapturingTraceCollector
) -> None:
    """What follows a redirect is the second time; connections are those of the transport."""
    steps: list[str] = []
    with traces.root():
        with httpx.Client(transport=TracedTransport(), follow_redirects=True) as client:
            extensions = {"trace": lambda event, info: steps.append(event)}
            client.get(f"{answering.url}/redirect", extensions=extensions)
        refused = TracedTransport(httpx.HTTPTransport(retries=1))
        with httpx.Client(transport=refused) as client, pytest.raises(httpx.ConnectError):
            client.get(f"http://127.0.0.1:{free_port()}/")

    counts = [span.metadata.get("http.request.resend_count") for span in traces.find_all("GET")]
    assert counts == [None, 1, 1]
    assert steps.count("http11.send_request_headers.started") == 2  # the caller's own is told, too


def test_httpx_lasts_as_long_as_the_body(answering: Any, traces: CapturingTraceCollector) -> None:
    """And has its size; a body that breaks off is an error."""
    with traces.root(), httpx.Client(transport=TracedTransport()) as client:
        with client.stream("GET", f"{answering.url}/cart") as response:
            assert not traces.find_all("GET")
            assert response.read() == b"hello"
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(f"{answering.url}/broken")

    whole, broken = traces.find_all("GET")
    assert whole.metadata["http.response.body.size"] == 5
    assert broken.status is SpanStatus.ERR
    assert broken.metadata["error.type"] == "httpx.RemoteProtocolError"


def test_async_httpx_lasts_as_long_as_the_body(
    answering: Any, traces: CapturingTraceCollector
) -> None:
    """Also if the task that reads it is cancelled."""

    async def main() -> None:
        async with httpx.AsyncClient(transport=AsyncTracedTransport()) as client:
            async with client.stream("GET", f"{answering.url}/cart") as response:
                assert not traces.find_all("GET")
                assert await response.aread() == b"hello"
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(f"{answering.url}/broken")

    with traces.root():
        asyncio.run(main())
    whole, broken = traces.find_all("GET")
    assert whole.metadata["http.response.body.size"] == 5
    assert broken.status is SpanStatus.ERR


def test_passwords_are_not_recorded(answering: Any, traces: CapturingTraceCollector) -> None:
    """Of an URL with a user in it."""
    url = f"http://ada:secret@127.0.0.1:{answering.port}/cart"
    with traces.root(), TracedPoolManager() as pool:
        pool.request("GET", url)

    shown = f"http://REDACTED:REDACTED@127.0.0.1:{answering.port}/cart"
    assert traces.find("GET").metadata["url.full"] == shown


def test_a_method_that_is_none_of_the_standard(
    answering: Any, traces: CapturingTraceCollector
) -> None:
    """Names no span: anybody could make up one."""
    with traces.root(), TracedPoolManager() as pool:
        pool.request("BREW", f"{answering.url}/pot")

    client = traces.find("HTTP")
    assert client.metadata["http.request.method"] == "_OTHER"
    assert client.metadata["http.request.method_original"] == "BREW"
    assert client.status is SpanStatus.ERR  # 501, from this server


def test_an_adapter_can_be_pickled(answering: Any, traces: CapturingTraceCollector) -> None:
    """As sessions are that go to other processes."""
    adapter = pickle.loads(pickle.dumps(TracedAdapter()))
    with traces.root(), requests.Session() as session:
        session.mount("http://", adapter)
        session.get(f"{answering.url}/cart")

    assert traces.find("GET").kind is SpanKind.CLIENT


def test_a_format_that_is_none() -> None:
    """Named at once, not at the first request."""
    with pytest.raises(ValueError, match="unknown header format 'b4'; there are jaeger, b3multi"):
        ClientTracer(formats=["b4"])


def test_what_cannot_be_traced_is_sent(
    answering: Any, traces: CapturingTraceCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong in tracing, the request does not."""
    monkeypatch.setattr("iox_otel.http.client._describe", None)
    with traces.root(), TracedPoolManager() as pool:
        assert pool.request("GET", f"{answering.url}/cart").status == 200
