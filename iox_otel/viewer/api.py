"""Jaeger's query API over the store.

Agrees with Jaeger 1.62, `cmd/query/app/http_handler.go`: the paths, parameters, statuses and the
shapes of its answers. Where Jaeger gives no order, services, operations and dependencies are sorted
and traces come newest first.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import jaeger_json, parameters
from .endpoints import in_a_thread, large_json
from .search import find
from .store import Store

_IN_PATH = re.compile(rb"/api/services/(.*)/operations$")
NOT_FOUND = "trace not found"


def routes(store: Store) -> list[Route]:
    """Return the routes of the API, under `/api`."""
    api = _Api(store)
    endpoints: dict[str, Callable[[Request], Response]] = {
        "/services": api.services,
        "/services/{service:path}/operations": api.operation_names,
        "/operations": api.operations,
        "/traces": api.traces,
        "/traces/{trace_id}": api.trace,
        "/dependencies": api.dependencies,
    }
    return [Route(f"/api{path}", in_a_thread(each, _refused)) for path, each in endpoints.items()]


class _Api:
    def __init__(self, store: Store) -> None:
        self._store = store

    def services(self, _request: Request) -> Response:
        return _answer(services := self._store.services(), total=len(services))

    def operation_names(self, request: Request) -> Response:
        operations = self._store.operations(_service_of(request))
        names = list(dict.fromkeys(name for name, _ in operations))
        return _answer(names, total=len(names))

    def operations(self, request: Request) -> Response:
        if not (service := request.query_params.get("service")):
            return _refused(400, "parameter 'service' is required")
        wanted = request.query_params.get("spanKind")
        listed = [
            {"name": name, "spanKind": kind}
            for name, kind in self._store.operations(service)
            if not wanted or kind == wanted
        ]
        return _answer(listed, total=len(listed))

    def traces(self, request: Request) -> Response:
        if request.query_params.getlist("traceID"):
            return self._traces_by_id(parameters.trace_ids_of(request.query_params))
        found = find(self._store, parameters.query_of(request.query_params))
        traces = self._store.traces([row.trace_id for row in found.rows])
        return _answer([jaeger_json.trace_of(spans) for spans in traces if spans])

    def trace(self, request: Request) -> Response:
        spans = self._store.trace(parameters.trace_id_of(request.path_params["trace_id"]))
        return _answer([jaeger_json.trace_of(spans)]) if spans else _refused(404, NOT_FOUND)

    def dependencies(self, request: Request) -> Response:
        only = request.query_params.get("service")
        calls = self._store.dependencies(*parameters.span_of_time(request.query_params))
        return _answer(
            [
                {"parent": parent, "child": child, "callCount": count}
                for parent, child, count in calls
                if not only or only in (parent, child)
            ]
        )

    def _traces_by_id(self, trace_ids: list[bytes]) -> Response:
        found, missing = [], []
        for trace_id in trace_ids:
            if spans := self._store.trace(trace_id):
                found.append(jaeger_json.trace_of(spans))
            else:
                missing.append({"msg": NOT_FOUND, "traceID": jaeger_json.hex_of(trace_id)})
        return _answer(found, errors=missing or None)


def _service_of(request: Request) -> str:
    """Return the service in the path, which Jaeger decodes as it came: once, a + to a blank.

    Starlette has decoded its parameter already, and `raw_path` may be missing in ASGI.
    """
    said = _IN_PATH.search(request.scope.get("raw_path") or b"")
    return unquote_plus(said[1].decode("latin-1")) if said else request.path_params["service"]


def _answer(data: Any, *, total: int = 0, errors: list[dict[str, str]] | None = None) -> Response:
    return large_json({"data": data, "total": total, "limit": 0, "offset": 0, "errors": errors})


def _refused(status: int, message: str) -> Response:
    errors = [{"code": status, "msg": message}]
    body = {"data": None, "total": 0, "limit": 0, "offset": 0, "errors": errors}
    return JSONResponse(body, status_code=status)
