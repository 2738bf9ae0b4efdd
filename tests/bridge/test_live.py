"""LiveSpan: what OpenTelemetry's API does to a native span, by the API's own rules."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Status, StatusCode

from iox_otel import Span, SpanKind, SpanRecorder, SpanStatus
from iox_otel_bridge.live import LiveSpan
from iox_otel_bridge.remote import is_debug


@pytest.fixture
def native() -> Span:
    span = Span.root("work", None)
    span.start_ns = 1
    return span


def test_it_has_the_identity_of_the_native_span(native: Span) -> None:
    """Ids, flags, parent and names, as the SDK's spans have them."""
    live = LiveSpan(native)
    context = live.get_span_context()

    assert (context.trace_id, context.span_id) == (native.ctx.trace_id, native.ctx.span_id)
    assert context.trace_flags.sampled and context.trace_flags.random_trace_id
    assert not context.is_remote
    assert live.context is context
    assert live.parent is None
    assert (live.name, live.kind, live.start_time) == ("work", trace.SpanKind.INTERNAL, 1)

    child = native.child("child")
    child.kind = SpanKind.CLIENT
    parent = LiveSpan(child).parent
    assert parent is not None and parent.span_id == native.ctx.span_id
    assert LiveSpan(child).kind is trace.SpanKind.CLIENT


def test_a_debug_trace_stays_one(native: Span) -> None:
    """The mark is on the span context, whatever takes it from there."""
    native.ctx.debug = True

    assert is_debug(LiveSpan(native))


def test_what_is_set_reaches_the_native_span(native: Span) -> None:
    """Attributes, events, links, the name."""
    live = LiveSpan(native)
    live.set_attribute("table", "cpu")
    live.set_attribute("nothing", None)
    live.set_attributes({"rows": 3, "tags": ("a", "b")})
    live.add_event("cache miss", {"table": "cpu"}, timestamp=17)
    live.add_event("plain")
    live.add_link(trace.SpanContext(5, 6, is_remote=True), {"why": "batch"})
    live.add_link(trace.INVALID_SPAN_CONTEXT)
    live.update_name("other work")

    assert native.metadata == {"table": "cpu", "rows": 3, "tags": ("a", "b")}
    assert live.attributes == native.metadata
    first, second = native.events
    assert (first.msg, first.metadata, first.time_ns) == ("cache miss", {"table": "cpu"}, 17)
    assert (second.msg, second.metadata) == ("plain", {})
    assert native.ctx.links == ((5, 6),)
    assert native.name == "other work"


def test_an_exception_is_an_event_and_no_status(native: Span) -> None:
    """As the semantic conventions name its parts; the caller's attributes win."""
    try:
        raise LookupError("no such table")
    except LookupError as error:
        LiveSpan(native).record_exception(error, {"exception.message": "none"}, 17, escaped=True)

    (event,) = native.events
    assert (event.msg, event.time_ns) == ("exception", 17)
    assert event.metadata["exception.type"] == "LookupError"
    assert event.metadata["exception.message"] == "none"
    assert event.metadata["exception.escaped"] is True
    assert "no such table" in str(event.metadata["exception.stacktrace"])
    assert native.status is SpanStatus.UNKNOWN


STATUSES: list[Callable[[trace.Span], None]] = [
    lambda span: span.set_status(StatusCode.OK),
    lambda span: span.set_status(StatusCode.UNSET),
    lambda span: span.set_status(StatusCode.ERROR, "a"),
    lambda span: span.set_status(Status(StatusCode.ERROR, "b")),
    lambda span: span.set_status(Status(StatusCode.OK)),
    lambda span: span.set_status(Status(StatusCode.ERROR)),
]


@pytest.mark.parametrize("first", STATUSES)
@pytest.mark.parametrize("second", STATUSES)
@pytest.mark.parametrize("third", STATUSES)
def test_the_status_is_what_the_sdk_makes_of_it(
    native: Span,
    first: Callable[[trace.Span], None],
    second: Callable[[trace.Span], None],
    third: Callable[[trace.Span], None],
) -> None:
    """Three settings in a row, on a span of the SDK and on a native one."""
    theirs = TracerProvider().get_tracer("test").start_span("work")
    for step in (first, second, third):
        step(theirs)
        step(LiveSpan(native))

    codes = {SpanStatus.UNKNOWN: "UNSET", SpanStatus.OK: "OK", SpanStatus.ERR: "ERROR"}
    expected = theirs.status  # type: ignore[attr-defined]
    assert codes[native.status] == expected.status_code.name
    assert native.status_message == expected.description


def test_a_finished_span_stays_as_it_is() -> None:
    """It is no longer recording, and all that is set has no effect."""
    recorder = SpanRecorder(Span.root("work", None))
    native = recorder.span
    assert native is not None
    live = LiveSpan(native)
    live.end()
    assert live.is_recording() and live.end_time is None

    recorder.finish()
    live.set_attribute("rows", 3)
    live.add_event("late")
    live.add_link(trace.SpanContext(5, 6, is_remote=True))
    live.update_name("late")
    live.set_status(StatusCode.ERROR, "late")
    live.record_exception(ValueError("late"))

    assert not live.is_recording() and live.end_time == native.end_ns
    assert (native.name, native.metadata, native.events) == ("work", {}, ())
    assert (native.ctx.links, native.status) == ((), SpanStatus.UNKNOWN)
