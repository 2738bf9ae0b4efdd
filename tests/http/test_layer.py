"""Tests of when TraceLayer opens a span, and what it hands on."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from iox_otel import Span, SpanContext, SpanKind, _report, current
from iox_otel.http import Extracted, TraceLayer, request_log_context, span_context

TRACE_ID = 0x4BF92F3577B34DA6A3CE929D0E0E4736
SPAN_ID = 0x00F067AA0BA902B7
SAMPLED = (b"uber-trace-id", f"{TRACE_ID:032x}:{SPAN_ID:016x}:0:1".encode())
UNSAMPLED = (b"uber-trace-id", f"{TRACE_ID:032x}:{SPAN_ID:016x}:0:0".encode())
DEBUG_ID = (b"jaeger-debug-id", b"tracing-is-a-great-idea")


class Spy:
    """An application that answers 200 and notes what it found."""

    def __init__(self) -> None:
        self.calls = 0
        self.span_context: SpanContext | None = None
        self.log_context: SpanContext | None = None
        self.current: object = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        self.span_context = span_context(scope)
        self.log_context = request_log_context(scope)
        self.current = current.get()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})


def test_a_sampled_request_is_one_span(bench: Any) -> None:
    """The span hangs under the caller's, is named as given and described as OpenTelemetry does."""
    bench.run(Spy(), headers=[SAMPLED], path="/api/v3/query_sql", query_string=b"q=secret")

    assert bench.collector.tree() == (
        "IOx http [ok] http.request.method=GET url.path=/api/v3/query_sql url.scheme=http "
        "http.response.status_code=200\n"
        "  * request processed\n"
        "  * returned body data and no trailers size=5"
    )
    span = bench.collector.find("IOx http")
    assert span.kind is SpanKind.SERVER
    assert (span.ctx.trace_id, span.ctx.parent_span_id) == (TRACE_ID, SPAN_ID)
    assert span.ctx.parent_is_remote
    assert span.start_ns <= span.events[0].time_ns <= span.events[1].time_ns <= span.end_ns


def test_the_application_finds_both_contexts(bench: Any) -> None:
    """`span_context` is the new span's, `request_log_context` the caller's; `current` the span."""
    app = Spy()

    bench.run(app, headers=[SAMPLED])

    span = bench.collector.find("IOx http")
    assert app.span_context is span.ctx
    assert app.current is span
    assert app.log_context is not None
    assert app.log_context.span_id == SPAN_ID
    assert app.log_context.collector is bench.collector


def test_current_is_as_before_after_the_request(bench: Any) -> None:
    """The layer resets what it set, also when the application fails."""

    async def fail(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("no")

    async def main() -> None:
        before = object()
        current.set(before)
        await bench.serve(bench.layer(Spy()))
        assert current.get() is before
        with pytest.raises(ValueError, match="no"):
            await bench.serve(bench.layer(fail))
        assert current.get() is before

    asyncio.run(main())


def test_an_unsampled_request_has_its_context_and_no_span(bench: Any) -> None:
    """Nothing is recorded, but log lines and other instrumentation see where it belongs."""
    app = Spy()

    sent = bench.run(app, headers=[UNSAMPLED])

    assert bench.collector.spans == []
    assert app.span_context is None
    assert app.log_context is not None
    assert app.log_context.trace_id == TRACE_ID
    assert app.current is app.log_context
    assert sent[0]["headers"] == []


def test_without_a_collector_nothing_is_opened(bench: Any) -> None:
    """The incoming context is still there for log lines."""
    app = Spy()

    sent = bench.run(app, headers=[SAMPLED], layer={"collector": None})

    assert app.span_context is None
    assert app.log_context is not None
    assert sent[0]["headers"] == []


def test_a_debug_id_alone_without_a_collector_is_nothing(bench: Any) -> None:
    """There is no trace that log lines could belong to."""
    app = Spy()

    bench.run(app, headers=[DEBUG_ID], layer={"collector": None})

    assert (app.span_context, app.log_context, app.current) == (None, None, None)


def test_a_request_without_trace_headers_goes_straight_to_the_application(bench: Any) -> None:
    """The application gets the server's own receive and send, and there is nothing to record."""
    found: list[object] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.extend((receive, send, span_context(scope), request_log_context(scope)))

    async def receive() -> Any:
        raise AssertionError

    async def send(message: Any) -> None:
        raise AssertionError

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"accept", b"*/*")]}
    asyncio.run(bench.layer(app)(scope, receive, send))

    assert found == [receive, send, None, None]
    assert bench.collector.spans == []


def test_a_debug_id_alone_starts_a_trace_at_this_span(bench: Any) -> None:
    """The span is the real root, sampled and debug, and can be found by the text."""
    app = Spy()

    bench.run(app, headers=[DEBUG_ID])

    span = bench.collector.find("IOx http")
    assert span.ctx.parent_span_id is None
    assert not span.ctx.parent_is_remote
    assert span.ctx.debug
    assert span.metadata["jaeger-debug-id"] == "tracing-is-a-great-idea"
    assert app.span_context is app.log_context is span.ctx
    assert app.current is span


def test_a_debug_id_beside_an_unsampled_context_samples_it(bench: Any) -> None:
    """The trace goes on, as a debug trace, with the text on this span."""
    bench.run(Spy(), headers=[UNSAMPLED, DEBUG_ID])

    span = bench.collector.find("IOx http")
    assert (span.ctx.trace_id, span.ctx.parent_span_id) == (TRACE_ID, SPAN_ID)
    assert span.ctx.debug
    assert span.metadata["jaeger-debug-id"] == "tracing-is-a-great-idea"


def test_children_of_the_request_are_collected(bench: Any) -> None:
    """The reference's example: work recorded under the request's span, in one trace."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        ctx = span_context(scope)
        assert ctx is not None
        with ctx.recorder("foo") as recorder:
            recorder.set_metadata("rows", 3)
        await Spy()(scope, receive, send)

    bench.run(app)

    assert "\n  foo rows=3" in bench.collector.tree()
    assert bench.collector.find("foo").ctx.parent_span_id == (
        bench.collector.find("IOx http").ctx.span_id
    )


def test_a_malformed_header_is_logged_and_counted_and_served(
    bench: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client gets its answer; the operator one line, and a number."""
    monkeypatch.setattr(_report, "_last_ns", {})
    app = Spy()
    layer = bench.layer(app)

    async def main() -> None:
        for _ in range(3):
            await bench.serve(layer, headers=[(b"uber-trace-id", b"nonsense")])

    with caplog.at_level(logging.WARNING, "iox_otel"):
        asyncio.run(main())

    assert app.calls == 3
    assert layer.header_errors == 3
    assert bench.collector.spans == []
    assert (app.span_context, app.log_context, app.current) == (None, None, None)
    assert caplog.messages == [
        "error extracting trace context from request: error decoding header 'uber-trace-id': "
        'Expected "trace-id:span-id:parent-span-id:flags"'
    ]
    assert not caplog.records[0].exc_info  # the client's fault, and no traceback of ours


def test_a_debug_id_beside_a_malformed_header_starts_a_trace(bench: Any) -> None:
    """The caller's context is lost and counted; the wish to see this request is plain."""
    layer = bench.layer(Spy())
    headers = [(b"uber-trace-id", b"nonsense"), (b"jaeger-debug-id", b"why")]

    asyncio.run(bench.serve(layer, headers=headers))

    span = bench.collector.find("IOx http")
    assert span.ctx.parent_span_id is None and span.ctx.debug
    assert span.metadata["jaeger-debug-id"] == "why"
    assert layer.header_errors == 1


class _Parser:
    """A parser that does as it is told."""

    def __init__(self, outcome: Any, header_names: frozenset[bytes] | None = None) -> None:
        self.header_names = header_names
        self.outcome = outcome
        self.calls: list[tuple[list[tuple[bytes, bytes]], str | None]] = []

    def parse(self, headers: Any, *, peer: str | None = None) -> Extracted | None:
        """Return or raise the outcome."""
        self.calls.append((headers, peer))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome  # type: ignore[no-any-return]


@pytest.mark.parametrize("outcome", [RuntimeError("broken"), "nonsense", 3])
def test_a_broken_parser_breaks_no_request(bench: Any, outcome: object) -> None:
    """Whatever a user's parser does, the request is served."""
    app = Spy()
    layer = bench.layer(app, header_parser=_Parser(outcome))

    asyncio.run(bench.serve(layer))

    assert app.calls == 1
    assert layer.header_errors == 1


def test_a_parser_may_ask_for_every_request(bench: Any) -> None:
    """With `header_names` None each request is parsed, and the parser learns who is calling."""
    parser = _Parser(Extracted(None, "x"))

    bench.run(Spy(), headers=[], client=("192.0.2.7", 4711), layer={"header_parser": parser})

    assert parser.calls == [([], "192.0.2.7")]
    assert bench.collector.find("IOx http").metadata["jaeger-debug-id"] == "x"


def test_a_parser_is_not_asked_without_its_headers(bench: Any) -> None:
    """A request with none of `header_names` costs no parsing."""
    parser = _Parser(None, frozenset((b"x-trace",)))

    bench.run(Spy(), headers=[SAMPLED], layer={"header_parser": parser})
    bench.run(Spy(), headers=[(b"x-trace", b"1")], layer={"header_parser": parser})

    assert parser.calls == [([(b"x-trace", b"1")], None)]


def test_an_empty_finding_is_no_context(bench: Any) -> None:
    """A parser that found neither context nor debug id found nothing."""
    app = Spy()

    bench.run(app, layer={"header_parser": _Parser(Extracted(None, None))})

    assert (app.span_context, app.log_context) == (None, None)
    assert bench.collector.spans == []


def test_a_layer_inside_another_passes_through(bench: Any) -> None:
    """One request is one span, traced or failed or excluded by the outer layer."""
    inner = bench.layer(Spy(), name="inner")

    bench.run(inner)
    bench.run(inner, headers=[(b"uber-trace-id", b"nonsense")])

    assert [span.name for span in bench.collector.spans] == ["IOx http"]
    assert inner.header_errors == 0


@pytest.mark.parametrize("kind", ["lifespan", "other"])
def test_other_scopes_pass_through(bench: Any, kind: str) -> None:
    """Only requests and websockets are traced; the rest is served as if there were no layer."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])
        await send(await receive())

    sent = bench.run(app, type=kind, receives=[{"type": f"{kind}.hello"}])

    assert seen == [kind]
    assert sent == [{"type": f"{kind}.hello"}]
    assert bench.collector.spans == []


@pytest.mark.parametrize(
    ("path", "traced"),
    [
        ("/health", False),
        ("/health/", True),
        ("/healthy", True),
        ("/static/app.js", False),
        ("/static", True),
        ("/", True),
    ],
)
def test_excluded_paths_are_not_traced(bench: Any, path: str, traced: bool) -> None:
    """A path is excluded when it is equal, or begins so if the entry ends in a star."""
    app = Spy()

    bench.run(app, path=path, layer={"exclude": ["/health", "/static/*"]})

    assert app.calls == 1
    assert bool(bench.collector.spans) is traced


@pytest.mark.parametrize("exclude", ["/health", ["/health", b"/ping"], [None]])
def test_an_exclude_that_is_no_collection_of_paths_is_refused(bench: Any, exclude: Any) -> None:
    """One text would be taken for its characters."""
    with pytest.raises(ValueError, match="exclude must be a collection of paths, got"):
        bench.layer(Spy(), exclude=exclude)


def test_awkward_requests_are_described(bench: Any) -> None:
    """Undecodable paths, unknown and endless methods, missing schemes."""
    scope = {"path": "/caf\u00e9/\udcff", "method": "BREW" * 100, "scheme": "https"}

    bench.run(Spy(), **scope)

    metadata = bench.collector.find("IOx http").metadata
    assert metadata["url.path"] == "/caf\u00e9/?"
    assert metadata["http.request.method"] == ("BREW" * 100)[:64]
    assert metadata["url.scheme"] == "https"


def test_a_scope_that_is_broken_is_served(bench: Any) -> None:
    """What the layer cannot read it leaves to the application."""
    app = Spy()
    layer = bench.layer(app)

    asyncio.run(bench.serve(layer, headers=[SAMPLED], method=None))
    asyncio.run(bench.serve(layer, headers=[(b"one",)]))

    assert app.calls == 2
    assert bench.collector.spans == []


def test_concurrent_requests_share_nothing(bench: Any) -> None:
    """Thirty requests under way at once: each sees its own contexts, and each span is its own."""
    count = 30

    async def main() -> None:
        waiting = 0
        everybody_is_here = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            nonlocal waiting
            number = int(scope["path"][1:])
            waiting += 1
            if waiting == count:
                everybody_is_here.set()
            await everybody_is_here.wait()
            ctx = span_context(scope)
            assert ctx is not None
            assert ctx.trace_id == number + 1
            span = current.get()
            assert isinstance(span, Span)
            assert span.ctx is ctx
            with ctx.recorder(f"work {number}"):
                await asyncio.sleep(0)
                status = 200 if number % 2 else 404
                await send({"type": "http.response.start", "status": status, "headers": []})
                await asyncio.sleep(0)
                await send({"type": "http.response.body", "body": b"x" * number})

        layer = bench.layer(app)

        async def request(number: int) -> None:
            sent: list[Any] = []

            async def receive() -> Any:
                raise AssertionError

            async def send(message: Any) -> None:
                await asyncio.sleep(0)
                sent.append(message)

            scope = {
                "type": "http",
                "method": "GET",
                "path": f"/{number}",
                "headers": [(b"uber-trace-id", f"{number + 1:x}:{number + 1:x}:0:1".encode())],
            }
            await layer(scope, receive, send)
            assert sent[0]["headers"] == [(b"trace-id", b"%032x" % (number + 1))]
            assert current.get() is None

        await asyncio.gather(*(request(number) for number in range(count)))

    asyncio.run(asyncio.wait_for(main(), 30))

    spans = bench.collector.find_all("IOx http")
    assert len(spans) == count
    for span in spans:
        number = span.ctx.trace_id - 1
        work = bench.collector.find(f"work {number}")
        assert span.ctx.parent_span_id == number + 1
        assert work.ctx.trace_id == span.ctx.trace_id
        assert work.ctx.parent_span_id == span.ctx.span_id
        assert span.metadata["url.path"] == f"/{number}"
        assert span.metadata["http.response.status_code"] == (200 if number % 2 else 404)


def test_the_layer_is_an_asgi_3_application_by_inspection() -> None:
    """Servers tell ASGI 2 from 3 by whether `__call__` is a coroutine function."""
    assert asyncio.iscoroutinefunction(TraceLayer.__call__)
