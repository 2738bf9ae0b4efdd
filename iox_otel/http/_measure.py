"""From a finished request to the call of the user's RequestMetrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iox_otel._report import report

from ._route import route_template
from .classify import is_grpc_content_type
from .metrics import PathLabels, keeps_path, method_label, status_of

if TYPE_CHECKING:
    from ._asgi import Scope
    from .classify import Classification
    from .metrics import Family, RequestMetrics


class Measure:
    """Tells *metrics* about each request a server has answered, under bounded labels."""

    def __init__(self, metrics: RequestMetrics) -> None:
        self._metrics = metrics
        self._paths = PathLabels()

    def __call__(
        self,
        scope: Scope,
        classification: Classification | None,
        status_code: int | None,
        duration_ns: int,
        response_body_bytes: int,
    ) -> None:
        """Count one request; *classification* None is an aborted one. Never raises."""
        try:
            family = family_of(scope)
            path = None
            if keeps_path(family, "server", classification):
                path = self._paths.label(route_template(scope) or scope["path"])
            self._metrics.request_ended(
                family=family,
                side="server",
                path=path,
                method=method_label(scope["method"], family, classification),
                status=status_of(classification),
                status_code=status_code,
                duration_ns=duration_ns,
                response_body_bytes=response_body_bytes,
            )
        except Exception:
            report("request metrics raised, a request is not counted")


def family_of(scope: Scope) -> Family:
    """Return "grpc" for a gRPC request: by its content type, over HTTP/2 or later."""
    if not scope.get("http_version", "1.1").startswith("1"):
        for name, value in scope["headers"]:
            if name == b"content-type":
                return "grpc" if is_grpc_content_type(value) else "http"
    return "http"
