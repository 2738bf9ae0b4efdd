"""Segments: traces that came one after the other, whose terms go together.

To delete a trace's terms one by one they would have to be told from its spans again. Those of a
whole segment are one range of the table, so they wait until its last trace has gone.
"""

from __future__ import annotations

import sqlite3
from collections import Counter

from .capacity import Capacity

_SEGMENTS = 64
"""As many, about, when the database is full."""
_MIN_SPANS = 256
_TERMS_AT_ONCE = 2_000

LIVE = "SELECT number FROM segment WHERE traces > 0"


class Segments:
    """Which segment a new trace belongs to, and which have no traces any more."""

    def __init__(self, database: sqlite3.Connection, capacity: Capacity) -> None:
        self._database = database
        self._max_spans = max(capacity.max_spans // _SEGMENTS, _MIN_SPANS)
        self._max_bytes = capacity.max_bytes // _SEGMENTS
        self.recount()

    def recount(self) -> None:
        """Read from the database which is the newest segment."""
        (self.newest,) = self._database.execute("SELECT max(number) FROM segment").fetchone()
        """Its number; None if there is none yet."""
        query = "SELECT coalesce(sum(spans), 0) FROM trace WHERE segment = ?"
        (self._spans,) = self._database.execute(query, (self.newest,)).fetchone()
        self._bytes = 0

    def current(self) -> int:
        """Return the number of the segment that a new trace belongs to."""
        is_full = self._spans >= self._max_spans or self._bytes >= self._max_bytes
        if self.newest is None or is_full:
            self.newest = self._database.execute("INSERT INTO segment DEFAULT VALUES").lastrowid
            self._spans = self._bytes = 0
        return int(self.newest)

    def count(self, traces: Counter[int], *, spans: int = 0, span_bytes: int = 0) -> None:
        """Count traces that came, by segment, or went; and the spans that came."""
        self._database.executemany(
            "UPDATE segment SET traces = traces + ? WHERE number = ?",
            [(count, number) for number, count in traces.items()],
        )
        self._spans += spans
        self._bytes += span_bytes

    def sweep(self) -> int:
        """Delete some terms of a segment without traces; return how many rows, 0 if there is none.

        The newest segment is left alone.
        """
        find = "SELECT number FROM segment WHERE traces <= 0 AND number < ? LIMIT 1"
        found = self._database.execute(find, (self.newest,)).fetchone()
        if not found:
            return 0
        (number,) = found
        upto = self._database.execute(
            "SELECT term, block FROM term WHERE segment = ? ORDER BY term, block LIMIT 1 OFFSET ?",
            (number, _TERMS_AT_ONCE - 1),
        ).fetchone()
        if upto:
            some = "DELETE FROM term WHERE segment = ? AND (term, block) <= (?, ?)"
            return self._database.execute(some, (number, *upto)).rowcount
        last = self._database.execute("DELETE FROM term WHERE segment = ?", (number,)).rowcount
        self._database.execute("DELETE FROM segment WHERE number = ?", (number,))
        return last + 1
