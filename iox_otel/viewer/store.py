"""Store: the traces that the viewer keeps, in one SQLite database."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

from . import dependencies
from .arrivals import Arrivals
from .capacity import Capacity
from .eviction import Eviction, Forgotten
from .interned import Common
from .lock import FairLock
from .reading import Rows, SpanReader
from .schema import StoreError, connect
from .segments import Segments
from .stored import Batch, StoredSpan
from .terms import KnownTerms

DEFAULT_MAX_SPANS = 1_000_000
DEFAULT_MAX_MB = 2_048

_SPANS_AT_ONCE = 2_000
_EVICTED_ROWS = 10_000
_EVICTED_ROWS_PER_SPAN = 50
"""A span has as many rows at most, about, one for each of its terms; most have 5 to 20."""


class Kept(NamedTuple):
    """How much there is, and how much there was."""

    traces: int
    traces_seen: int
    """Ever, in this database."""
    spans: int
    spans_seen: int
    """Since this store was opened, beside those it had."""
    bytes: int
    """Of the whole database."""
    spans_cut: int = 0
    """Not stored, because their trace alone is beyond the limits."""


class Reader(NamedTuple):
    """What can be asked of the database while it is held, see `Store.reading`."""

    rows: Rows
    """All rows of a query, called with its SQL and its parameters."""
    spans: Callable[..., Iterator[StoredSpan]]
    """See `SpanReader.spans`."""


class Store:
    """Keeps the newest traces, whole ones, up to *max_spans* spans and *max_mb* MiB.

    Beyond either the oldest traces, by the arrival of their first span, are forgotten. Those that
    are being added to go last and the newest stays; it is cut off where it alone passes a limit.
    Late spans of a forgotten trace are not stored, for some ten thousand traces long. A span that
    comes again, the same in every byte, is stored once. All methods may be called from
    any thread. They take turns: each blocks while another works, tens of milliseconds mostly.

    Args:
        path: a file that outlives the process; in memory if None.
        max_spans: at least 1.
        max_mb: of the whole database, indexes included, at least 1. What one call of `add` brings
            may be there beyond it, until the next ones have made room.

    Raises:
        StoreError: the file cannot be opened as a database of this version.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        max_spans: int = DEFAULT_MAX_SPANS,
        max_mb: int = DEFAULT_MAX_MB,
    ) -> None:
        database = connect(path)
        self._path = path
        self._lock = FairLock()
        self._database = database
        self._capacity = Capacity(database, max_spans=max_spans, max_bytes=max_mb << 20)
        self._segments = Segments(database, self._capacity)
        self._common = Common.of(database)
        self._forgotten = Forgotten()
        self._eviction = Eviction(
            database, self._capacity, self._segments, self._common, self._forgotten
        )
        self._known_terms = KnownTerms()
        self._reader = SpanReader(database)

    @property
    def max_spans(self) -> int:
        """How many spans it keeps."""
        return self._capacity.max_spans

    @property
    def max_bytes(self) -> int:
        """How large it lets the database be."""
        return self._capacity.max_bytes

    def add(self, batches: Iterable[Batch], *, again: Iterable[bytes] = ()) -> list[bytes]:
        """Store what is new in *batches*, all of it or nothing; return the ids of its traces.

        Keeps others waiting while it works, 20 to 40 microseconds a span.

        Args:
            batches: what comes.
            again: ids of traces that may come again though they were forgotten.

        Raises:
            StoreError: the file cannot be written to.
        """
        with self._lock, self._transaction():
            self._forgotten.discard(again)
            arrivals = Arrivals(
                self._database,
                self._capacity,
                self._segments,
                self._common,
                self._forgotten,
                self._known_terms,
            )
            for batch in batches:
                arrivals.take(batch)
            spans = arrivals.write()
            max_rows = _EVICTED_ROWS + _EVICTED_ROWS_PER_SPAN * spans
            self._eviction.make_room(arrivals.touched, max_rows=max_rows)
            self._capacity.shrink()
        return list(arrivals.traces)

    def trace(self, trace_id: bytes) -> list[StoredSpan]:
        """Return the spans of a trace, in no particular order; none if it is not there."""
        return next(iter(self.traces([trace_id])))

    def traces(self, trace_ids: Sequence[bytes]) -> Iterator[list[StoredSpan]]:
        """Give the spans of each of the traces, as `trace` does."""
        left = list(reversed(trace_ids))
        while left:
            read: list[Iterator[StoredSpan]] = []
            spans = 0
            with self._lock:
                while left and spans < _SPANS_AT_ONCE:
                    query = "SELECT number, spans FROM trace WHERE trace_id = ?"
                    found = self._database.execute(query, (left.pop(),)).fetchone()
                    read.append(self._reader.spans(found[0]) if found else iter(()))
                    spans += found[1] if found else 0
            yield from map(list, read)

    def services(self) -> list[str]:
        """Return the names of the services that have spans here, sorted."""
        found = self._rows("SELECT DISTINCT service FROM operation ORDER BY service")
        return [service for (service,) in found]

    def operations(self, service: str) -> list[tuple[str, str]]:
        """Return the names and kinds of a service's spans, see `kind_of`, sorted."""
        query = "SELECT name, kind FROM operation WHERE service = ? ORDER BY name, kind"
        return self._rows(query, (service,))

    def dependencies(self, start_ns: int, end_ns: int) -> list[tuple[str, str, int]]:
        """Return which service calls which, and how often, in the traces of that time."""
        calls: Counter[dependencies.Call] = Counter()
        after = 0
        while True:
            with self.reading() as reader:
                numbers = dependencies.next_traces(reader.rows, after, start_ns, end_ns)
                spans = dependencies.spans_of(reader.rows, numbers)
            if not numbers:
                return sorted((*call, count) for call, count in calls.items())
            calls += dependencies.calls_of(spans)
            after = numbers[-1]

    def kept(self) -> Kept:
        """Return how much there is."""
        with self._lock:
            held = self._capacity
            return Kept(
                held.traces,
                held.traces_seen,
                held.spans,
                held.spans_seen,
                held.used_bytes,
                held.spans_cut,
            )

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """Hold the database, so that what is read of it fits together; for a short time only."""
        with self._lock:
            yield Reader(
                lambda sql, parameters=(): self._database.execute(sql, parameters).fetchall(),
                self._reader.spans,
            )

    def close(self) -> None:
        """Close the database; it may be called again."""
        with self._lock:
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        with self._lock:
            return self._database.execute(sql, parameters).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
        except sqlite3.Error as exc:
            raise StoreError(f"cannot write {self._path or 'the database'}: {exc}") from exc

    def _roll_back(self) -> None:
        """Go back to how it was before a transaction that failed, in memory too."""
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")
        self._common.forget()
        self._reader.forget()
        self._capacity.recount()
        self._segments.recount()
