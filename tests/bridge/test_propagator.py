"""The propagators in OpenTelemetry's hands, and any propagator in TraceLayer's."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, get_current
from opentelemetry.propagators import jaeger
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import Getter, TextMapPropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from iox_otel import SpanContext
from iox_otel.http import Extracted, HeaderError, HeaderParser, TraceHeaderParser
from iox_otel.http.parser import FORMATS
from iox_otel_bridge.propagator import (
    DEBUG_ID_KEY,
    HEADER_ERROR_KEY,
    AsgiGetter,
    IoxPropagator,
    JaegerPropagator,
    PropagatorHeaderParser,
)
from iox_otel_bridge.remote import RemoteSpan
from iox_otel_bridge.trust import Trust

Headers = list[tuple[bytes, bytes]]
Carrier = dict[str, str]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
TRACE_ID = int(TRACE, 16)
SPAN_ID = int(SPAN, 16)
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"

OURS = [JaegerPropagator(), IoxPropagator()]


def remote(context: Context) -> trace.SpanContext:
    """The span context that an extraction left behind."""
    return trace.get_current_span(context).get_span_context()


def injected(propagator: TextMapPropagator, context: Context) -> Carrier:
    """What *propagator* writes for *context*."""
    carrier: Carrier = {}
    propagator.inject(carrier, context)
    return carrier


def plain(flags: int = 1, state: str | None = None) -> Context:
    """A Context with nothing but somebody's NonRecordingSpan."""
    span_context = trace.SpanContext(
        TRACE_ID,
        SPAN_ID,
        is_remote=True,
        trace_flags=trace.TraceFlags(flags),
        trace_state=trace.TraceState.from_header([state]) if state else None,
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(span_context), Context())


@pytest.mark.parametrize("propagator", OURS)
@pytest.mark.parametrize(
    ("flags", "sampled"), [("0", False), ("1", True), ("2", True), ("3", True), ("4", False)]
)
def test_flags_in(propagator: TextMapPropagator, flags: str, sampled: bool) -> None:
    """Debug implies sampled; other flags mean nothing."""
    context = propagator.extract({"uber-trace-id": f"{TRACE}:{SPAN}:0:{flags}"})

    found = remote(context)
    assert (found.trace_id, found.span_id) == (TRACE_ID, SPAN_ID)
    assert found.is_remote and found.is_valid
    assert found.trace_flags.sampled is sampled
    assert HEADER_ERROR_KEY not in context and DEBUG_ID_KEY not in context


@pytest.mark.parametrize("propagator", OURS)
@pytest.mark.parametrize(
    ("flags_in", "flags_out"), [("0", "0"), ("1", "1"), ("2", "3"), ("3", "3")]
)
def test_flags_out(propagator: TextMapPropagator, flags_in: str, flags_out: str) -> None:
    """A sampled trace is not made a debug one, and a debug one stays it."""
    context = propagator.extract({"uber-trace-id": f"{TRACE}:{SPAN}:7:{flags_in}"})

    assert injected(propagator, context)["uber-trace-id"] == f"{TRACE}:{SPAN}:7:{flags_out}"


def test_iox_writes_jaeger_and_w3c() -> None:
    """With the same ids, and the trace state if there is one."""
    propagator = IoxPropagator()

    assert injected(propagator, plain(1)) == {
        "uber-trace-id": f"{TRACE}:{SPAN}:0:1",
        "traceparent": TRACEPARENT,
    }
    assert injected(propagator, plain(2, "a=1,b=2")) == {
        "uber-trace-id": f"{TRACE}:{SPAN}:0:0",
        "traceparent": f"00-{TRACE}-{SPAN}-02",
        "tracestate": "a=1,b=2",
    }
    assert propagator.fields == {"uber-trace-id", "traceparent", "tracestate"}


@pytest.mark.parametrize("state", ["a=1,b=2", "1a=x,a@b@c=y", "a= 1"])
def test_trace_state_and_randomness_pass_through(state: str) -> None:
    """Whatever level 2 allows goes out as it came in, from the remote span and its children."""
    propagator = IoxPropagator()
    context = propagator.extract({"traceparent": f"00-{TRACE}-{SPAN}-03", "tracestate": state})
    child = TracerProvider().get_tracer("t").start_span("child", context)

    carrier = injected(propagator, context)
    below = injected(propagator, trace.set_span_in_context(child, context))
    child.end()

    assert remote(context).trace_state.to_header() == state
    assert (carrier["traceparent"], carrier["tracestate"]) == (f"00-{TRACE}-{SPAN}-03", state)
    assert below["tracestate"] == state
    assert below["traceparent"].startswith(f"00-{TRACE}-") and below["traceparent"].endswith("-03")


@pytest.mark.parametrize(
    ("carrier", "span_id"),
    [
        ({"uber-trace-id": f"{TRACE}:1:0:1"}, 1),
        ({"x-b3-traceid": TRACE, "x-b3-spanid": "2", "x-b3-sampled": "1"}, 2),
        ({"traceparent": f"00-{TRACE}-0000000000000003-01"}, 3),
        ({"b3": f"{TRACE}-4-1"}, 4),
    ],
)
def test_iox_reads_every_format(carrier: Carrier, span_id: int) -> None:
    """Each by itself."""
    found = remote(IoxPropagator().extract(carrier))

    assert (found.trace_id, found.span_id, found.trace_flags.sampled) == (TRACE_ID, span_id, True)


def test_jaeger_reads_jaeger_only() -> None:
    """The other formats are not its business."""
    context = JaegerPropagator().extract({"traceparent": TRACEPARENT, "b3": f"{TRACE}-{SPAN}-1"})

    assert context == Context()


@pytest.mark.parametrize("propagator", OURS)
def test_nothing_there_changes_nothing(propagator: TextMapPropagator) -> None:
    """The Context given comes back; without one, an empty one rather than the current."""
    given_context = plain()

    assert propagator.extract({}, given_context) is given_context
    with trace.use_span(trace.get_current_span(given_context)):
        assert propagator.extract({}) == Context()


@pytest.mark.parametrize("propagator", OURS)
def test_malformed_header_is_left_in_the_context(propagator: TextMapPropagator) -> None:
    """Nothing is raised, the span that was there stays, and the error tells what was wrong."""
    context = propagator.extract({"uber-trace-id": "1:z:0:1", "jaeger-debug-id": "why"}, plain())

    error = context[HEADER_ERROR_KEY]
    assert isinstance(error, HeaderError)
    assert str(error) == (
        "error decoding header 'uber-trace-id': value decode error: invalid digit found in string"
    )
    assert error.__traceback__ is None
    assert context[DEBUG_ID_KEY] == "why"
    assert remote(context).span_id == SPAN_ID


@pytest.mark.parametrize("propagator", OURS)
def test_debug_id(propagator: TextMapPropagator) -> None:
    """Alone it is no span; beside a context it makes that one sampled and debug."""
    alone = propagator.extract({"jaeger-debug-id": "why"})
    beside = propagator.extract({"jaeger-debug-id": "why", "uber-trace-id": f"{TRACE}:{SPAN}:0:0"})

    assert alone == Context({DEBUG_ID_KEY: "why"})
    assert beside[DEBUG_ID_KEY] == "why"
    assert remote(beside).trace_flags.sampled
    assert injected(propagator, beside)["uber-trace-id"] == f"{TRACE}:{SPAN}:0:3"


@pytest.mark.parametrize("propagator_class", [JaegerPropagator, IoxPropagator])
def test_names_are_settings(
    propagator_class: type[JaegerPropagator] | type[IoxPropagator],
) -> None:
    """In and out, in `fields` and `header_names`; bad ones are refused by name."""
    propagator = propagator_class(header_name="My-Trace", debug_name="My-Debug")

    context = propagator.extract({"my-trace": f"{TRACE}:{SPAN}:0:1", "my-debug": "why"})

    assert context[DEBUG_ID_KEY] == "why"
    assert injected(propagator, context)["my-trace"] == f"{TRACE}:{SPAN}:0:3"
    assert "my-trace" in propagator.fields
    assert propagator.header_names is not None
    assert {b"my-trace", b"my-debug"} <= propagator.header_names
    with pytest.raises(ValueError, match="^invalid header name 'a b'"):
        propagator_class(header_name="a b")


def test_jaeger_takes_the_place_of_the_packaged_one() -> None:
    """It is one, writes the same fields, and carries Jaeger's baggage both ways."""
    propagator = JaegerPropagator()
    carrier = {"uber-trace-id": f"{TRACE}:{SPAN}:0:1", "uberctx-user": "a%20b"}

    context = propagator.extract(carrier)

    assert isinstance(propagator, jaeger.JaegerPropagator)
    assert propagator.fields == jaeger.JaegerPropagator().fields
    assert baggage.get_all(context) == {"user": "a b"}
    assert injected(propagator, context) == carrier


def test_baggage_from_outside_is_bounded() -> None:
    """So many entries and bytes as W3C's baggage has, however many headers there are."""
    many = {f"uberctx-key-{number}": "x" for number in range(10_000)}
    large = {f"uberctx-key-{number}": "x" * 4_000 for number in range(100)}
    for carrier in (many, large):
        carrier["uber-trace-id"] = f"{TRACE}:{SPAN}:0:1"
        found = baggage.get_all(JaegerPropagator().extract(carrier))
        assert 0 < len(found) <= 180
        assert sum(len(key) + len(str(value)) for key, value in found.items()) <= 8_192


@pytest.mark.parametrize("propagator", OURS)
@pytest.mark.parametrize("context", [Context(), trace.set_span_in_context(trace.INVALID_SPAN)])
def test_no_span_writes_nothing(propagator: TextMapPropagator, context: Context) -> None:
    """An invalid span context is none."""
    assert injected(propagator, context) == {}


@pytest.mark.parametrize("propagator", OURS)
def test_current_context_is_the_default(propagator: TextMapPropagator) -> None:
    """Without a Context, the current one's span is written."""
    carrier: Carrier = {}

    with trace.use_span(trace.get_current_span(plain())):
        propagator.inject(carrier)

    assert carrier["uber-trace-id"] == f"{TRACE}:{SPAN}:0:1"


@pytest.mark.parametrize("propagator", OURS)
@pytest.mark.parametrize(("flags", "expected"), [("1", "1"), ("3", "3")])
def test_sdk_spans_below_a_remote_one(
    propagator: TextMapPropagator, flags: str, expected: str
) -> None:
    """They are written with their parent, and debug reaches any depth."""
    tracer = TracerProvider().get_tracer("t")
    context = propagator.extract({"uber-trace-id": f"{TRACE}:{SPAN}:0:{flags}"})

    for depth in range(3):
        parent = remote(context)
        span = tracer.start_span(f"{depth}", context)
        context = trace.set_span_in_context(span, context)
        own = span.get_span_context().span_id
        assert injected(propagator, context)["uber-trace-id"] == (
            f"{TRACE}:{own:016x}:{parent.span_id:x}:{expected}"
        )
        span.end()


@pytest.mark.parametrize("propagator", OURS)
def test_debug_goes_with_the_span_context(propagator: TextMapPropagator) -> None:
    """Also where other code keeps nothing but the span context, or copies it."""
    context = propagator.extract({"uber-trace-id": f"{TRACE}:{SPAN}:0:3"})
    rebuilt = trace.NonRecordingSpan(remote(context))
    copied = trace.NonRecordingSpan(pickle.loads(pickle.dumps(remote(context))))

    for span in (rebuilt, copied):
        carrier = injected(propagator, trace.set_span_in_context(span, Context()))
        assert carrier["uber-trace-id"] == f"{TRACE}:{SPAN}:0:3"


@pytest.mark.parametrize("propagator", OURS)
def test_debug_stays_with_its_trace(propagator: TextMapPropagator) -> None:
    """A new trace started in the same Context is no debug trace."""
    context = propagator.extract({"uber-trace-id": f"{TRACE}:{SPAN}:0:3"})
    other = trace.NonRecordingSpan(
        trace.SpanContext(5, 6, is_remote=False, trace_flags=trace.TraceFlags(1))
    )

    carrier = injected(propagator, trace.set_span_in_context(other, context))

    assert carrier["uber-trace-id"].endswith(":0:1")


@pytest.mark.parametrize("propagator", OURS)
def test_debug_outlives_a_sampler_that_says_no(propagator: TextMapPropagator) -> None:
    """This process may record nothing; the next one still learns what was asked for."""
    context = propagator.extract({"uber-trace-id": f"{TRACE}:{SPAN}:0:3"})
    span = TracerProvider(sampler=ALWAYS_OFF).get_tracer("t").start_span("s", context)

    carrier = injected(propagator, trace.set_span_in_context(span, context))

    assert not span.get_span_context().trace_flags.sampled
    assert carrier["uber-trace-id"].endswith(":3")


def test_remote_span_is_a_non_recording_span() -> None:
    """Everything one may call on a span works and does nothing."""
    context = IoxPropagator().extract({"traceparent": TRACEPARENT})
    span = trace.get_current_span(context)

    assert isinstance(span, RemoteSpan) and isinstance(span, trace.NonRecordingSpan)
    assert not span.is_recording()
    assert span.get_span_context() is span.get_span_context()
    assert span.get_span_context() == trace.SpanContext(
        TRACE_ID, SPAN_ID, is_remote=True, trace_flags=trace.TraceFlags(1)
    )
    assert TRACE in repr(span)
    span.set_attribute("a", 1)
    span.set_attributes({"a": 1})
    span.add_event("e")
    span.add_link(span.get_span_context())
    span.update_name("n")
    span.set_status(trace.StatusCode.ERROR)
    span.record_exception(ValueError())
    with trace.use_span(span, end_on_exit=True) as used:
        assert used is span
    assert span.get_span_context().is_valid


class Raising(Getter[object]):
    """A getter that does not suit any carrier."""

    def get(self, carrier: object, key: str) -> list[str] | None:
        raise LookupError("secret\r\n")

    def keys(self, carrier: object) -> list[str]:
        raise LookupError("secret\r\n")


class NoKeys(Raising):
    """A getter that finds headers but cannot list them."""

    def get(self, carrier: object, key: str) -> list[str] | None:
        return [f"{TRACE}:{SPAN}:0:1"] if key == "uber-trace-id" else []


@pytest.mark.parametrize("propagator", OURS)
def test_extract_never_raises(propagator: TextMapPropagator) -> None:
    """Not even if the getter does; the error names it without its text."""
    context = propagator.extract(object(), None, Raising())

    assert str(context[HEADER_ERROR_KEY]) == "headers cannot be read: LookupError"
    assert remote(propagator.extract(object(), None, NoKeys())).span_id == SPAN_ID


@pytest.mark.parametrize("propagator", OURS)
@pytest.mark.parametrize(
    "value",
    [b"1:2:0:1", 5, 1.5, [], [None], [b"\xff"], object(), pytest.param(10**5000, id="huge")],
)
def test_odd_values_in_a_carrier(propagator: TextMapPropagator, value: object) -> None:
    """A dict may hold anything: it is read as text, or not at all."""
    context = propagator.extract({"uber-trace-id": value})

    error = context.get(HEADER_ERROR_KEY)
    assert (error is None) is (value == [])
    assert error is None or len(str(error)) < 120


def test_bytes_from_a_getter_are_read() -> None:
    """A getter that gives bytes is taken at its word."""
    context = IoxPropagator().extract({"uber-trace-id": [f"{TRACE}:{SPAN}:0:1".encode()]})

    assert remote(context).span_id == SPAN_ID


def test_asgi_getter() -> None:
    """Names match in any case, values come in order, and no byte is refused."""
    pairs: Headers = [(b"A", b"1"), (b"b", b"\xff"), (b"a", b"\xc3\xa9")]
    getter = AsgiGetter()

    assert getter.get(pairs, "a") == getter.get(pairs, "A") == ["1", "\u00e9"]
    assert getter.get(pairs, "b") == ["\udcff"]
    assert getter.get(pairs, "c") is None
    assert getter.keys(pairs) == ["a", "b", "a"]


def test_asgi_pairs_with_ours() -> None:
    """The getter serves `extract` directly, too."""
    pairs: Headers = [(b"Uber-Trace-Id", f"{TRACE}:{SPAN}:0:1".encode())]

    assert remote(JaegerPropagator().extract(pairs, getter=AsgiGetter())).span_id == SPAN_ID


def extracted(
    propagator: TextMapPropagator, headers: Headers, names: Iterable[bytes] | None = None
) -> SpanContext | None:
    """The context that a foreign propagator finds."""
    found = PropagatorHeaderParser(propagator, header_names=names).parse(headers)
    assert found is None or found.debug_id is None
    return None if found is None else found.context


W3C_HEADERS: Headers = [(b"host", b"h"), (b"traceparent", TRACEPARENT.encode())]
B3_HEADERS: Headers = [
    (b"x-b3-traceid", TRACE.encode()),
    (b"x-b3-spanid", SPAN.encode()),
    (b"x-b3-flags", b"1"),
]


@pytest.mark.parametrize(
    ("propagator", "headers"),
    [
        (TraceContextTextMapPropagator(), W3C_HEADERS),
        (B3MultiFormat(), B3_HEADERS),
        (B3SingleFormat(), [(b"b3", f"{TRACE}-{SPAN}-1".encode())]),
        (B3SingleFormat(), B3_HEADERS),
        (jaeger.JaegerPropagator(), [(b"uber-trace-id", f"{TRACE}:{SPAN}:0:1".encode())]),
        (CompositePropagator([B3MultiFormat(), TraceContextTextMapPropagator()]), W3C_HEADERS),
        (CompositePropagator([IoxPropagator(), TraceContextTextMapPropagator()]), B3_HEADERS),
    ],
)
def test_any_propagator_is_a_header_parser(propagator: TextMapPropagator, headers: Headers) -> None:
    """Whatever it reads becomes a remote context, with nothing said about header names."""
    parser: HeaderParser = PropagatorHeaderParser(propagator)

    context = extracted(propagator, headers)

    assert parser.header_names is None
    assert context is not None
    assert (context.trace_id, context.span_id, context.sampled) == (TRACE_ID, SPAN_ID, True)
    assert context.is_remote and context.collector is None
    assert extracted(propagator, [(b"host", b"h")]) is None
    assert extracted(propagator, []) is None


def test_foreign_trace_state_is_kept() -> None:
    """With the flags that W3C knows."""
    headers = [
        (b"traceparent", f"00-{TRACE}-{SPAN}-02".encode()),
        (b"tracestate", b"a=1"),
        (b"tracestate", b"b=2"),
    ]

    context = extracted(TraceContextTextMapPropagator(), headers)

    assert context is not None
    assert (context.trace_state, context.sampled, context.random_trace_id) == (
        "a=1,b=2",
        False,
        True,
    )


def test_header_names_limit_what_is_parsed() -> None:
    """Given by hand, since what a propagator writes is no list of what it reads. Also of ours."""
    names = [b"TraceParent"]

    assert extracted(TraceContextTextMapPropagator(), W3C_HEADERS, names) is not None
    assert extracted(TraceContextTextMapPropagator(), B3_HEADERS, names) is None
    assert extracted(B3MultiFormat(), B3_HEADERS, names) is None
    assert extracted(IoxPropagator(), B3_HEADERS, names) is None


class Inheriting(TextMapPropagator):
    """A propagator that finds nothing, and starts from the current Context unless given one."""

    def extract(self, carrier: object, context: Context | None = None, *args: object) -> Context:
        return get_current() if context is None else context

    def inject(self, *args: object, **kwargs: object) -> None:
        raise NotImplementedError

    @property
    def fields(self) -> set[str]:
        return set()


def test_current_span_is_no_header() -> None:
    """A request without headers has no context, whatever span is current."""
    with trace.use_span(trace.get_current_span(plain())):
        for propagator in (*OURS, TraceContextTextMapPropagator(), Inheriting()):
            parser = PropagatorHeaderParser(propagator, header_names=[b"tracestate"])
            assert parser.parse([(b"tracestate", b"a=1")]) is None


class Broken(TextMapPropagator):
    """A propagator that raises."""

    def extract(self, *args: object, **kwargs: object) -> Context:
        raise KeyError("secret\r\n")

    def inject(self, *args: object, **kwargs: object) -> None:
        raise KeyError

    @property
    def fields(self) -> set[str]:
        return set()


def test_broken_propagator_is_a_header_error() -> None:
    """TraceLayer sees the one exception it knows, and no text of unknown origin."""
    with pytest.raises(HeaderError) as error:
        PropagatorHeaderParser(Broken()).parse(W3C_HEADERS)

    assert str(error.value) == "headers cannot be read: KeyError"


@pytest.mark.parametrize("propagator", OURS)
def test_ours_report_errors_and_debug_ids(propagator: JaegerPropagator | IoxPropagator) -> None:
    """Through OpenTelemetry's interface and out again."""
    parser: HeaderParser = PropagatorHeaderParser(propagator)
    debug = (b"jaeger-debug-id", b"why")

    assert parser.header_names == propagator.header_names
    assert parser.parse([(b"host", b"h")]) is None
    assert parser.parse([debug]) == Extracted(None, "why")
    with pytest.raises(HeaderError, match="^error decoding header 'uber-trace-id': Exp") as error:
        parser.parse([(b"uber-trace-id", b"1"), debug])
    assert error.value.debug_id == "why"
    with pytest.raises(HeaderError, match="^header 'uber-trace-id' has non-UTF8 content$"):
        parser.parse([(b"uber-trace-id", b"\xff")])


TRACE_HEADER_NAMES = sorted(TraceHeaderParser().header_names or ())
values = st.binary(max_size=70) | st.sampled_from(
    [b"", b"0", b"1", b"d", b"true", b"a1:1:0:0", b"a1:1:2:3", b"b1", b"d1-4-d-5", b"a=1, b=2"]
    + [b"1a=1", b"a=1,a=1", TRACEPARENT.encode(), f"01-{TRACE}-{SPAN}-02-x".encode(), b"\xff"]
)
header_lists = st.lists(
    st.tuples(st.sampled_from([*TRACE_HEADER_NAMES, b"host"]), values), max_size=10
)


def outcome(parser: HeaderParser, headers: Headers) -> object:
    """What a parser makes of *headers*, in a form that compares."""
    try:
        return parser.parse(headers)
    except HeaderError as error:
        return type(error), str(error), error.debug_id


class DerivedIox(IoxPropagator):
    """Goes by way of a Context."""


class DerivedJaeger(JaegerPropagator):
    """Goes by way of a Context."""


@pytest.mark.parametrize(
    ("formats", "propagators"),
    [(FORMATS, (IoxPropagator, DerivedIox)), (("jaeger",), (JaegerPropagator, DerivedJaeger))],
)
@given(header_lists)
def test_native_and_bridged_parser_agree(
    formats: Sequence[str], propagators: Sequence[type[TextMapPropagator]], headers: Headers
) -> None:
    """On any headers: the same context, debug id or error."""
    expected = outcome(TraceHeaderParser(formats=formats), headers)

    for propagator in propagators:
        assert outcome(PropagatorHeaderParser(propagator()), headers) == expected


@given(header_lists)
def test_what_is_read_is_written(headers: Headers) -> None:
    """From ours to ours nothing is lost, debug least of all."""
    propagator = IoxPropagator()
    context = propagator.extract(headers, None, AsgiGetter())
    span = trace.get_current_span(context)

    again = propagator.extract(injected(propagator, context))
    other = trace.get_current_span(again)

    assert isinstance(other, RemoteSpan) is isinstance(span, RemoteSpan)
    if isinstance(span, RemoteSpan) and isinstance(other, RemoteSpan):
        span.context.trace_state, span.context.random_trace_id = None, False  # W3C's alone
        assert other.context == span.context


w3c_values = st.text("0123456789abcdefABCDEF-. \t", max_size=60) | st.builds(
    "-".join,
    st.tuples(
        st.sampled_from(["00", "01", "cc", "ff", "0", "FF", ".0"]),
        st.sampled_from([TRACE, "0" * 32, TRACE[:-1], TRACE.upper(), TRACE + "0"]),
        st.sampled_from([SPAN, "0" * 16, SPAN[:-1], SPAN.upper()]),
        st.sampled_from(["00", "01", "02", "ff", "0", "011", "01-x", "01.x", "01 "]),
    ),
)
state_values = st.sampled_from(
    ["a=1", "a=1, b=2", "a=1,a=2", "A=1", "", " ", "a=", ",".join(f"k{n}=v" for n in range(33))]
)


@given(w3c_values, st.lists(state_values, max_size=3))
def test_agrees_with_the_packaged_w3c_propagator(value: str, states: list[str]) -> None:
    """Same contexts, same refusals."""
    carrier = {"traceparent": [value], "tracestate": states}

    ours = remote(IoxPropagator().extract(carrier))
    packaged = remote(TraceContextTextMapPropagator().extract(carrier))

    assert ours.trace_flags & 3 == packaged.trace_flags & 3
    assert ours.trace_state == packaged.trace_state
    assert (ours.trace_id, ours.span_id, ours.is_valid) == (
        packaged.trace_id,
        packaged.span_id,
        packaged.is_valid,
    )


@given(
    st.sampled_from([TRACE, TRACE[16:], "0" * 32, TRACE.upper(), "x" * 32]),
    st.sampled_from([SPAN, "0" * 16, SPAN.upper(), "+" * 16]),
    st.sampled_from(["0", "1", "d"]),
)
def test_agrees_with_the_packaged_b3_propagator(trace_id: str, span_id: str, state: str) -> None:
    """Where ids have the lengths that B3 gives them."""
    multi = {"x-b3-traceid": trace_id, "x-b3-spanid": span_id}
    multi |= {"x-b3-flags": "1"} if state == "d" else {"x-b3-sampled": state}

    for carrier in (multi, {"b3": f"{trace_id}-{span_id}-{state}"}):
        ours = remote(IoxPropagator().extract(carrier))
        packaged = remote(B3MultiFormat().extract(carrier))
        assert ours == packaged or not (ours.is_valid or packaged.is_valid)


def test_packaged_propagators_read_what_ours_writes() -> None:
    """And find the same span in it."""
    carrier = injected(IoxPropagator(), plain(1, "a=1"))

    for propagator in (TraceContextTextMapPropagator(), jaeger.JaegerPropagator()):
        found = remote(propagator.extract(carrier))
        assert (found.trace_id, found.span_id, found.trace_flags) == (TRACE_ID, SPAN_ID, 1)


PACKAGED = (
    CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()]),
    CompositePropagator([JaegerPropagator(), B3MultiFormat(), B3SingleFormat()]),
    jaeger.JaegerPropagator(),
    DerivedIox(),
)
any_headers = st.lists(
    st.tuples(
        st.sampled_from([*TRACE_HEADER_NAMES, b"baggage", b"uberctx-a", b"uberctx-\xff", b"\xff"]),
        values | st.sampled_from([b"a=b;c", b"a=%ff", b"%", b"k=v," * 200, b"1:1:1:1"]),
    ),
    max_size=10,
)
peers = st.none() | st.sampled_from(["10.0.0.1", "::1", "", "unix", "fe80::1%eth0", "١.١.١.١"])


@pytest.mark.parametrize("propagator", PACKAGED)
@pytest.mark.parametrize("trust", [None, Trust("10.0.0.0/8,::1", 1)])
@given(any_headers, peers)
def test_whatever_reads_them_headers_raise_nothing_else(
    propagator: TextMapPropagator, trust: Trust | None, headers: Headers, peer: str | None
) -> None:
    """With any propagator, from any client: a context, nothing, or a HeaderError of one line."""
    try:
        PropagatorHeaderParser(propagator, trust=trust).parse(headers, peer=peer)
    except HeaderError as error:
        assert len(str(error)) < 120
        assert str(error).isprintable()


def test_huge_requests_are_dealt_with_at_once() -> None:
    """A megabyte in every header that is read."""
    parser = PropagatorHeaderParser(IoxPropagator())
    started = time.monotonic()

    for name in TRACE_HEADER_NAMES:
        for char in (b"0", b":", b",", b"\xff"):
            try:
                parser.parse([(name, char * 1_000_000)])
            except HeaderError as error:
                assert len(str(error)) < 120

    assert time.monotonic() - started < 5.0
