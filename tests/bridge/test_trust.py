"""Whose headers may have a request traced."""

from __future__ import annotations

import asyncio
import logging

import pytest
from opentelemetry import trace
from opentelemetry.context import get_value

from iox_otel import RingBufferTraceCollector, SpanContext
from iox_otel.http import Extracted, HeaderError, TraceLayer
from iox_otel_bridge import ConfigError, TracingConfig
from iox_otel_bridge.propagator import DEBUG_ID_KEY, IoxPropagator, PropagatorHeaderParser
from iox_otel_bridge.trust import Refused, Trust

SAMPLED = (b"uber-trace-id", b"1a:2b:0:1")
UNSAMPLED = (b"uber-trace-id", b"1a:2b:0:0")
DEBUG = (b"uber-trace-id", b"1a:2b:0:3")
DEBUG_ID = (b"jaeger-debug-id", b"me")
MALFORMED = (b"uber-trace-id", b"nonsense")


def parser(who: str = "always", max_debug: int = 0) -> PropagatorHeaderParser:
    return PropagatorHeaderParser(IoxPropagator(), trust=Trust(who, max_debug))


@pytest.mark.parametrize("header", [SAMPLED, DEBUG])
@pytest.mark.parametrize(
    ("who", "peer", "trusted"),
    [
        ("always", None, True),
        ("always", "203.0.113.9", True),
        ("never", "127.0.0.1", False),
        ("10.0.0.0/8,::1", "10.1.2.3", True),
        ("10.0.0.0/8, ::1", "::1", True),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("fe80::/10", "fe80::1%eth0", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "::1", False),
        ("10.0.0.0/8", None, False),
        ("10.0.0.0/8", "a name", False),
        ("10.0.0.0/8", "", False),
    ],
)
def test_flags_of_strangers_do_not_count_but_their_ids_do(
    header: tuple[bytes, bytes], who: str, peer: str | None, trusted: bool
) -> None:
    reading = parser(who)
    found = reading.parse([header], peer=peer)
    assert found is not None
    assert found.context is not None
    assert found.context.trace_id == 0x1A
    assert found.context.sampled is trusted
    assert found.context.debug is (trusted and header is DEBUG)
    assert reading.trust is not None
    assert reading.trust.refused() == Refused(strangers=0 if trusted else 1, debug=0)


def test_a_strangers_debug_id_does_not_count() -> None:
    reading = parser("never")
    assert reading.parse([DEBUG_ID], peer="127.0.0.1") is None
    beside = reading.parse([UNSAMPLED, DEBUG_ID], peer="127.0.0.1")
    assert beside is not None
    assert beside.debug_id is None
    assert beside.context is not None
    assert not beside.context.sampled
    with pytest.raises(HeaderError) as caught:
        reading.parse([MALFORMED, DEBUG_ID], peer="127.0.0.1")
    assert caught.value.debug_id is None
    assert reading.trust is not None
    assert reading.trust.refused() == Refused(strangers=3, debug=0)


def test_what_asks_for_nothing_is_not_refused() -> None:
    reading = parser("never", 1)
    assert reading.parse([UNSAMPLED]) is not None
    assert reading.parse([(b"accept", b"text/html")]) is None
    assert reading.trust is not None
    assert reading.trust.refused() == Refused(0, 0)


def test_so_many_debug_traces_a_second(caplog: pytest.LogCaptureFixture) -> None:
    now = [100.0]
    trust = Trust(max_debug_per_second=3, clock_s=lambda: now[0])
    reading = PropagatorHeaderParser(IoxPropagator(), trust=trust)

    def traced(*headers: tuple[bytes, bytes]) -> bool:
        found = reading.parse(headers)
        if found is None:
            return False
        return found.debug_id is not None or bool(found.context and found.context.sampled)

    with caplog.at_level(logging.WARNING, "iox_otel"):
        assert [traced(each) for each in (DEBUG, DEBUG_ID, DEBUG, DEBUG, DEBUG_ID)] == [
            True,
            True,
            True,
            False,
            False,
        ]
    assert traced(SAMPLED)  # nobody forced that one
    now[0] += 1
    assert traced(DEBUG)
    assert trust.refused() == Refused(strangers=0, debug=2)
    (record,) = caplog.records
    assert record.getMessage() == (
        "tracing: more than 3 debug traces in a second, the others are not traced"
    )


def test_a_layer_traces_no_stranger() -> None:
    collector = RingBufferTraceCollector(10)
    contexts: list[object] = []

    async def app(scope: dict[str, object], receive: object, send: object) -> None:
        contexts.append(scope["iox_otel"])

    layer = TraceLayer(app, collector=collector, header_parser=parser("10.0.0.0/8"), name="x")  # type: ignore[arg-type]
    request = {"type": "http", "method": "GET", "path": "/", "headers": [SAMPLED]}
    for client in (("10.0.0.1", 1), ("192.0.2.1", 1), None):
        asyncio.run(layer({**request, "client": client}, None, None))  # type: ignore[arg-type]
    assert len(collector.spans()) == 1
    incoming = [each[0] for each in contexts if isinstance(each, tuple)]
    sampled = [isinstance(each, SpanContext) and each.sampled for each in incoming]
    assert sampled == [True, False, False]


@pytest.mark.parametrize("header", [SAMPLED, DEBUG])
def test_what_extracts_by_itself_trusts_no_stranger_either(header: tuple[bytes, bytes]) -> None:
    """As other instrumentation does by the propagator that `install` makes the global one."""
    tracing = TracingConfig(trust_headers="never").build()
    name, value = (text.decode() for text in header)
    context = tracing.propagator.extract({name: value, "jaeger-debug-id": "me"})

    span_context = trace.get_current_span(context).get_span_context()
    assert span_context.trace_id == 0x1A
    assert not span_context.trace_flags.sampled
    assert get_value(DEBUG_ID_KEY, context) is None
    assert tracing.header_parser.trust is not None
    assert tracing.header_parser.trust.refused() == Refused(strangers=1, debug=0)


def test_what_extracts_by_itself_forces_so_many_traces_a_second_too() -> None:
    """Debug ids beside malformed headers are counted as well."""
    propagator = IoxPropagator(trust=Trust(max_debug_per_second=2, clock_s=lambda: 1.5))
    malformed = {"jaeger-debug-id": "me", "uber-trace-id": "nonsense"}
    carriers = [malformed, {"jaeger-debug-id": "me"}, malformed, {"jaeger-debug-id": "me"}]
    ids = [get_value(DEBUG_ID_KEY, propagator.extract(carrier)) for carrier in carriers]

    assert ids == ["me", "me", None, None]


def test_the_settings_reach_the_parser() -> None:
    environ = {"TRACES_TRUST_HEADERS": "Never", "TRACES_MAX_DEBUG_PER_SECOND": "7"}
    config = TracingConfig.from_env(environ=environ)
    assert (config.trust_headers, config.max_debug_per_second) == ("never", 7)
    with config.build() as tracing:
        found = tracing.header_parser.parse([SAMPLED], peer="127.0.0.1")
    assert found is not None
    assert found == Extracted(found.context, None)
    assert found.context is not None
    assert not found.context.sampled
    assert TracingConfig().trust_headers == "always"
    assert TracingConfig().max_debug_per_second == 100


@pytest.mark.parametrize("who", ["sometimes", "10.0.0.0/33", "10.0.0.1/8", "always,::1", ","])
def test_a_network_that_is_none_is_named(who: str) -> None:
    with pytest.raises(ConfigError, match=f"Invalid value '{who}' for TRACES_TRUST_HEADERS"):
        TracingConfig.from_env(environ={"TRACES_TRUST_HEADERS": who})
