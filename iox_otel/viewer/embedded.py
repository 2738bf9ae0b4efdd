"""A viewer within an application: its page at a path there, fed by the application's own spans."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

from opentelemetry.sdk.resources import Resource
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from iox_otel_bridge import Tracing
from iox_otel_bridge.sender import AnySpan, Batch, Outcome, Pipeline, Sender, Verdict
from iox_otel_bridge.wire.jaeger_batch import ClientStats
from iox_otel_bridge.wire.otlp import Request, RequestEncoder

from .app import Viewer, create_app
from .intake.accepting import Busy
from .security import Guard
from .stored import UNKNOWN_SERVICE

EXPORTER = "viewer"
DEFAULT_MAX_SPANS = 100_000
DEFAULT_MAX_MB = 256
_MAX_BATCH_BYTES = 1 << 20


def mount(
    app: Starlette,
    path: str,
    tracing: Tracing,
    *,
    token: str | None = None,
    max_spans: int = DEFAULT_MAX_SPANS,
    max_mb: int = DEFAULT_MAX_MB,
) -> None:
    """Serve the viewer in *app* under *path*, and have *tracing* send its spans there, too.

        app = FastAPI(middleware=[tracing.middleware("checkout http")])
        mount(app, "/debug/traces", tracing)

    The spans go no further than this process: several workers have a viewer each, and a forked
    child begins with an empty one. They are kept in memory. Requests for the viewer are not traced
    by `tracing.middleware`. Without a *token* only this machine is answered, and only by a name or
    address that is its own. Behind a proxy on the same machine give it one: a proxy that adds no
    header of its own looks like this machine. To be called before `tracing.collector` is handed to
    a `TraceLayer`.

    Args:
        app: a Starlette or FastAPI application.
        path: where, such as `/debug/traces`.
        tracing: where the spans come from, also with TRACES_EXPORTER=none.
        token: lets other machines in that have it, see `iox-otel viewer --token`.
        max_spans: how many spans are kept.
        max_mb: how much memory they take.

    Raises:
        ValueError: *path* is not one to mount at, or *tracing* has a viewer already.
    """
    if not path.startswith("/") or not path.strip("/"):
        raise ValueError(f"path must begin with / and be more than that, got {path!r}")
    path = path.rstrip("/")
    embedded = _Embedded(token or None, max_spans=max_spans, max_mb=max_mb)
    tracing.add_exporter(
        EXPORTER,
        lambda: _ViewerSender(embedded.parts().viewer, tracing.resource),
        destination=f"the viewer at {path}",
    )
    tracing.exclude(path, f"{path}/*")
    app.mount(path, embedded, name="iox-otel viewer")


class _Parts(NamedTuple):
    viewer: Viewer
    app: ASGIApp


class _Embedded:
    """The viewer of this process, as an ASGI application.

    A forked child makes its own when it is first asked for: threads and the database stay with the
    parent.
    """

    def __init__(self, token: str | None, *, max_spans: int, max_mb: int) -> None:
        self._token = token
        self._make_viewer = partial(Viewer, max_spans=max_spans, max_mb=max_mb)
        self._left_to_parents: list[_Parts | None] = []
        self._made: _Parts | None = None
        self._lock = threading.Lock()
        self._held = ExitStack()
        # A fork while a thread is within SQLite would leave its locks taken in the child for ever.
        os.register_at_fork(
            before=self._hold_store,
            after_in_parent=self._release_store,
            after_in_child=self._begin_anew,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.parts().app(scope, receive, send)

    def parts(self) -> _Parts:
        """Return the viewer and its application."""
        with self._lock:
            if self._made is None:
                viewer = self._make_viewer()
                hosts = None if self._token else ()
                guard = Guard(
                    create_app(viewer), hosts=hosts, token=self._token, local_only=not self._token
                )
                self._made = _Parts(viewer, guard)
            return self._made

    def _hold_store(self) -> None:
        self._lock.acquire()
        if self._made is not None:
            self._held.enter_context(self._made.viewer.store.reading())

    def _release_store(self) -> None:
        self._held.close()
        self._lock.release()

    def _begin_anew(self) -> None:
        self._held = ExitStack()
        self._left_to_parents.append(self._made)
        self._made = None
        self._lock = threading.Lock()  # the old one stays as it was when the parent forked


class _ViewerSender(Sender):
    """Gives spans to a viewer of this process."""

    def __init__(self, viewer: Viewer, resource: Resource) -> None:
        self._accepting = viewer.accepting
        self._service = str(resource.attributes.get("service.name") or UNKNOWN_SERVICE)
        self._encoder = RequestEncoder(resource)

    def bind(self, pipeline: Pipeline) -> None:
        """Have the page show what is lost on the way to it."""

        def lost() -> ClientStats:
            stats = pipeline.stats()
            failed = stats.dropped_export_failed + stats.dropped_shut_down
            return ClientStats(stats.dropped_queue_full, failed_to_emit_spans=failed)

        self._accepting.counts.watch(self._service, lost)

    def encode(self, spans: Sequence[AnySpan]) -> Iterable[Batch]:
        """Yield requests of OTLP."""
        for request in self._encoder.encode(spans, _MAX_BATCH_BYTES):
            yield Batch(request, request.span_count, sys.getsizeof(request.body))

    def send(self, batch: Batch, timeout_s: float) -> Outcome:
        """Queue them to be stored."""
        request = batch.payload
        assert isinstance(request, Request)  # noqa: S101  narrows the type
        if request.error:
            return Outcome(Verdict.FATAL, detail=request.error)
        try:
            refused = self._accepting.take(request.body, EXPORTER)
        except Busy:
            return Outcome(Verdict.RETRY, detail="the viewer is busy")
        return Outcome(Verdict.DELIVERED, rejected=refused)
