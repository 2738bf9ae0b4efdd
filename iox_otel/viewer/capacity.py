"""How much the viewer's database may hold, and how much it does."""

from __future__ import annotations

import sqlite3


class Capacity:
    """The limits, and what is counted against them.

    Args:
        database: of the viewer.
        max_spans: at least 1.
        max_bytes: of the whole database, indexes included.
    """

    def __init__(self, database: sqlite3.Connection, *, max_spans: int, max_bytes: int) -> None:
        self.max_spans = max_spans
        self.max_bytes = max_bytes
        self.spans_cut = 0
        """Spans that were not stored because their trace alone is beyond the limits."""
        self._database = database
        (self._page_bytes,) = database.execute("PRAGMA page_size").fetchone()
        self.recount()
        self.spans_seen = self.spans
        """Spans that were stored since this was made, and those that were there."""

    def recount(self) -> None:
        """Read from the database how much there is."""
        query = "SELECT count(*), coalesce(sum(spans), 0) FROM trace"
        self.traces: int
        self.spans: int
        self.traces, self.spans = self._database.execute(query).fetchone()
        self.is_full = False
        """Whether the newest trace alone is beyond the limits."""

    @property
    def traces_seen(self) -> int:
        """How many traces there ever were in this database."""
        query = "SELECT seq FROM sqlite_sequence WHERE name = 'trace'"
        found = self._database.execute(query).fetchone()
        return int(found[0]) if found else 0

    @property
    def used_bytes(self) -> int:
        """How large the database is, without the pages that are free."""
        (pages,) = self._database.execute("PRAGMA page_count").fetchone()
        (free,) = self._database.execute("PRAGMA freelist_count").fetchone()
        return int((pages - free) * self._page_bytes)
