"""What the limits of a span left out, as each wire tells of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.sdk.resources import Resource

from iox_otel import Span, SpanContext, SpanLimits, set_span_limits, span_limits
from iox_otel_bridge import BridgedSpan
from iox_otel_bridge.wire.jaeger import encode_span as jaeger_span
from iox_otel_bridge.wire.jaeger_types import SPAN
from iox_otel_bridge.wire.otlp import RequestEncoder, decode_request
from iox_otel_bridge.wire.otlp_shorten import shorten_span
from iox_otel_bridge.wire.otlp_span import encode_span

RESOURCE = Resource({"service.name": "s"})
MEGABYTES = 1 << 20


@pytest.fixture
def crowded() -> Iterator[Span]:
    """A span that has lost three of its metadata, 200 events and one link."""
    before = span_limits()
    set_span_limits(SpanLimits(2, events=3, links=1, value_chars=10 * MEGABYTES))
    span = Span.root("crowded", None)
    for number in range(203):
        span.event(f"event {number}")
    for number in range(5):
        span.set_metadata(f"key {number}", number)
    span.link(SpanContext.new(None))
    span.link(SpanContext.new(None))
    span.start_ns, span.end_ns = 1, 2
    yield span
    set_span_limits(before)


def test_otlp_counts_in_its_own_fields(crowded: Span) -> None:
    message = SpanMessage.FromString(encode_span(crowded))
    assert message.dropped_attributes_count == 3
    assert message.dropped_events_count == 200
    assert message.dropped_links_count == 1
    official = encode_spans([BridgedSpan(crowded, RESOURCE)]).resource_spans[0].scope_spans[0]
    assert message == official.spans[0]
    assert encode_span(crowded) == official.spans[0].SerializeToString(deterministic=True)


def test_jaeger_counts_in_opentelemetrys_tags(crowded: Span) -> None:
    tags = {tag.key: tag.vLong for tag in SPAN.decode(jaeger_span(crowded)).tags}
    assert tags == {
        "key 0": 0,
        "key 1": 1,
        "otel.dropped_attributes_count": 3,
        "otel.dropped_events_count": 200,
        "otel.dropped_links_count": 1,
    }


def test_a_span_of_ten_megabytes_is_cut_down_to_what_a_receiver_takes(crowded: Span) -> None:
    crowded.metadata["huge"] = "x" * 10 * MEGABYTES
    crowded.metadata["small"] = "y"
    small = Span.root("small", None)
    requests = list(RequestEncoder(RESOURCE).encode([small, crowded, small], 2 * MEGABYTES))
    assert sum(request.span_count for request in requests) == 3
    assert all(len(request.body) <= 2 * MEGABYTES and not request.error for request in requests)
    (message,) = (
        span
        for request in requests
        for span in decode_request(request.body).resource_spans[0].scope_spans[0].spans
        if span.name == "crowded"
    )
    attributes = {each.key: each.value.string_value for each in message.attributes}
    assert attributes["small"] == "y"
    assert attributes["huge"].endswith("x…")
    assert attributes["iox.truncated"] == "values shortened: 1"
    assert message.ByteSize() > MEGABYTES
    # Older events go before any text does.
    assert [event.name for event in message.events] == ["event 202"]
    assert message.dropped_events_count == 202


def test_what_cannot_fit_is_told() -> None:
    span = Span.root("a", None)
    assert shorten_span(encode_span(span), 20) is None
    (request,) = RequestEncoder(RESOURCE).encode([span], 20)
    assert request.error == "a span cannot be made small enough"
    assert request.span_count == 1


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.text(max_size=8), st.text(max_size=300) | st.integers()), max_size=20),
    st.lists(st.text(max_size=200), max_size=10),
    st.integers(0, 5),
    st.integers(200, 2_000),
)
def test_cutting_keeps_the_limit_and_the_identity(
    metadata: list[tuple[str, str | int]], events: list[str], links: int, max_bytes: int
) -> None:
    span = Span.root("name", None)
    for key, value in metadata:
        span.set_metadata(key, value)
    for event in events:
        span.event(event, detail=event)
    for _ in range(links):
        span.link(SpanContext.new(None))
    encoded = encode_span(span)
    cut = shorten_span(encoded, max_bytes)
    assert cut is not None
    assert len(cut) <= max_bytes
    if len(encoded) <= max_bytes:
        assert cut == encoded
    message, whole = SpanMessage.FromString(cut), SpanMessage.FromString(encoded)
    assert (message.trace_id, message.span_id) == (whole.trace_id, whole.span_id)
    assert message.start_time_unix_nano == whole.start_time_unix_nano
    assert len(message.events) + message.dropped_events_count == len(whole.events)
    assert len(message.links) + message.dropped_links_count == len(whole.links)
    kept = [each for each in message.attributes if each.key != "iox.truncated"]
    assert len(kept) + message.dropped_attributes_count == len(whole.attributes)
