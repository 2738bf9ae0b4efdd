"""The traces that the tests send: every combination of what a span can hold."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator, Mapping
from math import inf, nan
from types import MappingProxyType
from typing import Any

from iox_otel import MetaValue, Span, SpanContext, SpanEvent, SpanKind, SpanStatus, TraceCollector

LARGE_TRACE = 5_000
"""Spans in the large trace."""

METADATA: dict[str, dict[str, MetaValue]] = {
    "none": {},
    "text": {
        "text": "GET /orders",
        "text.empty": "",
        "text.non-ascii": "Grüße ☃ 🜚 \u2028",
        "text.nul": "a\0b",
        "text.quoted": '<&> "\\" \t\n',
        "text.long": "0123456789" * 40,
        "schlüssel": "a key beyond ASCII",
    },
    "integer": {
        "int": 42,
        "int.zero": 0,
        "int.negative": -1,
        "int.beyond-double": 2**53 + 1,
        "int.max": 2**63 - 1,
        "int.min": -(2**63),
    },
    "float": {
        "float": 0.1,
        "float.zero": 0.0,
        "float.negative-zero": -0.0,
        "float.whole": 3.0,
        "float.smallest": 5e-324,
        "float.largest": 1.7976931348623157e308,
        "float.small": 1.5e-7,
        "float.large": 1e21,
    },
    "boolean": {"bool.true": True, "bool.false": False},
    "texts": {"texts": ("a", "", "ü\0<&>"), "texts.none": ()},
    "integers": {"ints": (0, -1, 2**63 - 1, -(2**63))},
    "floats": {"floats": (0.0, -0.0, 0.5, 5e-324, 1e21)},
    "booleans": {"bools": (True, False)},
}
"""Metadata by type, with the values at the edges of each."""

_RELATIONS = ("root", "child", "remote")
_COUNTS = ("no", "one", "many")
_COMBINATIONS = tuple(
    itertools.product(_RELATIONS, _COUNTS, _COUNTS, METADATA, SpanStatus, SpanKind)
)
_HOUR_NS = 3_600 * 10**9


class TraceSet:
    """Spans to send, the same for the same *seed*.

    Args:
        collector: where they go when they are exported.
        seed: tells the ids of one set from those of another.
    """

    def __init__(self, collector: TraceCollector | None, seed: int) -> None:
        self._collector = collector
        self._random = random.Random(seed)
        self._start_ns = time.time_ns() - _HOUR_NS

    def small(self) -> Iterator[Span]:
        """Give a trace of one span for every combination; the parent of a child is not in it."""
        for combination in _COMBINATIONS:
            yield self._span(self._id(128), None, *combination)

    def large(self) -> Iterator[Span]:
        """Give one trace of 5,000 spans with every combination in it."""
        trace_id = self._id(128)
        root = self._new(trace_id, None, "root of many")
        yield root
        parents = [root.ctx.span_id]
        filler = ("child", "no", "no", "none", SpanStatus.UNKNOWN, SpanKind.INTERNAL)
        rest = [filler] * (LARGE_TRACE - 1 - len(_COMBINATIONS))
        for combination in (*_COMBINATIONS, *rest):
            span = self._span(trace_id, self._random.choice(parents), *combination)
            parents.append(span.ctx.span_id)
            yield span

    def edges(self) -> Iterator[Span]:
        """Give spans at the edges of ids, names, status and context, and what no wire can hold."""
        for trace_id, span_id in ((1, 1), (2**128 - 1, 2**64 - 1)):
            yield self._new(trace_id ^ self._id(16), None, f"ids {trace_id}", span_id=span_id)
        yield self._new(self._id(128), None, "state", trace_state="iox=1,other=a:b")
        yield self._new(self._id(128), None, "debug", debug=True)
        yield self._with_status("ok with a message", SpanStatus.OK, "all is well")
        yield self._with_status("error without one", SpanStatus.ERR, None)
        yield self._with_status("message of the event", SpanStatus.ERR, "Event 0", events=1)
        told = self._with_status("message of the exception", SpanStatus.ERR, "it broke")
        metadata = {"exception.message": "it broke"}
        told.event(SpanEvent("exception", metadata, time_ns=told.start_ns))
        yield told
        yield self._new(self._id(128), None, "", events=1)
        yield self._mended()

    def huge(self) -> Iterator[Span]:
        """Give spans larger than a datagram: by a value, by the name, and by many events."""
        yield self._new(self._id(128), None, "a huge value", metadata={"huge": "é" * 100_000})
        yield self._new(self._id(128), None, "a huge name " * 10_000)
        yield self._new(self._id(128), None, "many events", events=5_000, metadata={"kept": 1})

    def not_finite(self) -> Iterator[Span]:
        """Give a span with the doubles that JSON has no numbers for.

        Not in an event nor in a sequence: there they have the Collector drop the whole batch that
        it makes for Zipkin, or the value.
        """
        odd: dict[str, MetaValue] = {"nan": nan, "inf": inf, "-inf": -inf}
        yield self._new(self._id(128), None, "not finite", metadata=odd)

    def _with_status(
        self, name: str, status: SpanStatus, message: str | None, events: int = 0
    ) -> Span:
        span = self._new(self._id(128), None, name, events=events)
        span.set_status(status, message)
        return span

    def _mended(self) -> Span:
        metadata: dict[str, MetaValue] = {
            "": "an empty key",
            "int.beyond-64-bits": 2**64,
            "text.lone-surrogate": "a\udfffb",
            "texts.lone-surrogate": ("\ud800",),
            "ints.beyond-64-bits": (1, 2**63),
        }
        return self._new(self._id(128), None, "lone \ud800", metadata=metadata, events=1)

    def _span(
        self,
        trace_id: int,
        parent_id: int | None,
        relation: str,
        links: str,
        events: str,
        kind_of_metadata: str,
        status: SpanStatus,
        kind: SpanKind,
    ) -> Span:
        if relation == "root":
            parent_id = None
        elif relation == "remote" or parent_id is None:
            parent_id = self._id(64)
        span = self._new(
            trace_id,
            parent_id,
            f"{relation} {links} {events} {kind_of_metadata}",
            kind=kind,
            links=self._links(links, trace_id, parent_id),
            metadata=METADATA[kind_of_metadata],
            events={"no": 0, "one": 1, "many": 3}[events],
        )
        span.ctx.parent_is_remote = relation == "remote"
        span.set_status(status, "it broke: Grüße" if status is SpanStatus.ERR else None)
        return span

    def _new(
        self,
        trace_id: int,
        parent_id: int | None,
        name: str,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        metadata: Mapping[str, MetaValue] = MappingProxyType({}),
        events: int = 0,
        **context: Any,
    ) -> Span:
        """Return a span; its events have its metadata."""
        ids = {"trace_id": trace_id, "span_id": self._id(64), "parent_span_id": parent_id}
        ctx = SpanContext(**{**ids, "collector": self._collector, **context})
        start_ns = self._start_ns = self._start_ns + 1_001_003
        length_ns = self._random.choice((0, 1, 499, 999, 1_000, 1_500, 12_345_678, 10**10))
        span = Span(name, ctx, kind=kind, start_ns=start_ns, end_ns=start_ns + length_ns)
        for key, value in metadata.items():
            span.set_metadata(key, value)
        for number in range(events):
            time_ns = start_ns + number * 1_501
            span.event(SpanEvent(f"Event {number}", metadata, time_ns=time_ns))
        return span

    def _links(
        self, count: str, trace_id: int, parent_id: int | None
    ) -> tuple[tuple[int, int], ...]:
        if count == "no":
            return ()
        other = (self._id(128), self._id(64))
        if count == "one":
            return (other,)
        # One of the same trace, and the parent itself, which viewers tell apart by the type alone.
        return (other, (trace_id, self._id(64)), (trace_id, parent_id or self._id(64)))

    def _id(self, bits: int) -> int:
        # The top bit is set in half of them: a wire that takes ids as signed must not mind.
        return self._random.randrange(1, 1 << bits)
