"""Which service calls which.

Agrees with Jaeger's memory storage: a call is a span whose parent is in the trace and of another
service. A server's span with the id of its client's, as Zipkin has them, is that one's child.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import accumulate, groupby
from operator import itemgetter

from .reading import Rows

Call = tuple[str, str]
"""Who calls, and who is called."""

_TRACES = """
SELECT number, spans FROM trace
WHERE number > ? AND start_ns < ? AND last_start_ns > ?
    AND EXISTS (SELECT 1 FROM service_of WHERE trace = number LIMIT 1 OFFSET 1)
ORDER BY number LIMIT ?
"""
_SPANS = """
SELECT trace, id, parent, service, kind FROM span JOIN operation ON number = operation
WHERE trace IN ({}) ORDER BY trace
"""
_TRACES_AT_ONCE = 200
_SPANS_AT_ONCE = 5_000


Row = tuple[int, bytes, bytes, str, str]
"""A span: its trace's number, its id, its parent's, its service and its kind."""


def next_traces(rows: Rows, after: int, start_ns: int, end_ns: int) -> list[int]:
    """Return the numbers of some traces of that time with several services, ascending."""
    found = rows(_TRACES, (after, end_ns, start_ns, _TRACES_AT_ONCE))
    upto = accumulate(spans for _, spans in found)
    few = [number for (number, _), spans in zip(found, upto, strict=True) if spans < _SPANS_AT_ONCE]
    return few or [number for number, _ in found[:1]]


def spans_of(rows: Rows, numbers: list[int]) -> list[Row]:
    """Return the spans of these traces, one trace after the other."""
    return rows(_SPANS.format(", ".join("?" for _ in numbers)), numbers)


def calls_of(spans: list[Row]) -> Counter[Call]:
    """Count the calls among the spans of some traces."""
    return Counter(
        call
        for _, of_trace in groupby(spans, key=itemgetter(0))
        for call in _calls_of_trace(list(of_trace))
    )


def _calls_of_trace(spans: list[Row]) -> Iterator[Call]:
    services: dict[bytes, str] = {}
    clients: dict[bytes, str] = {}
    servers: dict[bytes, str] = {}
    for _, span_id, _, service, kind in spans:
        services.setdefault(span_id, service)
        if kind == "client":
            clients.setdefault(span_id, service)
        elif kind == "server":
            servers.setdefault(span_id, service)
    shared = clients.keys() & servers.keys()
    services |= {span_id: servers[span_id] for span_id in shared}
    for _, span_id, parent_id, service, kind in spans:
        is_shared = kind == "server" and span_id in shared
        parent = clients[span_id] if is_shared else services.get(parent_id)
        if parent is not None and parent != service:
            yield parent, service
