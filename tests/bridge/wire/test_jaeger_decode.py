"""Jaeger's datagrams as OTLP's messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.transport.TTransport import TMemoryBuffer

from iox_otel import Span, SpanContext, SpanEvent, SpanKind, SpanStatus
from iox_otel_bridge.wire import jaeger, jaeger_types
from iox_otel_bridge.wire.errors import DecodeError
from iox_otel_bridge.wire.jaeger_decode import REF_TYPE, Emitted, decode_datagram

TRACE, OTHER = 0xF << 124 | 7, 9
START_NS = 1_700_000_000_123_456_000


def datagram(*spans: bytes, **attributes: object) -> bytes:
    """Return a datagram with *spans* of a process with *attributes*."""
    process = jaeger.encode_process({"service.name": "checkout", **attributes})
    stats = jaeger.ClientStats(1, 2, 3)
    return jaeger.encode_batch(process, b"".join(spans), len(spans), seq_no=12, stats=stats)


def decoded(span: Span) -> SpanMessage:
    """Return what becomes of *span* on the way."""
    (message,) = decode_datagram(datagram(jaeger.encode_span(span))).spans
    return message


def make_span(**context: object) -> Span:
    """Return a span of 2.5 ms."""
    ids = {"trace_id": TRACE, "span_id": 1 << 63, "parent_span_id": 5}
    ctx = SpanContext(**{**ids, **context})  # type: ignore[arg-type]
    return Span("work", ctx, kind=SpanKind.CLIENT, start_ns=START_NS, end_ns=START_NS + 2_500_000)


def encoded(*references: tuple[int, int, int], parent: int = 0) -> bytes:
    """Return a span of trace 7 with references of type, trace and span, as any client may send."""
    struct = jaeger_types.Span(
        traceIdLow=7,
        traceIdHigh=0,
        spanId=1,
        parentSpanId=parent,
        operationName="work",
        flags=9,
        startTime=-5,
        duration=-1,
        references=[
            jaeger_types.SpanRef(refType=kind, traceIdLow=trace, traceIdHigh=0, spanId=span)
            for kind, trace, span in references
        ],
    )
    return written(struct)


def written(struct: object) -> bytes:
    """Return *struct* of the generated types in compact Thrift."""
    buffer = TMemoryBuffer()
    struct.write(TCompactProtocol(buffer))  # type: ignore[attr-defined]
    return bytes(buffer.getvalue())


def said(attributes: object) -> list[tuple[str, str | None, object]]:
    """Return attributes as key, type and value."""
    listed = []
    for attribute in attributes:  # type: ignore[attr-defined]
        kind = attribute.value.WhichOneof("value")
        listed.append((attribute.key, kind, getattr(attribute.value, kind)))
    return listed


def test_a_datagram() -> None:
    """The process is the resource; the number, the client and what it lost come along."""
    emitted = decode_datagram(datagram(encoded(), env="prod", **{"client-uuid": "abc"}))

    assert said(emitted.resource.attributes) == [
        ("service.name", "string_value", "checkout"),
        ("client-uuid", "string_value", "abc"),
        ("env", "string_value", "prod"),
    ]
    assert emitted == Emitted(
        emitted.resource, emitted.spans, 12, "abc", jaeger.ClientStats(1, 2, 3)
    )
    assert decode_datagram(datagram(encoded())).client_uuid == ""


def test_a_span() -> None:
    """Ids, name, times, flags and tags, each of its type and in its place."""
    span = make_span(debug=True)
    for key, value in {"a": "ü", "b": True, "c": -(2**63), "d": -0.0, "e": False}.items():
        span.set_metadata(key, value)
    span.set_status(SpanStatus.OK)
    message = decoded(span)

    assert message.trace_id == TRACE.to_bytes(16, "big")
    assert (message.span_id, message.parent_span_id) == (b"\x80" + bytes(7), bytes(7) + b"\5")
    assert (message.name, message.flags) == ("work", 3)
    assert message.start_time_unix_nano == START_NS
    assert message.end_time_unix_nano == START_NS + 2_500_000
    assert repr(said(message.attributes)) == repr(
        [
            ("a", "string_value", "ü"),
            ("b", "bool_value", True),
            ("c", "int_value", -(2**63)),
            ("d", "double_value", -0.0),
            ("e", "bool_value", False),
            ("ok", "bool_value", True),
            ("span.kind", "string_value", "client"),
        ]
    )


def test_binary_tags() -> None:
    """Bytes stay bytes."""
    tag = jaeger_types.Tag("raw", jaeger_types.BINARY, vBinary=b"\0\xff")
    struct = jaeger_types.SPAN.decode(encoded())
    struct.tags = [tag]
    (message,) = decode_datagram(datagram(written(struct))).spans
    assert said(message.attributes) == [("raw", "bytes_value", b"\0\xff")]


def test_events() -> None:
    """The first text named `event` is the name; all else is attributes, a second one too."""
    span = make_span()
    span.event(SpanEvent("started", {"event": "again", "n": 1}, time_ns=START_NS + 1_000))
    span.event(SpanEvent("", {"only": "this"}, time_ns=START_NS))
    first, second = decoded(span).events

    assert (first.name, first.time_unix_nano) == ("started", START_NS + 1_000)
    assert [key for key, _, _ in said(first.attributes)] == ["event", "n"]
    assert (second.name, [key for key, _, _ in said(second.attributes)]) == ("", ["event", "only"])


def test_references_are_links_that_tell_their_type() -> None:
    """All of them, in their order, the one to the parent too."""
    message = decoded(make_span(links=((OTHER, 2), (TRACE, 5))))
    assert [
        (int.from_bytes(link.trace_id, "big"), link.span_id[-1], said(link.attributes))
        for link in message.links
    ] == [
        (TRACE, 5, [(REF_TYPE, "string_value", "child_of")]),
        (OTHER, 2, [(REF_TYPE, "string_value", "follows_from")]),
        (TRACE, 5, [(REF_TYPE, "string_value", "follows_from")]),
    ]


@pytest.mark.parametrize(
    ("references", "parent", "expected"),
    [
        ([(0, 7, 2)], 3, 3),
        ([(1, 7, 4), (0, 8, 2), (0, 7, 3)], 0, 3),
        ([(1, 8, 2), (1, 7, 3), (1, 7, 4)], 0, 3),
        ([(0, 8, 2)], 0, 0),
    ],
)
def test_the_parent_is_the_one_that_jaeger_takes(
    references: list[tuple[int, int, int]], parent: int, expected: int
) -> None:
    """The span's own field, else the first CHILD_OF, else FOLLOWS_FROM, of the same trace."""
    (message,) = decode_datagram(datagram(encoded(*references, parent=parent))).spans
    assert int.from_bytes(message.parent_span_id, "big") == expected


def test_times_that_cannot_be() -> None:
    """A start before 1970 is 0, and a negative duration none."""
    (message,) = decode_datagram(datagram(encoded())).spans
    assert (message.start_time_unix_nano, message.end_time_unix_nano) == (0, 0)


def test_a_refusal_is_short() -> None:
    """It does not quote the whole of a datagram that is no text where it should be."""
    nameless = b"\x82\x81\x01\x90\x4e" + b"\xff" * 10_000
    with pytest.raises(DecodeError, match="UnicodeDecodeError") as caught:
        decode_datagram(nameless)
    assert len(str(caught.value)) < 300


@given(st.data())
def test_a_damaged_datagram_is_refused_or_read(data: st.DataObject) -> None:
    """Whatever is wrong with the bytes, the only error is DecodeError."""
    whole = bytearray(datagram(jaeger.encode_span(make_span(links=((OTHER, 2),))), env="prod"))
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode_datagram(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    except DecodeError as error:
        assert "\n" not in str(error)
