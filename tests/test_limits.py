"""How much a span may hold, and what is told of the rest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from iox_otel import (
    RingBufferTraceCollector,
    Span,
    SpanContext,
    SpanCut,
    SpanEvent,
    SpanLimits,
    SpanRecorder,
    set_span_limits,
    span_limits,
    spans_cut,
)


@pytest.fixture(autouse=True)
def small_limits() -> Iterator[None]:
    before = span_limits()
    set_span_limits(SpanLimits(3, events=4, links=2, event_metadata=2, value_chars=5))
    yield
    set_span_limits(before)


def new_span() -> Span:
    return Span.root("a", None)


def test_the_defaults_are_those_of_opentelemetry_with_a_length() -> None:
    assert SpanLimits() == (128, 128, 128, 128, 65_536)
    assert new_span().cut is None


@pytest.mark.parametrize("by", ["span", "recorder"])
def test_metadata_set_first_stays_and_may_change(by: str) -> None:
    span = new_span()
    setter = span if by == "span" else SpanRecorder(span)
    for key in "abcde":
        setter.set_metadata(key, 1)
    setter.set_metadata("a", 2)
    assert span.metadata == {"a": 2, "b": 1, "c": 1}
    assert span.cut == SpanCut(metadata=2)
    if isinstance(setter, SpanRecorder):
        setter.finish()


def test_of_the_events_the_first_stay_and_the_latest() -> None:
    span = new_span()
    with pytest.raises(ZeroDivisionError), SpanRecorder(span) as recorder:
        for number in range(100_000):
            recorder.event(f"event {number}")
        raise ZeroDivisionError
    assert [event.msg for event in span.events] == ["event 0", "event 1", "event 2", "exception"]
    assert span.cut is not None
    assert span.cut.events == 100_001 - 4


def test_an_event_has_so_much_metadata_however_it_is_made() -> None:
    span = new_span()
    span.event("a", x=1, y=2, z=3)
    span.event(SpanEvent("b", {"x": 1}), y=2, z=3)
    event = SpanEvent("c", {"x": "long text", "y": 2, "z": 3})
    event.set_metadata("more", 1)
    event.set_metadata("x", 2)
    assert [list(each.metadata) for each in (*span.events, event)] == [["x", "y"]] * 3
    assert event.metadata["x"] == 2
    assert span.cut == SpanCut(metadata=2)


def test_what_an_event_made_beforehand_lost_is_counted_where_it_is_added() -> None:
    """In each span that gets it, once; what is added then is counted as well."""
    event = SpanEvent("a", {"x": "long text", "y": 2, "z": 3})
    event.set_metadata("more", 1)
    event.set_metadata("y", "long text")
    one, other, third = new_span(), new_span(), new_span()
    one.event(event)
    other.event(event, more=1)
    third.event(object(), x="long text", y=2, z=3)  # type: ignore[arg-type]

    assert one.cut == SpanCut(metadata=2, values=2)
    assert other.cut == SpanCut(metadata=3, values=2)
    assert third.cut == SpanCut(metadata=1, values=1)


def test_messages_are_bounded_too() -> None:
    """Of events, however they are added, and of the status: not by the limit for metadata."""
    long, cut = "x" * 100_000, "x" * 65_535 + "…"
    span = new_span()
    span.event("a long message")
    span.error(long)
    span.event(SpanEvent(long))
    assert [event.msg for event in span.events] == ["a long message", cut, cut]
    assert span.status_message == cut
    assert span.cut == SpanCut(values=3)


def test_nothing_at_all_may_be_kept() -> None:
    """A limit of 0 is one as well, as in OpenTelemetry."""
    set_span_limits(SpanLimits(0, 0, 0, 0, 0))
    span = new_span()
    span.set_metadata("a", 1)
    span.event("text", x=1)
    span.event(SpanEvent("text"))
    span.link(SpanContext.new(None))
    assert (span.metadata, span.events, span.ctx.links) == ({}, (), ())
    assert span.cut == SpanCut(metadata=2, events=2, links=1)


@pytest.mark.parametrize("by", ["span", "recorder"])
def test_long_texts_are_shortened_and_say_so(by: str) -> None:
    span = new_span()
    setter = span if by == "span" else SpanRecorder(span)
    setter.set_metadata("fits", "12345")
    setter.set_metadata("long", "1234567")
    setter.set_metadata("list", ["1234567", "1"])
    setter.event("e", text="1234567")
    assert span.metadata == {"fits": "12345", "long": "1234…", "list": ("1234…", "1")}
    assert span.events[0].metadata == {"text": "1234…"}
    assert span.cut == SpanCut(values=3)
    if isinstance(setter, SpanRecorder):
        setter.finish()


def test_links_are_bounded_too() -> None:
    span = new_span()
    others = [SpanContext.new(None) for _ in range(4)]
    for other in others:
        span.link(other)
    assert span.ctx.links == tuple((each.trace_id, each.span_id) for each in others[:2])
    assert span.cut == SpanCut(links=2)


def test_it_is_known_how_many_spans_lost_something(caplog: pytest.LogCaptureFixture) -> None:
    before = spans_cut()
    for _ in range(3):
        span = new_span()
        for key in "abcdef":
            span.set_metadata(key, 1)
    assert spans_cut() == before + 3
    assert len(caplog.records) <= 1  # of its kind in a while


def test_a_span_that_lost_something_is_exported_as_any_other() -> None:
    collector = RingBufferTraceCollector(1)
    with SpanRecorder(Span.root("a", collector)) as recorder:
        for key in "abcde":
            recorder.set_metadata(key, object())
    (span,) = collector.spans()
    assert list(span.metadata) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        (SpanLimits(metadata=-1), "metadata must be at least 0, got -1"),
        (SpanLimits(events=-1), "events must be at least 0, got -1"),
        (SpanLimits(value_chars=-1), "value_chars must be at least 0, got -1"),
        (SpanLimits(links="many"), "links must be at least 0, got 'many'"),  # type: ignore[arg-type]
    ],
)
def test_an_impossible_limit_is_named(limits: SpanLimits, named: str) -> None:
    before = span_limits()
    with pytest.raises(ValueError, match=named):
        set_span_limits(limits)
    assert span_limits() == before
