"""Candidates: the traces that may have what a query asks for, as the database's indexes tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from . import terms
from .arrivals import MAX_TIME_NS
from .blocks import SIZE, numbers_in
from .query import Query
from .reading import Rows
from .segments import LIVE
from .wanted import wanted_of

_FEW = 2_000
"""Traces, of which all are looked up at once and sorted."""
_NEWEST = 4_000
"""Traces that are looked at before all spans are gone through."""
_SCANNED = 1_000
"""Candidates to take at least where all spans have been gone through for them."""
_MAX_SERVICES = 1_000
"""To look for a term of each, where a query names none."""

_BLOCKS = f"SELECT block, bits FROM term WHERE segment IN ({LIVE}) AND term.term IN ({{}}) LIMIT ?"  # noqa: S608  names and numbers of ours
_COUNT_LONG = "SELECT count(*) FROM (SELECT 1 FROM trace WHERE longest_ns >= :min_ns LIMIT :few)"
_WITHIN = """
(trace.start_ns, trace.number) < (:last_start_ns, :last_number)
AND trace.start_ns <= :end_ns AND trace.last_start_ns >= :start_ns
AND trace.longest_ns >= :min_ns AND trace.shortest_ns <= :max_ns
"""
_ORDER = "ORDER BY trace.start_ns DESC, trace.number DESC LIMIT"
_BY_NUMBER = "trace NOT INDEXED"
_BY_LONGEST = "trace INDEXED BY trace_by_longest"
_BY_START = "trace INDEXED BY trace_by_start"
_NTH_NEWEST = f"SELECT trace.start_ns FROM {_BY_START} WHERE {_WITHIN} {_ORDER} 1 OFFSET :newest"  # noqa: S608  names and numbers of ours
_HAS_TERM = f"""
EXISTS (
    SELECT 1 FROM term
    WHERE term.segment = trace.segment AND term.term IN ({{}})
        AND term.block = trace.number / {SIZE} AND term.bits >> trace.number % {SIZE} & 1
)
"""  # noqa: S608  names and numbers of ours
_HAS_SPAN = "EXISTS (SELECT 1 FROM facet WHERE facet.trace = trace.number AND {})"
_IS_OF_SPAN = "trace.number IN (SELECT facet.trace FROM facet WHERE {})"

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
        self.wanted = wanted_of(query)
        """What a span has to be, see there."""
        self._statements: list[str] = []
        """That give candidates; each may have some that the one before it has not."""
        self.after: Candidate | None = None
        """Where the next page begins."""

    def page(self, rows: Rows, size: int) -> list[Candidate]:
        """Return the next *size* candidates, or some more, or as many as there are."""
        after = self.after
        bounds = self.wanted.parameters | {
            "size": size,
            "few": _FEW + 1,
            "newest": _NEWEST,
            "last_start_ns": after.start_ns if after else MAX_TIME_NS,
            "last_number": after.number if after else MAX_TIME_NS,
        }
        if not self._statements:
            self._statements = self._plan(rows, bounds)
        while True:
            found = rows(self._statements[0], bounds)
            if len(found) >= size or len(self._statements) == 1:
                return [Candidate(*row) for row in found]
            del self._statements[0]

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

    def _plan(self, rows: Rows, bounds: dict[str, Any]) -> list[str]:
        """Return statements that give candidates, by that of which there is least.

        Where there is much of all, the newest traces have what is asked for, mostly.
        """
        asked = [", ".join(map(str, alternatives)) for alternatives in self._asked]
        few = [found for each in asked if (found := _few_with(rows, each)) is not None]
        has_span = _HAS_SPAN.format(self.wanted.sql)
        if few:
            numbers = ", ".join(map(str, sorted(few, key=len)[0]))
            return [_select(_BY_NUMBER, f"trace.number IN ({numbers})", has_span)]
        # The term of a tag is surer than its bits; where there is no other, no span need be read.
        is_sure = self._query.tags and self._is_exact
        surely = _HAS_TERM.format(asked[0]) if is_sure else "true"
        if bounds["min_ns"] and rows(_COUNT_LONG, bounds)[0][0] <= _FEW:
            return [_select(_BY_LONGEST, surely, has_span)]
        if not (nth_newest := rows(_NTH_NEWEST, bounds)):
            return [_select(_BY_START, surely, has_span)]
        is_new = f"trace.start_ns >= {nth_newest[0][0]}"
        is_of_span = _IS_OF_SPAN.format(self.wanted.sql)
        return [
            _select(_BY_START, is_new, surely, has_span),
            _select(_BY_NUMBER, surely, is_of_span, at_least=_SCANNED),
        ]


def _select(source: str, *conditions: str, at_least: int = 0) -> str:
    where = " AND ".join((_WITHIN, *conditions))
    return f"SELECT {COLUMNS} FROM {source} WHERE {where} {_ORDER} max(:size, {at_least})"  # noqa: S608  names and numbers of ours


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
