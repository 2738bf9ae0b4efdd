"""Odd values: whatever an application writes into a span, each exporter sends the same text."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan
from opentelemetry.sdk.resources import Resource

from iox_otel import Span, SpanEvent, SpanStatus
from iox_otel_bridge import BridgedSpan
from iox_otel_bridge.exporters.console import ConsoleFormat, ConsoleSender
from iox_otel_bridge.plain import MAX_TIME_NS, items_of, scalar_of, text_of, time_of, times_of
from iox_otel_bridge.sender import Verdict
from iox_otel_bridge.wire import jaeger, jaeger_types
from iox_otel_bridge.wire.otlp_span import encode_span

RESOURCE = Resource({"service.name": "shop"})
START_NS = 1_700_000_000_000_000_000


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Unbound:
    """A proxy for an object that is not there, as web frameworks have them."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("unbound")

    __str__ = __repr__ = Unprintable.__str__


class Shade(str, Enum):  # noqa: UP042  its str() is not its value, which is the point
    DARK = "dark"


class Contrary(int):
    """An integer whose own methods are not to be trusted."""

    def __int__(self) -> int:
        raise RuntimeError("no number")

    __str__ = __repr__ = __int__  # type: ignore[assignment]


ODD = [
    pytest.param(None, "None", id="none"),
    pytest.param(b"GET /", "b'GET /'", id="bytes"),
    pytest.param(ValueError("disk full"), "disk full", id="exception"),
    pytest.param(Shade.DARK, "dark", id="enum"),
    pytest.param(Decimal("1.50"), "1.50", id="decimal"),
    pytest.param(datetime(2024, 1, 2, tzinfo=UTC), "2024-01-02 00:00:00+00:00", id="datetime"),
    pytest.param(1 << 70, str(1 << 70), id="70 bits"),
    pytest.param(10**5000, hex(10**5000)[:40], id="digits"),
    pytest.param(Unprintable(), "<Unprintable: unprintable>", id="unprintable"),
    pytest.param(Unbound(), "<Unbound: unprintable>", id="unbound"),
]

Texts = dict[str, str]
"""Where in a span, what text."""


def through_jaeger(span: Span) -> Texts:
    got = jaeger_types.SPAN.decode(jaeger.encode_span(span))
    tags = {tag.key: tag.vStr for tag in got.tags}
    logs = [{field.key: field.vStr for field in log.fields} for log in got.logs]
    (key,) = tags.keys() - {"value", "error"}
    return {
        "name": got.operationName,
        "key": key,
        "value": tags["value"],
        "event": logs[0]["event"],
        "event value": logs[0]["value"],
        "message": logs[1]["event"] if len(logs) > 1 else logs[0]["event"],
    }


def through_otlp(span: Span) -> Texts:
    got = OtlpSpan.FromString(encode_span(span))
    key, value = got.attributes
    return {
        "name": got.name,
        "key": key.key,
        "value": value.value.string_value,
        "event": got.events[0].name,
        "event value": got.events[0].attributes[0].value.string_value,
        "message": got.status.message,
    }


def through_bridged_span(span: Span) -> Texts:
    got = json.loads(BridgedSpan(span, RESOURCE).to_json())
    return from_json(got, got["status"].get("description", ""))


def through_console_json(span: Span) -> Texts:
    got = json.loads(console(span, "json"))
    return from_json(got, got["status_message"])


def from_json(got: dict[str, Any], message: str) -> Texts:
    (key,) = got["attributes"].keys() - {"value"}
    (event,) = got["events"]
    return {
        "name": got["name"],
        "key": key,
        "value": got["attributes"]["value"],
        "event": event["name"],
        "event value": event["attributes"]["value"],
        "message": message,
    }


def console(span: Span, format: ConsoleFormat) -> str:
    stream = io.StringIO()
    sender = ConsoleSender(resource=RESOURCE, format=format, stream=stream)
    for batch in sender.encode([span]):
        assert sender.send(batch, 1).verdict not in (Verdict.FATAL, Verdict.RETRY)
    assert sender.flush(1)
    return stream.getvalue()


def oddly_made(value: Any, *, directly: bool) -> Span:
    """Return a span with *value* wherever text belongs; written past its methods, if *directly*."""
    span = Span.root("name" if directly else value, None)
    event = SpanEvent("event" if directly else value, time_ns=START_NS)
    span.event(event)
    if directly:
        span.name = value
        metadata: dict[Any, Any] = span.metadata
        metadata[value] = 1
        metadata["value"] = value
        event.msg = value
        event.metadata["value"] = value
        span.status, span.status_message = SpanStatus.ERR, value
    else:
        span.set_metadata(value, 1)
        span.set_metadata("value", value)
        event.set_metadata("value", value)
        span.set_status(SpanStatus.ERR, value)
    return span


@pytest.mark.parametrize("directly", [False, True], ids=["by methods", "directly"])
@pytest.mark.parametrize(
    "through", [through_jaeger, through_otlp, through_bridged_span, through_console_json]
)
@pytest.mark.parametrize(("value", "text"), ODD)
def test_every_exporter_sends_the_same_text(
    value: Any, text: str, through: Callable[[Span], Texts], directly: bool
) -> None:
    """In the name, in keys and values, in events and in the status; nothing is lost."""
    texts = through(oddly_made(value, directly=directly))

    if value is None:  # no message is none
        del texts["message"]
    assert {place: got[:40] for place, got in texts.items()} == dict.fromkeys(texts, text)


@pytest.mark.parametrize("directly", [False, True], ids=["by methods", "directly"])
@pytest.mark.parametrize(("value", "text"), ODD)
def test_the_console_draws_it(value: Any, text: str, directly: bool) -> None:
    """As a tree, too, with the text as its name."""
    drawn = console(oddly_made(value, directly=directly), "tree")

    title, name, *_ = drawn.splitlines()
    assert "1 span" in title
    assert text[:30] in name


def test_text_of() -> None:
    """Always text, and always such as UTF-8 can carry."""
    assert [text_of(value) for value in ("é", "a\ud800", Contrary(3))] == ["é", "a?", "0x3"]


def test_scalar_of() -> None:
    """Exactly one of four types, by no method of the value's own."""

    class Fraction(float):
        def __float__(self) -> float:
            raise RuntimeError("no number")

    values = [scalar_of(value) for value in (True, Contrary(3), 1 << 63, Fraction(0.5), None)]

    assert values == [True, 3, "9223372036854775808", 0.5, "None"]
    assert [type(value) for value in values] == [bool, int, str, float, str]


def test_items_of() -> None:
    """Of one type, or all text."""
    assert items_of([1, 2]) == (1, 2)
    assert items_of([1, True, 1 << 70, 0.5]) == ("1", "True", str(1 << 70), "0.5")
    assert items_of([[1], (2,)]) == ("[1]", "(2,)")
    assert items_of([]) == ()


@pytest.mark.parametrize(
    ("start_ns", "end_ns", "times"),
    [
        (5, 9, (5, 9)),
        (9, 5, (9, 9)),
        (None, 9, (9, 9)),
        (5, None, (5, 5)),
        (5.5, 9.5, (5, 9)),
        (-5, 1 << 80, (0, MAX_TIME_NS)),
        ("soon", math.nan, (0, 0)),
    ],
)
def test_times_of(start_ns: Any, end_ns: Any, times: tuple[int, int]) -> None:
    """A missing time is the other one, and no end lies before its start."""
    assert times_of(start_ns, end_ns) == times


def test_no_time_is_now() -> None:
    """Both ends of a span without times are the same moment."""
    start_ns, end_ns = times_of(None, None)

    assert START_NS < start_ns == end_ns <= time_of(None)
