"""Wanted: what a span has to be, as a condition on the rows of `facet`.

All that `fits` compares but tags, of which the signature tells most of the spans without.
"""

from __future__ import annotations

from typing import NamedTuple

from .arrivals import MAX_TIME_NS
from .query import Query
from .signature import condition_of
from .terms import signature_of

_RANGES = (("start_ns", "start_ns", "end_ns"), ("duration_ns", "min_ns", "max_ns"))


class Wanted(NamedTuple):
    """A condition of SQL, and its parameters by their names."""

    sql: str
    parameters: dict[str, int | str]


def wanted_of(query: Query) -> Wanted:
    """Return what a span has to be to fit *query*."""
    bounds = {
        "start_ns": _clamped(query.start_ns),
        "end_ns": _clamped(query.end_ns),
        "min_ns": _clamped(query.min_duration_ns),
        "max_ns": _clamped(query.longest_ns),
    }
    # What rules most out comes first, and nothing that rules none out.
    conditions = [condition_of(signature_of(query.tags))] if query.tags else []
    names = {"service": query.service, "name": query.operation}
    if given := {column: text for column, text in names.items() if text}:
        where = " AND ".join(f"{column} = :{column}" for column in given)
        conditions.append(f"operation IN (SELECT number FROM operation WHERE {where})")  # noqa: S608  names and numbers of ours
    if query.errors_only:
        conditions.append("is_error")
    for column, least, most in _RANGES:
        if bounds[least] > 0 or bounds[most] < MAX_TIME_NS:
            conditions.append(f"{column} BETWEEN :{least} AND :{most}")
    return Wanted(" AND ".join(conditions) or "true", {**bounds, **given})


def _clamped(number: int) -> int:
    return max(0, min(number, MAX_TIME_NS))
