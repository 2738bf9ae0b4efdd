"""What is counted of a request, and under which labels. Agrees with IOx `trace_http::metrics`.

`TraceLayer` calls a `RequestMetrics` once for each request; nothing here stores a number.
"""

from __future__ import annotations

from typing import Literal, Protocol

from .classify import Classification

Family = Literal["http", "grpc"]
Side = Literal["server", "client"]
Status = Literal["ok", "client_error", "server_error", "unexpected_response", "aborted"]

OTHER_PATH = "(other)"
"""Stands for every path beyond the first `max_values` of a `PathLabels`."""

_STATUS: dict[Classification, Status] = {
    Classification.OK: "ok",
    Classification.PATH_NOT_FOUND: "client_error",
    Classification.METHOD_NOT_ALLOWED: "client_error",
    Classification.CLIENT_ERROR: "client_error",
    Classification.SERVER_ERROR: "server_error",
    Classification.UNEXPECTED_RESPONSE: "unexpected_response",
}
# A client may send any word as its method, and must not make a time series with it.
STANDARD_METHODS = frozenset(
    ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE")
)


class RequestMetrics(Protocol):
    """Takes the measurements of requests; one object serves all requests of a layer."""

    def request_ended(
        self,
        *,
        family: Family,
        side: Side,
        path: str | None,
        method: str | None,
        status: Status,
        status_code: int | None,
        duration_ns: int,
        response_body_bytes: int,
    ) -> None:
        """Count one request.

        Runs on the event loop: it must not block. What it raises is logged and goes no further.

        Args:
            family: "grpc" for a request with gRPC's content type over HTTP/2 or later.
            side: "server" for requests answered, "client" for requests made.
            path: the route's template if it is known, else the path, either one of a bounded set;
                None where a client could make it up (404, gRPC's unimplemented, an aborted gRPC).
            method: None on 405, for a word that is no standard method, and for gRPC.
            status: "aborted" if the response was not fully returned to a client that waited for it.
                Of such a request IOx counts the number only, since the rest means little.
            status_code: HTTP's; None if the request ended before its response's headers.
            duration_ns: from the call of the layer to the end of the response's body.
            response_body_bytes: bytes of body handed to the server, without headers.
        """


def status_of(classification: Classification | None) -> Status:
    """Return the label for *classification*; None is a request that was aborted."""
    return "aborted" if classification is None else _STATUS[classification]


def method_label(method: str, family: Family, classification: Classification | None) -> str | None:
    """Return *method*, or None where it would be noise: see `RequestMetrics.request_ended`."""
    if family == "grpc" or classification is Classification.METHOD_NOT_ALLOWED:
        return None
    return method if method in STANDARD_METHODS else None


def keeps_path(family: Family, side: Side, classification: Classification | None) -> bool:
    """Return whether the path of such a request is known to be the application's own."""
    if classification is None:
        # No router has looked at the path of a gRPC request that a client gave up; the paths that
        # a client calls are its own program's.
        return family == "http" or side == "client"
    return classification is not Classification.PATH_NOT_FOUND


def bounded_path(path: str, *, max_segments: int = 8, max_chars: int = 200) -> str:
    """Return *path* cut to *max_segments* segments and *max_chars* characters, `*` for the rest."""
    segments = path.split("/", max_segments + 1)
    if len(segments) > max_segments + 1:
        path = "/".join((*segments[:-1], "*"))
    if len(path) > max_chars:
        path = path[: max_chars - 1] + "*"
    return path


class PathLabels:
    """Gives paths as label values, *max_values* different ones at most in its lifetime.

    Raises:
        ValueError: a limit is less than 1.
    """

    def __init__(self, *, max_values: int = 256, max_segments: int = 8) -> None:
        if max_values < 1 or max_segments < 1:
            raise ValueError(
                f"limits must be at least 1, got {max_values!r} values of {max_segments!r} segments"
            )
        self._max_values = max_values
        self._max_segments = max_segments
        self._values: set[str] = set()

    def label(self, path: str) -> str:
        """Return *path* in bounded form; `OTHER_PATH` if there are enough different ones."""
        path = bounded_path(path, max_segments=self._max_segments)
        if path not in self._values:
            if len(self._values) >= self._max_values:
                return OTHER_PATH
            self._values.add(path)
        return path
