"""Wanted: what a span has to be, as a condition on the rows of `facet`.

All that `fits` compares but tags, of which the signature tells most of the spans without.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from . import terms
from .arrivals import MAX_TIME_NS
from .query import Query

_MAX_SERVICES = 20
"""A signature is compared for each, where a query names none."""

_SIGNATURE = "(signature_1 & {0} = {0} AND signature_2 & {1} = {1})"


class Wanted(NamedTuple):
    """A condition of SQL, and its parameters by their names."""

    sql: str
    parameters: dict[str, int | str]


def wanted_of(query: Query, services: Sequence[str]) -> Wanted:
    """Return what a span has to be to fit *query*; *services* are those that it may be of."""
    numbers = {
        "start_ns": query.start_ns,
        "end_ns": query.end_ns,
        "min_ns": query.min_duration_ns,
        "max_ns": query.longest_ns,
    }
    parameters: dict[str, int | str] = {name: _clamped(each) for name, each in numbers.items()}
    conditions = [
        "start_ns BETWEEN :start_ns AND :end_ns",
        "duration_ns BETWEEN :min_ns AND :max_ns",
    ]
    if query.errors_only:
        conditions.append("is_error")
    names = {"service": query.service, "name": query.operation}
    if given := {column: text for column, text in names.items() if text}:
        where = " AND ".join(f"{column} = :{column}" for column in given)
        conditions.append(f"operation IN (SELECT number FROM operation WHERE {where})")
        parameters |= given
    if query.tags and 0 < len(services) <= _MAX_SERVICES:
        conditions.append(f"({' OR '.join(_signature(query, each) for each in services)})")
    return Wanted(" AND ".join(conditions), parameters)


def _signature(query: Query, service: str) -> str:
    asked = (terms.of_tag(service, *tag) for tag in query.tags)
    return _SIGNATURE.format(*terms.halves_of(terms.signature_of(asked)))


def _clamped(number: int) -> int:
    return max(0, min(number, MAX_TIME_NS))
