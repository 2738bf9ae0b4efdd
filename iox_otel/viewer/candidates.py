"""Candidates: the traces that may have what a query asks for, as the database's indexes tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from . import terms
from .arrivals import MAX_TIME_NS
from .blocks import SIZE, numbers_in
from .query import Query
from .reading import Rows
from .segments import LIVE
from .wanted import wanted_of

_FEW = 2_000
"""Traces with a term; of these, all are looked up at once and sorted."""
_MAX_SERVICES = 1_000
"""To look for a term of each, where a query names none."""

_BLOCKS = f"SELECT block, bits FROM term WHERE segment IN ({LIVE}) AND term.term IN ({{}}) LIMIT ?"
_COUNT_LONG = "SELECT count(*) FROM (SELECT 1 FROM trace WHERE longest_ns >= ? LIMIT ?)"
_WITH_NUMBER = "trace NOT INDEXED"
_LONGEST = "trace INDEXED BY trace_by_longest"
_NEWEST = "trace INDEXED BY trace_by_start"
_WHERE = """
(trace.start_ns, trace.number) < (:last_start_ns, :last_number)
AND trace.start_ns <= :end_ns AND trace.last_start_ns >= :start_ns
AND trace.longest_ns >= :min_ns AND trace.shortest_ns <= :max_ns
"""
_HAS_TERM = f"""
EXISTS (
    SELECT 1 FROM term
    WHERE term.segment = trace.segment AND term.term IN ({{}})
        AND term.block = trace.number / {SIZE} AND term.bits >> trace.number % {SIZE} & 1
)
"""
_HAS_SPAN = "EXISTS (SELECT 1 FROM facet WHERE facet.trace = trace.number AND {})"
_ORDER = "ORDER BY trace.start_ns DESC, trace.number DESC LIMIT :size"

Alternatives = list[int]
"""Terms of which a trace has to have one."""


class Candidate(NamedTuple):
    """A trace; its columns."""

    number: int
    trace_id: bytes
    root_service: str
    root_name: str
    start_ns: int
    last_start_ns: int
    end_ns: int
    longest_ns: int
    shortest_ns: int
    spans: int
    errors: int


COLUMNS = ", ".join(f"trace.{column}" for column in Candidate._fields)


class Candidates:
    """Gives the traces that may fit, newest first, a page at a time.

    They have a span of which all is true that is asked for, but for its tags, which are likely.

    Args:
        query: what is asked for.
        services: the one that is asked for, or else all that there are.
    """

    def __init__(self, query: Query, services: Sequence[str]) -> None:
        self._query = query
        self._asked = _terms_of(query, services)
        self._is_exact = not query.tags or len(self._asked) == 1
        if len(services) > _MAX_SERVICES:
            self._asked, self._is_exact = [], not query.tags
        self.wanted = wanted_of(query, services)
        """What a span has to be, see there."""
        self._select = ""
        self.after: Candidate | None = None
        """Where the next page begins."""

    def page(self, rows: Rows, size: int) -> list[Candidate]:
        """Return the next *size* candidates, or as many as there are."""
        if not self._select:
            self._select = self._plan(rows)
        after = self.after
        bounds = self.wanted.parameters | {
            "size": size,
            "last_start_ns": after.start_ns if after else MAX_TIME_NS,
            "last_number": after.number if after else MAX_TIME_NS,
        }
        return [Candidate(*row) for row in rows(self._select, bounds)]

    def fits_surely(self, candidate: Candidate) -> bool:
        """Tell whether its spans need not be looked at: no tag is asked for, or one and no more.

        A hash may be that of something else, once in 2**64.
        """
        query = self._query
        return self._is_exact and (
            not query.tags
            or (
                query.start_ns <= candidate.start_ns
                and query.end_ns >= candidate.last_start_ns
                and query.min_duration_ns <= candidate.shortest_ns
                and query.longest_ns >= candidate.longest_ns
            )
        )

    def _plan(self, rows: Rows) -> str:
        """Return the statement that gives candidates, from the smallest index that has them."""
        asked = [", ".join(map(str, alternatives)) for alternatives in self._asked]
        numbers = {each: _few_with(rows, each) for each in asked}
        source, few = _NEWEST, _FEW
        if query_min_ns := self.wanted.parameters["min_ns"]:
            (few,) = rows(_COUNT_LONG, (query_min_ns, _FEW + 1))[0]
            source = _LONGEST if few <= _FEW else _NEWEST
        asked.sort(key=lambda each: _FEW if (few_of := numbers[each]) is None else len(few_of))
        where = [_WHERE]
        rarest = numbers[asked[0]] if asked else None
        if rarest is not None and len(rarest) <= few:
            source = _WITH_NUMBER
            where.append(f"trace.number IN ({', '.join(map(str, rarest))})")
            del asked[0]
        where += map(_HAS_TERM.format, asked)
        where.append(_HAS_SPAN.format(self.wanted.sql))
        return f"SELECT {COLUMNS} FROM {source} WHERE {' AND '.join(where)} {_ORDER}"


def _few_with(rows: Rows, alternatives: str) -> set[int] | None:
    """Return the numbers of the traces that have one of these terms; None if they are many."""
    found = rows(_BLOCKS.format(alternatives), (_FEW + 1,))
    numbers: set[int] = set()
    for block, bits in found:
        numbers.update(numbers_in(block, bits))
        if len(numbers) > _FEW:
            return None
    return numbers if len(found) <= _FEW else None


def _terms_of(query: Query, services: Sequence[str]) -> list[Alternatives]:
    """Return what a trace has to have to fit."""
    asked = [[terms.of_tag(service, *tag) for service in services] for tag in query.tags]
    if query.operation:
        asked.append([terms.of_operation(service, query.operation) for service in services])
    if query.errors_only:
        asked.append([terms.of_error(service) for service in services])
    if query.service and not asked:
        asked.append([terms.of_service(query.service)])
    return asked
