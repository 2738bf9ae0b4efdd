"""What the end of a gRPC call means, see `otlp_outcome`.

A message that is too large is recognised by the texts of gRPC's implementations, which have no code
for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from iox_otel_bridge.sender import Outcome, Verdict
from iox_otel_bridge.wire.otlp import decode_response

from .otlp_outcome import delivered, hint, positive

_RETRYABLE = frozenset(
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
        detail += hint("HTTP", "http/protobuf")
    if code in _SIZE_CODES and _TOO_LARGE.search(details):
        return Outcome(Verdict.TOO_LARGE, detail=detail)
    retry_info = _retry_info(trailers)
    retry_after_s = None
    if retry_info is not None:
        delay = retry_info.retry_delay
        retry_after_s = positive(delay.seconds + delay.nanos / 1e9)
    retryable = code in _RETRYABLE or (
        code is grpc.StatusCode.RESOURCE_EXHAUSTED and retry_info is not None
    )
    verdict = Verdict.RETRY if retryable else Verdict.FATAL
    return Outcome(verdict, retry_after_s=retry_after_s, detail=detail)


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
