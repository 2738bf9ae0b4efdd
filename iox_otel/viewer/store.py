"""Store: the traces that the viewer keeps, in one SQLite database."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from .schema import connect
from .stored import Batch, Schemas, Source, StoredSpan, service_of
from .tags import kind_of
from .terms import digest_of, process_terms_of, terms_of

DEFAULT_MAX_SPANS = 1_000_000
DEFAULT_MAX_MB = 2_048

_MAX_TIME_NS = (1 << 63) - 1
_TRACES_AT_ONCE = 64
_CACHED = 4_096

_FIND_TRACE = "SELECT number FROM trace WHERE trace_id = ?"
_ADD_TRACE = f"""
INSERT INTO trace (trace_id, start_ns, end_ns, longest_ns, shortest_ns, spans, errors, bytes,
                   has_root, root_start_ns, root_service, root_name)
VALUES (?, {_MAX_TIME_NS}, 0, 0, {_MAX_TIME_NS}, 0, 0, 0, 0, {_MAX_TIME_NS}, '', '')
"""
_ADD_SPAN = """
INSERT OR IGNORE INTO span (trace, digest, id, parent, source, resource, scope, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_UPDATE_TRACE = """
UPDATE trace SET
    start_ns = min(start_ns, :start_ns), end_ns = max(end_ns, :end_ns),
    longest_ns = max(longest_ns, :longest_ns), shortest_ns = min(shortest_ns, :shortest_ns),
    spans = spans + :spans, errors = errors + :errors, bytes = bytes + :bytes
WHERE number = :number
"""
_UPDATE_ROOT = """
UPDATE trace SET has_root = :has_root, root_start_ns = :root_start_ns,
    root_service = :root_service, root_name = :root_name
WHERE number = :number
    AND (:has_root > has_root OR (:has_root = has_root AND :root_start_ns < root_start_ns))
"""
_COUNT_SERVICE = """
INSERT INTO service_of (trace, service, spans) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET spans = spans + excluded.spans
"""
_COUNT_OPERATION = """
INSERT INTO operation (service, name, kind, spans) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET spans = spans + excluded.spans
"""
_DEPENDENCIES = """
SELECT above.service, below.service, count(*)
FROM trace
JOIN span child ON child.trace = trace.number AND child.parent != x''
JOIN span parent ON parent.trace = child.trace AND parent.id = child.parent
JOIN resource below ON below.number = child.resource
JOIN resource above ON above.number = parent.resource AND above.service != below.service
WHERE trace.start_ns <= ? AND trace.end_ns >= ?
GROUP BY above.service, below.service ORDER BY above.service, below.service
"""


class Kept(NamedTuple):
    """How much there is, and how much there was."""

    traces: int
    traces_seen: int
    spans: int
    spans_seen: int
    """Since this store was opened, beside those it had."""
    bytes: int


class _Trace:
    """What one call of `Store.add` brings to a trace."""

    __slots__ = ("errors", "fields", "root", "services", "terms")

    def __init__(self, number: int) -> None:
        self.fields = {"number": number, "start_ns": _MAX_TIME_NS, "end_ns": 0, "longest_ns": 0}
        self.fields |= {"shortest_ns": _MAX_TIME_NS, "spans": 0, "errors": 0, "bytes": 0}
        self.root: tuple[int, int, str, str] = (0, _MAX_TIME_NS, "", "")
        self.services: Counter[str] = Counter()
        self.terms: set[int] = set()

    def count(self, stored: StoredSpan, body_bytes: int) -> None:
        """Take a new span into account."""
        fields, span = self.fields, stored.span
        start_ns = min(span.start_time_unix_nano, _MAX_TIME_NS)
        fields["start_ns"] = min(fields["start_ns"], start_ns)
        fields["end_ns"] = max(
            fields["end_ns"], start_ns, min(span.end_time_unix_nano, _MAX_TIME_NS)
        )
        duration_ns = min(stored.duration_ns, _MAX_TIME_NS)
        fields["longest_ns"] = max(fields["longest_ns"], duration_ns)
        fields["shortest_ns"] = min(fields["shortest_ns"], duration_ns)
        fields["spans"] += 1
        fields["errors"] += stored.is_error
        fields["bytes"] += body_bytes
        self.services[stored.service] += 1
        is_root = int(not stored.parent_id)
        if is_root > self.root[0] or (is_root == self.root[0] and start_ns < self.root[1]):
            self.root = (is_root, start_ns, stored.service, span.name)


class Store:
    """Keeps the newest traces, whole ones, up to *max_spans* spans and *max_mb* MiB.

    Beyond either the oldest traces, by the arrival of their first span, are forgotten; the one that
    is being added to stays, so a trace larger than the limits is kept alone, cut off where it
    passes them. A span that comes again, the same in every byte, is stored once. All methods may be
    called from any thread; each blocks for as long as another one takes.

    Args:
        path: a file that outlives the process; in memory if None.
        max_spans: at least 1.
        max_mb: of the whole database, indexes included, at least 1.

    Raises:
        StoreError: the file cannot be opened as a database of this version.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        max_spans: int = DEFAULT_MAX_SPANS,
        max_mb: int = DEFAULT_MAX_MB,
    ) -> None:
        self.max_spans = max_spans
        self.max_bytes = max_mb << 20
        self._database = connect(path)
        self._lock = threading.RLock()
        self._numbers: dict[tuple[str, bytes, str], int] = {}
        self._process_terms: dict[int, frozenset[int]] = {}
        (self._spans,) = self.rows("SELECT coalesce(sum(spans), 0) FROM trace")[0]
        self._spans_seen: int = self._spans
        (self._page_bytes,) = self.rows("PRAGMA page_size")[0]

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Return all rows of a query."""
        with self._lock:
            return self._database.execute(sql, parameters).fetchall()

    def add(self, batches: Iterable[Batch]) -> list[bytes]:
        """Store what is new in *batches*; return the ids of the traces that it belongs to."""
        traces: dict[bytes, _Trace] = {}
        operations: Counter[tuple[str, str, str]] = Counter()
        with self._lock, _transaction(self._database):
            for batch in batches:
                self._add(batch, traces, operations)
            added = {key: trace for key, trace in traces.items() if trace.fields["spans"]}
            self._write(list(added.values()), operations)
            self._evict({trace.fields["number"] for trace in added.values()})
        return list(added)

    def trace(self, trace_id: bytes) -> list[StoredSpan]:
        """Return the spans of a trace, in no particular order; none if it is not there."""
        found = self.rows(_FIND_TRACE, (trace_id,))
        return list(self.spans(found[0][0])) if found else []

    def spans(self, number: int) -> Iterator[StoredSpan]:
        """Give the spans of the trace with that number."""
        resources: dict[int, tuple[Resource, str]] = {}
        scopes: dict[int, tuple[InstrumentationScope, str]] = {}
        query = "SELECT source, resource, scope, body FROM span WHERE trace = ?"
        for source, at_resource, at_scope, body in self.rows(query, (number,)):
            if at_resource not in resources:
                said, schema_url = self._of("resource", at_resource)
                resources[at_resource] = (Resource.FromString(said), schema_url)
            if at_scope not in scopes:
                said, schema_url = self._of("scope", at_scope)
                scopes[at_scope] = (InstrumentationScope.FromString(said), schema_url)
            resource, of_resource = resources[at_resource]
            scope, of_scope = scopes[at_scope]
            schemas = Schemas(of_resource, of_scope)
            yield StoredSpan(Span.FromString(body), resource, scope, Source(source), schemas)

    def services(self) -> list[str]:
        """Return the names of the services that have spans here, sorted."""
        found = self.rows("SELECT DISTINCT service FROM operation ORDER BY service")
        return [service for (service,) in found]

    def operations(self, service: str) -> list[tuple[str, str]]:
        """Return the names and kinds of a service's spans, see `kind_of`, sorted."""
        return self.rows(
            "SELECT name, kind FROM operation WHERE service = ? ORDER BY name, kind", (service,)
        )

    def dependencies(self, start_ns: int, end_ns: int) -> list[tuple[str, str, int]]:
        """Return which service calls which, and how often, in the traces of that time.

        A call is a span whose parent is there and of another service.
        """
        return self.rows(_DEPENDENCIES, (end_ns, start_ns))

    def kept(self) -> Kept:
        """Return how much there is."""
        (traces,) = self.rows("SELECT count(*) FROM trace")[0]
        seen = self.rows("SELECT seq FROM sqlite_sequence WHERE name = 'trace'")
        return Kept(
            traces, seen[0][0] if seen else 0, self._spans, self._spans_seen, self._used_bytes()
        )

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _add(
        self,
        batch: Batch,
        traces: dict[bytes, _Trace],
        operations: Counter[tuple[str, str, str]],
    ) -> None:
        resource = self._number(
            "INSERT OR IGNORE INTO resource (body, schema_url, service) VALUES (?, ?, ?)",
            "SELECT number FROM resource WHERE body = ? AND schema_url = ?",
            batch.resource.SerializeToString(deterministic=True),
            batch.schemas.resource,
            service_of(batch.resource),
        )
        scope = self._number(
            "INSERT OR IGNORE INTO scope (body, schema_url) VALUES (?, ?)",
            "SELECT number FROM scope WHERE body = ? AND schema_url = ?",
            batch.scope.SerializeToString(deterministic=True),
            batch.schemas.scope,
        )
        belongs = f"{batch.source} {resource} {scope}".encode()
        for span in batch.spans:
            stored = StoredSpan(span, batch.resource, batch.scope, batch.source)
            body = span.SerializeToString()
            if (trace := traces.get(stored.trace_id)) is None:
                trace = traces[stored.trace_id] = _Trace(self._trace_number(stored.trace_id))
            key = (trace.fields["number"], digest_of(belongs, body))
            ids = (stored.span_id, stored.parent_id)
            row = (*key, *ids, batch.source, resource, scope, body)
            if self._database.execute(_ADD_SPAN, row).rowcount:
                trace.count(stored, len(body))
                trace.terms.update(terms_of(stored, self._terms_of_process(resource, stored)))
                operations[stored.service, span.name, kind_of(stored)] += 1

    def _write(self, traces: list[_Trace], operations: Counter[tuple[str, str, str]]) -> None:
        write = self._database.executemany
        write(_UPDATE_TRACE, [trace.fields for trace in traces])
        names = ("has_root", "root_start_ns", "root_service", "root_name")
        write(
            _UPDATE_ROOT,
            [
                {"number": trace.fields["number"], **dict(zip(names, trace.root, strict=True))}
                for trace in traces
            ],
        )
        write(
            "INSERT OR IGNORE INTO term (term, trace) VALUES (?, ?)",
            sorted((term, trace.fields["number"]) for trace in traces for term in trace.terms),
        )
        write(
            _COUNT_SERVICE,
            [
                (trace.fields["number"], service, spans)
                for trace in traces
                for service, spans in trace.services.items()
            ],
        )
        write(_COUNT_OPERATION, [(*key, spans) for key, spans in operations.items()])
        added = sum(trace.fields["spans"] for trace in traces)
        self._spans += added
        self._spans_seen += added

    def _evict(self, added: set[int]) -> None:
        """Forget the oldest traces until the rest is within the limits; not those of *added*."""
        while self._spans > self.max_spans or self._used_bytes() > self.max_bytes:
            oldest = [
                number
                for (number,) in self._database.execute(
                    "SELECT number FROM trace ORDER BY number LIMIT ?",
                    (_TRACES_AT_ONCE + len(added),),
                )
                if number not in added
            ]
            if not oldest:
                return
            for number in oldest[:_TRACES_AT_ONCE]:
                self._forget(number)
                if self._spans <= self.max_spans and self._used_bytes() <= self.max_bytes:
                    return

    def _forget(self, number: int) -> None:
        terms: set[int] = set()
        operations: Counter[tuple[str, str, str]] = Counter()
        for stored in self.spans(number):
            terms.update(terms_of(stored, process_terms_of(stored)))
            operations[stored.service, stored.span.name, kind_of(stored)] -= 1
        write = self._database.executemany
        write("DELETE FROM term WHERE term = ? AND trace = ?", [(term, number) for term in terms])
        write(_COUNT_OPERATION, [(*key, spans) for key, spans in operations.items()])
        write(
            "DELETE FROM operation WHERE service = ? AND name = ? AND kind = ? AND spans <= 0",
            list(operations),
        )
        for table, column in (("span", "trace"), ("service_of", "trace"), ("trace", "number")):
            self._database.execute(f"DELETE FROM {table} WHERE {column} = ?", (number,))
        self._spans += sum(operations.values())

    def _used_bytes(self) -> int:
        (pages,) = self.rows("PRAGMA page_count")[0]
        (free,) = self.rows("PRAGMA freelist_count")[0]
        return int((pages - free) * self._page_bytes)

    def _trace_number(self, trace_id: bytes) -> int:
        found = self._database.execute(_FIND_TRACE, (trace_id,)).fetchone()
        if found:
            return int(found[0])
        return self._database.execute(_ADD_TRACE, (trace_id,)).lastrowid or 0

    def _number(self, insert: str, select: str, body: bytes, schema_url: str, *rest: str) -> int:
        """Return the number of a resource or a scope, which is stored once."""
        key = (select, body, schema_url)
        if (number := self._numbers.get(key)) is None:
            self._database.execute(insert, (body, schema_url, *rest))
            (number,) = self._database.execute(select, (body, schema_url)).fetchone()
            if len(self._numbers) >= _CACHED:
                self._numbers.clear()
            self._numbers[key] = number
        return int(number)

    def _of(self, table: str, number: int) -> tuple[bytes, str]:
        ((body, schema_url),) = self.rows(
            f"SELECT body, schema_url FROM {table} WHERE number = ?", (number,)
        )
        return body, schema_url

    def _terms_of_process(self, resource: int, stored: StoredSpan) -> frozenset[int]:
        if (terms := self._process_terms.get(resource)) is None:
            if len(self._process_terms) >= _CACHED:
                self._process_terms.clear()
            terms = self._process_terms[resource] = process_terms_of(stored)
        return terms


class _transaction:
    """All that is done to a database within it, or nothing."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._database.execute("COMMIT" if kind is None else "ROLLBACK")
