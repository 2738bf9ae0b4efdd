"""TraceHeaderParser: which header counts, what a debug id does, what is malformed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iox_otel import LogTraceCollector
from iox_otel.http import Extracted, HeaderError, HeaderParser, TraceHeaderParser, TraceLayer
from iox_otel.http.headers import HeaderEncodingError, MissingHeaderError
from iox_otel.http.parser import FORMATS

Headers = list[tuple[bytes, bytes]]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACE_ID = int(TRACE, 16)

JAEGER = (b"uber-trace-id", b"a1:1:0:0")
B3_TRACE = (b"x-b3-traceid", b"b1")
B3_SPAN = (b"x-b3-spanid", b"2")
W3C = (b"traceparent", f"00-{TRACE}-0000000000000003-00".encode())
B3 = (b"b3", b"d1-4-0")
DEBUG = (b"jaeger-debug-id", b"why-is-it-slow")

NAMES = [
    b"uber-trace-id",
    b"jaeger-debug-id",
    b"x-b3-traceid",
    b"x-b3-spanid",
    b"x-b3-parentspanid",
    b"x-b3-sampled",
    b"x-b3-flags",
    b"traceparent",
    b"tracestate",
    b"b3",
]

plausible = st.sampled_from(
    [value for _, value in (JAEGER, B3_TRACE, W3C, B3)]
    + [b"", b"0", b"1", b"d", b"true", b"0:1:2:3", b"1%3A2%3A0%3A3", b"a=1,b=2", b"1-2-1-0"]
    + [f"01-{TRACE}-00f067aa0ba902b7-03-x".encode(), b"\xff", "\u0661".encode()]
)
header_lists = st.lists(
    st.tuples(st.sampled_from(NAMES) | st.binary(max_size=8), plausible | st.binary(max_size=80)),
    max_size=12,
)


def span_id(extracted: Extracted | None) -> int | None:
    """The span id found, by which the tests tell the formats apart."""
    assert extracted is not None and extracted.context is not None
    return extracted.context.span_id


def test_no_trace_header_is_nothing() -> None:
    """A request that says nothing about tracing yields None."""
    headers: Headers = [(b"host", b"localhost"), (b"tracestate", b"a=1"), (b"x-b3-sampled", b"1")]

    assert TraceHeaderParser().parse([]) is None
    assert TraceHeaderParser().parse(headers) is None


def test_header_names_are_all_that_is_read() -> None:
    """The layer may skip a request with none of these names."""
    parser: HeaderParser = TraceHeaderParser()

    assert parser.header_names == frozenset(NAMES)


def test_first_format_present_wins() -> None:
    """Jaeger, B3 multi, W3C, B3 single, whatever the order of the headers."""
    parser = TraceHeaderParser()
    headers = [B3, W3C, B3_SPAN, B3_TRACE, JAEGER]

    found = []
    for dropped in (JAEGER, B3_TRACE, W3C, B3):
        found.append(span_id(parser.parse(headers)))
        headers.remove(dropped)

    assert found == [1, 2, 3, 4]
    assert parser.parse(headers) is None


def test_context_found_is_remote_and_has_no_collector() -> None:
    """It is the caller's span; who collects ours is the layer's business."""
    extracted = TraceHeaderParser().parse([JAEGER], peer="127.0.0.1")

    assert extracted is not None and extracted.debug_id is None
    context = extracted.context
    assert context is not None
    assert context.is_remote and context.collector is None
    assert not context.sampled and not context.debug


@pytest.mark.parametrize("first", [JAEGER, B3_TRACE, W3C, B3])
def test_malformed_first_format_is_an_error(first: tuple[bytes, bytes]) -> None:
    """Another format beside it, in good order, does not save the request's trace."""
    formats = [JAEGER, B3_TRACE, W3C, B3]
    rest = formats[formats.index(first) + 1 :]

    with pytest.raises(HeaderError, match=r"^error decoding header '.+': "):
        TraceHeaderParser().parse([(first[0], b"nonsense"), B3_SPAN, *rest])


def test_malformed_later_format_is_not_looked_at() -> None:
    """The first format present wins, whatever else the request carries."""
    assert span_id(TraceHeaderParser().parse([(b"traceparent", b"nonsense"), JAEGER])) == 1


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ([(b"uber-trace-id", b"1:2:0:\xff")], "uber-trace-id"),
        ([(b"x-b3-traceid", b"\xff"), B3_SPAN], "X-B3-TraceId"),
        ([B3_TRACE, (b"x-b3-spanid", b"\xff")], "X-B3-SpanId"),
        ([B3_TRACE, B3_SPAN, (b"x-b3-parentspanid", b"\xff")], "X-B3-ParentSpanId"),
        ([B3_TRACE, B3_SPAN, (b"x-b3-sampled", b"\xff")], "X-B3-Sampled"),
        ([B3_TRACE, B3_SPAN, (b"x-b3-flags", b"\xff")], "X-B3-Flags"),
        ([(b"traceparent", b"\xff")], "traceparent"),
        ([(b"b3", b"\xff")], "b3"),
    ],
)
def test_bytes_that_are_not_utf8(headers: Headers, name: str) -> None:
    """They are named as such rather than as a wrong digit."""
    with pytest.raises(HeaderEncodingError) as error:
        TraceHeaderParser().parse(headers)

    assert str(error.value) == f"header '{name}' has non-UTF8 content"


def test_b3_without_span_id() -> None:
    """The name is written as B3 writes it."""
    with pytest.raises(MissingHeaderError) as error:
        TraceHeaderParser().parse([B3_TRACE, (b"x-b3-sampled", b"0")])

    assert str(error.value) == "header 'X-B3-SpanId' not found"


def test_b3_multi_reads_all_five_headers() -> None:
    """Parent, decision and flags are found under their names."""
    headers: Headers = [B3_TRACE, B3_SPAN, (b"x-b3-parentspanid", b"9"), (b"x-b3-sampled", b"1")]
    plain = TraceHeaderParser().parse(headers)
    debug = TraceHeaderParser().parse([*headers, (b"x-b3-flags", b"1")])

    assert plain is not None and plain.context is not None
    assert (plain.context.parent_span_id, plain.context.sampled, plain.context.debug) == (
        9,
        True,
        False,
    )
    assert debug is not None and debug.context is not None and debug.context.debug


def test_first_of_repeated_headers_counts() -> None:
    """As in IOx; it does not matter whether the others could be read."""
    parser = TraceHeaderParser()

    assert span_id(parser.parse([JAEGER, (b"uber-trace-id", b"a1:7:0:0")])) == 1
    assert span_id(parser.parse([B3, (b"b3", b"nonsense")])) == 4


def test_two_traceparents_are_malformed() -> None:
    """There is no telling which one is meant, even if they are equal."""
    with pytest.raises(HeaderError) as error:
        TraceHeaderParser().parse([W3C, W3C])

    assert str(error.value) == "error decoding header 'traceparent': there is more than one"


def test_tracestate_headers_are_combined() -> None:
    """In the order of the headers."""
    extracted = TraceHeaderParser().parse(
        [(b"tracestate", b"a=1, b=2"), W3C, (b"tracestate", b""), (b"tracestate", b"c=3")]
    )

    assert extracted is not None and extracted.context is not None
    assert extracted.context.trace_state == "a=1,b=2,c=3"
    assert extracted.context.child("c").ctx.trace_state == "a=1,b=2,c=3"


@pytest.mark.parametrize("state", [b"a=1,a=2", b"A=1", b"\xff", b"a=\xc3\xa9", b""])
def test_malformed_tracestate_is_dropped_and_the_trace_kept(state: bytes) -> None:
    """The trace goes on without it."""
    extracted = TraceHeaderParser().parse([W3C, (b"tracestate", state)])

    assert extracted is not None and extracted.context is not None
    assert extracted.context.trace_id == TRACE_ID
    assert extracted.context.trace_state is None


def test_debug_id_alone() -> None:
    """There is no context, and the text comes along."""
    assert TraceHeaderParser().parse([DEBUG]) == Extracted(None, "why-is-it-slow")
    assert TraceHeaderParser().parse([(b"jaeger-debug-id", b"")]) == Extracted(None, "")
    assert TraceHeaderParser().parse([(b"b3", b"0"), DEBUG]) == Extracted(None, "why-is-it-slow")


def test_debug_id_text_is_made_valid_and_short() -> None:
    """Any bytes do."""
    extracted = TraceHeaderParser().parse([(b"jaeger-debug-id", b"\xff" + b"x" * 1000)])

    assert extracted == Extracted(None, "\ufffd" + "x" * 255)


@pytest.mark.parametrize("headers", [[JAEGER], [B3_TRACE, B3_SPAN], [W3C], [B3]])
def test_debug_id_beside_a_context(headers: Headers) -> None:
    """The context of whatever format becomes sampled and debug."""
    extracted = TraceHeaderParser().parse([*headers, DEBUG])

    assert extracted is not None and extracted.context is not None
    assert extracted.debug_id == "why-is-it-slow"
    assert extracted.context.sampled and extracted.context.debug


def test_debug_id_beside_a_malformed_header_is_on_the_error() -> None:
    """So that the error is counted and the wish to see the request is not lost."""
    with pytest.raises(HeaderError) as error:
        TraceHeaderParser().parse([DEBUG, (b"uber-trace-id", b"nonsense")])
    with pytest.raises(HeaderError) as without:
        TraceHeaderParser().parse([(b"uber-trace-id", b"nonsense")])

    assert error.value.debug_id == "why-is-it-slow"
    assert without.value.debug_id is None


def test_header_names_are_settings() -> None:
    """Case does not matter, the usual names are not read then, and errors use the name as given."""
    parser = TraceHeaderParser(header_name="My-Trace", debug_name="My-Debug")

    assert span_id(parser.parse([(b"my-trace", b"1:7:0:0")])) == 7
    assert parser.parse([(b"my-debug", b"x")]) == Extracted(None, "x")
    assert parser.parse([JAEGER, DEBUG]) is None
    with pytest.raises(HeaderError, match="^error decoding header 'My-Trace': Expected"):
        parser.parse([(b"my-trace", b"")])
    assert parser.header_names is not None
    assert b"my-trace" in parser.header_names and b"uber-trace-id" not in parser.header_names


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "\u00e4", "a\x00", "(a)", 5, None])
@pytest.mark.parametrize("setting", ["header_name", "debug_name"])
def test_header_names_must_be_tokens(setting: str, name: str) -> None:
    """The message names the value, on one line."""
    with pytest.raises(ValueError, match=r"^invalid header name ") as error:
        TraceHeaderParser(**{setting: name})

    assert repr(name) in str(error.value)
    assert str(error.value).isprintable()


def test_overlong_bad_name_is_not_quoted_whole() -> None:
    """The message stays one line that can be read."""
    with pytest.raises(ValueError) as error:
        TraceHeaderParser(header_name="a b" * 1000)

    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    "names",
    [
        {"header_name": "x", "debug_name": "X"},
        {"header_name": "Traceparent"},
        {"debug_name": "b3"},
        {"header_name": "jaeger-debug-id"},
    ],
)
def test_header_name_cannot_stand_for_two_things(names: dict[str, str]) -> None:
    """Otherwise one of the two would never be read."""
    with pytest.raises(ValueError, match="stands for two things$"):
        TraceHeaderParser(**names)


def test_formats_can_be_chosen_and_ordered() -> None:
    """Those left out are not read at all."""
    parser = TraceHeaderParser(formats=("b3", "jaeger"))

    assert span_id(parser.parse([JAEGER, W3C, B3])) == 4
    assert parser.parse([W3C, B3_TRACE, B3_SPAN]) is None
    assert parser.header_names == frozenset((b"b3", b"uber-trace-id", b"jaeger-debug-id"))
    assert TraceHeaderParser(formats=()).parse([JAEGER, DEBUG]) == Extracted(None, "why-is-it-slow")


def test_unknown_format_is_refused() -> None:
    """The message lists what there is."""
    with pytest.raises(ValueError) as error:
        TraceHeaderParser(formats=("xray",))

    assert str(error.value) == (f"unknown header format 'xray'; there are {', '.join(FORMATS)}")


def test_read_takes_any_lookup() -> None:
    """Carriers other than ASGI pairs are read through a function."""
    assert span_id(TraceHeaderParser().read({"uber-trace-id": ["1:7:0:0"]}.get)) == 7
    assert TraceHeaderParser().read(lambda name: []) is None


def test_requests_share_nothing() -> None:
    """Two parses of the same headers give contexts of their own."""
    parser = TraceHeaderParser()

    one, two = parser.parse([JAEGER]), parser.parse([JAEGER])

    assert one == two
    assert one is not None and two is not None and one.context is not two.context


@given(header_lists)
def test_arbitrary_headers_raise_nothing_else(headers: Headers) -> None:
    """Whatever bytes come in, there is a context, nothing, or a HeaderError of one short line."""
    try:
        extracted = TraceHeaderParser().parse(headers)
    except HeaderError as error:
        assert len(str(error)) < 120
        assert str(error).isprintable()
    else:
        assert extracted is None or extracted != (None, None)
        if extracted is not None and extracted.context is not None:
            assert 1 <= extracted.context.trace_id < 1 << 128
            assert 1 <= extracted.context.span_id < 1 << 64


@given(st.lists(st.sampled_from([JAEGER, B3_TRACE, B3_SPAN, W3C, B3, DEBUG]), unique=True))
def test_order_of_headers_does_not_matter(headers: Headers) -> None:
    """Different headers may come in any order."""

    def outcome(headers: Headers) -> object:
        try:
            return TraceHeaderParser().parse(headers)
        except HeaderError as error:
            return str(error)

    assert outcome(headers) == outcome(headers[::-1])


def test_huge_requests_are_dealt_with_at_once() -> None:
    """A megabyte in every header, and a hundred thousand headers."""
    parser = TraceHeaderParser()
    started = time.monotonic()

    for name in NAMES:
        for char in (b"0", b":", b",", b"\xff"):
            try:
                parser.parse([(name, char * 1_000_000)])
            except HeaderError as error:
                assert len(str(error)) < 120
    parser.parse([W3C, *[(b"tracestate", b"a=1")] * 100_000])

    assert time.monotonic() - started < 5.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("uber-trace-id", "0" * 1020 + "1:2:0:1"),
        ("x-b3-traceid", "0" * 1024 + "1"),
        ("traceparent", f"01-{'a' * 32}-{'b' * 16}-01-" + "x" * 1000),
        ("b3", "1" * 1_000_000),
    ],
)
def test_a_header_of_unbearable_length_is_malformed(name: str, value: str) -> None:
    with pytest.raises(HeaderError) as caught:
        TraceHeaderParser().parse([(name.encode(), value.encode())])
    assert str(caught.value).lower() == (
        f"error decoding header '{name}': longer than 1024 characters"
    )


def test_trace_states_that_are_left_out_are_counted() -> None:
    parser = TraceHeaderParser()
    parent = (b"traceparent", f"00-{'a' * 32}-{'b' * 16}-01".encode())
    kept = ["a=1", "a=1,b=2", "", " , "]
    dropped = [",".join(f"k{number}=v" for number in range(33)), "A=1", "a=1,a=2", "x" * 20_000]
    for state in (*kept, *dropped):
        extracted = parser.parse([parent, (b"tracestate", state.encode())])
        assert extracted is not None
        assert extracted.context is not None
        assert (extracted.context.trace_state is None) is (state not in kept[:2])
    assert parser.trace_states_dropped == len(dropped)


@pytest.mark.parametrize("name", sorted(TraceHeaderParser().header_names or ()))
@pytest.mark.parametrize(
    "value",
    [b"evil\nFAKE LOG LINE", b"\x1b[2J\x1b]0;title\x07", b"a\r\nb", b"\xff\xfe\n", b"%n%s{x}"],
)
def test_no_header_writes_lines_of_its_own_into_a_log(
    name: bytes, value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """What a stranger sends is never quoted in a log, so it can forge no line of it."""
    from iox_otel import _report

    _report._last_ns.clear()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ConnectionResetError

    layer = TraceLayer(app, collector=LogTraceCollector(), name="request")
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(name, value)]}
    with caplog.at_level(logging.DEBUG), contextlib.suppress(ConnectionResetError):
        asyncio.run(layer(scope, None, None))  # type: ignore[arg-type]
    for record in caplog.records:
        message = record.getMessage()
        assert message.isprintable(), message
