"""Viewer: a store, what fills it, and the application that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from . import api, page_json, pages
from .counts import INTAKES, Counts
from .intake.accepting import Accepting
from .live import Live
from .page_api import PageApi
from .search import rows_of
from .store import DEFAULT_MAX_MB, DEFAULT_MAX_SPANS, Store
from .writer import DEFAULT_MAX_QUEUE_BYTES, Writer


class Viewer:
    """Keeps traces and tells the pages of them; sockets are opened by who uses it.

    Args:
        db: the file they are kept in; in memory if None.
        max_spans: how many are kept.
        max_mb: how large the database becomes.
        max_queue_bytes: how much waits to be stored.

    Raises:
        StoreError: the file cannot be opened.
    """

    def __init__(
        self,
        db: Path | None = None,
        *,
        max_spans: int = DEFAULT_MAX_SPANS,
        max_mb: int = DEFAULT_MAX_MB,
        max_queue_bytes: int = DEFAULT_MAX_QUEUE_BYTES,
    ) -> None:
        self.store = Store(db, max_spans=max_spans, max_mb=max_mb)
        self.counts = Counts()
        self.live = Live(self._rows, self.status)
        self.writer = Writer(
            self.store,
            on_stored=self.live.note,
            on_failed=self.counts.fail,
            max_queue_bytes=max_queue_bytes,
        )
        self.accepting = Accepting(self.writer, self.counts)
        self._listening: dict[str, str | None] = dict.fromkeys(INTAKES)
        self._is_embedded = True

    def listen(self, addresses: Mapping[str, str]) -> None:
        """Take note of where spans come in, as addresses by the names of intakes.

        Until that is told, they come from the application that the viewer is part of.
        """
        self._is_embedded = False
        self._listening |= addresses

    def status(self) -> dict[str, Any]:
        """Return how much there is and what was lost, as JSON of the page."""
        kept = self.store.kept()
        return {
            "version": version("iox-otel"),
            "traces": {"kept": kept.traces, "seen": kept.traces_seen},
            "spans": {
                "kept": kept.spans,
                "seen": kept.spans_seen,
                "max": self.store.max_spans,
                "cut": kept.spans_cut,
            },
            "bytes": {"kept": kept.bytes, "max": self.store.max_bytes},
            "intake": self._listening,
            "isEmbedded": self._is_embedded,
            "loss": self.counts.loss(),
        }

    def close(self) -> None:
        """Store what has come in, and close the database; the intakes must be closed before."""
        self.live.close()
        if self.writer.close():
            self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rows(self, trace_ids: list[bytes]) -> list[dict[str, Any]]:
        return [page_json.row_of(row) for row in rows_of(self.store, trace_ids)]


def create_app(viewer: Viewer) -> Starlette:
    """Return the application: the page, its API and Jaeger's query API. `Guard` goes before it."""
    page_api = PageApi(viewer.store, viewer.live, viewer.accepting, viewer.status)
    return Starlette(
        routes=[*pages.routes(), *page_api.routes(), *api.routes(viewer.store)],
        exception_handlers={HTTPException: _answer_http_error},
    )


async def _answer_http_error(_request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)  # noqa: S101  narrows the type
    return JSONResponse({"error": exc.detail}, exc.status_code, exc.headers)
