"""Jaeger's wire format: what each kind of span becomes, bytes that others can read, cutting."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, Status, StatusCode, TraceFlags
from opentelemetry.trace import SpanContext as OtelSpanContext
from opentelemetry.trace import SpanKind as OtelSpanKind
from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.transport.TTransport import TMemoryBuffer

from iox_otel import Span, SpanContext, SpanEvent, SpanKind, SpanRecorder, SpanStatus
from iox_otel_bridge.wire import jaeger, jaeger_types

START_NS = 1_700_000_000_123_456_789
MAX_TRACE_ID = (1 << 128) - 1
MAX_SPAN_ID = (1 << 64) - 1
NO_STATS = jaeger.ClientStats()


def make_span(name: str = "foo", **context: Any) -> Span:
    """Return a span of 2.5 ms with small ids."""
    ctx = SpanContext(**{"trace_id": 0xABC, "span_id": 0xDEF, **context})
    return Span(name, ctx, start_ns=START_NS, end_ns=START_NS + 2_500_000)


def decoded(span: Span | ReadableSpan) -> Any:
    """Return the Jaeger Span that *span* becomes."""
    return jaeger_types.SPAN.decode(jaeger.encode_span(span))


def value_of(tag: Any) -> object:
    """Return a tag's value, after checking that it has the one its type promises."""
    values = {0: tag.vStr, 1: tag.vDouble, 2: tag.vBool, 3: tag.vLong, 4: tag.vBinary}
    value: object = values.pop(tag.vType)
    assert value is not None
    assert set(values.values()) == {None}
    return value


def items(tags: list[Any] | None) -> list[tuple[str, object]]:
    """Return keys and values, in their order."""
    return [(tag.key, value_of(tag)) for tag in tags or ()]


def typed(tags: list[Any] | None) -> list[tuple[str, type, object]]:
    """Return keys, types and values: True is not 1 here."""
    return [(key, type(value), value) for key, value in items(tags)]


def read_by_pure_python(datagram: bytes) -> tuple[str, int, int, Any, int, tuple[int, int, int]]:
    """Return (method, message type, sequence id, packaged Batch, seqNo, ClientStats).

    Read with thrift's Python protocol and the generated `read` methods: no line of it is shared
    with our encoder.
    """
    buffer = TMemoryBuffer(datagram)
    protocol = TCompactProtocol(buffer)
    name, kind, seq_id = protocol.readMessageBegin()
    batch: dict[int, Any] = {}
    protocol.readStructBegin()
    assert protocol.readFieldBegin()[2] == 1
    protocol.readStructBegin()
    while (field := protocol.readFieldBegin())[1] != 0:
        _, _, field_id = field
        if field_id == 1:
            batch[1] = jaeger_types.Process()
            batch[1].read(protocol)
        elif field_id == 2:
            _, size = protocol.readListBegin()
            batch[2] = [jaeger_types.Span() for _ in range(size)]
            for span in batch[2]:
                span.read(protocol)
            protocol.readListEnd()
        elif field_id == 3:
            batch[3] = protocol.readI64()
        else:
            assert field_id == 4
            protocol.readStructBegin()
            batch[4] = ()
            while (number := protocol.readFieldBegin())[1] != 0:
                assert number[2] == len(batch[4]) + 1
                batch[4] += (protocol.readI64(),)
                protocol.readFieldEnd()
            protocol.readStructEnd()
        protocol.readFieldEnd()
    protocol.readStructEnd()
    protocol.readFieldEnd()
    assert protocol.readFieldBegin()[1] == 0
    protocol.readStructEnd()
    protocol.readMessageEnd()
    assert buffer.read(1) == b""
    return name, kind, seq_id, (batch[1], batch[2]), batch[3], batch[4]


# The types


def test_loading_the_types_registers_nothing() -> None:
    """The generated file is loaded alone: no top-level `jaeger`, no exporter, no change of path."""
    code = """
import sys
path = list(sys.path)
import iox_otel_bridge.wire.jaeger
assert sys.path == path, sys.path
stray = [name for name in sys.modules if "jaeger" in name and not name.startswith("iox_otel")]
assert not stray, stray
assert not {"agent", "zipkincore", "gen"} & set(sys.modules)
assert not any("exporter." in name and "jaeger" in name for name in sys.modules)
print("clean")
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60
    )

    assert (done.stdout.strip(), done.stderr) == ("clean", "")


def test_the_generated_types_are_the_ones_we_encode() -> None:
    """An upgrade that moves a field of the generated types, or loses the C encoder, shows here."""

    def fields(cls: Any) -> list[tuple[int, str]]:
        return [(field[0], field[2]) for field in cls.thrift_spec if field]

    assert fields(jaeger_types.Span) == [
        (1, "traceIdLow"),
        (2, "traceIdHigh"),
        (3, "spanId"),
        (4, "parentSpanId"),
        (5, "operationName"),
        (6, "references"),
        (7, "flags"),
        (8, "startTime"),
        (9, "duration"),
        (10, "tags"),
        (11, "logs"),
    ]
    assert fields(jaeger_types.Tag) == [
        (1, "key"),
        (2, "vType"),
        (3, "vStr"),
        (4, "vDouble"),
        (5, "vBool"),
        (6, "vLong"),
        (7, "vBinary"),
    ]
    assert fields(jaeger_types.Log) == [(1, "timestamp"), (2, "fields")]
    assert fields(jaeger_types.SpanRef) == [
        (1, "refType"),
        (2, "traceIdLow"),
        (3, "traceIdHigh"),
        (4, "spanId"),
    ]
    assert fields(jaeger_types.Process) == [(1, "serviceName"), (2, "tags")]
    assert jaeger_types.fastbinary is not None


def test_the_python_encoder_makes_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where thrift has no C module, its Python protocol encodes and decodes the same."""
    span = make_span(links=[(1, 2)], parent_span_id=MAX_SPAN_ID)
    span.metadata = {"s": "ä\0", "i": -5, "f": 0.5, "b": False}
    span.event("hello", n=1)
    by_c = jaeger.encode_span(span)
    datagram = jaeger.encode_batch(
        jaeger.encode_process({"a": 1}), by_c, 1, seq_no=7, stats=jaeger.ClientStats(1, 2, 3)
    )
    batch = jaeger.decode_batch(datagram)

    monkeypatch.setattr(jaeger_types, "fastbinary", None)

    assert jaeger.encode_span(span) == by_c
    assert jaeger.decode_batch(datagram) == batch


# Native spans


def test_ids_are_signed_halves() -> None:
    """128 and 64 unsigned bits become signed 64-bit numbers, no parent is 0."""
    largest = decoded(make_span(trace_id=MAX_TRACE_ID, span_id=MAX_SPAN_ID, parent_span_id=1 << 63))
    split = decoded(make_span(trace_id=(1 << 64) + 2, span_id=3))
    # The example of OpenTelemetry to Jaeger Transformation, "IDs"
    example = decoded(make_span(trace_id=0xFF00_0000_0000_0000))

    assert (largest.traceIdHigh, largest.traceIdLow, largest.spanId) == (-1, -1, -1)
    assert largest.parentSpanId == -(1 << 63)
    assert (split.traceIdHigh, split.traceIdLow, split.spanId, split.parentSpanId) == (1, 2, 3, 0)
    assert (example.traceIdHigh, example.traceIdLow) == (0, -72057594037927936)


@pytest.mark.parametrize(
    ("sampled", "debug", "flags"),
    [(True, False, 1), (True, True, 3), (False, True, 3), (False, False, 0)],
)
def test_flags(sampled: bool, debug: bool, flags: int) -> None:
    """1 is sampled, 2 debug, which implies sampled."""
    assert decoded(make_span(sampled=sampled, debug=debug)).flags == flags


def test_links_follow_from_and_the_parent_is_no_reference() -> None:
    """Links are FOLLOWS_FROM references in their order; none is None."""
    linked = decoded(make_span(links=[(12, 123), (MAX_TRACE_ID, MAX_SPAN_ID)], parent_span_id=5))

    assert [
        (ref.refType, ref.traceIdHigh, ref.traceIdLow, ref.spanId) for ref in linked.references
    ] == [(1, 0, 12, 123), (1, -1, -1, -1)]
    assert linked.parentSpanId == 5
    assert decoded(make_span(parent_span_id=5)).references is None


def test_a_link_to_the_parent_leaves_it_the_parent() -> None:
    """Jaeger takes the first link into the trace for the parent, unless a CHILD_OF is before it."""
    linked = decoded(make_span(links=[(9, 4), (9, 5)], trace_id=9, parent_span_id=5))

    assert [(ref.refType, ref.traceIdLow, ref.spanId) for ref in linked.references] == [
        (0, 9, 5),
        (1, 9, 4),
        (1, 9, 5),
    ]
    assert linked.parentSpanId == 5


def test_times_are_microseconds() -> None:
    """Start, duration and the times of events are microseconds, not nanoseconds."""
    span = make_span()
    span.event(SpanEvent("hello", time_ns=START_NS + 200_999))
    got = decoded(span)

    assert got.startTime == 1_700_000_000_123_456
    assert got.duration == 2_500
    assert got.logs[0].timestamp == 1_700_000_000_123_657


@pytest.mark.parametrize(
    ("start_ns", "end_ns", "start_us", "duration_us"),
    [
        (5_000, 9_000, 5, 4),
        (None, 9_000, 9, 0),
        (5_000, None, 5, 0),
        (9_000, 5_000, 9, 0),  # ended before it began
        (-5_000, 2_000, 0, 2),
        (1 << 90, None, ((1 << 64) - 1) // 1000, 0),
        (5_000.5, 9_000.9, 5, 4),
        (5_000, "soon", 5, 0),
        (float("nan"), float("inf"), 0, 0),
        (0, 1 << 90, 0, ((1 << 64) - 1) // 1000),
    ],
)
def test_missing_and_impossible_times(
    start_ns: Any, end_ns: Any, start_us: int, duration_us: int
) -> None:
    """A missing time is equal to the other; no duration is negative; nothing leaves 64 bits."""
    span = make_span()
    span.start_ns, span.end_ns = start_ns, end_ns
    got = decoded(span)

    assert (got.startTime, got.duration) == (start_us, duration_us)


def test_without_any_time_it_is_now() -> None:
    """A span that was never started nor ended is of this moment and took no time."""
    import time

    span = make_span()
    span.start_ns = span.end_ns = None
    before_us = time.time_ns() // 1000
    got = decoded(span)

    assert before_us <= got.startTime <= time.time_ns() // 1000
    assert got.duration == 0


def test_metadata_becomes_sorted_tags_of_its_types() -> None:
    """Text, float, integer and boolean keep their types; sequences are JSON text."""
    span = make_span()
    for key, value in {
        "z": "last",
        "text": "a\0b – ü",
        "empty": "",
        "float": 0.1,
        "int": -(1 << 63),
        "bool": False,
        "texts": ["a", 'b"', "ü"],
        "ints": (1, 2),
        "floats": (0.5, 1.0),
        "bools": [True, False],
        "none": [],
    }.items():
        span.set_metadata(key, value)

    assert typed(decoded(span).tags) == [
        ("bool", bool, False),
        ("bools", str, "[true,false]"),
        ("empty", str, ""),
        ("float", float, 0.1),
        ("floats", str, "[0.5,1.0]"),
        ("int", int, -(1 << 63)),
        ("ints", str, "[1,2]"),
        ("none", str, "[]"),
        ("text", str, "a\0b – ü"),
        ("texts", str, '["a","b\\"","ü"]'),
        ("z", str, "last"),
    ]


def test_no_metadata_and_no_events_are_left_out() -> None:
    """Empty lists are not sent."""
    got = decoded(make_span())

    assert (got.operationName, got.tags, got.logs) == ("foo", None, None)


def test_numbers_that_jaeger_cannot_take_are_text() -> None:
    """Beyond 64 bits, and NaN and infinities, which fail Jaeger's JSON for all traces found."""
    span = make_span()
    span.metadata = {
        "a": 1 << 63,
        "b": -(1 << 63) - 1,
        "c": float("nan"),
        "d": float("inf"),
        "e": float("-inf"),
        "f": (1 << 63) - 1,
    }

    assert items(decoded(span).tags) == [
        ("a", "9223372036854775808"),
        ("b", "-9223372036854775809"),
        ("c", "NaN"),
        ("d", "+Inf"),
        ("e", "-Inf"),
        ("f", (1 << 63) - 1),
    ]


def test_sequences_are_json_whatever_numbers_they_hold() -> None:
    """NaN and the infinities are no JSON: the texts that such doubles become stand for them."""
    span = make_span()
    span.set_metadata("list", [1.5, float("nan"), float("inf"), float("-inf")])
    metadata: dict[str, Any] = span.metadata
    metadata["dict"] = {"a": [float("nan"), 1]}

    assert items(decoded(span).tags) == [
        ("dict", '{"a":["NaN",1]}'),
        ("list", '[1.5,"NaN","+Inf","-Inf"]'),
    ]


def test_a_time_of_an_event_that_is_no_number() -> None:
    """It costs the event its time, not the span its life."""
    span = make_span()
    span.event(SpanEvent("odd", time_ns="now"))  # type: ignore[arg-type]
    span.event(SpanEvent("float", time_ns=5_000.5))  # type: ignore[arg-type]

    assert [log.timestamp for log in decoded(span).logs] == [0, 5]


class _Level(IntEnum):
    HIGH = 3


class _Mode(StrEnum):
    FAST = "fast"

    def __str__(self) -> str:
        return "something else"


class _Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_what_was_put_into_metadata_directly_is_made_fit() -> None:
    """Values that did not come by `set_metadata` cost no span, whatever they are."""
    circle: list[object] = []
    circle.append(circle)
    metadata: dict[Any, Any] = {
        "enum": _Level.HIGH,
        "mode": _Mode.FAST,
        "none": None,
        "bytes": b"\xff",
        "dict": {"a": [1, None]},
        "digits": 10**5000,
        "circle": circle,
        "object": _Unprintable(),
        7: "number",
        b"k": 1,
        _Unprintable(): 2,
    }
    span = make_span()
    span.metadata = metadata
    got = dict(items(decoded(span).tags))

    assert str(got.pop("digits")).startswith("0x")
    assert got == {
        "enum": 3,
        "mode": "fast",
        "none": "None",
        "bytes": "b'\\xff'",
        "dict": '{"a":[1,null]}',
        "circle": "[[...]]",
        "object": "<_Unprintable: unprintable>",
        "7": "number",
        "b'k'": 1,
        "<_Unprintable: unprintable>": 2,
    }


def test_a_key_of_bytes_alone_is_text() -> None:
    """One kind of key sorts, and Thrift would write bytes that are no UTF-8 as they are."""
    metadata: dict[Any, Any] = {b"\xff": 1}
    span = make_span()
    span.metadata = metadata

    assert items(decoded(span).tags) == [("b'\\xff'", 1)]


def test_lone_surrogates_become_valid_utf8() -> None:
    """In the name, in keys, in values, in events and in statuses; the rest of the span stays."""
    span = make_span("n\ud800")
    span.metadata = {"k\udfff": "v\ud800x", "fine": "ü"}
    span.event("e\ud800", **{"a\ud800": "b\ud800"})
    span.set_status(SpanStatus.ERR, "m\ud800")
    span.ctx.add_link(1, 2)
    got = decoded(span)

    assert got.operationName == "n?"
    assert items(got.tags) == [("error", True), ("fine", "ü"), ("k?", "v?x")]
    assert [items(log.fields) for log in got.logs] == [
        [("event", "e?"), ("a?", "b?")],
        [("event", "m?")],
    ]
    assert len(got.references) == 1


@pytest.mark.parametrize("name", [5, None, b"\xff", _Mode.FAST])
def test_names_and_messages_of_any_type_become_text(name: Any) -> None:
    """Bytes too, which Thrift would pass on unchecked."""
    span = make_span(name)
    span.event(SpanEvent(name))
    span.status = SpanStatus.ERR
    span.status_message = name
    got = decoded(span)

    want = "fast" if name is _Mode.FAST else str(name)
    assert got.operationName == want
    assert items(got.logs[0].fields) == [("event", want)]


def test_status_ok_and_error_are_tags() -> None:
    """Ok is ok=true, Err is error=true, sorted among the others; Unknown is nothing."""
    ok, err = make_span(), make_span()
    for span in (ok, err):
        span.metadata = {"a": 1, "z": 2}
    ok.ok()
    err.error()

    assert typed(decoded(ok).tags) == [("a", int, 1), ("ok", bool, True), ("z", int, 2)]
    assert typed(decoded(err).tags) == [("a", int, 1), ("error", bool, True), ("z", int, 2)]


def test_own_metadata_wins_over_what_the_span_says() -> None:
    """Metadata named ok, error or span.kind is the user's, and stays the only tag so named."""
    ok, err = make_span(), make_span()
    ok.metadata = {"ok": "fine", "span.kind": "broker"}
    ok.kind = SpanKind.SERVER
    ok.ok()
    err.metadata = {"error": "timeout"}
    err.error()

    assert items(decoded(ok).tags) == [("ok", "fine"), ("span.kind", "broker")]
    assert items(decoded(err).tags) == [("error", "timeout")]
    assert ok.metadata == {"ok": "fine", "span.kind": "broker"}


def test_encoding_changes_nothing_in_the_span() -> None:
    """Another exporter gets the same span: tags of Jaeger's are not left in its metadata."""
    span = make_span()
    span.kind = SpanKind.CLIENT
    span.error("broken")
    jaeger.encode_span(span)

    assert span.metadata == {}
    assert len(span.events) == 1


@pytest.mark.parametrize("kind", list(SpanKind))
def test_kind_is_a_tag_but_for_internal(kind: SpanKind) -> None:
    """The tag span.kind has the kind's name in lower case."""
    span = make_span()
    span.kind = kind
    want = [] if kind is SpanKind.INTERNAL else [("span.kind", kind.name.lower())]

    assert items(decoded(span).tags) == want


def test_events_are_logs() -> None:
    """The message is the field "event", the metadata follows, sorted by key."""
    span = make_span()
    span.event(SpanEvent("first", {"z": True, "a": 1.5}, time_ns=1_000_000))
    span.event(SpanEvent("second", {"event": "own"}, time_ns=2_000_000))
    logs = decoded(span).logs

    assert [log.timestamp for log in logs] == [1_000, 2_000]
    assert typed(logs[0].fields) == [("event", str, "first"), ("a", float, 1.5), ("z", bool, True)]
    assert items(logs[1].fields) == [("event", "second"), ("event", "own")]


def test_a_status_message_is_a_log_unless_an_event_says_it() -> None:
    """At the span's end, as one more field "event"."""
    silent, spoken = make_span(), make_span()
    silent.event(SpanEvent("other", time_ns=1_000))
    silent.set_status(SpanStatus.ERR, "disk full")
    spoken.error("disk full")
    logs = decoded(silent).logs

    assert [items(log.fields) for log in logs] == [[("event", "other")], [("event", "disk full")]]
    assert logs[1].timestamp == (START_NS + 2_500_000) // 1000
    assert [items(log.fields) for log in decoded(spoken).logs] == [[("event", "disk full")]]


def test_an_exception_is_not_said_twice() -> None:
    """The status message of an exception is its event's exception.message."""
    kept: list[Span] = []

    class Keep:
        def export(self, span: Span) -> None:
            kept.append(span)

    with pytest.raises(ValueError), SpanRecorder(Span.root("foo", Keep())):
        raise ValueError("no such column")
    got = decoded(kept[0])

    assert kept[0].status_message == "no such column"
    assert len(got.logs) == 1
    fields = dict(items(got.logs[0].fields))
    assert (fields["event"], fields["exception.type"]) == ("exception", "ValueError")
    assert items(got.tags) == [("error", True)]


# Spans of other OpenTelemetry libraries


def finished_otel_span(**limits: int) -> ReadableSpan:
    """Return a span that the SDK made, with all that one can have."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(
        resource=Resource({"service.name": "other"}),
        span_limits=SpanLimits(**limits),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("lib", "1.2", attributes={"lib.mode": 0})
    parent = OtelSpanContext(
        MAX_TRACE_ID, 5, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )
    from opentelemetry.trace import NonRecordingSpan, set_span_in_context

    span = tracer.start_span(
        "query",
        context=set_span_in_context(NonRecordingSpan(parent)),
        kind=OtelSpanKind.CLIENT,
        attributes={"z": 1, "a": ["x", "y"], "b": True},
        links=[Link(OtelSpanContext(7, 8, is_remote=True))],
        start_time=START_NS,
    )
    span.add_event("fetched", {"rows": 3}, timestamp=START_NS + 1_000_000)
    span.set_status(Status(StatusCode.ERROR, "no such table"))
    span.end(START_NS + 2_500_000)
    return memory.get_finished_spans()[0]


def test_an_otel_span_of_the_sdk() -> None:
    """Ids, times, kind, attributes, status, scope, events and links, value by value."""
    span = finished_otel_span()
    got = decoded(span)

    assert (got.traceIdHigh, got.traceIdLow, got.parentSpanId) == (-1, -1, 5)
    assert got.spanId & MAX_SPAN_ID == span.get_span_context().span_id  # type: ignore[union-attr]
    assert (got.operationName, got.flags) == ("query", 1)
    assert (got.startTime, got.duration) == (START_NS // 1000, 2_500)
    assert [(ref.refType, ref.traceIdLow, ref.spanId) for ref in got.references] == [(1, 7, 8)]
    assert typed(got.tags) == [
        ("a", str, '["x","y"]'),
        ("b", bool, True),
        ("error", bool, True),
        ("lib.mode", int, 0),
        ("otel.scope.name", str, "lib"),
        ("otel.scope.version", str, "1.2"),
        ("otel.status_code", str, "ERROR"),
        ("otel.status_description", str, "no such table"),
        ("span.kind", str, "client"),
        ("z", int, 1),
    ]
    assert got.logs[0].timestamp == (START_NS + 1_000_000) // 1000
    assert items(got.logs[0].fields) == [("event", "fetched"), ("rows", 3)]


def test_what_the_sdk_dropped_is_counted() -> None:
    """otel.dropped_…_count tell how much the SDK's own limits took."""
    got = decoded(finished_otel_span(max_span_attributes=1, max_events=0, max_links=0))
    tags = dict(items(got.tags))

    assert tags["otel.dropped_attributes_count"] == 2
    assert tags["otel.dropped_events_count"] == 1
    assert tags["otel.dropped_links_count"] == 1
    assert (got.logs, got.references) == (None, None)


def otel_span(**fields: Any) -> ReadableSpan:
    """Return a span made by hand."""
    context = OtelSpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1))
    return ReadableSpan("by hand", context=context, resource=Resource({}), **fields)


def test_otel_status_ok_and_own_attributes() -> None:
    """Ok has a code and no error; the span's own attributes win."""
    span = otel_span(
        status=Status(StatusCode.OK),
        kind=OtelSpanKind.SERVER,
        attributes={"span.kind": "broker", "otel.scope.name": "mine"},
        instrumentation_scope=InstrumentationScope("lib"),
        start_time=1_000,
        end_time=2_000,
    )

    assert items(decoded(span).tags) == [
        ("otel.scope.name", "mine"),
        ("otel.status_code", "OK"),
        ("span.kind", "broker"),
    ]


def test_an_otel_span_with_nothing() -> None:
    """No parent, times, attributes, scope or status: an empty span of this moment."""
    got = decoded(otel_span())

    assert (got.parentSpanId, got.duration, got.tags, got.logs) == (0, 0, None, None)
    assert got.startTime > 0


def test_the_random_flag_of_w3c_is_not_debug() -> None:
    """Trace flag 2 means a random trace id in W3C, and debug in Jaeger."""
    span = otel_span()
    span._context = OtelSpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(3))

    assert decoded(span).flags == 1


def test_an_otel_event_counts_its_dropped_attributes() -> None:
    """As otel.dropped_attributes_count among the log's fields."""
    from opentelemetry.attributes import BoundedAttributes

    event = Event("e", BoundedAttributes(1, {"a": 1, "b": 2}), timestamp=5_000)
    log = decoded(otel_span(events=[event])).logs[0]

    assert items(log.fields) == [("event", "e"), ("b", 2), ("otel.dropped_attributes_count", 1)]


# The process


@pytest.mark.parametrize(
    ("attributes", "name", "tags"),
    [
        ({}, "unknown_service", []),
        ({"service.name": ""}, "unknown_service", []),
        ({"service.name": "s", "b": 2, "a": True}, "s", [("a", True), ("b", 2)]),
        ({"service.name": "s", "host.name": "h"}, "s", [("hostname", "h")]),
        (
            {"service.name": "s", "host.name": "h", "hostname": "mine"},
            "s",
            [("host.name", "h"), ("hostname", "mine")],
        ),
        ({"service.name": "s\ud800", "k\ud800": "v\ud800"}, "s?", [("k?", "v?")]),
    ],
)
def test_the_process_of_a_resource(
    attributes: Mapping[str, Any], name: str, tags: list[tuple[str, object]]
) -> None:
    """The service's name, the other attributes as tags, the host as `hostname` unless taken."""
    process = jaeger_types.PROCESS.decode(jaeger.encode_process(attributes))

    assert (process.serviceName, items(process.tags)) == (name, tags)


# The datagram


def test_the_bytes_of_a_datagram() -> None:
    """Byte by byte: a oneway call of emitBatch, then process, spans, seqNo and ClientStats."""
    datagram = jaeger.encode_batch(
        jaeger.encode_process({"service.name": "s"}),
        jaeger.encode_span(make_span("f")),
        1,
        seq_no=300,
        stats=jaeger.ClientStats(1, 2, 64),
    )

    assert datagram == bytes.fromhex(
        "82"  # compact protocol
        "81"  # version 1, oneway
        "00"  # sequence id
        "09656d69744261746368"  # emitBatch
        "1c"  # arguments: 1 struct batch
        "1c"  # 1 struct process
        "180173"  # 1 text serviceName: s
        "00"
        "191c"  # 2 list spans, one struct
        "16f82a"  # 1 i64 traceIdLow 0xabc
        "1600"  # 2 i64 traceIdHigh 0
        "16de37"  # 3 i64 spanId 0xdef
        "1600"  # 4 i64 parentSpanId 0
        "180166"  # 5 text operationName: f
        "2502"  # 7 i32 flags 1
        "168089818283898506"  # 8 i64 startTime
        "168827"  # 9 i64 duration 2500
        "00"
        "16d804"  # 3 i64 seqNo 300
        "1c"  # 4 struct stats
        "1602"  # 1
        "1604"  # 2
        "168001"  # 64
        "00"
        "00"
        "00"
    )


@pytest.mark.parametrize("count", [0, 1, 14, 15, 127, 128, 20_000])
def test_a_datagram_read_by_thrift_in_python(count: int) -> None:
    """Thrift's own Python protocol and the generated types read what we write, and no more."""
    span = make_span(links=[(MAX_TRACE_ID, 3)])
    span.metadata = {"i": 7, "f": 0.5, "s": "ü", "b": True}
    span.event("hello")
    encoded = jaeger.encode_span(span) if count < 1000 else jaeger.encode_span(make_span())
    process = jaeger.encode_process({"service.name": "s", "env": "prod"})
    stats = jaeger.ClientStats(5, 6, 7)
    datagram = jaeger.encode_batch(process, encoded * count, count, seq_no=1 << 40, stats=stats)

    name, kind, seq_id, (got_process, got_spans), seq_no, got_stats = read_by_pure_python(datagram)

    assert (name, kind, seq_id) == ("emitBatch", 4, 0)
    assert (seq_no, got_stats) == (1 << 40, (5, 6, 7))
    assert got_process.serviceName == "s"
    assert items(got_process.tags) == [("env", "prod")]
    batch = jaeger.decode_batch(datagram)
    assert (batch.process, batch.spans, batch.seq_no, batch.stats) == (
        got_process,
        got_spans,
        1 << 40,
        stats,
    )
    assert len(got_spans) == count
    assert all(got == got_spans[0] for got in got_spans)
    assert len(datagram) <= jaeger.max_batch_bytes(len(process), len(encoded) * count, count)


def test_the_largest_datagram_is_as_long_as_foretold() -> None:
    """`max_batch_bytes` is exact when all numbers are as large as they can be."""
    process, span = jaeger.encode_process({}), jaeger.encode_span(make_span())
    largest = (1 << 63) - 1
    stats = jaeger.ClientStats(largest, largest, 1 << 70)  # more than 64 bits is cut
    for count in (1, 14, 15, 200):
        datagram = jaeger.encode_batch(process, span * count, count, seq_no=1 << 63, stats=stats)

        assert len(datagram) == jaeger.max_batch_bytes(len(process), len(span) * count, count)
        batch = jaeger.decode_batch(datagram)
        assert (batch.seq_no, batch.stats) == (largest, (largest, largest, largest))


def test_a_batch_of_another_client_needs_no_seq_no_or_stats() -> None:
    """The packaged client sends neither; a call that is not oneway is understood too."""
    buffer = TMemoryBuffer()
    protocol = TCompactProtocol(buffer)
    protocol.writeMessageBegin("emitBatch", 1, 12345)
    protocol.writeStructBegin("emitBatch_args")
    protocol.writeFieldBegin("batch", 12, 1)
    protocol.writeStructBegin("Batch")
    protocol.writeFieldBegin("process", 12, 1)
    jaeger_types.Process("theirs").write(protocol)
    protocol.writeFieldEnd()
    protocol.writeFieldBegin("spans", 15, 2)
    protocol.writeListBegin(12, 0)
    protocol.writeListEnd()
    for _ in range(2):
        protocol.writeFieldEnd()
        protocol.writeFieldStop()
        protocol.writeStructEnd()
    protocol.writeMessageEnd()
    batch = jaeger.decode_batch(buffer.getvalue())

    assert batch.process.serviceName == "theirs"
    assert batch[1:] == ([], None, None)


DATAGRAM = jaeger.encode_batch(
    jaeger.encode_process({"service.name": "s", "a": 1}),
    jaeger.encode_span(make_span(links=[(1, 2)])),
    1,
    seq_no=1,
    stats=NO_STATS,
)
DEEP = b"\x82\x81\x00\x09emitBatch\x1c\x9c" + b"\x1c" * 60_000


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\x82",
        b"GET / HTTP/1.1\r\n\r\n",
        DATAGRAM[:-60],
        DATAGRAM.replace(b"emitBatch", b"emitBotch"),
        b"\x82\x81\x00\x09emitBatch\x00",  # no batch
        b"\x82\x81\x00\x09emitBatch\x1c\x00\x00",  # an empty one
        b"\x82\x81\x00\x09emitBatch\x1c\x1c\x18\x01s\x00\x19\x1c\x00\x00\x00",  # an empty span
        b"\x82\x81\x00\x09emitBatch\x1c\x1c\x18\xff\xff\xff\xff\x07",  # a text of 2 GiB
        b"\x82\x81\x00\x09emitBatch\x1c\x29\xfc\xff\xff\xff\xff\x07",  # so many spans
        DEEP,
    ],
)
def test_what_is_no_batch_is_a_decode_error(datagram: bytes) -> None:
    """Cut short, foreign, incomplete, lying about lengths or nested without end: one error."""
    with pytest.raises(jaeger.DecodeError):
        jaeger.decode_batch(datagram)


@given(st.binary(max_size=300), st.integers(0, len(DATAGRAM)))
def test_arbitrary_bytes_raise_nothing_else(noise: bytes, at: int) -> None:
    """Noise alone, and noise in place of a real datagram's end."""
    for datagram in (noise, DATAGRAM[:at] + noise):
        try:
            jaeger.decode_batch(datagram)
        except jaeger.DecodeError:
            pass


# Any span


texts = st.text(st.characters(), max_size=12) | st.text(max_size=5)
values = (
    texts
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats()
    | st.booleans()
    | st.lists(texts, max_size=3)
    | st.lists(st.integers(), max_size=3)
)
metadatas = st.dictionaries(texts, values, max_size=4)
times = st.none() | st.integers(-(1 << 63), (1 << 63) - 1)


@st.composite
def native_spans(draw: st.DrawFn) -> Span:
    """Any span that the native model lets one make."""
    ids = st.integers(1, MAX_SPAN_ID)
    trace_ids = st.integers(1, MAX_TRACE_ID)
    ctx = SpanContext(
        trace_id=draw(trace_ids),
        span_id=draw(ids),
        parent_span_id=draw(st.none() | ids),
        links=draw(st.lists(st.tuples(trace_ids, ids), max_size=2)),
        sampled=draw(st.booleans()),
        debug=draw(st.booleans()),
    )
    kind = draw(st.sampled_from(SpanKind))
    span = Span(draw(texts), ctx, kind, draw(times), draw(times))
    for key, value in draw(metadatas).items():
        span.set_metadata(key, value)
    for msg, metadata, time_ns in draw(st.lists(st.tuples(texts, metadatas, times), max_size=3)):
        span.event(SpanEvent(msg, metadata, time_ns=time_ns))
    span.set_status(draw(st.sampled_from(SpanStatus)), draw(st.none() | texts))
    return span


def utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def in_jaeger(value: object) -> object:
    """Return what the mapping promises for a value of metadata, said in another way."""
    if isinstance(value, tuple):
        import json

        return utf8(json.dumps(list(value), ensure_ascii=False, separators=(",", ":")))
    if isinstance(value, float) and not abs(value) < float("inf"):
        return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}[str(value)]
    if type(value) is int and value.bit_length() > 63 and value != -(1 << 63):
        return str(value)
    return utf8(value) if isinstance(value, str) else value


@given(native_spans())
def test_any_native_span_comes_back_as_the_mapping_says(span: Span) -> None:
    """Encoded by us, read by thrift's Python protocol, compared with the mapping."""
    datagram = jaeger.encode_batch(
        jaeger.encode_process({}), jaeger.encode_span(span), 1, seq_no=0, stats=NO_STATS
    )
    (got,) = read_by_pure_python(datagram)[3][1]
    ctx = span.ctx

    trace_id = (got.traceIdHigh & MAX_SPAN_ID) << 64 | got.traceIdLow & MAX_SPAN_ID
    assert trace_id == ctx.trace_id
    assert got.spanId & MAX_SPAN_ID == ctx.span_id
    assert got.parentSpanId & MAX_SPAN_ID == (ctx.parent_span_id or 0)
    assert got.operationName == utf8(span.name)
    assert got.flags == (3 if ctx.debug else 1 if ctx.sampled else 0)
    # Where a link is one to the parent, the parent is a reference, too.
    links_to_parent = (ctx.trace_id, ctx.parent_span_id) in ctx.links
    assert len(got.references or ()) == len(ctx.links) + links_to_parent
    if span.start_ns is not None:
        start_ns = max(0, span.start_ns)
        assert got.startTime == start_ns // 1000
        end_ns = start_ns if span.end_ns is None else span.end_ns
        assert got.duration == max(0, end_ns - start_ns) // 1000
    metadata: dict[str, object] = dict(span.metadata)
    if span.status is not SpanStatus.UNKNOWN:
        metadata.setdefault("ok" if span.status is SpanStatus.OK else "error", True)
    if span.kind is not SpanKind.INTERNAL:
        metadata.setdefault("span.kind", span.kind.name.lower())
    assert items(got.tags) == [(utf8(key), in_jaeger(metadata[key])) for key in sorted(metadata)]
    for event, log in zip(span.events, got.logs or (), strict=False):
        assert log.timestamp == max(0, event.time_ns) // 1000
        assert items(log.fields) == [
            ("event", utf8(event.msg)),
            *((utf8(key), in_jaeger(event.metadata[key])) for key in sorted(event.metadata)),
        ]
    said = [event.msg for event in span.events]
    told = bool(span.status_message) and span.status_message not in said
    assert len(got.logs or ()) == len(span.events) + told


# Cutting down


def shortened(span: Span, max_bytes: int) -> Any:
    """Return *span* as it is after cutting, after checking that it fits."""
    encoded = jaeger.shorten_span(jaeger.encode_span(span), max_bytes)
    assert encoded is not None
    assert len(encoded) <= max_bytes
    return jaeger_types.SPAN.decode(encoded)


def mark_of(got: Any) -> object:
    return dict(items(got.tags)).get(jaeger.MARK)


def test_a_span_that_fits_is_left_alone() -> None:
    """At exactly the limit nothing is cut."""
    encoded = jaeger.encode_span(make_span())

    assert jaeger.shorten_span(encoded, len(encoded)) == encoded


@pytest.mark.usefixtures("wide_limits")
def test_the_oldest_events_go_first() -> None:
    """The newest, which tell how it ended, stay, as many as fit; values are whole."""
    span = make_span()
    span.set_metadata("sql", "x" * 500)
    for number in range(1000):
        span.event(SpanEvent(f"event {number}", time_ns=number * 1000))
    got = shortened(span, 2_000)

    assert 30 < len(got.logs) < 1000
    assert got.logs[-1].timestamp == 999
    assert [log.timestamp for log in got.logs] == list(range(1000 - len(got.logs), 1000))
    assert dict(items(got.tags))["sql"] == "x" * 500
    assert mark_of(got) == f"events dropped: {1000 - len(got.logs)}"
    # no room is given away: one more event would not have fitted
    used = len(jaeger_types.SPAN.encode(got))
    assert 2_000 - used < 2 * len(jaeger_types.LOG.encode(got.logs[0])) + 64


def test_then_long_values_lose_their_ends() -> None:
    """The longest values are cut to one length, characters stay whole, short ones stay as is."""
    span = make_span()
    span.set_metadata("sql", "ü" * 5_000)
    span.set_metadata("body", "€" * 5_000)
    span.set_metadata("user", "somebody")
    span.error("e" * 5_000)
    got = shortened(span, 1_500)
    tags = dict(items(got.tags))
    (log,) = got.logs

    assert set(str(tags["sql"])) == {"ü", "…"}
    assert set(str(tags["body"])) == {"€", "…"}
    assert str(tags["sql"]).endswith("ü…")
    assert set(str(log.fields[0].vStr)) == {"e", "…"}
    assert (tags["user"], tags["error"]) == ("somebody", True)
    assert mark_of(got) == "values shortened: 3"
    lengths = [len(str(text).encode()) for text in (tags["sql"], tags["body"], log.fields[0].vStr)]
    assert max(lengths) - min(lengths) <= 4
    assert len(jaeger_types.SPAN.encode(got)) > 1_400


def test_a_long_name_is_cut_too() -> None:
    """A name can be what is too large."""
    got = shortened(make_span("n" * 10_000), 300)

    assert got.operationName.endswith("n…")
    assert mark_of(got) == "values shortened: 1"


@pytest.mark.usefixtures("wide_limits")
def test_then_references_and_the_largest_tags_go() -> None:
    """What has no long values: the last references, then tags by size, and the status stays."""
    linked = make_span(links=[(MAX_TRACE_ID, number + 1) for number in range(1_000)])
    many = make_span()
    many.metadata = {f"key {number}": "v" * (number % 30) for number in range(1_000)}
    many.metadata["k" * 600] = 1
    many.error()
    got_linked, got_many = shortened(linked, 500), shortened(many, 500)

    assert [ref.spanId for ref in got_linked.references][:3] == [1, 2, 3]
    assert mark_of(got_linked) == f"references dropped: {1_000 - len(got_linked.references)}"
    tags = dict(items(got_many.tags))
    assert tags["error"] is True
    assert "k" * 600 not in tags
    kept = len(tags) - 2
    assert kept > 5
    assert mark_of(got_many) == f"tags dropped: {1_001 - kept}"


def test_a_span_cut_twice_adds_up() -> None:
    """Cut again for a smaller datagram, it is marked with both losses, once."""
    span = make_span()
    for number in range(100):
        span.event(SpanEvent(f"event {number}", time_ns=number))
    once = jaeger.shorten_span(jaeger.encode_span(span), 1_000)
    assert once is not None
    twice = jaeger.shorten_span(once, 500)
    assert twice is not None
    got = jaeger_types.SPAN.decode(twice)

    assert [tag.key for tag in got.tags] == [jaeger.MARK]
    assert mark_of(got) == f"events dropped: {100 - len(got.logs)}"


def test_what_cannot_fit_is_none() -> None:
    """Less than the fields of a span need."""
    assert jaeger.shorten_span(jaeger.encode_span(make_span("n" * 100)), 30) is None
    assert jaeger.shorten_process(jaeger.encode_process({"service.name": "n" * 100}), 20) is None


def test_a_large_process_is_cut_down() -> None:
    """Long tags lose their ends, then tags go, and the service keeps its name."""
    attributes = {"service.name": "checkout", "cmd": "x" * 10_000}
    attributes |= {f"key {number}": "v" * 20 for number in range(100)}
    encoded = jaeger.shorten_process(jaeger.encode_process(attributes), 1_000)
    assert encoded is not None
    process = jaeger_types.PROCESS.decode(encoded)

    assert len(encoded) <= 1_000
    assert process.serviceName == "checkout"
    assert "tags dropped" in str(dict(items(process.tags))[jaeger.MARK])


@given(native_spans(), st.integers(0, 400))
def test_cutting_keeps_the_limit_and_the_identity(span: Span, max_bytes: int) -> None:
    """Any span, any limit: within the limit or None, with its ids, times and flags, and marked."""
    encoded = jaeger.encode_span(span)
    cut = jaeger.shorten_span(encoded, max_bytes)
    if cut is None:
        assert max_bytes < 200  # a span's bare fields and the mark take less
        return
    whole, got = jaeger_types.SPAN.decode(encoded), jaeger_types.SPAN.decode(cut)

    assert len(cut) <= max_bytes
    assert (cut == encoded) is (len(encoded) <= max_bytes)
    assert cut == encoded or mark_of(got)
    for field in ("traceIdLow", "traceIdHigh", "spanId", "parentSpanId", "startTime", "duration"):
        assert getattr(got, field) == getattr(whole, field)
    assert got.flags == whole.flags
