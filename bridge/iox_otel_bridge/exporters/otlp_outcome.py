"""What an OTLP receiver's answer means. Agrees with the OTLP specification 1.10.

Where the specification leaves something open:

- An HTTP redirect is not followed and is fatal: the receiver did not take the spans, and never will
  under this address.
- A success whose body cannot be parsed counts as delivered, since the receiver took the request by
  its status and a second one would double the spans; but a web page is no answer of a receiver, it
  comes from something else that listens there, and is fatal.
- No connection, a broken one, a timeout and a certificate that does not verify are each worth
  another attempt: certificates and clocks are mended while the spans wait. (gRPC says UNAVAILABLE.)
- A message that is too large for gRPC is recognised by the texts of its implementations, which have
  no code for it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http.client import BadStatusLine
from typing import NamedTuple

import grpc
from google.protobuf.json_format import ParseError
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from iox_otel_bridge.sender import Outcome, Verdict
from iox_otel_bridge.wire.otlp import PartialSuccess, decode_json_response, decode_response

_RETRYABLE_HTTP = frozenset((429, 502, 503, 504))
_RETRYABLE_GRPC = frozenset(
    (
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    )
)
_SIZE_CODES = (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.OUT_OF_RANGE)
# In turn: C++ and Go; Java and .NET; Rust.
_TOO_LARGE = re.compile(r"larger than max|exceeds (the )?maximum|length too large", re.IGNORECASE)
# What gRPC's implementation says of a server that answers in HTTP/1.
_NOT_GRPC = re.compile(r"http1\.x server|expected SETTINGS frame", re.IGNORECASE)
_DAY_S = 86_400.0
_PROTOBUF = "application/x-protobuf"


class HttpAnswer(NamedTuple):
    """An HTTP response, read to its end."""

    status: int
    reason: str
    headers: Mapping[str, str]
    """Looked up in any case."""
    body: bytes

    @property
    def media_type(self) -> str:
        """The content type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def delivered(answer: PartialSuccess, span_count: int) -> Outcome:
    """Return the outcome of a request of *span_count* spans that was taken, maybe in part."""
    detail = answer.message
    if answer.rejected:
        detail = f"{answer.rejected} of {span_count} spans were rejected: {answer.message}"
    return Outcome(
        Verdict.DELIVERED, rejected=min(max(answer.rejected, 0), span_count), detail=detail
    )


def grpc_success(body: bytes, span_count: int) -> Outcome:
    """Return the outcome of a call that ended OK."""
    try:
        return delivered(decode_response(body), span_count)
    except DecodeError:
        return Outcome(Verdict.DELIVERED, detail="the answer cannot be parsed")


def grpc_failure(
    code: grpc.StatusCode, details: str, trailers: Iterable[tuple[str, str | bytes]]
) -> Outcome:
    """Return the outcome of a call that did not end OK."""
    detail = f"{code.name}: {details}"
    if _NOT_GRPC.search(details):
        detail += _hint("HTTP", "http/protobuf")
    if code in _SIZE_CODES and _TOO_LARGE.search(details):
        return Outcome(Verdict.TOO_LARGE, detail=detail)
    retry_info = _retry_info(trailers)
    retry_after_s = None
    if retry_info is not None:
        delay = retry_info.retry_delay
        retry_after_s = _positive(delay.seconds + delay.nanos / 1e9)
    retryable = code in _RETRYABLE_GRPC or (
        code is grpc.StatusCode.RESOURCE_EXHAUSTED and retry_info is not None
    )
    verdict = Verdict.RETRY if retryable else Verdict.FATAL
    return Outcome(verdict, retry_after_s=retry_after_s, detail=detail)


def http_outcome(answer: HttpAnswer, span_count: int) -> Outcome:
    """Return the outcome of a POST that was answered."""
    if 200 <= answer.status < 300:
        return _http_success(answer, span_count)
    detail = f"HTTP {answer.status} {answer.reason}"
    if 300 <= answer.status < 400:
        return Outcome(Verdict.FATAL, detail=f"{detail}: redirects are not followed")
    message = _error_message(answer)
    if message:
        detail = f"{detail}: {message}"
    if answer.status == 413:
        return Outcome(Verdict.TOO_LARGE, detail=detail)
    if answer.status in _RETRYABLE_HTTP:
        retry_after_s = _retry_after(answer.headers.get("retry-after", ""))
        return Outcome(Verdict.RETRY, retry_after_s=retry_after_s, detail=detail)
    return Outcome(Verdict.FATAL, detail=detail)


def http_failure(error: OSError) -> Outcome:
    """Return the outcome of a POST that was not answered."""
    cause: BaseException = error
    # The exceptions around it repeat the URL, in which there may be secrets.
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    detail = f"{type(cause).__name__}: {cause}"
    if isinstance(cause, ConnectionResetError | BadStatusLine):  # what gRPC's servers do to HTTP/1
        detail += _hint("gRPC", "grpc")
    return Outcome(Verdict.RETRY, detail=detail)


def _hint(spoken: str, protocol: str) -> str:
    return f" (if that port is for {spoken}: TRACES_EXPORTER_OTLP_PROTOCOL={protocol})"


def _http_success(answer: HttpAnswer, span_count: int) -> Outcome:
    decode = decode_json_response if answer.media_type == "application/json" else decode_response
    if not answer.body:
        return Outcome(Verdict.DELIVERED)
    try:
        return delivered(decode(answer.body), span_count)
    except (DecodeError, ParseError, UnicodeDecodeError):
        pass
    detail = f"HTTP {answer.status} with a body that is no OTLP answer ({answer.media_type or '?'})"
    if answer.media_type == "text/html" or answer.body.lstrip()[:1] == b"<":
        return Outcome(Verdict.FATAL, detail=detail)
    return Outcome(Verdict.DELIVERED, detail=detail)


def _error_message(answer: HttpAnswer) -> str:
    """Return the message of the google.rpc.Status that the body of an error has to be."""
    if answer.media_type == _PROTOBUF:
        try:
            return str(Status.FromString(answer.body).message)
        except DecodeError:
            return ""
    if answer.media_type == "text/html":
        return ""
    return answer.body.decode("utf-8", "replace")


def _retry_info(trailers: Iterable[tuple[str, str | bytes]]) -> RetryInfo | None:
    """Return the RetryInfo among the details of the status, or in a trailer of its own."""
    for key, value in trailers:
        try:
            if key == "google.rpc.retryinfo-bin":
                return RetryInfo.FromString(value)
            if key == "grpc-status-details-bin":
                for packed in Status.FromString(value).details:
                    retry_info = RetryInfo()
                    if packed.Unpack(retry_info):
                        return retry_info
        except (DecodeError, TypeError):
            continue
    return None


def _retry_after(value: str) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110, section 10.2.3)."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return _positive(float(value))
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return _positive(moment.timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _positive(seconds: float) -> float | None:
    """Return *seconds*, a day at most; None for "now", or else we would retry in a busy loop."""
    return min(seconds, _DAY_S) if seconds > 0 else None
