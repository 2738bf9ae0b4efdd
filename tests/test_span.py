"""Span, SpanEvent and metadata values."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum, IntEnum, StrEnum

import pytest

from iox_otel import RingBufferTraceCollector, Span, SpanContext, SpanEvent, SpanKind, SpanStatus


class Unprintable:
    """Raises wherever text is asked of it."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


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


@pytest.mark.parametrize(("key", "kept"), [(1, "1"), ([], ""), (Unprintable(), "<Unprintable")])
def test_metadata_takes_any_key(key: object, kept: str) -> None:
    """A key that is no text is made text, even an unhashable one."""
    span = Span.root("foo", None)

    span.set_metadata(key, 1)  # type: ignore[arg-type]

    (text,) = span.metadata
    assert text.startswith(kept)


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
