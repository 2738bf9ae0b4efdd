"""The wire formats: every row and message of the tables, and properties over arbitrary values."""

from __future__ import annotations

import pickle
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iox_otel import SpanContext
from iox_otel.http import headers

TRACE_ID = 0x4BF92F3577B34DA6A3CE929D0E0E4736
SPAN_ID = 0x00F067AA0BA902B7
TRACE = f"{TRACE_ID:032x}"
SPAN = f"{SPAN_ID:016x}"

EMPTY = "value decode error: cannot parse integer from empty string"
INVALID = "value decode error: invalid digit found in string"
TOO_LARGE = "value decode error: number too large to fit in target type"
ZERO = "value cannot be 0"
JAEGER_SHAPE = 'Expected "trace-id:span-id:parent-span-id:flags"'
B3_SHAPE = 'Expected "trace-id-span-id-sampled-parent-span-id"'
W3C_SHAPE = 'Expected "version-trace-id-parent-id-trace-flags"'

trace_ids = st.integers(1, (1 << 128) - 1)
span_ids = st.integers(1, (1 << 64) - 1)


@st.composite
def contexts(draw: st.DrawFn) -> SpanContext:
    """Contexts as they come in: a debug one is sampled."""
    debug = draw(st.booleans())
    ctx = SpanContext(
        trace_id=draw(trace_ids),
        span_id=draw(span_ids),
        parent_span_id=draw(st.none() | span_ids),
        sampled=debug or draw(st.booleans()),
        debug=debug,
        random_trace_id=draw(st.booleans()),
    )
    ctx.is_remote = True
    return ctx


def fields(ctx: SpanContext) -> tuple[int, int, int | None, bool, bool]:
    """What Jaeger and B3 carry of a context."""
    return ctx.trace_id, ctx.span_id, ctx.parent_span_id, ctx.sampled, ctx.debug


def message(error: pytest.ExceptionInfo[headers.HeaderError], header: str) -> str:
    """The cause in a decode error, after checking the rest of its text."""
    prefix = f"error decoding header '{header}': "
    assert error.value.header == header
    assert str(error.value).startswith(prefix)
    return str(error.value).removeprefix(prefix)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("343:4325345:0:0", (0x343, 0x4325345, None, False, False)),
        ("3a43:432e345:0:1", (0x3A43, 0x432E345, None, True, False)),
        ("343:4325345:3434:F", (0x343, 0x4325345, 0x3434, True, True)),
        ("343:4325345:3434:2", (0x343, 0x4325345, 0x3434, True, True)),
        ("343:4325345:3434:4", (0x343, 0x4325345, 0x3434, False, False)),
        ("343:4325345:0000:ff", (0x343, 0x4325345, None, True, True)),
        (f"{'0' * 90}1:{'0' * 90}2:{'0' * 90}3:{'0' * 90}1", (1, 2, 3, True, False)),
        (f"{'F' * 32}:{'f' * 16}:0:1", ((1 << 128) - 1, (1 << 64) - 1, None, True, False)),
        ("ab%3A1%3a2:1", (0xAB, 1, 2, True, False)),
    ],
)
def test_jaeger_values_that_are_read(
    value: str, expected: tuple[int, int, int | None, bool, bool]
) -> None:
    """Case, leading zeros, an encoded colon and every flag are understood."""
    ctx = headers.parse_jaeger_trace_context(value)

    assert fields(ctx) == expected
    assert ctx.is_remote
    assert ctx.collector is None


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        ("", JAEGER_SHAPE),
        ("invalid", JAEGER_SHAPE),
        ("1:2:3", JAEGER_SHAPE),
        ("1:2:3:1:5", JAEGER_SHAPE),
        ("1%3A2%3A3", JAEGER_SHAPE),
        ("0:2:3:1", ZERO),
        ("1:0000:3:1", ZERO),
        (":2:3:1", EMPTY),
        ("1::3:1", EMPTY),
        ("1:2::1", EMPTY),
        ("1:2:3:", EMPTY),
        (f"1{'0' * 32}:2:3:1", TOO_LARGE),
        (f"1:1{'0' * 16}:3:1", TOO_LARGE),
        (f"1:2:1{'0' * 16}:1", TOO_LARGE),
        ("1:2:3:100", TOO_LARGE),
        (f"{'f' * 33}g:2:3:1", TOO_LARGE),
        (f"{'f' * 32}g:2:3:1", INVALID),
        ("g:2:3:1", INVALID),
        ("0x1:2:3:1", INVALID),
        ("0X1:2:3:1", INVALID),
        ("1_0:2:3:1", INVALID),
        ("+1:2:3:1", INVALID),
        ("-1:2:3:1", INVALID),
        (" 1:2:3:1", INVALID),
        ("1 :2:3:1", INVALID),
        ("1:2:3:1\n", INVALID),
        ("1:2:3:\x00", INVALID),
        ("\u0661:2:3:1", INVALID),  # a digit, but of another script
        ("\uff11:2:3:1", INVALID),
        ("%31:2:3:1", INVALID),
    ],
)
def test_jaeger_values_that_are_refused(value: str, cause: str) -> None:
    """Each fault has its message, with the header's name in front."""
    with pytest.raises(headers.HeaderDecodeError) as error:
        headers.parse_jaeger_trace_context(value, header="x-trace")

    assert message(error, "x-trace") == cause


def test_jaeger_error_names_the_usual_header() -> None:
    """The whole line, as the log shows it."""
    with pytest.raises(ValueError) as error:
        headers.parse_jaeger_trace_context("1:z:0:1")

    assert str(error.value) == (
        "error decoding header 'uber-trace-id': value decode error: invalid digit found in string"
    )


@pytest.mark.parametrize(
    ("sampled", "debug", "flags"), [(False, False, "0"), (True, False, "1"), (True, True, "3")]
)
def test_jaeger_format(sampled: bool, debug: bool, flags: str) -> None:
    """Trace and span are padded, the parent is not, and the flags are one digit."""
    ctx = SpanContext(
        trace_id=0xABC, span_id=0xDEF, parent_span_id=0x1F, sampled=sampled, debug=debug
    )

    assert headers.format_jaeger_trace_context(ctx) == f"{'0' * 29}abc:{'0' * 13}def:1f:{flags}"


def test_jaeger_format_without_parent() -> None:
    """No parent is written as 0."""
    ctx = SpanContext(trace_id=TRACE_ID, span_id=SPAN_ID)

    assert headers.format_jaeger_trace_context(ctx) == f"{TRACE}:{SPAN}:0:1"


@pytest.mark.parametrize(
    ("sampled", "flags", "expected"),
    [
        (None, None, (False, False)),
        ("0", None, (False, False)),
        ("1", None, (True, False)),
        ("true", None, (True, False)),
        ("d", None, (False, False)),
        ("no idea", "no idea", (False, False)),
        (None, "1", (True, True)),
        ("0", "1", (True, True)),
        ("1", "0", (True, False)),
    ],
)
def test_b3_multi_sampling(
    sampled: str | None, flags: str | None, expected: tuple[bool, bool]
) -> None:
    """Only an explicit yes samples; the debug flag overrules the decision."""
    ctx = headers.parse_b3_multi("ee25f", "34e", sampled=sampled, flags=flags)

    assert fields(ctx) == (0xEE25F, 0x34E, None, *expected)


def test_b3_multi_takes_both_id_lengths_and_a_parent() -> None:
    """64-bit and 128-bit trace ids are read, and the parent is kept."""
    short = headers.parse_b3_multi("463ac35c9f6413ad", SPAN, parent_span_id="4595945")
    long = headers.parse_b3_multi(TRACE, SPAN)

    assert fields(short) == (0x463AC35C9F6413AD, SPAN_ID, 0x4595945, False, False)
    assert fields(long) == (TRACE_ID, SPAN_ID, None, False, False)


@pytest.mark.parametrize(
    ("trace_id", "span_id", "parent", "header", "cause"),
    [
        ("0", "1", None, "X-B3-TraceId", ZERO),
        ("", "1", None, "X-B3-TraceId", EMPTY),
        ("f" * 33, "1", None, "X-B3-TraceId", TOO_LARGE),
        ("1", "0", None, "X-B3-SpanId", ZERO),
        ("1", "not a number", None, "X-B3-SpanId", INVALID),
        ("1", "f" * 17, None, "X-B3-SpanId", TOO_LARGE),
        ("1", "1", "0", "X-B3-ParentSpanId", ZERO),
        ("1", "1", "", "X-B3-ParentSpanId", EMPTY),
        ("1", "1", "x", "X-B3-ParentSpanId", INVALID),
    ],
)
def test_b3_multi_values_that_are_refused(
    trace_id: str, span_id: str, parent: str | None, header: str, cause: str
) -> None:
    """The message names the header at fault; parent 0 is one."""
    with pytest.raises(headers.HeaderDecodeError) as error:
        headers.parse_b3_multi(trace_id, span_id, parent_span_id=parent)

    assert message(error, header) == cause


def test_b3_multi_needs_a_span_id() -> None:
    """A trace id alone is no context."""
    with pytest.raises(headers.MissingHeaderError) as error:
        headers.parse_b3_multi("1", None, sampled="0")

    assert str(error.value) == "header 'X-B3-SpanId' not found"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"{TRACE}-{SPAN}", (TRACE_ID, SPAN_ID, None, False, False)),
        (f"{TRACE}-{SPAN}-0", (TRACE_ID, SPAN_ID, None, False, False)),
        (f"{TRACE}-{SPAN}-1", (TRACE_ID, SPAN_ID, None, True, False)),
        (f"{TRACE}-{SPAN}-d", (TRACE_ID, SPAN_ID, None, True, True)),
        (f"463ac35c9f6413ad-{SPAN}-1-1f", (0x463AC35C9F6413AD, SPAN_ID, 0x1F, True, False)),
    ],
)
def test_b3_single_values_that_are_read(
    value: str, expected: tuple[int, int, int | None, bool, bool]
) -> None:
    """Decision and parent may be missing; without a decision the context is unsampled."""
    ctx = headers.parse_b3_single(value)

    assert ctx is not None
    assert fields(ctx) == expected


@pytest.mark.parametrize("value", ["0", "1", "d"])
def test_b3_single_decision_alone_names_no_trace(value: str) -> None:
    """It is valid, and there is nothing to continue."""
    assert headers.parse_b3_single(value) is None


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        ("", B3_SHAPE),
        ("2", B3_SHAPE),
        (TRACE, B3_SHAPE),
        (f"{TRACE}-{SPAN}-1-1f-1", B3_SHAPE),
        (f"{TRACE}-{SPAN}-", "sampled must be 0, 1 or d"),
        (f"{TRACE}-{SPAN}-true", "sampled must be 0, 1 or d"),
        (f"{TRACE}-{SPAN}-1-0", ZERO),
        (f"{TRACE}-{SPAN}-1-", EMPTY),
        (f"0-{SPAN}-1", ZERO),
        (f"{TRACE}-0-1", ZERO),
        (f"-{SPAN}-1", EMPTY),
        (f"0x1-{SPAN}-1", INVALID),
        (f"{TRACE}0-{SPAN}-1", TOO_LARGE),
    ],
)
def test_b3_single_values_that_are_refused(value: str, cause: str) -> None:
    """Each fault has its message."""
    with pytest.raises(headers.HeaderDecodeError) as error:
        headers.parse_b3_single(value)

    assert message(error, "b3") == cause


@pytest.mark.parametrize(
    ("value", "sampled", "random"),
    [
        (f"00-{TRACE}-{SPAN}-00", False, False),
        (f"00-{TRACE}-{SPAN}-01", True, False),
        (f"00-{TRACE}-{SPAN}-02", False, True),
        (f"00-{TRACE}-{SPAN}-03", True, True),
        (f"00-{TRACE}-{SPAN}-fc", False, False),
        (f"00-{TRACE}-{SPAN}-ff", True, True),
        (f"01-{TRACE}-{SPAN}-01", True, False),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-holds", True, False),
        (f"cc-{TRACE}-{SPAN}-01-", True, False),
        (f"fe-{TRACE}-{SPAN}-00-{'x' * 1000}", False, False),
        (f" \t00-{TRACE}-{SPAN}-01\t ", True, False),
    ],
)
def test_traceparent_values_that_are_read(value: str, sampled: bool, random: bool) -> None:
    """Known flags are kept, later versions are read as far as this one goes."""
    ctx = headers.parse_traceparent(value)

    assert fields(ctx) == (TRACE_ID, SPAN_ID, None, sampled, False)
    assert ctx.random_trace_id is random
    assert ctx.is_remote


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        ("", W3C_SHAPE),
        (f"00-{TRACE}-{SPAN}-1", W3C_SHAPE),
        (f"00-{TRACE}-{SPAN}", W3C_SHAPE),
        (f"00-{TRACE}-{SPAN}-011", W3C_SHAPE),
        (f"00-{TRACE}-{SPAN}-01-", W3C_SHAPE),
        (f"00-{TRACE}-{SPAN}-01-more", W3C_SHAPE),
        (f"00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01", W3C_SHAPE),
        (f"cc-{TRACE}-{SPAN}-01.more", W3C_SHAPE),
        (f"cc-{TRACE}-{SPAN}-011", W3C_SHAPE),
        (f"0-{TRACE}-{SPAN}-01-", W3C_SHAPE),
        (f"000-{TRACE}-{SPAN}-01", W3C_SHAPE),
        (f"00-{TRACE}0-{SPAN}-01", W3C_SHAPE),
        (f"00-{TRACE}-{SPAN}0-01", W3C_SHAPE),
        (f"00_{TRACE}-{SPAN}-01", W3C_SHAPE),
        (f"ff-{TRACE}-{SPAN}-01", "version ff is invalid"),
        (f"ff-{TRACE}-{SPAN}-01-more", "version ff is invalid"),
        (f"FF-{TRACE}-{SPAN}-01", INVALID),
        (f".0-{TRACE}-{SPAN}-01", INVALID),
        (f"00-{TRACE.upper()}-{SPAN}-01", INVALID),
        (f"00-{TRACE}-{SPAN.upper()}-01", INVALID),
        (f"00-{TRACE}-{SPAN}-0.", INVALID),
        (f"00-{TRACE}-{SPAN}-0A", INVALID),
        (f"00-{'0' * 32}-{SPAN}-01", ZERO),
        (f"00-{TRACE}-{'0' * 16}-01", ZERO),
        (f"00-{TRACE[:-1]}\u0661-{SPAN}-01", INVALID),
    ],
)
def test_traceparent_values_that_are_refused(value: str, cause: str) -> None:
    """Lengths, separators, digits, the forbidden version and zero ids."""
    with pytest.raises(headers.HeaderDecodeError) as error:
        headers.parse_traceparent(value)

    assert message(error, "traceparent") == cause


def test_traceparent_of_a_debug_context_is_sampled() -> None:
    """There is no debug flag in W3C's header, and downstream shall record it."""
    ctx = SpanContext(trace_id=TRACE_ID, span_id=SPAN_ID, sampled=False, debug=True)

    assert headers.format_traceparent(ctx) == f"00-{TRACE}-{SPAN}-01"


KEY_256 = "a" * 256
VALUE_256 = "v" * 256
ALL_VALUE_CHARS = "".join(map(chr, range(0x20, 0x7F))).replace(",", "").replace("=", "")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["foo=1"], "foo=1"),
        (["foo=1,bar=2"], "foo=1,bar=2"),
        (["foo=1,bar=2", "rojo=1,congo=2", "baz=3"], "foo=1,bar=2,rojo=1,congo=2,baz=3"),
        (["foo=1", ""], "foo=1"),
        (["", "foo=1"], "foo=1"),
        (["foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3"),
        ([",,foo=1, ,bar=2,"], "foo=1,bar=2"),
        (["\t foo=1 \t"], "foo=1"),
        (["foo= 1"], "foo= 1"),
        (["1a=1,9@v=2,a@b@c=3"], "1a=1,9@v=2,a@b@c=3"),
        (["a_-*/@0=1"], "a_-*/@0=1"),
        ([f"a={ALL_VALUE_CHARS}"], f"a={ALL_VALUE_CHARS}"),
        ([f"{KEY_256}={VALUE_256}"], f"{KEY_256}={VALUE_256}"),
        ([",".join(f"k{n}=v" for n in range(32))], ",".join(f"k{n}=v" for n in range(32))),
    ],
)
def test_tracestate_that_is_kept(values: list[str], expected: str) -> None:
    """Members keep their order and text, whatever the number of headers."""
    assert headers.parse_tracestate(values) == expected


@pytest.mark.parametrize(
    "values",
    [
        [],
        [""],
        [" ,\t, "],
        ["foo"],
        ["foo="],
        ["=1"],
        ["foo=1,foo=1"],
        ["foo=1", "foo=2"],
        ["foo =1"],
        ["FOO=1"],
        ["foo=1=2"],
        ["_a=1"],
        ["@a=1"],
        ["a.b=1"],
        ["a=\x7f"],
        ["a=b\tc"],
        ["a=b\r\nx-evil: 1"],
        ["a=\u00e9"],
        ["a=\udcff"],
        ["foo=1;bar=2"],
        [f"{KEY_256}a=1"],
        [f"a={VALUE_256}v"],
        [",".join(f"k{n}=v" for n in range(33))],
    ],
)
def test_tracestate_that_is_dropped(values: list[str]) -> None:
    """One malformed member spoils the whole list, and an empty list is none."""
    assert headers.parse_tracestate(values) is None


def test_longest_tracestate_the_grammar_allows_is_kept() -> None:
    """32 members of the largest key and value fit, one blank more does not."""
    value = ",".join(f"{n:a>256}={VALUE_256}" for n in range(32))

    assert len(value) == headers.MAX_TRACE_STATE_CHARS
    assert headers.parse_tracestate([value]) == value
    assert headers.parse_tracestate([value + " "]) is None
    assert headers.parse_tracestate([value, ""]) is None


def test_tracestate_out_is_checked() -> None:
    """Text that code put into a context cannot reach the wire as another header."""
    ctx = SpanContext(trace_id=TRACE_ID, span_id=SPAN_ID)

    assert headers.format_tracestate(ctx) is None
    ctx.trace_state = "a=1\r\nset-cookie: evil"
    assert headers.format_tracestate(ctx) is None
    ctx.trace_state = "a=1"
    assert headers.format_tracestate(ctx) == "a=1"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("tracing-is-a-great-idea", "tracing-is-a-great-idea"),
        ("", ""),
        ("gr\u00fc\u00dfe", "gr\u00fc\u00dfe"),
        ("a\udcffb", "a\ufffdb"),
        ("a\ud800b", "a\ufffdb"),
        ("x" * 300, "x" * headers.MAX_DEBUG_ID_CHARS),
    ],
)
def test_debug_id(value: str, expected: str) -> None:
    """Any text is a debug id, made valid and short."""
    assert headers.parse_debug_id(value) == expected


@given(contexts())
def test_jaeger_round_trip(ctx: SpanContext) -> None:
    """What is written is read back the same."""
    text = headers.format_jaeger_trace_context(ctx)

    assert fields(headers.parse_jaeger_trace_context(text)) == fields(ctx)
    assert fields(headers.parse_jaeger_trace_context(text.replace(":", "%3A"))) == fields(ctx)


@given(contexts())
def test_b3_multi_round_trip(ctx: SpanContext) -> None:
    """What is written is read back the same."""
    written = headers.format_b3_multi(ctx)

    read = headers.parse_b3_multi(
        written["X-B3-TraceId"],
        written["X-B3-SpanId"],
        parent_span_id=written.get("X-B3-ParentSpanId"),
        sampled=written.get("X-B3-Sampled"),
        flags=written.get("X-B3-Flags"),
    )
    assert fields(read) == fields(ctx)
    assert ("X-B3-Flags" in written) is ctx.debug


@given(contexts())
def test_b3_single_round_trip(ctx: SpanContext) -> None:
    """What is written is read back the same."""
    read = headers.parse_b3_single(headers.format_b3_single(ctx))

    assert read is not None
    assert fields(read) == fields(ctx)


@given(contexts())
def test_traceparent_round_trip(ctx: SpanContext) -> None:
    """Ids, sampling and randomness survive; W3C has no parent and no debug."""
    read = headers.parse_traceparent(headers.format_traceparent(ctx))

    assert fields(read) == (ctx.trace_id, ctx.span_id, None, ctx.sampled, False)
    assert read.random_trace_id is ctx.random_trace_id


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[a-z0-9][a-z0-9_\-*/@]{0,255}", fullmatch=True),
            st.from_regex(r"[ -+\--<>-~]{0,255}[!-+\--<>-~]", fullmatch=True),
        ),
        min_size=1,
        max_size=32,
        unique_by=lambda member: member[0],
    )
)
def test_tracestate_round_trip(members: list[tuple[str, str]]) -> None:
    """A list within the grammar comes back as it was, in one header or many."""
    written = [f"{key}={value}" for key, value in members]

    # A value may start with blanks, but not the list: what surrounds a member is not part of it.
    assert headers.parse_tracestate([",".join(written)]) == ",".join(written)
    assert headers.parse_tracestate(written) == ",".join(written)


@given(st.text() | st.text("0123456789abcdefABCDEFx_+-: %3"))
def test_arbitrary_text_raises_nothing_else(value: str) -> None:
    """A value is read or refused by a HeaderError with a short, printable line."""
    for parse in (
        headers.parse_jaeger_trace_context,
        headers.parse_b3_single,
        headers.parse_traceparent,
        lambda text: headers.parse_b3_multi(text, text, parent_span_id=text),
    ):
        try:
            parse(value)
        except headers.HeaderError as error:
            assert len(str(error)) < 120
            assert str(error).isprintable()
    headers.parse_tracestate([value, value])
    assert len(headers.parse_debug_id(value).encode()) <= 4 * headers.MAX_DEBUG_ID_CHARS


@given(st.text("0123456789abcdefABCDEF", min_size=1, max_size=40))
def test_hexadecimal_agrees_with_python(digits: str) -> None:
    """Plain digits mean what `int` says, wherever they fit."""
    number = int(digits, 16)
    try:
        ctx = headers.parse_jaeger_trace_context(f"{digits}:1:0:0")
    except headers.HeaderDecodeError as error:
        assert str(error).endswith(TOO_LARGE if number else ZERO)
        assert not 0 < number < 1 << 128
    else:
        assert ctx.trace_id == number


@pytest.mark.parametrize("char", ["0", "f", "g", ":", "-", "%", "%3A", ",", "a=1,", " ", "\udcff"])
def test_megabytes_are_dealt_with_at_once(char: str) -> None:
    """Over-long values cost a scan at most, and the message does not grow with them."""
    value = char * (1_000_000 // len(char))
    started = time.monotonic()

    for parse in (
        headers.parse_jaeger_trace_context,
        headers.parse_b3_single,
        headers.parse_traceparent,
        lambda text: headers.parse_b3_multi(text, "1"),
        lambda text: headers.parse_jaeger_trace_context(f"1:2:3:{text}"),
        lambda text: headers.parse_b3_single(f"1-2-1-{text}"),
    ):
        try:
            parse(value)
        except headers.HeaderError as error:
            assert len(str(error)) < 120
        else:
            assert char == "0"  # zeros in front of a number are fine, and so is the flag 0
    assert headers.parse_tracestate([value]) is None
    assert len(headers.parse_debug_id(value)) == headers.MAX_DEBUG_ID_CHARS

    assert time.monotonic() - started < 5.0


def test_contexts_are_whole() -> None:
    """Every slot of a context that was read is set, and equal to a constructed one's."""
    read = headers.parse_jaeger_trace_context("1:2:3:1")
    made = SpanContext(trace_id=1, span_id=2, parent_span_id=3)
    made.is_remote = True

    for slot in SpanContext.__slots__:
        assert getattr(read, slot) == getattr(made, slot)
    assert read.child("c").ctx.parent_is_remote


def test_randomness_of_the_trace_id_is_inherited() -> None:
    """Level 2 wants the flag passed on with the trace id, whoever made it; our own are random."""
    for text, flags in ((f"00-{TRACE}-{SPAN}-02", "02"), (f"00-{TRACE}-{SPAN}-01", "01")):
        child = headers.parse_traceparent(text).child("c").child("d").ctx
        assert headers.format_traceparent(child) == f"00-{TRACE}-{child.span_id:016x}-{flags}"

    assert headers.format_traceparent(SpanContext.new(None)).endswith("-03")


@pytest.mark.parametrize(
    "error",
    [
        headers.MissingHeaderError("x"),
        headers.HeaderEncodingError("x"),
        headers.HeaderDecodeError("x", "why"),
        headers.HeaderNumberError("x", "why"),
        headers.HeaderError("x"),
    ],
)
def test_errors_are_value_errors_that_pickle(error: headers.HeaderError) -> None:
    """They can be caught as ValueError and cross process boundaries with all they hold."""
    error.debug_id = "why not"

    copy = pickle.loads(pickle.dumps(error))

    assert isinstance(error, ValueError)
    assert type(copy) is type(error)
    assert (str(copy), copy.header, copy.debug_id) == (str(error), "x", "why not")
