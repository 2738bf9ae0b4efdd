"""What a response's status says about the request. Agrees with IOx `trace_http::classify`.

Departures, on purpose: a redirect is a success, and a client's error leaves the span's status
Unknown, as OpenTelemetry's HTTP and gRPC conventions want it for servers.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from iox_otel import SpanStatus

_MAX_GRPC_MESSAGE_CHARS = 1024
_GRPC_CONTENT_TYPE = b"application/grpc"


class Classification(IntEnum):
    """How a request fared, as metrics count it. The higher one wins if there are two."""

    OK = 0
    PATH_NOT_FOUND = 1
    METHOD_NOT_ALLOWED = 2
    CLIENT_ERROR = 3
    SERVER_ERROR = 4
    UNEXPECTED_RESPONSE = 5


class Verdict(NamedTuple):
    """What a status means for the span and for the metrics."""

    text: str
    """The message of the span's event, `ok` for a success."""
    classification: Classification
    span_status: SpanStatus
    error_type: str | None
    """OpenTelemetry's `error.type`; None unless the span's status is Err."""


OK = Verdict("ok", Classification.OK, SpanStatus.OK, None)


def classify_status(status: int) -> Verdict:
    """Return the verdict on an HTTP status code."""
    if 100 <= status < 400:
        return OK
    if 400 <= status < 500:
        text, classification = _client_error(status)
        return Verdict(text, classification, SpanStatus.UNKNOWN, None)
    if status == 501:
        # A feature asked for that is not there: no alarm about the server.
        return Verdict("unimplemented", Classification.CLIENT_ERROR, SpanStatus.ERR, "501")
    if 500 <= status < 600:
        text = f"unexpected 5XX status code: {_with_reason(status)}"
        return Verdict(text, Classification.SERVER_ERROR, SpanStatus.ERR, str(int(status)))
    text = f"unexpected non-error status code: {_with_reason(status)}"
    return Verdict(text, Classification.UNEXPECTED_RESPONSE, SpanStatus.UNKNOWN, None)


def classify_headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[Verdict, str | None]:
    """Return what gRPC says in *headers* or trailers, and its message; OK without a `grpc-status`.

    The names are in lower case, as ASGI has them.
    """
    value = value_of(headers, b"grpc-status")
    if value is None:
        return OK, None
    message = value_of(headers, b"grpc-message")
    return classify_grpc_status(value), None if message is None else decode_grpc_message(message)


def value_of(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """Return the value of the first header called *name*, or None."""
    for key, value in headers:
        if key == name:
            return value
    return None


def classify_grpc_status(value: bytes) -> Verdict:
    """Return the verdict on the value of a `grpc-status` header or trailer; never raises."""
    if not all(32 <= byte < 127 or byte == 9 for byte in value):
        return _server_error("grpc status not string", "grpc status not string")
    code = _int32(value)
    if code is None:
        return _server_error("grpc status not integer", "grpc status not integer")
    if code == 0:
        return OK
    known = _GRPC.get(code)
    if known is None:
        return _server_error(f"unrecognised status code: {code}", str(code))
    text, classification, span_status = known
    name = text.upper().replace(" ", "_") if span_status is SpanStatus.ERR else None
    return Verdict(text, classification, span_status, name)


def decode_grpc_message(value: bytes) -> str:
    """Return the text of a `grpc-message`, whose UTF-8 is percent-encoded; capped, never raises."""
    from urllib.parse import unquote

    # An encoded byte takes three; what is cut off is not decoded either.
    text = value[: 12 * _MAX_GRPC_MESSAGE_CHARS].decode("ascii", "replace")
    return unquote(text, errors="replace")[:_MAX_GRPC_MESSAGE_CHARS]


def is_grpc_content_type(value: bytes) -> bool:
    """Return whether a `content-type` is gRPC's: `application/grpc`, `application/grpc+proto`, …

    `application/grpc-web` is another framing, and is not.
    """
    value = value.lstrip()
    end = len(_GRPC_CONTENT_TYPE)
    after = value[end : end + 1]
    return value[:end].lower() == _GRPC_CONTENT_TYPE and (after in b"+;" or after.isspace())


def _client_error(status: int) -> tuple[str, Classification]:
    if status == 404:
        return "not found", Classification.PATH_NOT_FOUND
    if status == 405:
        return "method not allowed", Classification.METHOD_NOT_ALLOWED
    return f"unexpected 4XX status code: {_with_reason(status)}", Classification.CLIENT_ERROR


def _server_error(text: str, error_type: str) -> Verdict:
    return Verdict(text, Classification.SERVER_ERROR, SpanStatus.ERR, error_type)


def _with_reason(status: int) -> str:
    return f"{int(status)} {_REASONS.get(status, '<unknown status code>')}"


def _int32(value: bytes) -> int | None:
    digits = value[1:] if value[:1] in (b"+", b"-") else value
    if not digits.isdigit() or len(digits.lstrip(b"0")) > 10:
        return None
    number = int(value)
    return number if -(1 << 31) <= number < 1 << 31 else None


_CLIENT = Classification.CLIENT_ERROR
_SERVER = Classification.SERVER_ERROR
_UNKNOWN = SpanStatus.UNKNOWN
_ERR = SpanStatus.ERR

# A span's status is Err where IOx says server error, and where OpenTelemetry's convention for
# gRPC servers does.
_GRPC = {
    1: ("cancelled", _CLIENT, _UNKNOWN),
    2: ("unknown", _SERVER, _ERR),
    3: ("invalid argument", _CLIENT, _UNKNOWN),
    4: ("deadline exceeded", _SERVER, _ERR),
    5: ("not found", _CLIENT, _UNKNOWN),
    6: ("already exists", _CLIENT, _UNKNOWN),
    7: ("permission denied", _CLIENT, _UNKNOWN),
    8: ("resource exhausted", _SERVER, _ERR),
    9: ("failed precondition", _CLIENT, _UNKNOWN),
    10: ("aborted", _CLIENT, _UNKNOWN),
    11: ("out of range", _CLIENT, _UNKNOWN),
    # As HTTP's 404: any client can make up a path, so metrics leave it out.
    12: ("unimplemented", Classification.PATH_NOT_FOUND, _ERR),
    13: ("internal", _SERVER, _ERR),
    14: ("unavailable", _SERVER, _ERR),
    15: ("data loss", _SERVER, _ERR),
    16: ("unauthenticated", _CLIENT, _UNKNOWN),
}

# RFC 9110's words, and not those of `http.HTTPStatus`, which change with the Python version.
_REASONS = {
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Payload Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    416: "Range Not Satisfiable",
    417: "Expectation Failed",
    418: "I'm a teapot",
    421: "Misdirected Request",
    422: "Unprocessable Entity",
    423: "Locked",
    424: "Failed Dependency",
    425: "Too Early",
    426: "Upgrade Required",
    428: "Precondition Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    451: "Unavailable For Legal Reasons",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
    506: "Variant Also Negotiates",
    507: "Insufficient Storage",
    508: "Loop Detected",
    510: "Not Extended",
    511: "Network Authentication Required",
}
