"""What the page asks for, under `/api/viewer`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from iox_otel_bridge.wire.errors import DecodeError

from . import jaeger_json, otlp_json, page_json, page_query
from .bodies import BodyError, read_body
from .endpoints import in_a_thread, large_json
from .export_html import export_html
from .intake.accepting import Accepting
from .live import Live
from .outline import outline_of
from .parameters import trace_id_of, trace_ids_of
from .schema import StoreError
from .search import find, rows_of
from .store import Store
from .stored import StoredSpan
from .uploads import read_upload, without_known
from .writer import portions_of

MAX_UPLOAD_BYTES = 256 << 20

_EXPORTS: dict[str, tuple[str, str, Callable[[list[StoredSpan]], str]]] = {
    "jaeger": (
        "application/json",
        "jaeger.json",
        lambda spans: json.dumps({"data": [jaeger_json.trace_of(spans)]}),
    ),
    "otlp": ("application/json", "otlp.json", lambda spans: json.dumps(otlp_json.trace_of(spans))),
    "html": ("text/html", "html", lambda spans: export_html(page_json.trace_of(spans))),
    "text": ("text/plain", "txt", outline_of),
}


class PageApi:
    """Answers the page.

    Args:
        store: where the traces are.
        live: tells of new ones.
        accepting: the limits that uploads are held to.
        status: returns the status.
    """

    def __init__(
        self, store: Store, live: Live, accepting: Accepting, status: Callable[[], dict[str, Any]]
    ) -> None:
        self._store = store
        self._live = live
        self._accepting = accepting
        self._status = status

    def routes(self) -> list[Route]:
        """Return the routes."""
        endpoints = {
            "/status": lambda _: JSONResponse(self._status()),
            "/services": self._services,
            "/traces": self._traces,
            "/traces/{trace_id}": self._trace,
            "/traces/{trace_id}/export": self._export,
        }
        return [
            *(
                Route(f"/api/viewer{path}", in_a_thread(each, _refused))
                for path, each in endpoints.items()
            ),
            Route("/api/viewer/upload", self._upload, methods=["POST"]),
            Route("/api/viewer/stream", self._live.answer),
        ]

    def _services(self, _request: Request) -> Response:
        listed = [
            {
                "name": service,
                "operations": list(dict.fromkeys(n for n, _ in self._store.operations(service))),
            }
            for service in self._store.services()
        ]
        return JSONResponse({"data": listed})

    def _traces(self, request: Request) -> Response:
        parameters = request.query_params
        is_cut_short = False
        if parameters.getlist("traceID"):
            limit = page_query.limit_of(parameters)
            rows = rows_of(self._store, trace_ids_of(parameters))
        else:
            query = page_query.query_of(parameters)
            limit = query.limit
            found = find(self._store, query)
            rows, is_cut_short = found.rows, found.is_cut_short
        shown = [page_json.row_of(row) for row in rows[:limit]]
        return JSONResponse({"data": shown, "limited": is_cut_short or len(rows) >= limit})

    def _trace(self, request: Request) -> Response:
        spans = self._store.trace(trace_id_of(request.path_params["trace_id"]))
        return large_json(page_json.trace_of(spans)) if spans else _not_found()

    def _export(self, request: Request) -> Response:
        wanted = request.query_params.get("format", "")
        if wanted not in _EXPORTS:
            return _refused(400, f"format: expected one of {', '.join(_EXPORTS)}")
        trace_id = trace_id_of(request.path_params["trace_id"])
        if not (spans := self._store.trace(trace_id)):
            return _not_found()
        media_type, ending, write = _EXPORTS[wanted]
        name = f"trace-{trace_id.hex()}.{ending}"
        disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(write(spans), headers=disposition, media_type=media_type)

    async def _upload(self, request: Request) -> Response:
        # A form on another site can send other types, but not this one.
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            return _refused(415, "expected Content-Type application/json")
        try:
            body = await read_body(request, MAX_UPLOAD_BYTES)
            added = await run_in_threadpool(self._store_upload, body)
        except BodyError as exc:
            return _refused(exc.status, str(exc))
        except DecodeError as exc:
            return _refused(400, str(exc))
        except StoreError as exc:
            return _refused(507, str(exc))
        return JSONResponse({"traceIDs": added})

    def _store_upload(self, body: bytes) -> list[str]:
        batches, refused = self._accepting.checked(read_upload(body))
        if refused:
            raise DecodeError(f"{refused} spans have no valid trace id and span id")
        ids = {stored.trace_id.rjust(16, b"\0") for batch in batches for stored in batch.spans}
        new = without_known(batches, ids, self._store.trace)
        for portion in portions_of(new):  # others get their turn between them
            self._live.note(self._store.add(portion, again=ids))
        return sorted(trace_id.hex() for trace_id in ids)


def _not_found() -> Response:
    return _refused(404, "there is no such trace here: it never came, or was evicted")


def _refused(status: int, reason: str) -> Response:
    return JSONResponse({"error": " ".join(reason.split())}, status)
