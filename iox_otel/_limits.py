"""How much one span may hold: OpenTelemetry's span limits, for native spans."""

from __future__ import annotations

from typing import NamedTuple

from . import _report


class SpanLimits(NamedTuple):
    """How much one span may hold; what is beyond that is left out and counted, see `Span.cut`.

    The numbers are those of OpenTelemetry's specification (Trace SDK, "Span Limits"), whose default
    for the length of a text is none: ours keeps a span below what a receiver takes.
    """

    metadata: int = 128
    """Of a span; those set first stay."""
    events: int = 128
    """Those recorded first stay, and the latest: an exception is often the last of them."""
    links: int = 128
    event_metadata: int = 128
    """Of each event."""
    value_chars: int = 65_536
    """Of a text in metadata; a longer one ends in "…". (The messages of events and of the status
    may have 65,536 in any case. Names and keys, the program's own, are not looked at.)"""


class SpanCut(NamedTuple):
    """What a span lost to the limits."""

    metadata: int = 0
    """Its own and its events'."""
    events: int = 0
    links: int = 0
    values: int = 0
    """Texts that were shortened."""


def set_span_limits(limits: SpanLimits) -> None:
    """Let *limits* hold in this process, for all that is recorded from now on.

    `TracingConfig.build` does so, with what the variables OTEL_SPAN_* say.

    Raises:
        ValueError: a number is less than 0.
    """
    for name, value in limits._asdict().items():
        if not isinstance(value, int) or value < 0:
            raise ValueError(f"the limit {name} must be at least 0, got {value!r}")
    global MAX_METADATA, MAX_EVENTS, MAX_LINKS, MAX_EVENT_METADATA, MAX_CHARS
    MAX_METADATA, MAX_EVENTS, MAX_LINKS, MAX_EVENT_METADATA, MAX_CHARS = limits


def span_limits() -> SpanLimits:
    """Return the limits that hold."""
    return SpanLimits(MAX_METADATA, MAX_EVENTS, MAX_LINKS, MAX_EVENT_METADATA, MAX_CHARS)


# Plain numbers of the module, since the hot path reads them.
MAX_METADATA, MAX_EVENTS, MAX_LINKS, MAX_EVENT_METADATA, MAX_CHARS = SpanLimits()


MAX_MESSAGE_CHARS = 65_536


def spans_cut() -> int:
    """Return how many spans of this process have lost something to the limits so far."""
    return _report.count_of(CUT)


CUT = "a span got more than it may hold, the rest is left out and counted"
"""What is reported of each such span."""

METADATA, EVENTS, LINKS, VALUES = range(4)
"""What a cut is counted as: the fields of `SpanCut`."""
