"""What the answer to a POST means, see `otlp_outcome`.

Where the specification leaves something open:

- A redirect is not followed and is fatal: the receiver did not take the spans, and never will under
  this address.
- A success whose body cannot be parsed counts as delivered, since the receiver took the request by
  its status and a second one would double the spans; but a web page is no answer of a receiver, it
  comes from something else that listens there, and is fatal.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http.client import BadStatusLine
from typing import NamedTuple

from google.protobuf.json_format import ParseError
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status

from iox_otel_bridge.sender import Outcome, Verdict
from iox_otel_bridge.wire.otlp import decode_response
from iox_otel_bridge.wire.otlp_json_response import decode_json_response

from .otlp_outcome import delivered, hint, positive

_RETRYABLE = frozenset((429, 502, 503, 504))
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
    if answer.status in _RETRYABLE:
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
        detail += hint("gRPC", "grpc")
    return Outcome(Verdict.RETRY, detail=detail)


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


def _retry_after(value: str) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110, section 10.2.3)."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return positive(float(value))
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return positive(moment.timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
