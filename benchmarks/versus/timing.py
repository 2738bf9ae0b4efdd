"""What a measurement is, and the ways that several of them are taken."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

Measure = Callable[[int], float]
"""Does something so many times and returns how long that took: seconds, or what the row counts."""
Setup = Callable[[], Measure]
"""Prepares a measurement, in a process of its own; imports what it needs then."""

_AT_ONCE = 250
"""Spans recorded before they are let go: no peer's exporter wakes up that early."""


class Recording(NamedTuple):
    """How a library records: a trace begins, has many spans, and ends."""

    begin: Callable[[], Any]
    record: Callable[[Any, int], object]
    """Records so many spans under what began."""
    end: Callable[[Any], object]
    """Ends it and lets go of all that is queued."""


def recording(way: Recording) -> Measure:
    """Return what measures `record` alone: each span until it is queued, and no longer."""

    def measure(loops: int) -> float:
        took_s = 0.0
        while loops > 0:
            count = min(loops, _AT_ONCE)
            root = way.begin()
            began_s = perf_counter()
            way.record(root, count)
            took_s += perf_counter() - began_s
            way.end(root)
            loops -= count
        return took_s

    return measure


def repeating(body: Callable[[int], object]) -> Measure:
    """Return what measures *body*, which does something so many times."""

    def measure(loops: int) -> float:
        began_s = perf_counter()
        body(loops)
        return perf_counter() - began_s

    return measure
