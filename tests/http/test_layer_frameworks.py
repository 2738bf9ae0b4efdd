"""Tests of TraceLayer around and inside Starlette and FastAPI applications."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request as StarletteRequest
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

from iox_otel import Span, SpanStatus, current
from iox_otel.http import TraceLayer, request_log_context, span_context
from iox_otel.testing import CapturingTraceCollector

HEADERS = {"uber-trace-id": "4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0:1"}
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(name="collector")
def _collector() -> CapturingTraceCollector:
    return CapturingTraceCollector()


def client_of(app: Any, collector: CapturingTraceCollector, **options: Any) -> TestClient:
    """Return a client that sends sampled requests to *app*, with a layer around the whole."""
    layer = TraceLayer(app, collector=collector, name="IOx http", **options)
    return TestClient(layer, headers=HEADERS, raise_server_exceptions=False)


def record_foo(request: StarletteRequest) -> None:
    """Do some work under the span of *request*."""
    ctx = span_context(request)
    assert ctx is not None
    with ctx.recorder("foo") as recorder:
        recorder.ok()


async def item(request: StarletteRequest) -> Response:
    """Answer with the id of the item."""
    record_foo(request)
    return PlainTextResponse(str(request.path_params["id"]))


def test_a_starlette_route_is_named_in_the_span(collector: CapturingTraceCollector) -> None:
    """The whole trace of a request to a Starlette application, with the route's template."""
    client = client_of(Starlette(routes=[Route("/items/{id:int}", item)]), collector)

    response = client.get("/items/7?token=secret")

    assert (response.text, response.headers["trace-id"]) == ("7", TRACE_ID)
    assert collector.tree() == (
        "IOx http [ok] http.request.method=GET url.path=/items/7 url.scheme=http "
        "http.response.status_code=200 http.route=/items/{id}\n"
        "  * request processed\n"
        "  * returned body data and no trailers size=1\n"
        "  foo [ok]"
    )


def test_the_layer_may_be_starlettes_middleware(collector: CapturingTraceCollector) -> None:
    """In `middleware=[…]` it stands inside the page for errors, and sees the exception itself."""

    async def fail(request: StarletteRequest) -> Response:
        raise LookupError("no such shard")

    app = Starlette(
        routes=[Route("/items/{id}", item), Route("/fail", fail)],
        middleware=[Middleware(TraceLayer, collector=collector, name="IOx http")],
    )
    client = TestClient(app, headers=HEADERS, raise_server_exceptions=False)

    assert client.get("/items/7").headers["trace-id"] == TRACE_ID
    assert client.get("/fail").status_code == 500

    ok, failed = collector.find_all("IOx http")
    assert ok.metadata["http.route"] == "/items/{id}"
    assert failed.status is SpanStatus.ERR
    assert failed.metadata["error.type"] == "LookupError"


def test_an_unhandled_exception_has_status_code_and_trace_id(
    collector: CapturingTraceCollector,
) -> None:
    """Around the whole application: the error page carries the trace id, the span both reasons."""

    async def fail(request: StarletteRequest) -> Response:
        raise LookupError("no such shard")

    app = Starlette(routes=[Route("/fail", fail)])
    response = client_of(app, collector).get("/fail")

    assert (response.status_code, response.headers["trace-id"]) == (500, TRACE_ID)
    span = collector.find("IOx http")
    assert span.status is SpanStatus.ERR
    assert span.metadata["http.response.status_code"] == 500
    assert span.metadata["error.type"] == "LookupError"
    assert span.events[-1].metadata["exception.message"] == "no such shard"
    with pytest.raises(LookupError, match="no such shard"):
        TestClient(TraceLayer(app, collector=collector, name="again"), headers=HEADERS).get("/fail")


def test_not_found_and_not_allowed(collector: CapturingTraceCollector) -> None:
    """What no route serves has no route; a wrong method has."""
    client = client_of(Starlette(routes=[Route("/items/{id}", item)]), collector)

    client.get("/nowhere")
    client.delete("/items/7")

    not_found, not_allowed = collector.find_all("IOx http")
    assert "http.route" not in not_found.metadata
    assert not_found.events[0].msg == "not found"
    assert not_allowed.metadata["http.route"] == "/items/{id}"
    assert not_allowed.events[0].msg == "method not allowed"


def test_mounted_applications_share_the_request_span(
    collector: CapturingTraceCollector, tmp_path: Path
) -> None:
    """Mounts, mounts with parameters, applications with layers of their own, and files."""
    (tmp_path / "a.txt").write_text("hello")
    inner = Starlette(
        routes=[Route("/items/{id:int}", item)],
        middleware=[Middleware(TraceLayer, collector=collector, name="inner")],
    )
    app = Starlette(
        routes=[
            Mount("/sub", app=inner),
            Mount("/of/{tenant}", routes=[Route("/items/{id}", item)]),
            Mount("/static", app=StaticFiles(directory=tmp_path)),
        ]
    )
    client = client_of(app, collector)

    for path in ("/sub/items/7", "/of/acme/items/7", "/static/a.txt", "/sub/nowhere"):
        assert client.get(path).headers["trace-id"] == TRACE_ID

    assert [span.metadata["http.route"] for span in collector.find_all("IOx http")] == [
        "/sub/items/{id}",
        "/of/{tenant}/items/{id}",
        "/static/{path}",
        "/sub/{path}",
    ]
    assert collector.find_all("inner") == []
    assert len(collector.find_all("foo")) == 2


def test_the_root_path_of_a_proxy_is_part_of_the_route(
    collector: CapturingTraceCollector,
) -> None:
    """The route is what the client sees, as `url.path` is."""
    layer = TraceLayer(
        Starlette(routes=[Mount("/sub", routes=[Route("/{id}", item)])]),
        collector=collector,
        name="IOx http",
    )
    client = TestClient(layer, headers=HEADERS, root_path="/proxy")

    assert client.get("/proxy/sub/7").status_code == 200

    assert collector.find("IOx http").metadata["http.route"] == "/proxy/sub/{id}"


def test_contexts_reach_through_http_middleware(collector: CapturingTraceCollector) -> None:
    """`BaseHTTPMiddleware` runs the application in another task; both sides see the contexts."""
    seen: list[object] = []

    class Look(BaseHTTPMiddleware):
        async def dispatch(
            self, request: StarletteRequest, call_next: RequestResponseEndpoint
        ) -> Response:
            seen.append(span_context(request))
            return await call_next(request)

    def sync_endpoint(request: StarletteRequest) -> Response:
        log_context = request_log_context(request)
        assert log_context is not None
        assert f"{log_context.trace_id:032x}" == TRACE_ID
        span = current.get()
        assert isinstance(span, Span)
        seen.extend((span_context(request), span.ctx))
        return PlainTextResponse("x")

    app = Starlette(routes=[Route("/", sync_endpoint)], middleware=[Middleware(Look)])
    assert client_of(app, collector).get("/").status_code == 200

    span = collector.find("IOx http")
    assert [each is span.ctx for each in seen] == [True, True, True]
    assert span.status is SpanStatus.OK


class PassOn(BaseHTTPMiddleware):
    """Does nothing but what that class does by itself."""

    async def dispatch(
        self, request: StarletteRequest, call_next: RequestResponseEndpoint
    ) -> Response:
        return await call_next(request)


@pytest.mark.parametrize("middleware", [[], [Middleware(PassOn)], [Middleware(GZipMiddleware)]])
def test_a_stream_that_fails_is_an_error(
    collector: CapturingTraceCollector, middleware: list[Middleware]
) -> None:
    """Also behind middleware that ends the body properly before it lets the exception go."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        raise LookupError("no such shard")

    async def stream(request: StarletteRequest) -> Response:
        return StreamingResponse(pieces())

    app = Starlette(routes=[Route("/", stream)], middleware=middleware)
    with pytest.raises(LookupError):
        TestClient(TraceLayer(app, collector=collector, name="IOx http"), headers=HEADERS).get("/")

    span = collector.find("IOx http")
    assert span.status is SpanStatus.ERR
    assert span.metadata["error.type"] == "LookupError"


def test_streams_files_and_background_tasks(
    collector: CapturingTraceCollector, tmp_path: Path
) -> None:
    """The bodies arrive unchanged; the span is done before the background task is."""
    file = tmp_path / "a.bin"
    file.write_bytes(b"x" * 200_000)
    done: list[int] = []

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"%d" % number

    async def stream(request: StarletteRequest) -> Response:
        return StreamingResponse(pieces())

    async def download(request: StarletteRequest) -> Response:
        return FileResponse(file)

    async def later(request: StarletteRequest) -> Response:
        def look() -> None:
            done.append(len(collector.find_all("IOx http")))

        return PlainTextResponse("ok", background=BackgroundTask(look))

    client = client_of(
        Starlette(
            routes=[Route("/stream", stream), Route("/file", download), Route("/later", later)]
        ),
        collector,
    )

    assert client.get("/stream").text == "012"
    assert client.get("/file").content == file.read_bytes()
    assert client.head("/file").headers["content-length"] == "200000"
    assert client.get("/later").text == "ok"

    assert done == [4]
    stream_span, file_span, head_span, _ = collector.find_all("IOx http")
    assert stream_span.events[-1].metadata == {"size": 0, "total_size": 3, "chunks": 3}
    assert file_span.events[-1].metadata["total_size"] == 200_000
    assert [event.msg for event in head_span.events] == ["request processed with empty response"]
    assert all(span.status is SpanStatus.OK for span in collector.find_all("IOx http"))


def test_a_lifespan_runs_through_the_layer(collector: CapturingTraceCollector) -> None:
    """Start and end of the application happen, with its state; a plain collector needs no flush."""
    seen: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
        seen.append("started")
        yield {"key": "value"}
        seen.append("ended")

    async def state(request: StarletteRequest) -> Response:
        return PlainTextResponse(request.state.key)

    app = Starlette(routes=[Route("/", state)], lifespan=lifespan)
    with client_of(app, collector) as client:
        assert client.get("/").text == "value"

    assert seen == ["started", "ended"]


def traced(request: Request) -> str:
    """A dependency that does work under the span of the request."""
    record_foo(request)
    return "dependency"


def test_a_fastapi_application(collector: CapturingTraceCollector) -> None:
    """Dependencies see the span, routes of included routers have their whole template."""
    inner = APIRouter(prefix="/inner")
    outer = APIRouter(prefix="/outer")
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def direct(item_id: int, word: Annotated[str, Depends(traced)]) -> dict[str, Any]:
        return {"id": item_id, "word": word}

    @inner.get("/items/{item_id}")
    def included(item_id: int, word: Annotated[str, Depends(traced)]) -> dict[str, Any]:
        return {"id": item_id, "word": word}

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418)

    sub = FastAPI()

    @sub.get("/items/{item_id}")
    async def mounted(item_id: int) -> int:
        return item_id

    outer.include_router(inner)
    app.include_router(outer, prefix="/api")
    app.mount("/sub", sub)
    client = client_of(app, collector)

    assert client.get("/items/7").json() == {"id": 7, "word": "dependency"}
    assert client.get("/api/outer/inner/items/7").json() == {"id": 7, "word": "dependency"}
    assert client.get("/sub/items/7").json() == 7
    assert client.get("/items/seven").status_code == 422
    assert client.get("/teapot").status_code == 418

    spans = collector.find_all("IOx http")
    assert [span.metadata["http.route"] for span in spans] == [
        "/items/{item_id}",
        "/api/outer/inner/items/{item_id}",
        "/sub/items/{item_id}",
        "/items/{item_id}",
        "/teapot",
    ]
    assert [span.events[0].msg for span in spans[3:]] == [
        "unexpected 4XX status code: 422 Unprocessable Entity",
        "unexpected 4XX status code: 418 I'm a teapot",
    ]
    assert len(collector.find_all("foo")) == 3


def test_the_layer_may_be_fastapis_middleware(collector: CapturingTraceCollector) -> None:
    """`add_middleware` takes it as it is."""
    app = FastAPI()
    app.add_middleware(TraceLayer, collector=collector, name="IOx http")

    @app.get("/")
    async def root() -> str:
        return "hello"

    assert TestClient(app, headers=HEADERS).get("/").headers["trace-id"] == TRACE_ID
    assert collector.find("IOx http").metadata["http.route"] == "/"


def test_metrics_go_by_the_route(collector: CapturingTraceCollector) -> None:
    """Ids in paths make no label each, as long as a router knows the template."""
    paths: list[str | None] = []

    class Metrics:
        def request_ended(self, *, path: str | None, **request: Any) -> None:
            paths.append(path)

    client = client_of(Starlette(routes=[Route("/items/{id}", item)]), collector, metrics=Metrics())
    for number in range(3):
        client.get(f"/items/{number}")
    client.get("/nowhere")

    assert paths == ["/items/{id}"] * 3 + [None]
