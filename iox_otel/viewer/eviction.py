"""Forgetting the oldest traces, so that the database stays within its limits.

A trace is forgotten at once and whole. Its rows are deleted a few thousand at a time, by as many
calls as that takes, so that not even a huge one holds the store up.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Set
from typing import NamedTuple

from .capacity import Capacity
from .interned import Common
from .segments import Segments

_SPANS_AT_ONCE = 1_000
_TRACES_AT_ONCE = 64

_OLDEST = "SELECT number, segment, spans, trace_id FROM trace ORDER BY number LIMIT ?"
_SOME = """
SELECT digest, resource, scope, operation FROM span WHERE trace = ? ORDER BY digest LIMIT ?
"""


_OF_SPANS = ("span", "facet")
_MAX_FORGOTTEN = 20_000


class _Trace(NamedTuple):
    number: int
    segment: int
    spans: int
    trace_id: bytes


class Forgotten:
    """The ids of the traces that were forgotten last.

    A span that comes late does not bring its trace back: it would be shown as if it were all of it.
    """

    def __init__(self) -> None:
        self._ids: dict[bytes, None] = {}

    def __contains__(self, trace_id: bytes) -> bool:
        return trace_id in self._ids

    def add(self, trace_ids: Iterable[bytes]) -> None:
        """Remember these."""
        self._ids |= dict.fromkeys(trace_ids)
        while len(self._ids) > _MAX_FORGOTTEN:
            del self._ids[next(iter(self._ids))]

    def discard(self, trace_ids: Iterable[bytes]) -> None:
        """Let these come again."""
        for trace_id in trace_ids:
            self._ids.pop(trace_id, None)


class Eviction:
    """Keeps the database within its limits. To be used within a transaction."""

    def __init__(
        self,
        database: sqlite3.Connection,
        capacity: Capacity,
        segments: Segments,
        common: Common,
        forgotten: Forgotten,
    ) -> None:
        self._database = database
        self._capacity = capacity
        self._segments = segments
        self._common = common
        self._forgotten = forgotten

    def make_room(self, touched: Set[int], *, max_rows: int) -> None:
        """Forget the oldest traces until the rest is within the limits.

        Those of *touched*, to which spans have just come, go last, and the newest of them stays,
        even if it could take none: it is the one that is too large. Deletes about *max_rows*, so
        the bytes may be beyond the limit for a while.
        """
        capacity = self._capacity
        capacity.is_full = False
        while capacity.spans > capacity.max_spans and self._forget_some(
            capacity.spans - capacity.max_spans, touched
        ):
            pass
        left = max_rows - self._sweep(max_rows)
        while left > 0 and (used_bytes := capacity.used_bytes) > capacity.max_bytes:
            share = (used_bytes - capacity.max_bytes) / used_bytes
            if not self._forget_some(min(int(capacity.spans * share) + 1, _SPANS_AT_ONCE), touched):
                return
            left -= self._sweep(left) + 1

    def _forget_some(self, spans: int, touched: Set[int]) -> bool:
        """Forget the oldest traces that have so many spans; tell whether there was one."""
        newest = {max(touched)} if touched else set()
        for spared in (touched, newest):
            limit = _TRACES_AT_ONCE + len(spared)
            rows = map(_Trace._make, self._database.execute(_OLDEST, (limit,)))
            if some := _first([row for row in rows if row.number not in spared], spans):
                self._forget(some)
                return True
        self._capacity.is_full = True
        return False

    def _forget(self, traces: list[_Trace]) -> None:
        numbers = [(trace.number,) for trace in traces]
        for statement in (
            "DELETE FROM trace WHERE number = ?",
            "DELETE FROM service_of WHERE trace = ?",
            "INSERT INTO forgotten VALUES (?)",
        ):
            self._database.executemany(statement, numbers)
        gone = Counter(trace.segment for trace in traces)
        self._segments.count(Counter({segment: -count for segment, count in gone.items()}))
        self._forgotten.add(trace.trace_id for trace in traces)
        self._capacity.traces -= len(traces)
        self._capacity.spans -= sum(trace.spans for trace in traces)

    def _sweep(self, max_rows: int) -> int:
        """Delete rows of what is forgotten; return about how many, 0 if there are none left."""
        rows = 0
        dropped: list[Counter[int]] = [Counter() for _ in self._common]
        find = "SELECT trace FROM forgotten LIMIT 1"
        while rows < max_rows and (found := self._database.execute(find).fetchone()):
            rows += self._sweep_trace(found[0], dropped) + 1
        for interned, spans in zip(self._common, dropped, strict=True):
            interned.drop(spans)
        while rows < max_rows and (terms := self._segments.sweep()):
            rows += terms
        return rows

    def _sweep_trace(self, number: int, dropped: list[Counter[int]]) -> int:
        """Delete some spans of a forgotten trace."""
        spans = self._database.execute(_SOME, (number, _SPANS_AT_ONCE)).fetchall()
        for at, counted in enumerate(dropped, 1):
            counted.update(span[at] for span in spans)
        if len(spans) == _SPANS_AT_ONCE:
            for table in _OF_SPANS:
                some = f"DELETE FROM {table} WHERE trace = ? AND digest <= ?"
                self._database.execute(some, (number, spans[-1][0]))
        else:
            for table in (*_OF_SPANS, "forgotten"):
                self._database.execute(f"DELETE FROM {table} WHERE trace = ?", (number,))
        return len(spans)


def _first(traces: Iterable[_Trace], spans: int) -> list[_Trace]:
    """Return the first traces that have so many spans together, or all."""
    some: list[_Trace] = []
    for trace in traces:
        if spans <= 0:
            break
        some.append(trace)
        spans -= trace.spans
    return some
