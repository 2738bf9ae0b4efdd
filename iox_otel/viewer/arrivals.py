"""Arrivals: what one call of `Store.add` brings, gathered so that it is written at once."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from iox_otel_bridge.wire.otlp_decode import attributes_in

from .blocks import place_of
from .capacity import Capacity
from .eviction import Forgotten
from .interned import Common
from .segments import Segments
from .signature import columns_of
from .stored import Batch, parent_id_of, service_of
from .terms import BatchTerms, KnownTerms, digest_of

MAX_TIME_NS = (1 << 63) - 1
"""SQLite's integers end there, in the year 2262."""

_FIND_TRACE = "SELECT number, segment, spans FROM trace WHERE trace_id = ?"
_FIND_SPAN = "SELECT 1 FROM span WHERE trace = ? AND digest = ?"
_ADD_TRACE = f"""
INSERT INTO trace (trace_id, segment, start_ns, last_start_ns, end_ns, longest_ns, shortest_ns,
                   spans, errors, has_root, root_start_ns, root_service, root_name)
VALUES (?, ?, {MAX_TIME_NS}, 0, 0, 0, {MAX_TIME_NS}, 0, 0, 0, {MAX_TIME_NS}, '', '')
"""
_ADD_SPAN = f"INSERT INTO span VALUES ({', '.join('?' * 9)})"
_ADD_FACET = f"INSERT INTO facet VALUES ({', '.join('?' * 10)})"
_ADD_TERM = """
INSERT INTO term VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET bits = bits | excluded.bits WHERE bits | excluded.bits != bits
"""
_UPDATE_TRACE = """
UPDATE trace SET
    start_ns = min(start_ns, :start_ns), last_start_ns = max(last_start_ns, :last_start_ns),
    end_ns = max(end_ns, :end_ns), longest_ns = max(longest_ns, :longest_ns),
    shortest_ns = min(shortest_ns, :shortest_ns),
    spans = spans + :spans, errors = errors + :errors
WHERE number = :number
"""
_UPDATE_ROOT = """
UPDATE trace SET has_root = :has, root_start_ns = :start, root_service = :service, root_name = :name
WHERE number = :number AND (:has > has_root OR (:has = has_root AND :start < root_start_ns))
"""
_ROOT = ("has", "start", "service", "name", "number")
_COUNT_SERVICE = """
INSERT INTO service_of VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET spans = spans + excluded.spans
"""


class _Trace:
    """What comes to a trace."""

    __slots__ = ("digests", "fields", "is_new", "number", "root", "segment", "services", "terms")

    def __init__(self, number: int, segment: int, *, is_new: bool) -> None:
        self.number = number
        self.segment = segment
        self.is_new = is_new
        self.digests: set[int] = set()
        self.fields = {"number": number, "start_ns": MAX_TIME_NS, "last_start_ns": 0, "end_ns": 0}
        self.fields |= {"longest_ns": 0, "shortest_ns": MAX_TIME_NS, "spans": 0, "errors": 0}
        self.root: tuple[int, int, str, str] = (0, MAX_TIME_NS + 1, "", "")
        self.services: Counter[str] = Counter()
        self.terms: set[int] = set()

    def count(self, span: Span, service: str, *, is_root: bool, is_error: bool) -> tuple[int, int]:
        """Take a new span into account; return its start and its duration."""
        fields = self.fields
        start_ns = min(span.start_time_unix_nano, MAX_TIME_NS)
        end_ns = max(start_ns, min(span.end_time_unix_nano, MAX_TIME_NS))
        if start_ns < fields["start_ns"]:
            fields["start_ns"] = start_ns
        if start_ns > fields["last_start_ns"]:
            fields["last_start_ns"] = start_ns
        if end_ns > fields["end_ns"]:
            fields["end_ns"] = end_ns
        if end_ns - start_ns > fields["longest_ns"]:
            fields["longest_ns"] = end_ns - start_ns
        if end_ns - start_ns < fields["shortest_ns"]:
            fields["shortest_ns"] = end_ns - start_ns
        fields["spans"] += 1
        fields["errors"] += is_error
        self.services[service] += 1
        if (is_root, -start_ns) > (self.root[0], -self.root[1]):
            self.root = (is_root, start_ns, service, span.name)
        return start_ns, end_ns - start_ns


_New = tuple[Span, bytes, int, _Trace]
"""A span, its bytes, its digest, and what it comes to."""


class Arrivals:
    """Gathers the new spans of some batches and writes them. Used once, within a transaction."""

    def __init__(
        self,
        database: sqlite3.Connection,
        capacity: Capacity,
        segments: Segments,
        common: Common,
        forgotten: Forgotten,
        known: KnownTerms,
    ) -> None:
        self._database = database
        self._capacity = capacity
        self._segments = segments
        self._common = common
        self._forgotten = forgotten
        self._known = known
        self._traces: dict[bytes, _Trace] = {}
        self._room: dict[int, int] = {}
        self._spans: list[tuple[Any, ...]] = []
        self._facets: list[tuple[int, ...]] = []
        self._new_traces: Counter[int] = Counter()
        self._span_bytes = 0

    @property
    def traces(self) -> dict[bytes, int]:
        """The ids and numbers of the traces that have new spans."""
        return {key: trace.number for key, trace in self._traces.items() if trace.fields["spans"]}

    @property
    def touched(self) -> set[int]:
        """The numbers of these traces, and of those to which only came what they have or cannot
        take."""
        return {trace.number for trace in self._traces.values()}

    def take(self, batch: Batch) -> None:
        """Gather what is new in *batch*."""
        service = service_of(batch.resource)
        resource = batch.resource.SerializeToString(deterministic=True)
        scope = batch.scope.SerializeToString(deterministic=True)
        context = _context_of(batch, resource, scope)
        new: list[_New] = []
        for span in batch.spans:
            body = span.SerializeToString()
            digest = digest_of(context + body)
            if trace := self._trace_of(span.trace_id.rjust(16, b"\0"), digest):
                new.append((span, body, digest, trace))
        if new:
            # not before, as what no span refers to would never be deleted
            at_resource = self._common.resource.number(resource, batch.schemas.resource, service)
            at_scope = self._common.scope.number(scope, batch.schemas.scope)
            self._common.resource.count(at_resource, len(new))
            self._common.scope.count(at_scope, len(new))
            terms = BatchTerms(batch, service, resource, self._known)
            self._take(new, terms, service, (batch.source.value, at_resource, at_scope))

    def _take(
        self, new: list[_New], terms: BatchTerms, service: str, context: tuple[str, int, int]
    ) -> None:
        operations = self._common.operation
        for span, body, digest, trace in new:
            said = attributes_in(span, body)
            facts = terms.facts_of(span, said)
            parent_id = parent_id_of(span)
            is_error = facts.is_error
            times = trace.count(span, service, is_root=not parent_id, is_error=is_error)
            signature = terms.add(span, said, facts, trace.terms)
            operation = operations.number(service, span.name, facts.kind)
            operations.count(operation)
            ids = (bytearray(span.span_id.rjust(8, b"\0")), bytearray(parent_id))
            row = (*ids, *context, operation, bytearray(body))  # sqlite3 binds bytes far slower
            key = (trace.number, digest)
            self._spans.append((*key, *row))
            self._facets.append((*key, *columns_of(signature), operation, *times, int(is_error)))
            self._span_bytes += len(body)

    def write(self) -> int:
        """Write it all; return how many spans there are."""
        traces = [trace for trace in self._traces.values() if trace.fields["spans"]]
        write = self._database.executemany
        write(_ADD_SPAN, sorted(self._spans))
        write(_ADD_FACET, sorted(self._facets))
        write(_ADD_TERM, _terms_of(traces))
        write(_UPDATE_TRACE, [trace.fields for trace in traces])
        roots = [(*trace.root, trace.number) for trace in traces]
        write(_UPDATE_ROOT, [dict(zip(_ROOT, root, strict=True)) for root in roots])
        of_services = ((t.number, *service) for t in traces for service in t.services.items())
        write(_COUNT_SERVICE, of_services)
        self._common.write()
        spans = len(self._spans)
        self._segments.count(self._new_traces, spans=spans, span_bytes=self._span_bytes)
        self._capacity.traces += self._new_traces.total()
        self._capacity.spans += spans
        self._capacity.spans_seen += spans
        return spans

    def _trace_of(self, trace_id: bytes, digest: int) -> _Trace | None:
        """Return the trace that a span comes to; None if it has it, is full or is forgotten."""
        trace = self._traces.get(trace_id) or self._find(trace_id)
        if trace is not None:
            if digest in trace.digests or (not trace.is_new and self._has(trace.number, digest)):
                return None
            if not self._room[trace.number]:
                self._capacity.spans_cut += 1
                return None
        elif trace_id in self._forgotten:
            self._capacity.spans_seen += 1
            return None
        else:
            trace = self._create(trace_id)
        trace.digests.add(digest)
        self._room[trace.number] -= 1
        return trace

    def _find(self, trace_id: bytes) -> _Trace | None:
        found = self._database.execute(_FIND_TRACE, (trace_id,)).fetchone()
        if not found:
            return None
        number, segment, spans = found
        is_full = self._capacity.is_full
        self._room[number] = 0 if is_full else max(self._capacity.max_spans - spans, 0)
        trace = self._traces[trace_id] = _Trace(number, segment, is_new=False)
        return trace

    def _create(self, trace_id: bytes) -> _Trace:
        segment = self._segments.current()
        number = self._database.execute(_ADD_TRACE, (trace_id, segment)).lastrowid or 0
        self._new_traces[segment] += 1
        self._room[number] = self._capacity.max_spans
        trace = self._traces[trace_id] = _Trace(number, segment, is_new=True)
        return trace

    def _has(self, number: int, digest: int) -> bool:
        return self._database.execute(_FIND_SPAN, (number, digest)).fetchone() is not None


def _terms_of(traces: Iterable[_Trace]) -> Iterator[tuple[int, int, int, int]]:
    """Give the rows of the traces' terms: a term that several of a block have, once."""
    bits_of: dict[tuple[int, int], dict[int, int]] = {}
    for trace in traces:
        block, bit = place_of(trace.number)
        bits = bits_of.setdefault((trace.segment, block), {})
        for term in trace.terms:
            bits[term] = bits.get(term, 0) | bit
    for (segment, block), bits in bits_of.items():
        for term, has_it in bits.items():
            yield segment, term, block, has_it


def _context_of(batch: Batch, resource: bytes, scope: bytes) -> bytes:
    """Return a hash of where a batch's spans come from; *resource* and *scope* are its."""
    parts = (batch.source.encode(), *(url.encode() for url in batch.schemas), resource, scope)
    return blake2b(b"".join(blake2b(part).digest() for part in parts), digest_size=16).digest()
