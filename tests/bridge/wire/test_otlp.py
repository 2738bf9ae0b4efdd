"""OTLP requests: put together, cut at their limit, split, and the answers to them."""

from __future__ import annotations

import pytest
from google.protobuf.json_format import ParseError
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext as OtelSpanContext

from iox_otel import Span
from iox_otel_bridge import BridgedSpan
from iox_otel_bridge.sender import AnySpan
from iox_otel_bridge.wire.otlp import (
    PartialSuccess,
    Request,
    RequestEncoder,
    decode_request,
    decode_response,
    split_request,
)
from iox_otel_bridge.wire.otlp_json_response import decode_json_response

LARGE = 1 << 30
RESOURCE = Resource({"service.name": "checkout", "n": 1, "list": ["a", "b"]}, "https://schema/1")


def native(name: str, text: str = "") -> Span:
    span = Span.root(name, None)
    span.start_ns = span.end_ns = 1
    span.set_metadata("text", text)
    return span


def foreign(name: str, scope: str = "library", service: str = "other") -> ReadableSpan:
    return ReadableSpan(
        name,
        context=OtelSpanContext(1, 2, is_remote=False),
        resource=Resource({"service.name": service}, "https://schema/2"),
        instrumentation_scope=InstrumentationScope(scope, "1", "https://schema/3"),
    )


def names(body: bytes) -> list[str]:
    return [
        span.name
        for traced in decode_request(body).resource_spans
        for scoped in traced.scope_spans
        for span in scoped.spans
    ]


def one(spans: list[AnySpan], resource: Resource = RESOURCE) -> Request:
    (request,) = RequestEncoder(resource).encode(spans, LARGE)
    return request


def test_the_official_encoder_makes_the_same_request() -> None:
    """Resource, scope and schema URL included, whether of native spans or of others."""
    spans = [native("a"), native("b")]
    others = [foreign("c"), foreign("d", scope="else"), foreign("e")]
    official = encode_spans([*(BridgedSpan(span, RESOURCE) for span in spans), *others])

    assert decode_request(one([*spans, *others]).body) == official


def test_nothing_makes_no_request() -> None:
    """No spans, no bytes."""
    assert list(RequestEncoder(RESOURCE).encode([], LARGE)) == []


def test_resource_with_text_that_is_not_unicode() -> None:
    """A lone surrogate in the resource costs none of its attributes."""
    body = one([native("a")], Resource({"service.name": "caf\udce9"})).body
    (attribute,) = decode_request(body).resource_spans[0].resource.attributes

    assert attribute.value.string_value == "caf?"


def test_a_foreign_span_that_cannot_be_encoded_is_set_apart() -> None:
    """The other spans go on, this one says why it does not."""
    spans: list[AnySpan] = [foreign("a"), foreign("bad \ud800"), native("b"), foreign("c")]
    requests = list(RequestEncoder(RESOURCE).encode(spans, LARGE))

    (bad,) = [request for request in requests if request.error]
    (good,) = [request for request in requests if not request.error]
    assert (bad.body, bad.span_count) == (b"", 1)
    assert "UnicodeEncodeError" in bad.error
    assert good.span_count == 3
    assert names(good.body) == ["b", "a", "c"]


def test_the_limit_is_used() -> None:
    """A request may be as large as the limit, but for the few bytes its lengths might take."""
    spans: list[AnySpan] = [native("a" * 200), native("b" * 200)]
    size = len(one(spans).body)
    encoder = RequestEncoder(RESOURCE)

    assert len(list(encoder.encode(spans, size + 10))) == 1
    assert len(list(encoder.encode(spans, size - 1))) == 2


@settings(deadline=None)
@given(
    sizes=st.lists(st.tuples(st.booleans(), st.integers(0, 3000)), max_size=30),
    max_bytes=st.integers(1, 6000),
)
def test_every_span_is_in_exactly_one_request(
    sizes: list[tuple[bool, int]], max_bytes: int
) -> None:
    """No request exceeds the limit unless it is of one foreign span, and counts are right."""
    spans: list[AnySpan] = [
        native(f"{number}", "x" * size) if is_native else foreign(f"{number}", "x" * size)
        for number, (is_native, size) in enumerate(sizes)
    ]
    requests = list(RequestEncoder(RESOURCE).encode(spans, max_bytes))
    sent = [names(request.body) for request in requests]

    # Nothing can be said in so few bytes.
    told = sum(request.span_count for request in requests if request.error)
    assert not told or max_bytes <= 200
    arrived = sorted(name for part in sent for name in part)
    assert len(arrived) + told == len(spans)
    assert set(arrived) <= {span.name for span in spans}
    assert len(set(arrived)) == len(arrived)
    for request, part in zip(requests, sent, strict=True):
        assert request.error or len(part) == request.span_count
        is_foreign = len(part) == 1 and isinstance(spans[int(part[0])], ReadableSpan)
        assert len(request.body) <= max_bytes or is_foreign


@settings(deadline=None)
@given(
    kinds=st.lists(st.sampled_from(["native", "x", "y", "z"]), min_size=2, max_size=12),
)
def test_split_keeps_every_span_where_it_was(kinds: list[str]) -> None:
    """The halves are as equal as can be, and hold each span under its resource and scope."""
    spans: list[AnySpan] = [
        native(f"{number}") if kind == "native" else foreign(f"{number}", kind, kind)
        for number, kind in enumerate(kinds)
    ]
    whole = one(spans)
    halves = split_request(whole.body)

    assert [half.span_count for half in halves] == [len(kinds) // 2, (len(kinds) + 1) // 2]
    assert names(halves[0].body) + names(halves[1].body) == names(whole.body)
    places = [place for half in halves for place in places_of(half.body)]
    assert places == places_of(whole.body)


def places_of(body: bytes) -> list[tuple[str, str, str, str]]:
    """Return name, resource, scope and schema URLs of each span."""
    return [
        (
            span.name,
            str(traced.resource),
            str(scoped.scope),
            traced.schema_url + scoped.schema_url,
        )
        for traced in decode_request(body).resource_spans
        for scoped in traced.scope_spans
        for span in scoped.spans
    ]


def test_one_span_is_not_split() -> None:
    """There is nothing smaller."""
    request = one([native("a")])

    assert split_request(request.body) == (request,)


def test_answers() -> None:
    """An empty answer is a full success; numbers may also come as texts, as JSON has them."""
    body = b'{"partialSuccess": {"rejectedSpans": "3", "errorMessage": "no"}, "more": {}}'

    assert decode_response(b"") == PartialSuccess(0, "")
    assert decode_json_response(b"{}") == PartialSuccess(0, "")
    assert decode_json_response(body) == PartialSuccess(3, "no")


def test_answers_that_cannot_be_parsed() -> None:
    """They raise protobuf's own errors."""
    with pytest.raises(DecodeError):
        decode_response(b"<html>")
    with pytest.raises(ParseError):
        decode_json_response(b"<html>")
    with pytest.raises(DecodeError):
        decode_request(b"\xff")


def test_requests_merge_when_concatenated() -> None:
    """Which is what the encoder counts on."""
    body = one([native("a")]).body + one([foreign("b")]).body

    assert isinstance(decode_request(body), ExportTraceServiceRequest)
    assert names(body) == ["a", "b"]
