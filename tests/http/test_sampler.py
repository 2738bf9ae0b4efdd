"""What a sampler may say about a request, and what `TraceLayer` makes of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from iox_otel import Span, SpanContext, SpanKind, _report, current, failures
from iox_otel.http import TraceLayer, request_log_context, span_context

TRACE_ID = 0x4BF92F3577B34DA6A3CE929D0E0E4736
SAMPLED = (b"uber-trace-id", f"{TRACE_ID:032x}:00f067aa0ba902b7:0:1".encode())
UNSAMPLED = (b"uber-trace-id", f"{TRACE_ID:032x}:00f067aa0ba902b7:0:0".encode())
DEBUG = (b"uber-trace-id", f"{TRACE_ID:032x}:00f067aa0ba902b7:0:3".encode())
MALFORMED = (b"uber-trace-id", b"nonsense")
DEBUG_ID = (b"jaeger-debug-id", b"me")


@pytest.fixture(autouse=True)
def reports_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test has reported is news for the next."""
    for counted in ("_last_ns", "_said", "_steps"):
        monkeypatch.setattr(_report, counted, {})


class Saying:
    """A sampler that says what it is told to, and notes what it was asked."""

    def __init__(self, answer: bool | Callable[[Span], bool]) -> None:
        self._answer = answer
        self.asked: list[tuple[Span, SpanContext | None]] = []

    def sample(self, span: Span, parent: SpanContext | None) -> bool:
        self.asked.append((span, parent))
        return self._answer if isinstance(self._answer, bool) else self._answer(span)


class Spy:
    """An application that answers 200 and notes what it found."""

    span_context: SpanContext | None = None
    log_context: SpanContext | None = None
    current: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.span_context = span_context(scope)
        self.log_context = request_log_context(scope)
        self.current = current.get()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})


def test_a_request_without_context_becomes_a_root(bench: Any) -> None:
    """The span has no parent, and the sampler saw it as it is described."""
    sampler, app = Saying(True), Spy()
    sent = bench.run(app, headers=[], path="/a", layer={"sampler": sampler})

    ((asked, parent),) = sampler.asked
    span = bench.collector.find("IOx http")
    assert parent is None
    assert asked is span
    assert span.kind is SpanKind.SERVER
    assert (span.ctx.parent_span_id, span.ctx.sampled, span.ctx.debug) == (None, True, False)
    assert span.ctx.random_trace_id
    assert span.metadata["url.path"] == "/a"
    assert app.span_context is span.ctx
    assert app.log_context is span.ctx
    assert app.current is span
    assert sent[0]["headers"] == [(b"trace-id", f"{span.ctx.trace_id:032x}".encode())]


def test_the_description_is_there_when_the_sampler_is_asked(bench: Any) -> None:
    """It may go by path and method, and leave metadata and a trace state."""

    def answer(span: Span) -> bool:
        span.set_metadata("why", "path")
        span.ctx.trace_state = "iox=1"
        return span.metadata["url.path"] == "/a" and span.metadata["http.request.method"] == "GET"

    sampler = Saying(answer)
    bench.run(Spy(), headers=[], path="/b", layer={"sampler": sampler})
    assert bench.collector.spans == []
    app = Spy()
    bench.run(app, headers=[], path="/a", layer={"sampler": sampler})

    assert bench.collector.find("IOx http").metadata["why"] == "path"
    assert app.span_context is not None
    assert app.span_context.child("below").ctx.trace_state == "iox=1"


def test_a_request_that_is_not_wanted_has_an_unsampled_context(bench: Any) -> None:
    """So that what it calls does not begin a trace in the middle; the response says nothing."""
    app = Spy()
    sent = bench.run(app, headers=[], layer={"sampler": Saying(False)})

    assert bench.collector.spans == []
    assert app.span_context is None
    assert app.log_context is not None
    assert app.current is app.log_context
    assert not app.log_context.sampled
    assert app.log_context.parent_span_id is None
    assert sent[0]["headers"] == []
    with app.log_context.recorder("below"):
        pass
    assert bench.collector.spans == []
    assert current.get() is None


@pytest.mark.parametrize("header", [SAMPLED, UNSAMPLED])
@pytest.mark.parametrize("wanted", [True, False])
def test_it_may_overrule_the_headers(bench: Any, header: tuple[bytes, bytes], wanted: bool) -> None:
    """The ids stay the caller's; what is called in turn hears of the decision."""
    sampler, app = Saying(wanted), Spy()
    bench.run(app, headers=[header], layer={"sampler": sampler})

    ((_, parent),) = sampler.asked
    assert parent is not None
    assert parent.trace_id == TRACE_ID
    assert app.log_context is parent
    assert len(bench.collector.spans) == wanted
    if wanted:
        span = bench.collector.find("IOx http")
        assert (span.ctx.trace_id, span.ctx.parent_span_id) == (TRACE_ID, parent.span_id)
        assert span.ctx.sampled
        assert span.ctx.parent_is_remote
    else:
        assert app.current is parent
        assert not parent.sampled


def test_the_trace_state_of_a_no_goes_on(bench: Any) -> None:
    """As OpenTelemetry's samplers may change it whatever they decide."""

    def answer(span: Span) -> bool:
        span.ctx.trace_state = "iox=no"
        return False

    app = Spy()
    bench.run(app, headers=[SAMPLED], layer={"sampler": Saying(answer)})
    assert app.current.trace_state == "iox=no"


@pytest.mark.parametrize(
    "headers", [[DEBUG], [DEBUG_ID], [UNSAMPLED, DEBUG_ID], [MALFORMED, DEBUG_ID]]
)
def test_debug_is_traced_in_any_case(bench: Any, headers: list[tuple[bytes, bytes]]) -> None:
    """Who asks for this one request gets it; the sampler is not asked."""
    sampler = Saying(False)
    bench.run(Spy(), headers=headers, layer={"sampler": sampler})

    assert bench.collector.find("IOx http").ctx.debug
    assert sampler.asked == []


def test_a_malformed_header_is_none(bench: Any) -> None:
    """The trace begins anew, as W3C has it, and the error is counted as ever."""
    sampler = Saying(True)
    layer = bench.layer(Spy(), sampler=sampler)
    asyncio.run(bench.serve(layer, headers=[MALFORMED]))

    assert bench.collector.find("IOx http").ctx.parent_span_id is None
    assert layer.header_errors == 1


def test_without_a_collector_it_is_not_asked(bench: Any) -> None:
    """Nobody would take the spans."""
    sampler, app = Saying(True), Spy()
    bench.run(app, headers=[], layer={"sampler": sampler, "collector": None})

    assert sampler.asked == []
    assert app.current is None


def test_an_inner_layer_does_not_ask_again(bench: Any) -> None:
    """One request is one decision."""
    sampler = Saying(True)
    inner = bench.layer(Spy(), sampler=sampler, name="inner")
    bench.run(inner, headers=[], layer={"sampler": sampler})

    assert [span.name for span in bench.collector.spans] == ["IOx http"]
    assert len(sampler.asked) == 1


class Attached:
    """What OpenTelemetry's runtime context keeps in `current`, see the bridge."""

    def __init__(self, ctx: SpanContext | None) -> None:
        self.ctx = ctx


@pytest.mark.parametrize("sampled", [True, False, None])
def test_what_opentelemetry_decided_before_stays(bench: Any, sampled: bool | None) -> None:
    """A middleware of its own outside of the layer; without a span it has decided nothing."""
    sampler, app = Saying(True), Spy()
    ctx = None if sampled is None else SpanContext(trace_id=7, span_id=8, sampled=sampled)
    token = current.set(Attached(ctx))
    try:
        bench.run(app, headers=[], layer={"sampler": sampler})
    finally:
        current.reset(token)

    assert len(sampler.asked) == (sampled is None)
    assert len(bench.collector.spans) == (sampled is not False)
    if sampled:
        assert bench.collector.find("IOx http").ctx.parent_span_id == 8


def test_a_span_of_the_caller_in_this_process_decides_nothing(bench: Any) -> None:
    """As where a test calls the application: what it sends along counts, and that is nothing."""
    sampler = Saying(True)
    token = current.set(SpanContext(trace_id=7, span_id=8, sampled=False))
    try:
        bench.run(Spy(), headers=[], layer={"sampler": sampler})
    finally:
        current.reset(token)
    assert len(sampler.asked) == 1


def test_excluded_paths_begin_no_trace(bench: Any) -> None:
    """Nor does what is instrumented in them: their context is unsampled while they are served."""
    sampler, app = Saying(True), Spy()
    bench.run(app, headers=[], path="/health", layer={"sampler": sampler, "exclude": ["/health"]})

    assert sampler.asked == []
    assert bench.collector.spans == []
    assert not app.current.sampled
    assert app.log_context is None
    assert current.get() is None


def test_a_sampler_that_raises_leaves_it_to_the_headers(
    bench: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The request is served in any case, and the failure is counted."""

    def fail(span: Span) -> bool:
        raise ZeroDivisionError("no")

    message = "the sampler raised, a request was traced as its headers say"
    with caplog.at_level(logging.WARNING, "iox_otel"):
        for headers in ([], [SAMPLED], [UNSAMPLED]):
            sent = bench.run(Spy(), headers=headers, layer={"sampler": Saying(fail)})
            assert sent[0]["status"] == 200

    assert len(bench.collector.spans) == 1
    assert failures() == {message: 3}


def test_websockets_are_asked_about_and_lifespans_are_not(bench: Any) -> None:
    """A session is a request like any other, also where it is excluded."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(current.get())

    async def serve(kind: str, path: str) -> None:
        scope: dict[str, Any] = {"type": kind, "path": path, "headers": []}
        await layer(scope, None, None)  # type: ignore[arg-type]

    sampler = Saying(True)
    layer = TraceLayer(app, collector=bench.collector, name="x", sampler=sampler, exclude=["/no"])
    for kind, path in (("websocket", "/"), ("websocket", "/no"), ("lifespan", "/")):
        asyncio.run(serve(kind, path))

    of_session, of_excluded, of_lifespan = seen
    assert [span for span, _ in sampler.asked] == [of_session] == bench.collector.spans
    assert not of_excluded.sampled
    assert of_lifespan is None
