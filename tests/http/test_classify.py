"""Tests of what a response's status says about the request."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iox_otel import SpanStatus
from iox_otel.http.classify import (
    OK,
    Classification,
    classify_grpc_status,
    classify_headers,
    classify_status,
    decode_grpc_message,
    is_grpc_content_type,
)

UNKNOWN, ERR = SpanStatus.UNKNOWN, SpanStatus.ERR
CLIENT, SERVER = Classification.CLIENT_ERROR, Classification.SERVER_ERROR


@pytest.mark.parametrize("status", [100, 101, 103, 200, 204, 206, 299, 301, 304, 308, 399])
def test_informational_successes_and_redirects_are_ok(status: int) -> None:
    """Everything below 400 is a success, redirects too."""
    assert classify_status(status) is OK


@pytest.mark.parametrize(
    ("status", "text", "classification", "span_status", "error_type"),
    [
        (400, "unexpected 4XX status code: 400 Bad Request", CLIENT, UNKNOWN, None),
        (404, "not found", Classification.PATH_NOT_FOUND, UNKNOWN, None),
        (405, "method not allowed", Classification.METHOD_NOT_ALLOWED, UNKNOWN, None),
        (413, "unexpected 4XX status code: 413 Payload Too Large", CLIENT, UNKNOWN, None),
        (418, "unexpected 4XX status code: 418 I'm a teapot", CLIENT, UNKNOWN, None),
        (422, "unexpected 4XX status code: 422 Unprocessable Entity", CLIENT, UNKNOWN, None),
        (499, "unexpected 4XX status code: 499 <unknown status code>", CLIENT, UNKNOWN, None),
        (500, "unexpected 5XX status code: 500 Internal Server Error", SERVER, ERR, "500"),
        (501, "unimplemented", CLIENT, ERR, "501"),
        (503, "unexpected 5XX status code: 503 Service Unavailable", SERVER, ERR, "503"),
        (599, "unexpected 5XX status code: 599 <unknown status code>", SERVER, ERR, "599"),
        (
            600,
            "unexpected non-error status code: 600 <unknown status code>",
            Classification.UNEXPECTED_RESPONSE,
            UNKNOWN,
            None,
        ),
    ],
)
def test_http_errors_have_the_texts_of_the_reference(
    status: int,
    text: str,
    classification: Classification,
    span_status: SpanStatus,
    error_type: str | None,
) -> None:
    """Each error says what it is; only a server's error makes the span's status Err."""
    assert classify_status(status) == (text, classification, span_status, error_type)


@pytest.mark.parametrize(
    ("code", "text", "classification", "error_type"),
    [
        (1, "cancelled", CLIENT, None),
        (2, "unknown", SERVER, "UNKNOWN"),
        (3, "invalid argument", CLIENT, None),
        (4, "deadline exceeded", SERVER, "DEADLINE_EXCEEDED"),
        (5, "not found", CLIENT, None),
        (6, "already exists", CLIENT, None),
        (7, "permission denied", CLIENT, None),
        (8, "resource exhausted", SERVER, "RESOURCE_EXHAUSTED"),
        (9, "failed precondition", CLIENT, None),
        (10, "aborted", CLIENT, None),
        (11, "out of range", CLIENT, None),
        (12, "unimplemented", Classification.PATH_NOT_FOUND, "UNIMPLEMENTED"),
        (13, "internal", SERVER, "INTERNAL"),
        (14, "unavailable", SERVER, "UNAVAILABLE"),
        (15, "data loss", SERVER, "DATA_LOSS"),
        (16, "unauthenticated", CLIENT, None),
        (17, "unrecognised status code: 17", SERVER, "17"),
        (-1, "unrecognised status code: -1", SERVER, "-1"),
    ],
)
def test_every_grpc_code_is_mapped(
    code: int, text: str, classification: Classification, error_type: str | None
) -> None:
    """gRPC's codes are classified as the reference does; the server's own make the status Err."""
    verdict = classify_grpc_status(str(code).encode())

    assert (verdict.text, verdict.classification) == (text, classification)
    assert verdict.error_type == error_type
    assert (verdict.span_status is ERR) == (error_type is not None)


@pytest.mark.parametrize("value", [b"0", b"+0", b"000", b"-0"])
def test_grpc_ok_may_be_written_as_any_integer(value: bytes) -> None:
    """A zero is a success, however it is written."""
    assert classify_grpc_status(value) is OK


@pytest.mark.parametrize("value", [b"", b" 0", b"1_0", b"0x1", b"ok", b"2147483648", b"9" * 5000])
def test_a_grpc_status_that_is_no_integer_is_a_server_error(value: bytes) -> None:
    """Only what the reference reads as a 32-bit integer is a code."""
    verdict = classify_grpc_status(value)

    assert verdict == ("grpc status not integer", SERVER, ERR, "grpc status not integer")


def test_a_grpc_status_of_other_bytes_is_a_server_error() -> None:
    """Bytes that are no visible ASCII are no text at all."""
    assert classify_grpc_status(b"\xff").text == "grpc status not string"


@given(st.binary())
def test_no_grpc_status_or_message_raises(value: bytes) -> None:
    """Arbitrary bytes get a verdict and a text."""
    assert classify_grpc_status(value).text
    assert len(decode_grpc_message(value)) <= 1024


@given(st.text(max_size=300).filter(lambda text: text.isprintable()))
def test_a_grpc_message_is_percent_decoded(text: str) -> None:
    """What a gRPC server encodes comes out as it was."""
    assert decode_grpc_message(quote(text).encode()) == text


def test_a_grpc_message_is_capped() -> None:
    """A message of any length costs little."""
    assert decode_grpc_message(b"%e2%82%ac" * 1_000_000) == "\u20ac" * 1024


def test_headers_without_a_grpc_status_are_ok() -> None:
    """A plain HTTP response says nothing in gRPC's terms; a message alone is nothing either."""
    assert classify_headers([(b"grpc-message", b"x")]) == (OK, None)


def test_headers_give_the_verdict_and_the_message() -> None:
    """Status and message are found among other headers, the first of each."""
    verdict, message = classify_headers(
        [(b"a", b"b"), (b"grpc-message", b"no%20disk"), (b"grpc-status", b"14"), (b"a", b"b")]
    )

    assert (verdict.text, message) == ("unavailable", "no disk")


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (b"application/grpc", True),
        (b" application/grpc", True),
        (b"APPLICATION/GRPC", True),
        (b"Application/gRPC+proto", True),
        (b"application/grpc; charset=utf-8", True),
        (b"application/grpc ", True),
        (b"application/grpc-web", False),
        (b"application/grpc-web+proto", False),
        (b"application/grpcx", False),
        (b"application/json", False),
        (b"", False),
    ],
)
def test_grpc_content_types(content_type: bytes, expected: bool) -> None:
    """Subtypes and parameters are gRPC still; types that only begin alike are not."""
    assert is_grpc_content_type(content_type) is expected
