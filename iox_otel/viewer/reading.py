"""Reading spans back from the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from .room import Room
from .stored import Schemas, Source, StoredSpan
from .wanted import Wanted

_CACHED_BYTES = 1 << 20
"""Of messages as bytes; in memory they take ten times as many."""
_SPANS = "SELECT source, resource, scope, body FROM span WHERE trace = ?"
_FITTING = """
SELECT source, resource, scope, body FROM span
WHERE trace = :trace AND digest IN (SELECT digest FROM facet WHERE trace = :trace AND {})
"""

Message = TypeVar("Message")
Rows = Callable[..., list[Any]]
"""Returns all rows of a query, called with its SQL and its parameters."""


_Context = tuple[Resource, InstrumentationScope, Source, Schemas]
"""What many spans have in common."""


class SpanReader:
    """Reads spans. Not thread-safe, but what it returns may be gone through elsewhere."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._resources = _Messages(database, "resource", Resource.FromString)
        self._scopes = _Messages(database, "scope", InstrumentationScope.FromString)

    def forget(self) -> None:
        """Forget what may not be in the database, after a transaction that failed."""
        self._resources.known.clear()
        self._scopes.known.clear()

    def spans(self, number: int, wanted: Wanted | None = None) -> Iterator[StoredSpan]:
        """Return the spans of the trace with that number, of which *wanted* may be true.

        What it needs of the database it has read when it returns; spans are decoded one by one.
        """
        if wanted is None:
            found = self._database.execute(_SPANS, (number,))
        else:
            sql = _FITTING.format(wanted.sql)
            found = self._database.execute(sql, {"trace": number, **wanted.parameters})
        rows = found.fetchall()
        resources = {resource: self._resources.get(resource) for _, resource, _, _ in rows}
        scopes = {scope: self._scopes.get(scope) for _, _, scope, _ in rows}
        return _decoded(rows, resources, scopes)


class _Messages(Generic[Message]):
    """The messages of a table, with their schema URLs."""

    def __init__(
        self, database: sqlite3.Connection, table: str, parse: Callable[[bytes], Message]
    ) -> None:
        self._database = database
        self._find = f"SELECT body, schema_url FROM {table} WHERE number = ?"  # noqa: S608  names and numbers of ours
        self._parse = parse
        self.known: dict[int, tuple[Message, str]] = {}
        self._room = Room(_CACHED_BYTES, self.known.clear)

    def get(self, number: int) -> tuple[Message, str]:
        if (known := self.known.get(number)) is None:
            body, schema_url = self._database.execute(self._find, (number,)).fetchone()
            known = (self._parse(body), schema_url)
            if self._room.takes(len(body) + len(schema_url)):
                self.known[number] = known
        return known


def _decoded(
    rows: list[tuple[str, int, int, bytes]],
    resources: dict[int, tuple[Resource, str]],
    scopes: dict[int, tuple[InstrumentationScope, str]],
) -> Iterator[StoredSpan]:
    contexts: dict[tuple[str, int, int], _Context] = {}
    for source, at_resource, at_scope, body in rows:
        key = (source, at_resource, at_scope)
        if (known := contexts.get(key)) is None:
            (resource, of_resource), (scope, of_scope) = resources[at_resource], scopes[at_scope]
            known = (resource, scope, Source(source), Schemas(of_resource, of_scope))
            contexts[key] = known
        yield StoredSpan(Span.FromString(body), *known)
