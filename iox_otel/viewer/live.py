"""Live: server-sent events, so that a page shows what arrives as it arrives.

Events `trace`, with a row of the list of traces, at most once per trace and `TICK_S`; `status`,
when it changed. Agrees with the HTML standard, "Server-sent events".
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

TICK_S = 0.25
_STATUS_TICKS = 4
_HEARTBEAT_S = 10.0
_LOOK_UP_S = 0.2
"""How often a stream looks whether it is to end: before a server that ends would cancel it."""
_MAX_PENDING = 100
"""Traces that are told of in a tick; of more of them, the newest."""
_MAX_BEHIND = 8
"""Ticks that a slow browser may be behind; it misses what comes beyond them."""

_log = logging.getLogger("iox_otel.viewer")

Rows = Callable[[list[bytes]], list[dict[str, Any]]]
Status = Callable[[], dict[str, Any]]


class Live:
    """Tells the pages that are open of what is stored.

    Nothing is done while there are none.

    Args:
        rows_of: returns the rows of traces.
        status: returns the status.
    """

    def __init__(self, rows_of: Rows, status: Status) -> None:
        self._rows_of = rows_of
        self._status = status
        self._lock = threading.Lock()
        self._pending: dict[bytes, None] = {}
        self._pages: set[asyncio.Queue[str]] = set()
        self._ticking: asyncio.Task[None] | None = None
        self._said = ""
        self._is_closed = False

    def note(self, trace_ids: list[bytes]) -> None:
        """Take note of traces that got spans; from any thread."""
        if not self._pages:
            return
        with self._lock:
            for trace_id in trace_ids[-_MAX_PENDING:]:
                self._pending.pop(trace_id, None)
                self._pending[trace_id] = None
            for trace_id in list(self._pending)[:-_MAX_PENDING]:
                del self._pending[trace_id]

    def close(self) -> None:
        """End the streams, soon."""
        self._is_closed = True

    async def answer(self, _request: Request) -> StreamingResponse:
        """Answer with the stream."""
        return StreamingResponse(
            self._events(),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def _events(self) -> AsyncIterator[str]:
        events: asyncio.Queue[str] = asyncio.Queue(_MAX_BEHIND)
        self._pages.add(events)
        try:
            if self._ticking is None or self._ticking.done():
                self._ticking = asyncio.create_task(self._tick())
            yield f": hello\n\n{_event('status', await run_in_threadpool(self._status))}"
            silent_s = 0.0
            while not self._is_ending():
                try:
                    yield await asyncio.wait_for(events.get(), _LOOK_UP_S)
                    silent_s = 0.0
                except TimeoutError:
                    silent_s += _LOOK_UP_S
                    if silent_s >= _HEARTBEAT_S:
                        yield ":\n\n"
                        silent_s = 0.0
        finally:
            self._pages.discard(events)

    async def _tick(self) -> None:
        ticks = 0
        while self._pages and not self._is_ending():
            ticks += 1
            try:
                text = await run_in_threadpool(self._news, ticks % _STATUS_TICKS == 0)
            except Exception as exc:  # of the database: what is told later may be right again
                _log.error("cannot tell the pages of new traces: %s", exc)
                text = ""
            for events in self._pages:
                if text and not events.full():
                    events.put_nowait(text)
            await asyncio.sleep(TICK_S)

    def _news(self, with_status: bool) -> str:
        """Return the events of a tick."""
        with self._lock:
            trace_ids, self._pending = list(self._pending), {}
        parts = [_event("trace", row) for row in reversed(self._rows_of(trace_ids))]
        if with_status:
            said = _event("status", self._status())
            if said != self._said:
                parts.append(said)
                self._said = said
        return "".join(parts)

    def _is_ending(self) -> bool:
        """Tell whether the streams are to end.

        A uvicorn that this is mounted in says so to nobody, and would wait for them.
        """
        server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        return self._is_closed or getattr(server, "should_exit", False) is True


def _event(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"
