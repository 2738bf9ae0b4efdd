"""OTLP requests of any sender, as messages."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from iox_otel_bridge.wire.errors import DecodeError
from iox_otel_bridge.wire.otlp_decode import (
    Limits,
    cut,
    read_json_request,
    read_request,
    request_to_json,
)

JSON = {
    "resourceSpans": [
        {
            "resource": {
                "attributes": [{"key": "service.name", "value": {"stringValue": "checkout"}}]
            },
            "scopeSpans": [
                {
                    "scope": {"name": "lib"},
                    "spans": [
                        {
                            "traceId": "5B8EFFF798038103D269B633813FC60C",
                            "spanId": "eee19b7ec3c1b174",
                            "parentSpanId": "",
                            "name": "work",
                            "kind": 2,
                            "startTimeUnixNano": "1544712660000000000",
                            "endTimeUnixNano": 1544712661000000000,
                            "attributes": [
                                {"key": "n", "value": {"intValue": "-9223372036854775808"}},
                                {"key": "raw", "value": {"bytesValue": "AP8="}},
                                {"key": "nan", "value": {"doubleValue": "NaN"}},
                            ],
                            "links": [
                                {"traceId": "00" * 15 + "01", "spanId": "00" * 7 + "02"},
                            ],
                            "aFieldOfTheFuture": {"x": 1},
                        }
                    ],
                }
            ],
        }
    ]
}


def span_of(request: ExportTraceServiceRequest) -> Span:
    """Return the only span of *request*."""
    (span,) = request.resource_spans[0].scope_spans[0].spans
    return span


def test_json_is_read_as_the_specification_has_it() -> None:
    """Ids in hexadecimal of either case, long numbers as text or not; no unknown fields."""
    span = span_of(read_json_request(json.dumps(JSON).encode()))

    assert span.trace_id.hex() == "5b8efff798038103d269b633813fc60c"
    assert (span.span_id.hex(), span.parent_span_id) == ("eee19b7ec3c1b174", b"")
    assert (span.kind, span.start_time_unix_nano) == (2, 1544712660000000000)
    assert span.end_time_unix_nano == 1544712661000000000
    assert span.attributes[0].value.int_value == -(2**63)
    assert span.attributes[1].value.bytes_value == b"\0\xff"
    assert span.attributes[2].value.double_value != span.attributes[2].value.double_value
    assert (span.links[0].trace_id[-1], span.links[0].span_id[-1]) == (1, 2)


def test_what_was_read_is_written_back() -> None:
    """A request as JSON and back is the same request."""
    request = read_json_request(json.dumps(JSON).encode())
    written = json.dumps(request_to_json(request)).encode()

    assert read_json_request(written) == read_json_request(json.dumps(json.loads(written)).encode())
    again = read_json_request(written)
    assert again.SerializeToString() == request.SerializeToString()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"7",
        b'{"resourceSpans": 7}',
        b'{"resourceSpans": [7]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": 7}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"links": [7]}]}]}]}',
        b"[" * 100_000,
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"\\ud800": 1}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "\\ud800"}]}]}]}',
    ],
)
def test_json_that_is_no_request(body: bytes) -> None:
    """It is refused in one line."""
    with pytest.raises(DecodeError) as caught:
        read_json_request(body)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@given(st.binary(max_size=200))
def test_bytes_that_are_no_request(body: bytes) -> None:
    """They are a request or refused."""
    for read in (read_request, read_json_request):
        try:
            read(body)
        except DecodeError as error:
            assert str(error)


def test_what_is_too_much_is_cut_and_counted() -> None:
    """What is beyond the limits is counted as dropped, and long texts end in an ellipsis."""
    limits = Limits(attributes=2, events=1, text=10)
    span = Span(name="n" * 11, status=Status(message="m" * 11))
    for holder in (span, span.events.add(name="e" * 11), span.links.add()):
        for key in "abc":
            holder.attributes.add(key=key).value.string_value = "ü" * 11
    span.attributes[0].value.bytes_value = b"b" * 20
    span.attributes[1].value.array_value.values.add().string_value = "x" * 20
    span.events.add()
    span.links.add()
    cut(span, limits)

    assert (span.name, span.status.message) == ("n" * 9 + "…", "m" * 9 + "…")
    assert (len(span.events), span.dropped_events_count) == (1, 1)
    assert (len(span.links), span.dropped_links_count) == (1, 1)
    assert span.events[0].name == "e" * 9 + "…"
    for cut_down in (span, span.events[0], span.links[0]):
        assert (len(cut_down.attributes), cut_down.dropped_attributes_count) == (2, 1)
    assert span.attributes[0].value.bytes_value == b"b" * 10
    assert span.attributes[1].value.string_value == "<26 bytes, too large to keep>"
    assert span.events[0].attributes[0].value.string_value == "ü" * 9 + "…"


def test_what_keeps_to_the_limits_stays_as_it_is() -> None:
    """Byte for byte."""
    span = span_of(read_json_request(json.dumps(JSON).encode()))
    before = span.SerializeToString()
    cut(span, Limits())
    assert span.SerializeToString() == before


@pytest.mark.parametrize("written", ["-0", "-0.0", "-0e0"])
def test_a_negative_zero_keeps_its_sign(written: str) -> None:
    """Go's servers, the Collector among them, write it as -0."""
    body = f"""{{"resourceSpans": [{{"scopeSpans": [{{"spans": [{{"flags": 0, "attributes": [
        {{"key": "zero", "value": {{"doubleValue": {written}}}}},
        {{"key": "int", "value": {{"intValue": -0}}}}
    ]}}]}}]}}]}}"""
    (span,) = read_json_request(body.encode()).resource_spans[0].scope_spans[0].spans
    assert str(span.attributes[0].value.double_value) == "-0.0"
    assert span.attributes[1].value.int_value == 0
