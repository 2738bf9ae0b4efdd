"""The client of Jaeger's query API: a real Jaeger's, or the viewer's."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from .http_client import ApiError, HttpClient

if TYPE_CHECKING:
    import httpx

_NO_TOKEN = "the viewer wants its token: say it with --token or IOX_OTEL_VIEWER_TOKEN"  # noqa: S105  a message
_OTHER_TOKEN = "that is not the token of this viewer: it is what the viewer's own --token was"  # noqa: S105  a message


class Search(NamedTuple):
    """What is asked for."""

    service: str | None
    """None: of any service."""
    tags: dict[str, str]
    """All of them on one span."""
    start_us: int
    """Unix time from which on they start, in µs."""
    limit: int
    """Of traces, of each service."""


class Summary(NamedTuple):
    """A trace on one line; times are Unix µs."""

    trace_id: str
    """32 hex digits."""
    service: str
    """Of its root, or else of its first span; so is the name."""
    name: str
    start_us: int
    duration_us: int
    spans: int
    errors: int
    services: list[str]
    """All of them, sorted."""


class JaegerClient(HttpClient):
    """Asks the Jaeger at *url*. A context manager.

    Args:
        url: of its page, without `/search`.
        token: what `iox-otel viewer --token` asks for; empty for none.
        timeout_s: how long to wait for it to go on.

    Raises:
        Failure: httpx is not installed.
    """

    def __init__(self, url: str, *, token: str, timeout_s: float) -> None:
        headers = [("Authorization", f"Bearer {token}")] if token else []
        error_of = partial(_error, wants=_OTHER_TOKEN if token else _NO_TOKEN)
        super().__init__(
            url, error_of=error_of, extra="viewer", headers=headers, timeout_s=timeout_s
        )

    def find(self, search: Search) -> list[Summary]:
        """Return the newest traces that fit, newest first.

        Jaeger searches one service at a time, so without one each is asked in turn.

        Raises:
            ApiError: it did not say, or is no Jaeger.
        """
        services = [search.service] if search.service else self._data("/api/services") or []
        found: dict[str, Summary] = {}
        for service in services:
            for trace in self._traces(str(service), search):
                found[trace.trace_id] = trace
        newest = sorted(found.values(), key=lambda trace: trace.start_us, reverse=True)
        return newest[: search.limit]

    def trace(self, trace_id: str) -> dict[str, Any] | None:
        """Return a trace in Jaeger's JSON, None if there is none; raises ApiError."""
        try:
            (trace, *_) = self._data(f"/api/traces/{trace_id}")
        except ApiError as exc:
            if exc.status == 404:
                return None
            raise
        except (TypeError, ValueError):
            raise self._strange() from None
        return dict(trace)

    def _traces(self, service: str, search: Search) -> list[Summary]:
        params = {"service": service, "start": search.start_us, "limit": search.limit}
        if search.tags:
            params["tags"] = json.dumps(search.tags)
        try:
            return [_summary(trace) for trace in self._data("/api/traces", params) or []]
        except (TypeError, ValueError, KeyError, AttributeError):
            raise self._strange() from None

    def _data(self, path: str, params: dict[str, Any] | None = None) -> Any:
        answer = self.request("GET", path, params=params)
        try:
            return answer.json()["data"]
        except (ValueError, TypeError, KeyError):
            raise self._strange() from None

    def _strange(self) -> ApiError:
        return ApiError(f"{self.name} does not answer as a Jaeger does")


def _summary(trace: dict[str, Any]) -> Summary:
    spans, processes = trace["spans"], trace["processes"]
    services = {key: str(process["serviceName"]) for key, process in processes.items()}
    ids = {span["spanID"] for span in spans}
    first = min(spans, key=lambda span: (_has_parent(span, ids), span["startTime"]))
    start_us = min(span["startTime"] for span in spans)
    return Summary(
        trace_id=str(trace["traceID"]).rjust(32, "0"),
        service=services[first["processID"]],
        name=str(first["operationName"]),
        start_us=start_us,
        duration_us=max(span["startTime"] + span["duration"] for span in spans) - start_us,
        spans=len(spans),
        errors=sum(map(_is_error, spans)),
        services=sorted({services[span["processID"]] for span in spans}),
    )


def _has_parent(span: dict[str, Any], ids: set[str]) -> bool:
    return any(each["spanID"] in ids for each in span.get("references") or ())


def _is_error(span: dict[str, Any]) -> bool:
    tags = span.get("tags") or ()
    return any(tag["key"] == "error" and tag["value"] in (True, "true") for tag in tags)


def _error(response: httpx.Response, *, wants: str) -> ApiError:
    """Return what a Jaeger, or the viewer, says about its refusal; *wants* of its token."""
    status = response.status_code
    message = f"{status} {response.reason_phrase}"
    if status == 401:
        return ApiError(wants)
    try:
        answer = response.json()
        message = answer.get("error") or answer["errors"][0]["msg"]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        pass
    return ApiError(str(message), status=status)
