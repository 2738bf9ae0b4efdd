"""What answers mean, each over the wire where a real server can be made to give it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import formatdate
from http.client import RemoteDisconnected
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.sdk.resources import Resource

from iox_otel import Span
from iox_otel_bridge.exporters.otlp import OtlpSender
from iox_otel_bridge.exporters.otlp_grpc import OtlpGrpcSender
from iox_otel_bridge.exporters.otlp_grpc_outcome import grpc_failure, grpc_success
from iox_otel_bridge.exporters.otlp_http import OtlpHttpSender
from iox_otel_bridge.exporters.otlp_http_outcome import http_failure
from iox_otel_bridge.sender import Batch, Outcome, Verdict

LONG_S = 20.0
CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
RETRYABLE = {
    "CANCELLED",
    "DEADLINE_EXCEEDED",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNAVAILABLE",
    "DATA_LOSS",
}


@pytest.fixture
def by_grpc(grpc_receiver: Any) -> Iterator[OtlpSender]:
    sender: OtlpSender = grpc_receiver.sender()
    yield sender
    sender.close()


@pytest.fixture
def by_http(http_receiver: Any) -> Iterator[OtlpSender]:
    sender: OtlpSender = http_receiver.sender()
    yield sender
    sender.close()


def batch_of(sender: OtlpSender, size: int = 0) -> Batch:
    span = Span.root("name", None)
    span.set_metadata("text", "x" * size)
    (batch,) = sender.encode([span])
    return batch


def retry_info(seconds: int, nanos: int = 0) -> RetryInfo:
    info = RetryInfo()
    info.retry_delay.seconds = seconds
    info.retry_delay.nanos = nanos
    return info


def in_status_details(info: RetryInfo) -> tuple[tuple[str, bytes], ...]:
    """Return the trailer in which gRPC's own libraries put details."""
    packed = any_pb2.Any()
    packed.Pack(info)
    return (("grpc-status-details-bin", Status(details=[packed]).SerializeToString()),)


def in_a_trailer(info: RetryInfo) -> tuple[tuple[str, bytes], ...]:
    return (("google.rpc.retryinfo-bin", info.SerializeToString()),)


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_grpc_codes(grpc_receiver: Any, by_grpc: OtlpSender, code: grpc.StatusCode) -> None:
    """The codes that the OTLP specification calls retryable are, all others are fatal."""
    grpc_receiver.fail(code, "because")
    outcome = by_grpc.send(batch_of(by_grpc), LONG_S)

    assert outcome.verdict is (Verdict.RETRY if code.name in RETRYABLE else Verdict.FATAL)
    assert outcome.detail == f"{by_grpc.endpoint}: {code.name}: because"
    assert outcome.retry_after_s is None


@pytest.mark.parametrize("trailer", [in_status_details, in_a_trailer])
def test_grpc_retry_info(grpc_receiver: Any, by_grpc: OtlpSender, trailer: Any) -> None:
    """An exhausted receiver that says when it will be ready is to be tried again then."""
    info = retry_info(3, 500_000_000)
    grpc_receiver.fail(grpc.StatusCode.RESOURCE_EXHAUSTED, "quota", trailer(info))
    outcome = by_grpc.send(batch_of(by_grpc), LONG_S)

    assert (outcome.verdict, outcome.retry_after_s) == (Verdict.RETRY, 3.5)


def test_grpc_retry_info_without_delay() -> None:
    """Being asked to try again at once means to try at our own pace."""
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    outcome = grpc_failure(code, "quota", in_status_details(retry_info(0)))

    assert (outcome.verdict, outcome.retry_after_s) == (Verdict.RETRY, None)


def test_grpc_retry_info_that_is_broken() -> None:
    """A trailer that cannot be parsed says nothing."""
    trailers = (("grpc-status-details-bin", b"\xff"), ("google.rpc.retryinfo-bin", b"\xff"))
    outcome = grpc_failure(grpc.StatusCode.UNAVAILABLE, "", trailers)

    assert (outcome.verdict, outcome.retry_after_s) == (Verdict.RETRY, None)


@pytest.mark.parametrize(
    ("code", "details"),
    [
        ("RESOURCE_EXHAUSTED", "grpc: received message larger than max (5 vs. 4194304)"),
        ("RESOURCE_EXHAUSTED", "CLIENT: Sent message larger than max (5 vs. 4)"),
        ("RESOURCE_EXHAUSTED", "grpc: received message after decompression larger than max 4"),
        ("RESOURCE_EXHAUSTED", "gRPC message exceeds maximum size 4: 5"),
        ("RESOURCE_EXHAUSTED", "Received message exceeds the maximum configured message size."),
        ("OUT_OF_RANGE", "Error, decoded message length too large: found 5, the limit is: 4"),
    ],
)
def test_grpc_too_large(code: str, details: str) -> None:
    """Each implementation has its own words for a message that is too large."""
    assert grpc_failure(grpc.StatusCode[code], details, ()).verdict is Verdict.TOO_LARGE


def test_grpc_server_with_a_limit(limited_grpc_receiver: Any) -> None:
    """A real gRPC server refuses what is over its limit; that is told from other exhaustion."""
    sender = limited_grpc_receiver.sender()
    outcome = sender.send(batch_of(sender, 10_000), LONG_S)
    small = sender.send(batch_of(sender), LONG_S)
    sender.close()

    assert outcome.verdict is Verdict.TOO_LARGE
    assert small == Outcome(Verdict.DELIVERED)


def test_grpc_answer_that_cannot_be_parsed() -> None:
    """The receiver took the spans, whatever it meant to say about them."""
    outcome = grpc_success(b"\xff", 1)

    assert outcome.verdict is Verdict.DELIVERED
    assert "parsed" in outcome.detail


def test_grpc_to_something_that_speaks_http(http_receiver: Any) -> None:
    """A gRPC sender pointed at an HTTP port says that nothing was delivered, and the remedy."""
    sender = OtlpGrpcSender(endpoint=f"http://{http_receiver.address}", resource=Resource({}))
    outcome = sender.send(batch_of(sender), 2)
    sender.close()

    assert outcome.verdict is Verdict.RETRY
    assert outcome.detail.startswith(f"http://{http_receiver.address}: ")
    assert outcome.detail.endswith("for HTTP: TRACES_EXPORTER_OTLP_PROTOCOL=http/protobuf)")


def test_http_to_something_that_speaks_grpc(grpc_receiver: Any) -> None:
    """The same the other way round."""
    sender = OtlpHttpSender(endpoint=f"http://{grpc_receiver.address}", resource=Resource({}))
    outcome = sender.send(batch_of(sender), LONG_S)
    sender.close()

    assert outcome.verdict is Verdict.RETRY
    assert outcome.detail.startswith(f"http://{grpc_receiver.address}/v1/traces: ")
    assert outcome.detail.endswith("for gRPC: TRACES_EXPORTER_OTLP_PROTOCOL=grpc)")


@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset"), RemoteDisconnected("gone")])
def test_a_server_that_breaks_off_may_speak_grpc(error: OSError) -> None:
    """What other gRPC servers do with HTTP/1: the hint is there as well."""
    assert http_failure(error).detail.endswith("TRACES_EXPORTER_OTLP_PROTOCOL=grpc)")
    assert "PROTOCOL" not in http_failure(ConnectionRefusedError(111, "refused")).detail


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.DELIVERED),
        (202, Verdict.DELIVERED),
        (204, Verdict.DELIVERED),
        (301, Verdict.FATAL),
        (304, Verdict.FATAL),
        (400, Verdict.FATAL),
        (401, Verdict.FATAL),
        (403, Verdict.FATAL),
        (404, Verdict.FATAL),
        (405, Verdict.FATAL),
        (408, Verdict.FATAL),
        (413, Verdict.TOO_LARGE),
        (415, Verdict.FATAL),
        (429, Verdict.RETRY),
        (500, Verdict.FATAL),
        (501, Verdict.FATAL),
        (502, Verdict.RETRY),
        (503, Verdict.RETRY),
        (504, Verdict.RETRY),
    ],
)
def test_http_statuses(
    http_receiver: Any, by_http: OtlpSender, status: int, verdict: Verdict
) -> None:
    """The statuses that the OTLP specification calls retryable are, all other errors are fatal."""
    http_receiver.reply(status)
    outcome = by_http.send(batch_of(by_http), LONG_S)

    assert outcome.verdict is verdict
    assert len(http_receiver.received) == 1
    if verdict is not Verdict.DELIVERED:
        assert f"HTTP {status} " in outcome.detail
    assert by_http.send(batch_of(by_http), LONG_S) == Outcome(Verdict.DELIVERED)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_http_redirect(http_receiver: Any, by_http: OtlpSender, status: int) -> None:
    """A redirect is neither followed nor taken for a success."""
    http_receiver.reply(status, headers={"Location": f"http://{http_receiver.address}/login"})
    outcome = by_http.send(batch_of(by_http), LONG_S)

    assert outcome.verdict is Verdict.FATAL
    assert "redirects are not followed" in outcome.detail
    assert [received.path for received in http_receiver.received] == ["/v1/traces"]


@pytest.mark.parametrize(
    ("value", "expected_s"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("9" * 400, 86_400.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
        ("Fri, 01 Jan 9999 00:00:00 GMT", 86_400.0),
    ],
)
def test_http_retry_after(
    http_receiver: Any, by_http: OtlpSender, value: str, expected_s: float | None
) -> None:
    """Retry-After counts if it is whole seconds or a date to come, a day at most."""
    http_receiver.reply(429, headers={"Retry-After": value})
    outcome = by_http.send(batch_of(by_http), LONG_S)

    assert (outcome.verdict, outcome.retry_after_s) == (Verdict.RETRY, expected_s)


@pytest.mark.parametrize("use_gmt", [True, False])
def test_http_retry_after_a_date(http_receiver: Any, by_http: OtlpSender, use_gmt: bool) -> None:
    """A date is turned into seconds; without a zone it is in UTC."""
    http_receiver.reply(503, headers={"Retry-After": formatdate(time.time() + 60, usegmt=use_gmt)})
    outcome = by_http.send(batch_of(by_http), LONG_S)

    assert outcome.retry_after_s is not None
    assert 30 < outcome.retry_after_s <= 60


@pytest.mark.parametrize(
    ("media_type", "body", "verdict", "rejected"),
    [
        ("application/json", b"{}", Verdict.DELIVERED, 0),
        ("application/json", b'{"partialSuccess":{"rejectedSpans":1}}', Verdict.DELIVERED, 1),
        ("application/json; charset=utf-8", b"[", Verdict.DELIVERED, 0),
        ("text/plain", b"OK", Verdict.DELIVERED, 0),
        ("application/x-protobuf", b"\xff", Verdict.DELIVERED, 0),
        ("text/html", b"<!doctype html><p>Welcome", Verdict.FATAL, 0),
        ("application/octet-stream", b"  <html>", Verdict.FATAL, 0),
        ("text/html", b"", Verdict.DELIVERED, 0),
    ],
)
def test_http_success_with_an_odd_body(
    http_receiver: Any,
    by_http: OtlpSender,
    media_type: str,
    body: bytes,
    verdict: Verdict,
    rejected: int,
) -> None:
    """The status decides, except that a web page comes from no receiver."""
    http_receiver.reply(200, body, {"Content-Type": media_type})
    outcome = by_http.send(batch_of(by_http), LONG_S)

    assert (outcome.verdict, outcome.rejected) == (verdict, rejected)


def test_http_error_messages(http_receiver: Any, by_http: OtlpSender) -> None:
    """The message of the google.rpc.Status is shown; a page or broken bytes are not."""
    status = Status(code=3, message="span 4 has no id").SerializeToString()
    http_receiver.reply(400, status, {"Content-Type": "application/x-protobuf"})
    http_receiver.reply(400, b"\xff", {"Content-Type": "application/x-protobuf"})
    http_receiver.reply(404, b"<html>Not here", {"Content-Type": "text/html"})
    http_receiver.reply(400, b"a\x00b\r\n\x1b[31mc" + b"x" * 5000, {"Content-Type": "text/plain"})
    details = [
        by_http.send(batch_of(by_http), LONG_S).detail.removeprefix(f"{by_http.endpoint}: ")
        for _ in range(4)
    ]

    assert details[0] == "HTTP 400 Bad Request: span 4 has no id"
    assert details[1] == "HTTP 400 Bad Request"
    assert details[2] == "HTTP 404 Not Found"
    assert details[3].startswith("HTTP 400 Bad Request: a b [31mcxxx")
    assert len(details[3]) < 400


def test_http_success_that_breaks_off(http_receiver: Any, by_http: OtlpSender) -> None:
    """The status has said that the spans were taken: sending them again would double them."""

    def break_off(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n\x0a")
        handler.close_connection = True

    http_receiver.answers.append(break_off)

    assert by_http.send(batch_of(by_http), LONG_S).verdict is Verdict.DELIVERED
    assert by_http.send(batch_of(by_http), LONG_S) == Outcome(Verdict.DELIVERED)


def test_http_answer_without_end(http_receiver: Any, by_http: OtlpSender) -> None:
    """An endless answer is not read to its end."""

    def pour(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
        while True:
            handler.wfile.write(b"\xff" * 10_000)  # until the sender hangs up

    http_receiver.answers.append(pour)
    outcome = by_http.send(batch_of(by_http), LONG_S)

    assert outcome.verdict is Verdict.DELIVERED
    assert "no OTLP answer" in outcome.detail


def test_http_answer_that_is_no_http(http_receiver: Any, by_http: OtlpSender) -> None:
    """Something else that answers: to be tried again, as any broken connection."""

    def babble(handler: Any) -> None:
        handler.wfile.write(b"220 mail.example ESMTP\r\n\r\n")
        handler.close_connection = True

    http_receiver.answers.append(babble)

    assert by_http.send(batch_of(by_http), LONG_S).verdict is Verdict.RETRY
