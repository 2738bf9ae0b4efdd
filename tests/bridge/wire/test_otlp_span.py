"""The bytes of a native span, against the generated messages and OpenTelemetry's encoder."""

from __future__ import annotations

import math
import random
import struct
import time
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from opentelemetry.sdk.resources import Resource

from iox_otel import Span, SpanContext, SpanEvent, SpanKind, SpanStatus
from iox_otel_bridge import BridgedSpan
from iox_otel_bridge.wire import otlp_span
from iox_otel_bridge.wire.otlp import RequestEncoder, decode_request
from iox_otel_bridge.wire.otlp_span import encode_span

MAX_UINT64 = (1 << 64) - 1

METADATA: dict[str, object] = {
    "empty text": "",
    "text": "abc",
    "huge text": "x" * 1_000_000,
    "non-ascii ключ 🎉": "värde 🎉",
    "NUL": "a\x00b",
    "": "empty key",
    "true": True,
    "false": False,
    "zero": 0,
    "small": 127,
    "two bytes": 128,
    "table end": 16383,
    "past the table": 16384,
    "negative": -1,
    "largest": 2**63 - 1,
    "smallest": -(2**63),
    "0.0": 0.0,
    "-0.0": -0.0,
    "NaN": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "tiny": 5e-324,
    "no items": (),
    "texts": ("", "a", "é"),
    "integers": (0, -1, 2**63 - 1),
    "doubles": (0.5, -0.0),
    "booleans": (True, False),
    # where lengths become a byte longer, of the text and of what is around it
    **{f"text of {size}": "x" * size for size in (*range(90, 130), *range(2_040, 2_050), 16_384)},
}


def message_of(span: Span) -> SpanMessage:
    return SpanMessage.FromString(encode_span(span))


def span_of(name: str = "name", **context: Any) -> Span:
    context = {"trace_id": 1, "span_id": 2} | context
    return Span(name, SpanContext(**context), start_ns=10, end_ns=20)


def plain(value: AnyValue) -> object:
    """Return what *value* holds; a double as its bits, since NaN is not NaN and 0.0 is -0.0."""
    kind = str(value.WhichOneof("value"))
    if kind == "array_value":
        return tuple(plain(item) for item in value.array_value.values)
    return bits(getattr(value, kind))


def bits(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(bits(item) for item in value)
    return struct.pack("<d", value) if isinstance(value, float) else (type(value), value)


def attributes_of(pairs: Iterable[KeyValue]) -> list[tuple[str, object]]:
    return [(pair.key, plain(pair.value)) for pair in pairs]


@pytest.mark.usefixtures("wide_limits")
def test_metadata_arrives_as_recorded() -> None:
    """Every type of metadata with its edge values arrives with its type, in order."""
    span = span_of()
    for key, value in METADATA.items():
        span.set_metadata(key, value)
    span.event(SpanEvent("event", METADATA, time_ns=15))
    message = message_of(span)

    expected = [(key, bits(value)) for key, value in METADATA.items()]
    assert attributes_of(message.attributes) == expected
    assert attributes_of(message.events[0].attributes) == expected


def test_identity() -> None:
    """Ids are big-endian bytes of full length, the smallest and the largest alike."""
    small = message_of(span_of())
    large = message_of(
        span_of(trace_id=(1 << 128) - 1, span_id=MAX_UINT64, parent_span_id=MAX_UINT64 - 1)
    )

    assert (small.trace_id, small.span_id) == (bytes(15) + b"\x01", bytes(7) + b"\x02")
    assert small.parent_span_id == b""
    assert (large.trace_id, large.span_id) == (b"\xff" * 16, b"\xff" * 8)
    assert large.parent_span_id == b"\xff" * 7 + b"\xfe"


def test_flags_tell_whether_the_parent_is_remote() -> None:
    """Bit 8: it is known; bit 9: the parent is of another process."""
    root = span_of()
    remote = SpanContext(trace_id=1, span_id=2)
    remote.is_remote = True
    entry = remote.child("entry")
    inner = entry.child("inner")

    assert message_of(root).flags == 0x100
    assert message_of(entry).flags == 0x300
    assert message_of(inner).flags == 0x100


def test_trace_state_is_passed_on_untouched() -> None:
    """Whatever the trace state is, it goes out as it came in."""
    assert message_of(span_of(trace_state="a=1,b=2 ; odd")).trace_state == "a=1,b=2 ; odd"
    assert message_of(span_of()).trace_state == ""


@pytest.mark.parametrize("kind", SpanKind)
def test_kinds(kind: SpanKind) -> None:
    """Each kind has OTLP's number of the same name."""
    span = span_of()
    span.kind = kind

    assert SpanMessage.SpanKind.Name(message_of(span).kind) == f"SPAN_KIND_{kind.name}"


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (SpanStatus.UNKNOWN, None, Status()),
        (SpanStatus.OK, None, Status(code=Status.STATUS_CODE_OK)),
        (SpanStatus.OK, "fine", Status(code=Status.STATUS_CODE_OK)),
        (SpanStatus.ERR, None, Status(code=Status.STATUS_CODE_ERROR)),
        (SpanStatus.ERR, "bröken", Status(code=Status.STATUS_CODE_ERROR, message="bröken")),
    ],
)
def test_statuses(status: SpanStatus, message: str | None, expected: Status) -> None:
    """Only an error has a message."""
    span = span_of()
    span.set_status(status, message)

    assert message_of(span).HasField("status")
    assert message_of(span).status == expected


def test_events_and_links() -> None:
    """Events keep order, time, text and metadata; links their ids."""
    span = span_of(links=[(5, 6), ((1 << 128) - 1, MAX_UINT64)])
    span.event(SpanEvent("first", {"n": 1}, time_ns=11))
    span.event(SpanEvent("", time_ns=12))
    message = message_of(span)

    assert [(event.name, event.time_unix_nano) for event in message.events] == [
        ("first", 11),
        ("", 12),
    ]
    assert attributes_of(message.events[0].attributes) == [("n", (int, 1))]
    assert [(link.trace_id, link.span_id, link.flags) for link in message.links] == [
        (bytes(15) + b"\x05", bytes(7) + b"\x06", 0x300),
        (b"\xff" * 16, b"\xff" * 8, 0x300),
    ]


@pytest.mark.parametrize(
    ("start_ns", "end_ns", "expected"),
    [
        (10, 20, (10, 20)),
        (None, 20, (20, 20)),
        (10, None, (10, 10)),
        (-5, 20, (0, 20)),
        (0, 1 << 80, (0, MAX_UINT64)),
        (30, 20, (30, 30)),
        (10.9, 20.9, (10, 20)),
        (10.9, math.nan, (10, 10)),
        (MAX_UINT64, math.inf, (MAX_UINT64, MAX_UINT64)),
        ("soon", 20, (0, 20)),
    ],
)
def test_times(start_ns: Any, end_ns: Any, expected: tuple[int, int]) -> None:
    """A missing time is the other one, an end is never before its start, and none is an error."""
    span = span_of()
    span.start_ns = start_ns
    span.end_ns = end_ns
    span.event(SpanEvent("event", time_ns=start_ns if start_ns is not None else 20))
    message = message_of(span)

    assert (message.start_time_unix_nano, message.end_time_unix_nano) == expected
    assert message.events[0].time_unix_nano == expected[0]


def test_no_times() -> None:
    """A span without times happened now."""
    span = span_of()
    span.start_ns = span.end_ns = None
    before = time.time_ns()
    message = message_of(span)

    assert before <= message.start_time_unix_nano == message.end_time_unix_nano <= time.time_ns()


def test_text_that_is_not_unicode() -> None:
    """A lone surrogate becomes "?" wherever it stands."""
    span = span_of("n\ud800", trace_state="a=\udfff")
    span.set_metadata("k\ud800", "v\udfff")
    span.event(SpanEvent("e\ud800", {"t": ("\ud800",)}, time_ns=1))
    span.set_status(SpanStatus.ERR, "s\ud800")
    message = message_of(span)

    assert (message.name, message.trace_state) == ("n?", "a=?")
    assert attributes_of(message.attributes) == [("k?", (str, "v?"))]
    assert message.events[0].name == "e?"
    assert attributes_of(message.events[0].attributes) == [("t", ((str, "?"),))]
    assert message.status.message == "s?"


def test_integers_beyond_64_bits_are_text() -> None:
    """In decimal as long as Python converts it, hexadecimal beyond; a whole list of them too."""
    span = span_of()
    span.set_metadata("large", 1 << 63)
    span.set_metadata("huge", 1 << 40_000)
    span.set_metadata("list", (1, 1 << 63))

    assert attributes_of(message_of(span).attributes) == [
        ("large", (str, "9223372036854775808")),
        ("huge", (str, hex(1 << 40_000))),
        ("list", ((str, "1"), (str, "9223372036854775808"))),
    ]


def test_metadata_written_past_set_metadata() -> None:
    """What nobody checked is sent as well as can be: plain types of subclasses, lists, texts."""

    class Text(str):
        def encode(self, *_: Any, **__: Any) -> bytes:
            raise AssertionError("not to be called")

    span = span_of()
    metadata: dict[Any, Any] = span.metadata
    metadata |= {
        1: Text("text"),
        2: SpanKind.CLIENT,
        None: [1, 2],
        "nested": [[1], [2]],
        "mixed": [1, "a"],
        "none": None,
    }

    assert attributes_of(message_of(span).attributes) == [
        ("1", (str, "text")),
        ("2", (int, 2)),
        ("None", ((int, 1), (int, 2))),
        ("nested", ((str, "[1]"), (str, "[2]"))),
        ("mixed", ((str, "1"), (str, "a"))),
        ("none", (str, "None")),
    ]


def test_metadata_may_change_meanwhile() -> None:
    """The application may write to a span that is being encoded; what was there is sent."""
    span = span_of()

    class Busy:
        def __str__(self) -> str:
            span.metadata["late"] = "x"
            return "busy"

    metadata: dict[str, Any] = span.metadata
    metadata |= {"a": Busy(), "b": 1}

    assert attributes_of(message_of(span).attributes) == [("a", (str, "busy")), ("b", (int, 1))]


def test_names_are_kept_within_bounds() -> None:
    """However many names and keys an application makes up, and however long, few are kept."""
    for number in range(10_000):
        span = span_of(f"name {number}")
        span.metadata[f"key {number}"] = number
        assert message_of(span).name == f"name {number}"
    message_of(span_of("x" * 1_000_000))

    for cache in (otlp_span._NAMES, otlp_span._KEYS):
        assert 0 < len(cache) <= otlp_span._MAX_CACHED
        assert max(map(len, cache.values())) <= otlp_span._MAX_CACHED_BYTES


texts = st.text(st.characters(), max_size=20)  # lone surrogates too
scalars = st.one_of(texts, st.booleans(), st.integers(), st.floats())
values = st.one_of(
    scalars,
    st.lists(texts, max_size=3),
    st.lists(st.integers(), max_size=3),
    st.lists(st.floats(), max_size=3),
    st.lists(st.booleans(), max_size=3),
    st.integers(-(1 << 80), 1 << 80),
    st.none(),
    st.timedeltas(),
)
metadata = st.dictionaries(texts, values, max_size=5)
times = st.integers(-10, MAX_UINT64 + 10)
trace_ids = st.integers(1, (1 << 128) - 1)
span_ids = st.integers(1, MAX_UINT64)
contexts = st.builds(
    SpanContext,
    trace_id=trace_ids,
    span_id=span_ids,
    parent_span_id=st.none() | span_ids,
    links=st.lists(st.tuples(trace_ids, span_ids), max_size=3),
    trace_state=st.sampled_from([None, "a=1", "a=1,tenant@vendor=x:y"]),
    sampled=st.booleans(),
    debug=st.booleans(),
)
events = st.builds(SpanEvent, texts, metadata, time_ns=times)


@settings(deadline=None)
@given(
    ctx=contexts,
    parent_is_remote=st.booleans(),
    name=texts,
    kind=st.sampled_from(SpanKind),
    start_end=st.tuples(times, times | st.none()) | st.tuples(st.none(), times),
    status=st.sampled_from(SpanStatus),
    status_message=st.none() | texts,
    recorded=metadata,
    happened=st.lists(events, max_size=3),
)
def test_agrees_with_the_official_encoder(
    ctx: SpanContext,
    parent_is_remote: bool,
    name: str,
    kind: SpanKind,
    start_end: tuple[int | None, int | None],
    status: SpanStatus,
    status_message: str | None,
    recorded: dict[str, object],
    happened: list[SpanEvent],
) -> None:
    """The message is the one that OpenTelemetry's encoder makes of the BridgedSpan."""
    ctx.parent_is_remote = parent_is_remote
    span = Span(name, ctx, kind, *start_end)
    span.set_status(status, status_message)
    for key, value in recorded.items():
        span.set_metadata(key, value)
    for event in happened:
        span.event(event)
    official = encode_spans([BridgedSpan(span, Resource({}))])
    expected = official.resource_spans[0].scope_spans[0].spans[0]

    # Compared as text: NaN is not equal to itself.
    assert str(message_of(span)) == str(expected)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 1 << 64))
def test_a_hundred_spans_of_every_shape_agree_with_the_official_encoder(seed: int) -> None:
    """Ten thousand in all, larger ones than those above, as a request has them."""
    chance = random.Random(seed)
    resource = Resource({"service.name": "x"})
    spans = [random_span(chance) for _ in range(100)]
    (request,) = RequestEncoder(resource).encode(spans, 1 << 30)
    official = encode_spans([BridgedSpan(span, resource) for span in spans])

    for ours, theirs in zip(
        spans_in(decode_request(request.body)), spans_in(official), strict=True
    ):
        # Compared as bytes: NaN is not equal to itself.
        assert ours.SerializeToString(deterministic=True) == theirs.SerializeToString(
            deterministic=True
        )


def spans_in(request: Any) -> list[SpanMessage]:
    (resource_spans,) = request.resource_spans
    (scope_spans,) = resource_spans.scope_spans
    return list(scope_spans.spans)


def random_span(chance: random.Random) -> Span:
    """Return a span that has some of everything, most of it at the edges."""
    ctx = SpanContext(
        trace_id=chance.choice((1, (1 << 128) - 1, chance.getrandbits(128) | 1)),
        span_id=chance.choice((1, MAX_UINT64, chance.getrandbits(64) | 1)),
        parent_span_id=chance.choice((None, 1, MAX_UINT64)),
        links=[(chance.getrandbits(128) | 1, 1) for _ in range(few(chance))],
        trace_state=chance.choice((None, None, "a=1,b=2")),
    )
    ctx.parent_is_remote = chance.random() < 0.5
    start_ns = chance.choice((None, 0, 10**18, MAX_UINT64 - 5))
    end_ns = None if start_ns is None else start_ns + chance.choice((0, 1, 5))
    span = Span(random_text(chance), ctx, chance.choice(list(SpanKind)), start_ns, end_ns)
    if start_ns is None:
        span.end_ns = 7
    for _ in range(few(chance)):
        span.set_metadata(random_text(chance), random_value(chance))
    for _ in range(few(chance)):
        metadata = {random_text(chance): random_value(chance) for _ in range(few(chance))}
        span.event(SpanEvent(random_text(chance), metadata, time_ns=chance.getrandbits(63)))
    span.set_status(chance.choice(list(SpanStatus)), chance.choice((None, "", "why")))
    return span


def few(chance: random.Random) -> int:
    return chance.choice((0, 0, 1, 2, 3, 12))


def random_text(chance: random.Random) -> str:
    letters = chance.choice(("a", "é", "日", "🎉", "\0", "\ud800"))
    return letters * chance.choice((0, 1, 7, 20, 63, 100, 125, 126, 127, 128, 700, 2_048, 5_461))


def random_value(chance: random.Random) -> object:
    whole = chance.choice((0, 127, 128, 2_047, 2_048, (1 << 63) - 1, -1, -(1 << 63), 1 << 63))
    number = chance.choice((0.0, -0.0, 1.5, math.inf, -math.inf, math.nan, 5e-324))
    one = chance.choice((random_text(chance), whole, number, chance.random() < 0.5))
    return chance.choice((one, one, [one] * few(chance)))
