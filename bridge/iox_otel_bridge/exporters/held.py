"""HeldTraces: spans held back until their trace is finished, so that it is shown as one tree."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from iox_otel.tree import Node, SpanRecord, build_tree
from iox_otel_bridge.records import weight

STRAGGLER_S = 0.2
"""How long a finished trace waits for spans that end after its root."""
QUIET_S = 10.0
"""A trace whose root does not end is let go after so long without a span …"""
MAX_AGE_S = 60.0
"""… or so long after its first."""
MAX_TRACES = 1_000
MAX_SPANS = 100_000
MAX_BYTES = 64 << 20
MAX_SPANS_PER_TRACE = 4_000
"""Of a larger trace only the weightiest half of this is kept, the others are counted."""
_MAX_NAMES = 10_000
"""How many spans are remembered after they were let go, for others that come late."""


class FinishedTrace(NamedTuple):
    """Spans of one trace that are to be shown now."""

    spans: list[SpanRecord]
    omitted: int
    """How many more there were."""
    is_complete: bool
    """False if spans are among them whose parent has not ended."""
    parent_names: dict[int, str]
    """Span id to name: the parents among the spans that were let go before."""

    @property
    def span_count(self) -> int:
        """How many spans it stands for."""
        return len(self.spans) + self.omitted


class _Trace:
    __slots__ = ("byte_count", "closed_s", "first_s", "last_s", "omitted", "spans")

    def __init__(self, now_s: float) -> None:
        self.spans: list[SpanRecord] = []
        self.byte_count = 0
        self.omitted = 0
        self.first_s = self.last_s = now_s
        self.closed_s: float | None = None


class HeldTraces:
    """Collects spans by trace, and lets a trace go when its local root has ended.

    A local root is a span without a parent, with one in another process, or with one that was let
    go before. What hangs below it goes with it, STRAGGLER_S later; spans of the same trace below a
    parent that is still open stay. A root that never ends holds its spans for QUIET_S, or
    MAX_AGE_S; too many traces, spans or bytes let the oldest go early.

    Times are seconds of any clock that only goes forward.
    """

    def __init__(self) -> None:
        self._traces: OrderedDict[int, _Trace] = OrderedDict()
        self._names: OrderedDict[tuple[int, int], str] = OrderedDict()
        self._kept_count = 0
        self._byte_count = 0

    @property
    def span_count(self) -> int:
        """How many spans it stands for, those included that are only counted."""
        return self._kept_count + sum(trace.omitted for trace in self._traces.values())

    def add(self, spans: Iterable[SpanRecord], now_s: float) -> None:
        """Hold *spans*."""
        for span in spans:
            trace = self._traces.get(span.trace_id)
            if trace is None:
                trace = self._traces[span.trace_id] = _Trace(now_s)
            self._put(trace, span)
            trace.last_s = now_s
            if trace.closed_s is None and self._is_local_root(span):
                trace.closed_s = now_s
            if len(trace.spans) > MAX_SPANS_PER_TRACE:
                self._thin(trace)

    def take_due(self, now_s: float) -> list[FinishedTrace]:
        """Let go of what need not, or cannot, be held any longer."""
        finished = []
        for trace_id, trace in list(self._traces.items()):
            if trace.closed_s is not None and now_s >= trace.closed_s + STRAGGLER_S:
                finished.append(self._take_closed(trace_id, trace, now_s))
            elif now_s >= _expiry_s(trace):
                finished.append(self._take(trace_id))
        while self._traces and self._is_full():
            finished.append(self._take(next(iter(self._traces))))
        return finished

    def take_all(self) -> list[FinishedTrace]:
        """Let go of everything."""
        return [self._take(trace_id) for trace_id in list(self._traces)]

    def next_due_s(self, now_s: float) -> float | None:
        """Return in how many seconds `take_due` will have something, None if nothing is held."""
        due_s = (
            min(_expiry_s(trace), float("inf") if closed is None else closed + STRAGGLER_S)
            for trace in self._traces.values()
            for closed in (trace.closed_s,)
        )
        soonest_s = min(due_s, default=None)
        return None if soonest_s is None else max(0.0, soonest_s - now_s)

    def forget(self) -> None:
        """Drop everything."""
        self.__init__()  # type: ignore[misc]

    def _put(self, trace: _Trace, span: SpanRecord) -> None:
        trace.spans.append(span)
        byte_count = byte_count_of(span)
        trace.byte_count += byte_count
        self._byte_count += byte_count
        self._kept_count += 1

    def _is_local_root(self, span: SpanRecord) -> bool:
        parent = span.parent_span_id
        return parent is None or span.parent_is_remote or (span.trace_id, parent) in self._names

    def _is_full(self) -> bool:
        return (
            len(self._traces) > MAX_TRACES
            or self._kept_count > MAX_SPANS
            or self._byte_count > MAX_BYTES
        )

    def _thin(self, trace: _Trace) -> None:
        spans = trace.spans
        kept = heapq.nlargest(
            MAX_SPANS_PER_TRACE // 2, range(len(spans)), key=lambda index: weight(spans[index])
        )
        self._replace(trace, [spans[index] for index in sorted(kept)])
        trace.omitted += len(spans) - len(kept)

    def _replace(self, trace: _Trace, spans: list[SpanRecord]) -> None:
        """Let *trace* have *spans* instead of those it has."""
        self._kept_count -= len(trace.spans)
        self._byte_count -= trace.byte_count
        trace.spans = []
        trace.byte_count = 0
        for span in spans:
            self._put(trace, span)

    def _take(self, trace_id: int) -> FinishedTrace:
        """Let go of a whole trace."""
        trace = self._traces.pop(trace_id)
        self._kept_count -= len(trace.spans)
        self._byte_count -= trace.byte_count
        is_complete = all(self._is_local_root(root.span) for root in build_tree(trace.spans))
        return self._finish(trace.spans, trace.omitted, is_complete)

    def _take_closed(self, trace_id: int, trace: _Trace, now_s: float) -> FinishedTrace:
        """Let go of what hangs below the local roots of a trace that have ended."""
        roots = build_tree(trace.spans)
        closed = [root for root in roots if self._is_local_root(root.span)]
        if len(closed) == len(roots):
            return self._take(trace_id)
        below = _ids_below(closed)
        spans = [span for span in trace.spans if id(span) in below]
        self._replace(trace, [span for span in trace.spans if id(span) not in below])
        omitted, trace.omitted = trace.omitted, 0
        trace.closed_s = None
        trace.first_s = now_s
        return self._finish(spans, omitted, True)

    def _finish(self, spans: list[SpanRecord], omitted: int, is_complete: bool) -> FinishedTrace:
        parent_names = {}
        for span in spans:
            parent = span.parent_span_id
            if parent is not None and (span.trace_id, parent) in self._names:
                parent_names[parent] = self._names[span.trace_id, parent]
        for span in spans:
            self._names[span.trace_id, span.span_id] = span.name
        while len(self._names) > _MAX_NAMES:
            self._names.popitem(last=False)
        return FinishedTrace(spans, omitted, is_complete, parent_names)


def _expiry_s(trace: _Trace) -> float:
    return min(trace.last_s + QUIET_S, trace.first_s + MAX_AGE_S)


def _ids_below(roots: list[Node[SpanRecord]]) -> set[int]:
    """Return the `id()` of each span under *roots*, theirs included."""
    ids = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        ids.add(id(node.span))
        stack += node.children
    return ids


def byte_count_of(span: SpanRecord) -> int:
    """Return about how many bytes of memory *span* takes."""
    texts = [span.name, span.status_message or ""]
    texts += [value for value in span.metadata.values() if isinstance(value, str)]
    for event in span.events:
        texts.append(event.msg)
        texts += [value for value in event.metadata.values() if isinstance(value, str)]
    return 600 + 100 * len(texts) + 4 * sum(map(len, texts))
