"""Span, SpanEvent and metadata values."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum, IntEnum, StrEnum
from types import SimpleNamespace
from typing import Any

import pytest

from iox_otel import (
    RingBufferTraceCollector,
    Span,
    SpanContext,
    SpanEvent,
    SpanKind,
    SpanStatus,
    _report,
)


class Unprintable:
    """Raises wherever text is asked of it."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Unbound:
    """A proxy for an object that is not there, as web frameworks have them."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("unbound")

    __str__ = __repr__ = Unprintable.__str__


class Colour(StrEnum):
    RED = "red"


class Shade(str, Enum):  # noqa: UP042  its str() is not its value, which is the point
    DARK = "dark"


class Level(IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("text", "text"),
        ("", ""),
        (1.5, 1.5),
        (-0.0, -0.0),
        (1 << 70, 1 << 70),
        (True, True),
        ([1, 2], (1, 2)),
        (("a", "b"), ("a", "b")),
        ([True, False], (True, False)),
        ([], ()),
        ([1, "a"], "[1, 'a']"),
        ([1, True], "[1, True]"),
        (timedelta(seconds=1, microseconds=2_999), "1002ms"),
        (None, "None"),
        (b"x", "b'x'"),
        ({"a": 1}, "{'a': 1}"),
        (Colour.RED, "red"),
        (Shade.DARK, "dark"),
        (Level.HIGH, 3),
        (Unprintable(), "<Unprintable: unprintable>"),
        ([Unprintable()], "<list: unprintable>"),
    ],
)
def test_metadata_takes_any_value(value: object, kept: object) -> None:
    """Plain types stay, sequences of one are copied, the rest becomes text; nothing raises."""
    span = Span.root("foo", None)

    span.set_metadata("key", value)

    assert span.metadata == {"key": kept}
    assert type(span.metadata["key"]) is type(kept)


def test_metadata_copies_a_list() -> None:
    """What the application does to its list afterwards does not change the span."""
    span = Span.root("foo", None)
    rows = [1]
    span.set_metadata("rows", rows)
    rows.append(2)

    assert span.metadata["rows"] == (1,)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (None, "None"),
        ([], "[]"),
        (b"GET /", "b'GET /'"),
        (ValueError("disk full"), "disk full"),
        (Shade.DARK, "dark"),
        pytest.param(10**5000, hex(10**5000), id="digits"),
        (Unprintable(), "<Unprintable: unprintable>"),
        pytest.param(Unbound(), "<Unbound: unprintable>", id="unbound"),
    ],
)
def test_what_is_no_text_becomes_text(value: Any, text: str) -> None:
    """Names, keys and messages take anything, even what is unhashable or has no `str()`."""
    span = Span(value, SpanContext.new(None))
    span.set_metadata(value, 1)
    event = SpanEvent(value)
    event.set_metadata(value, 1)
    span.event(event)
    span.event(value, n=1)
    span.set_status(SpanStatus.ERR, "None" if value is None else value)

    texts = [span.name, *span.metadata, span.status_message, *event.metadata]
    texts += [event.msg for event in span.events]
    assert texts == [text] * 6
    assert {type(each) for each in texts} == {str}


def test_an_error_takes_the_exception_itself() -> None:
    """`error(exc)` keeps its text, as event and as status message."""
    span = Span.root("foo", None)

    span.error(OSError("disk full"))  # type: ignore[arg-type]

    assert (span.status_message, span.events[0].msg) == ("disk full", "disk full")


def test_root_is_sampled_and_has_no_parent() -> None:
    """`Span.root` starts a trace."""
    collector = RingBufferTraceCollector(1)

    span = Span.root("foo", collector)

    assert span.ctx.sampled and span.ctx.parent_span_id is None
    assert span.ctx.collector is collector
    assert (span.kind, span.status) == (SpanKind.INTERNAL, SpanStatus.UNKNOWN)
    assert (span.start_ns, span.end_ns) == (None, None)


def test_first_status_stays_with_its_message() -> None:
    """A later status does not replace one that is set, but its event is kept."""
    span = Span.root("foo", None)

    span.error("disk full")
    span.ok("fine after all")

    assert (span.status, span.status_message) == (SpanStatus.ERR, "disk full")
    assert [event.msg for event in span.events] == ["disk full", "fine after all"]


def test_ok_without_a_message_adds_no_event() -> None:
    """The message is optional."""
    span = Span.root("foo", None)

    span.ok()

    assert (span.status, span.status_message, span.events) == (SpanStatus.OK, None, ())


def test_events_keep_order_time_and_metadata() -> None:
    """An event is a message with metadata, or one made beforehand with a time of its own."""
    span = Span.root("foo", None)

    span.event("cache miss", key="k", ttl=timedelta(seconds=2))
    span.event(SpanEvent("earlier", {"n": 1}, time_ns=5))

    first, second = span.events
    assert (first.msg, first.metadata) == ("cache miss", {"key": "k", "ttl": "2000ms"})
    assert first.time_ns > 1_700_000_000_000_000_000
    assert (second.msg, second.metadata, second.time_ns) == ("earlier", {"n": 1}, 5)


def test_metadata_beside_an_event_is_added_to_it() -> None:
    """Both are kept, and the event as it was can be used again."""
    span = Span.root("foo", None)
    event = SpanEvent("retry", {"n": 1, "of": 3}, time_ns=5)

    span.event(event, n=2, wait=timedelta(seconds=1))

    (added,) = span.events
    assert (added.msg, added.time_ns) == ("retry", 5)
    assert added.metadata == {"n": 2, "of": 3, "wait": "1000ms"}
    assert event.metadata == {"n": 1, "of": 3}


def test_event_metadata_may_use_any_name() -> None:
    """No metadata name collides with a parameter."""
    span = Span.root("foo", None)

    span.event("x", event=1, msg=2, self=3, metadata=4)

    assert span.events[0].metadata == {"event": 1, "msg": 2, "self": 3, "metadata": 4}


def test_link_notes_the_other_span() -> None:
    """A link is the pair of ids of the context linked to."""
    span, other = Span.root("foo", None), SpanContext.new(None)

    span.link(other)

    assert span.ctx.links == ((other.trace_id, other.span_id),)


@pytest.mark.parametrize("other", [None, SimpleNamespace(trace_id=0, span_id=0)])
def test_link_to_nothing_is_left_out(other: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What is no valid context raises nothing, and is said."""
    _report._last_ns.clear()
    span = Span.root("foo", None)

    span.link(other)

    assert span.ctx.links == ()
    assert "a link to an invalid span context was left out" in caplog.text


def test_export_hands_the_span_over_as_it_is() -> None:
    """A span filled in after the fact keeps the times it was given."""
    collector = RingBufferTraceCollector(1)
    span = Span.root("foo", collector).child("bar")
    span.start_ns, span.end_ns = 10, 20

    span.export()

    assert collector.spans() == [span]
    assert (span.start_ns, span.end_ns) == (10, 20)


def test_export_without_a_collector_does_nothing() -> None:
    """A span nobody collects can be exported all the same."""
    Span.root("foo", None).export()
