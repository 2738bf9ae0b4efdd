"""Searching the store: which traces have a span that fits, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .candidates import COLUMNS, Candidate, Candidates
from .query import Query, fits
from .reading import Rows
from .store import Reader, Store

_FIRST_PAGE = 20
_LARGEST_PAGE = 1_000
_SPANS_AT_ONCE = 10_000
"""To look at while nobody else can use the store."""
_MAX_CHECKED_SPANS = 1_000_000


class Row(NamedTuple):
    """A trace that was found."""

    trace_id: bytes
    service: str
    """Of its root, or else of its first span; so is the name."""
    name: str
    start_ns: int
    duration_ns: int
    """From the first start to the last end."""
    spans: int
    errors: int
    services: dict[str, int]
    """How many spans each service has."""


class Found(NamedTuple):
    """What a search found."""

    rows: list[Row]
    is_cut_short: bool
    """So many spans had to be looked at that it gave up: there may be older ones."""


def find(store: Store, query: Query) -> Found:
    """Return the newest traces that fit *query*."""
    return _Search(store, query).run()


def rows_of(store: Store, trace_ids: Sequence[bytes]) -> list[Row]:
    """Return those of the traces that are there, newest first."""
    select = f"SELECT {COLUMNS} FROM trace WHERE trace_id = ?"  # noqa: S608  names and numbers of ours
    with store.reading() as reader:
        found = [
            Candidate(*row)
            for trace_id in dict.fromkeys(trace_ids)
            for row in reader.rows(select, (trace_id,))
        ]
        return [_row(reader.rows, each) for each in sorted(found, key=lambda row: -row.start_ns)]


class _Search:
    """A search at work. It holds the store for a page of candidates at a time."""

    def __init__(self, store: Store, query: Query) -> None:
        services = [query.service] if query.service else store.services()
        self._store = store
        self._query = query
        self._candidates = Candidates(query, services)
        self._rows: list[Row] = []
        self._seen: set[int] = set()
        self._checked_spans = 0

    def run(self) -> Found:
        """Do it."""
        size = _FIRST_PAGE
        while self._checked_spans < _MAX_CHECKED_SPANS:
            with self._store.reading() as reader:
                if self._is_done_after(reader, size):
                    return Found(self._rows, is_cut_short=False)
            size = min(4 * size, _LARGEST_PAGE)
        return Found(self._rows, is_cut_short=True)

    def _is_done_after(self, reader: Reader, size: int) -> bool:
        """Look at the next candidates; tell whether there are no more or none are wanted."""
        page = self._candidates.page(reader.rows, size)
        enough = self._checked_spans + _SPANS_AT_ONCE
        for candidate in page:
            if self._checked_spans >= enough:
                return False
            self._candidates.after = candidate
            if candidate.number in self._seen:  # its start has moved back since the last page
                continue
            self._seen.add(candidate.number)
            if self._fits(reader, candidate):
                self._rows.append(_row(reader.rows, candidate))
                if len(self._rows) == self._query.limit:
                    return True
        return len(page) < size

    def _fits(self, reader: Reader, candidate: Candidate) -> bool:
        if self._candidates.fits_surely(candidate):
            return True
        self._checked_spans += candidate.spans
        spans = reader.spans(candidate.number, self._candidates.wanted)
        return any(fits(span, self._query) for span in spans)


def _row(rows: Rows, candidate: Candidate) -> Row:
    services = rows(
        "SELECT service, spans FROM service_of WHERE trace = ? ORDER BY service",
        (candidate.number,),
    )
    return Row(
        candidate.trace_id,
        candidate.root_service,
        candidate.root_name,
        candidate.start_ns,
        candidate.end_ns - candidate.start_ns,
        candidate.spans,
        candidate.errors,
        dict(services),
    )
