"""Writer: the one thread that stores what the intakes bring."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from .schema import StoreError
from .store import Store
from .stored import Batch

DEFAULT_MAX_QUEUE_BYTES = 64 << 20
_SPANS_AT_ONCE = 1_000
"""In one transaction: a reader of the store waits for as long."""
_BYTES_AT_ONCE = 2 << 20
"""Taken out of the queue: what is no longer in it is no longer counted."""

_log = logging.getLogger("iox_otel.viewer")

Load = Callable[[], Iterable[Batch]]
"""Gives what is to be stored, when its turn comes."""


class _Item(NamedTuple):
    load: Load
    byte_count: int


class Writer:
    """Stores what is put into its queue, in order, on a thread of its own.

    Args:
        store: where to.
        on_stored: called on that thread with the ids of traces that have got spans.
        on_failed: called on that thread with the number of spans that could not be stored.
        max_queue_bytes: what waits is this much at most, as its sizes are given to `put`.
    """

    def __init__(
        self,
        store: Store,
        *,
        on_stored: Callable[[list[bytes]], None] = lambda _: None,
        on_failed: Callable[[int], None] = lambda _: None,
        max_queue_bytes: int = DEFAULT_MAX_QUEUE_BYTES,
    ) -> None:
        self._store = store
        self._on_stored = on_stored
        self._on_failed = on_failed
        self._max_queue_bytes = max_queue_bytes
        self._queue: deque[_Item] = deque()
        self._queue_bytes = 0
        self._is_busy = False
        self._is_closed = False
        self._has_failed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="iox-otel viewer", daemon=True)
        self._thread.start()

    def put(self, load: Load, byte_count: int) -> bool:
        """Queue something; False if there is no room for it, or the writer is closed.

        Never blocks. What is larger than the whole queue has room when nothing else waits.
        """
        with self._changed:
            is_full = self._queue and self._queue_bytes + byte_count > self._max_queue_bytes
            if is_full or self._is_closed:
                return False
            self._queue.append(_Item(load, byte_count))
            self._queue_bytes += byte_count
            self._changed.notify_all()
            return True

    def flush(self, timeout_s: float) -> bool:
        """Wait until what was put is stored; False if that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue and not self._is_busy, timeout_s)

    def close(self, timeout_s: float = 30.0) -> bool:
        """Store what is queued and end the thread; False if that takes longer.

        Senders have been told that it will be stored, so there is much time for it; what takes even
        longer is lost, and logged.
        """
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            _log.error("the last spans are lost: storing them takes over %g s", timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while items := self._next():
            for batches in portions_of(_loaded(items)):
                self._write(batches)
            del items
            with self._changed:
                self._is_busy = False
                self._changed.notify_all()

    def _next(self) -> list[_Item]:
        """Wait for something to do; return nothing when there will be no more."""
        items: list[_Item] = []
        byte_count = 0
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._is_closed)
            while self._queue and byte_count < _BYTES_AT_ONCE:
                items.append(self._queue.popleft())
                byte_count += items[-1].byte_count
            self._queue_bytes -= byte_count
            self._is_busy = bool(items)
            return items

    def _write(self, batches: list[Batch]) -> None:
        try:
            added = self._store.add(batches)
            self._has_failed = False
        except Exception as exc:  # a defect must not end all that comes after
            self._on_failed(sum(len(batch.spans) for batch in batches))
            if not self._has_failed:
                _log.error("spans are lost: %s", exc, exc_info=not isinstance(exc, StoreError))
            self._has_failed = True
        else:
            self._on_stored(added)


def _loaded(items: Iterable[_Item]) -> Iterator[Batch]:
    for item in items:
        try:
            yield from item.load()
        except Exception:  # a defect, too
            _log.exception("cannot read spans")


def portions_of(batches: Iterable[Batch]) -> Iterator[list[Batch]]:
    """Give *batches* in portions of about as many spans as one transaction should have."""
    portion: list[Batch] = []
    room = _SPANS_AT_ONCE
    for batch in _pieces(batches):
        portion.append(batch)
        room -= len(batch.spans)
        if room <= 0:
            yield portion
            portion, room = [], _SPANS_AT_ONCE
    if portion:
        yield portion


def _pieces(batches: Iterable[Batch]) -> Iterator[Batch]:
    for batch in batches:
        spans = batch.spans
        if len(spans) <= _SPANS_AT_ONCE:
            yield batch
            continue
        for at in range(0, len(spans), _SPANS_AT_ONCE):
            piece = spans[at : at + _SPANS_AT_ONCE]
            yield Batch(batch.resource, batch.scope, piece, batch.source, batch.schemas)
