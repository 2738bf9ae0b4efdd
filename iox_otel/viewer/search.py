"""Searching the store: which traces have a span that fits, newest first.

Agrees with the search of Jaeger's memory storage: all conditions hold on one span, its duration is
the one that counts, and a tag is one of the span's, of its process or a field of its logs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from . import terms
from .store import Store
from .stored import StoredSpan
from .tags import all_tags

MAX_TIME_NS = (1 << 63) - 1

_FEW = 2_000
"""Traces with a term; of these, all are looked up at once and sorted."""
_MAX_CHECKED_SPANS = 50_000

_COLUMNS = "number, trace_id, root_service, root_name, start_ns, end_ns, spans, errors"
_COUNT = "SELECT count(*) FROM (SELECT 1 FROM term WHERE term = ? LIMIT ?)"


@dataclass(frozen=True, slots=True)
class Query:
    """What a span has to be; what is empty or 0 asks for nothing.

    Args:
        service: its service.
        operation: its name.
        tags: keys and texts, see `Tag.text`; it has all of them.
        start_ns: it starts then or later.
        end_ns: it starts then or earlier.
        min_duration_ns: it takes so long at least.
        max_duration_ns: it takes so long at most; None for any.
        errors_only: its status is an error.
        limit: of traces; 0 for all.
    """

    service: str = ""
    operation: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    start_ns: int = 0
    end_ns: int = MAX_TIME_NS
    min_duration_ns: int = 0
    max_duration_ns: int | None = None
    errors_only: bool = False
    limit: int = 20


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
    asked = _terms_of(query)
    rows: list[Row] = []
    checked = 0
    for candidate in _candidates(store, query, asked):
        if not _fits_surely(query, asked, candidate):
            if checked >= _MAX_CHECKED_SPANS:
                return Found(rows, is_cut_short=True)
            checked += candidate[6]
            if not any(fits(span, query) for span in store.spans(candidate[0])):
                continue
        rows.append(_row(store, candidate))
        if len(rows) == query.limit:
            break
    return Found(rows, is_cut_short=False)


def rows_of(store: Store, trace_ids: list[bytes]) -> list[Row]:
    """Return those of the traces that are there, newest first."""
    found = [
        row
        for trace_id in dict.fromkeys(trace_ids)
        for row in store.rows(f"SELECT {_COLUMNS} FROM trace WHERE trace_id = ?", (trace_id,))
    ]
    return [_row(store, row) for row in sorted(found, key=lambda row: -row[4])]


def fits(stored: StoredSpan, query: Query) -> bool:
    """Tell whether a span is what *query* asks for."""
    span = stored.span
    if not query.start_ns <= span.start_time_unix_nano <= query.end_ns:
        return False
    if stored.duration_ns < query.min_duration_ns:
        return False
    if query.max_duration_ns is not None and stored.duration_ns > query.max_duration_ns:
        return False
    if query.service and stored.service != query.service:
        return False
    if query.operation and span.name != query.operation:
        return False
    if query.errors_only and not stored.is_error:
        return False
    if not query.tags:
        return True
    left = set(query.tags)
    for tag in all_tags(stored):
        left.discard((tag.key, tag.text))
    return not left


def _terms_of(query: Query) -> list[int]:
    """Return the terms that a trace must have to fit, the rarest kinds first."""
    asked = [terms.of_tag(key, text) for key, text in query.tags]
    if query.operation:
        asked.append(terms.of_operation(query.service, query.operation))
    elif query.service:
        asked.append(terms.of_service(query.service))
    if query.errors_only:
        asked.append(terms.of_error(query.service))
    return asked


def _candidates(store: Store, query: Query, asked: list[int]) -> Iterator[Any]:
    """Give the traces that may fit, newest first."""
    where = "start_ns <= ? AND end_ns >= ? AND longest_ns >= ? AND shortest_ns <= ?"
    longest_ns = MAX_TIME_NS if query.max_duration_ns is None else query.max_duration_ns
    bounds: list[object] = [query.end_ns, query.start_ns, query.min_duration_ns, longest_ns]
    counts = [(store.rows(_COUNT, (term, _FEW + 1))[0][0], term) for term in asked]
    if counts and min(counts)[0] <= _FEW:
        rarest = min(counts)[1]
        source = "term JOIN trace ON number = trace"
        where = f"term = ? AND {where}"
        others = [term for term in asked if term != rarest]
        bounds.insert(0, rarest)
    else:
        source = "trace"
        others = [term for _, term in sorted(counts)]
    for _ in others:
        where += " AND EXISTS (SELECT 1 FROM term t WHERE t.term = ? AND t.trace = number)"
    return _pages(store, f"SELECT {_COLUMNS} FROM {source} WHERE {where}", [*bounds, *others])


def _pages(store: Store, select: str, bounds: list[object]) -> Iterator[Any]:
    """Give the rows of a query, newest first, without holding the store up for all of them."""
    last: tuple[int, int] = (MAX_TIME_NS, MAX_TIME_NS)
    for size in chain((20, 100), iter(lambda: 1_000, None)):
        page = store.rows(
            f"{select} AND (start_ns, number) < (?, ?) ORDER BY start_ns DESC, number DESC LIMIT ?",
            [*bounds, *last, size],
        )
        yield from page
        if len(page) < size:
            return
        last = (page[-1][4], page[-1][0])


def _fits_surely(query: Query, asked: list[int], candidate: Any) -> bool:
    """Tell whether a candidate need not be looked at: one term at most, and any span may have it.

    A hash may be that of something else, once in 2**64.
    """
    return (
        len(asked) <= 1
        and query.start_ns <= candidate[4]
        and query.end_ns >= candidate[5]
        and not query.min_duration_ns
        and query.max_duration_ns is None
    )


def _row(store: Store, candidate: Any) -> Row:
    number, trace_id, service, name, start_ns, end_ns, spans, errors = candidate
    services = dict(
        store.rows(
            "SELECT service, spans FROM service_of WHERE trace = ? ORDER BY service", (number,)
        )
    )
    return Row(trace_id, service, name, start_ns, end_ns - start_ns, spans, errors, services)
