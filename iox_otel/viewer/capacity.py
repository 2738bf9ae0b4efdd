"""How much the viewer's database may hold, and how much it does."""

from __future__ import annotations

import sqlite3

_SPARE_PAGES = 512
_PAGES_AT_ONCE = 256


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

    def shrink(self) -> None:
        """Give back some of the pages of a file that are free, where it is beyond the limit.

        A few stay, as what comes next needs them.
        """
        (pages,) = self._database.execute("PRAGMA page_count").fetchone()
        beyond = pages - self.max_bytes // self._page_bytes - _SPARE_PAGES
        for _ in range(min(beyond, _PAGES_AT_ONCE)):
            # Of several pages Python's sqlite3 would give back the first one.
            self._database.execute("PRAGMA incremental_vacuum(1)")

    @property
    def used_bytes(self) -> int:
        """How large the database is, without the pages that are free."""
        (pages,) = self._database.execute("PRAGMA page_count").fetchone()
        (free,) = self._database.execute("PRAGMA freelist_count").fetchone()
        return int((pages - free) * self._page_bytes)
