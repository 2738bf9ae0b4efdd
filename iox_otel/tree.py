"""The tree of a trace: who is whose child, how long each took, and all of it as plain text.

What draws traces (tests, the console exporter, the command line) starts here, from spans of any
origin: they are first made into `SpanRecord`, the native ones by `SpanRecord.of`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Generic, NamedTuple, Protocol, TypeVar

from iox_otel import Span, SpanEvent, SpanKind, SpanStatus

from ._values import metadata_of, text_of
from .display import escape, format_duration, format_metadata

MAX_DEPTH = 60
"""Deeper spans are indented no further, their depth is written out instead: else the text of a
chain of n spans would have n² characters."""


_KINDS = {kind: kind for kind in SpanKind}
_STATUSES = {status: status for status in SpanStatus}
"""A plain 2 in its place is as good as the member; what is none of them stands for none."""


class TreeSpan(Protocol):
    """What a span must have to get its place in a tree."""

    @property
    def trace_id(self) -> int: ...
    @property
    def span_id(self) -> int: ...
    @property
    def parent_span_id(self) -> int | None: ...
    @property
    def start_ns(self) -> int | None: ...
    @property
    def end_ns(self) -> int | None: ...


class SpanRecord(NamedTuple):
    """A span as it is shown, whoever recorded it: plain data that nobody changes any more."""

    trace_id: int
    span_id: int
    parent_span_id: int | None
    name: str
    start_ns: int | None = None
    """Unix time in nanoseconds; None if unknown."""
    end_ns: int | None = None
    """As start_ns; None if the span was never finished."""
    kind: SpanKind = SpanKind.INTERNAL
    status: SpanStatus = SpanStatus.UNKNOWN
    status_message: str | None = None
    metadata: Mapping[str, object] = {}
    events: Sequence[SpanEvent] = ()
    links: Sequence[tuple[int, int]] = ()
    """(trace id, span id) of the spans that this one follows from."""
    parent_is_remote: bool = False
    """True when the parent belongs to another process, so that its absence is no surprise."""
    service: str = ""

    @classmethod
    def of(cls, span: Span, *, service: str = "") -> SpanRecord:
        """Return the record of a native *span*; what is written to the span later is not in it.

        Names, keys, messages and values are made text or numbers as the methods of a span do it,
        also where the application has written to it directly.
        """
        ctx = span.ctx
        message = span.status_message
        return cls(
            trace_id=ctx.trace_id,
            span_id=ctx.span_id,
            parent_span_id=ctx.parent_span_id,
            name=text_of(span.name),
            start_ns=span.start_ns,
            end_ns=span.end_ns,
            kind=_KINDS.get(span.kind, SpanKind.INTERNAL),
            status=_STATUSES.get(span.status, SpanStatus.UNKNOWN),
            status_message=None if message is None else text_of(message),
            metadata=metadata_of(span.metadata.copy()),
            events=tuple(
                SpanEvent(event.msg, event.metadata.copy(), time_ns=event.time_ns)
                for event in span.events
            ),
            links=ctx.links,
            parent_is_remote=ctx.parent_is_remote,
            service=service,
        )

    @property
    def duration_ns(self) -> int | None:
        """The end minus the start, None unless both are known."""
        if self.start_ns is None or self.end_ns is None:
            return None
        return self.end_ns - self.start_ns


S = TypeVar("S", bound=TreeSpan)


class Place(Enum):
    """Why a span stands where it does."""

    ROOT = "root"
    """It has no parent."""
    CHILD = "child"
    ORPHAN = "orphan"
    """It names a parent that is not among the spans; it stands at the top."""
    CYCLE = "cycle"
    """It is its own ancestor; of such a ring, the span that starts first stands at the top."""


class Node(Generic[S]):
    """A span with the spans below it."""

    __slots__ = ("children", "is_duplicate", "place", "span")

    def __init__(self, span: S) -> None:
        self.span = span
        self.place = Place.ROOT
        self.children: list[Node[S]] = []
        """By start, then in order of arrival."""
        self.is_duplicate = False
        """True when an earlier span has the same id; that one has the children."""


def build_tree(spans: Iterable[S]) -> list[Node[S]]:
    """Return the top nodes of *spans*, by start, then in order of arrival.

    Takes spans in any order, of one trace or several. Each is in the result exactly once, whatever
    their ids say: orphans and rings get a root (see `Place`), duplicates of an id stand beside each
    other. Spans without a start are placed by their end, those without either come last. Takes
    time and memory in proportion to the number of spans, at any depth.
    """
    nodes = [Node(span) for span in spans]
    parents = _parents(nodes)
    _break_cycles(nodes, parents)
    roots: list[Node[S]] = []
    for index in sorted(range(len(nodes)), key=lambda index: (_start(nodes[index].span), index)):
        parent = parents[index]
        (roots if parent < 0 else nodes[parent].children).append(nodes[index])
    return roots


def _parents(nodes: Sequence[Node[S]]) -> list[int]:
    """Return for each node the index of its parent, or -1, and note its place."""
    index_of: dict[tuple[int, int], int] = {}
    for index, node in enumerate(nodes):
        first = index_of.setdefault((node.span.trace_id, node.span.span_id), index)
        node.is_duplicate = first != index
    parents = []
    for node in nodes:
        parent = -1
        if node.span.parent_span_id is not None:
            parent = index_of.get((node.span.trace_id, node.span.parent_span_id), -1)
            node.place = Place.ORPHAN if parent < 0 else Place.CHILD
        parents.append(parent)
    return parents


def _break_cycles(nodes: Sequence[Node[S]], parents: list[int]) -> None:
    """Make a root of one node of each ring, in *parents*."""
    unseen, on_path, done = 0, 1, 2
    state = bytearray(len(nodes))
    for start in range(len(nodes)):
        path = []
        index = start
        while index >= 0 and state[index] == unseen:
            state[index] = on_path
            path.append(index)
            index = parents[index]
        if index >= 0 and state[index] == on_path:
            ring = path[path.index(index) :]
            first = min(ring, key=lambda index: (_start(nodes[index].span), index))
            parents[first] = -1
            nodes[first].place = Place.CYCLE
        for index in path:
            state[index] = done


def _start(span: TreeSpan) -> tuple[bool, int]:
    """Return what spans are sorted by."""
    start_ns = span.end_ns if span.start_ns is None else span.start_ns
    return (True, 0) if start_ns is None else (False, start_ns)


class Row(NamedTuple, Generic[S]):
    """One line of a drawn tree."""

    node: Node[S]
    depth: int
    """0 for a root."""
    guide: str
    """What goes before the name: lines that lead to it from its parent."""
    guide_below: str
    """What goes before any further line about the same span."""


def draw_rows(
    roots: Iterable[Node[S]], *, max_depth: int = MAX_DEPTH, ascii_only: bool = False
) -> Iterator[Row[S]]:
    """Return the tree's spans from top to bottom, parents first, with the lines that join them.

    Spans deeper than *max_depth* are indented no further and carry their depth as a number.
    """
    tee, corner, bar = ("|-", "`-", "| ") if ascii_only else ("├╴", "└╴", "│ ")
    more = "..." if ascii_only else "⋯"
    stack = [(root, 0, "", "") for root in reversed(list(roots))]
    while stack:
        node, depth, guide, indent = stack.pop()
        is_cut = depth >= max_depth
        yield Row(node, depth, guide, indent + (bar if node.children and not is_cut else "  "))
        for place, child in enumerate(reversed(node.children)):
            is_last = place == 0
            if is_cut:
                stack.append((child, depth + 1, f"{indent}{more}{depth + 1} ", indent))
            else:
                child_guide = indent + (corner if is_last else tee)
                stack.append((child, depth + 1, child_guide, indent + ("  " if is_last else bar)))


def trace_text(spans: Iterable[SpanRecord], *, times: bool = False) -> str:
    """Return the tree of *spans* as plain text, one line a span or event, events under their span.

    A span reads `name [ok] key=value`, with `[error: message]` as the case may be; an event
    `* message key=value`. Control characters are escaped. Without *times* the text says nothing
    that differs from run to run (no times, no ids, no stack traces), so that a test can compare all
    of it; with them each span has its duration and its start within its trace.
    """
    lines = []
    begins: dict[int, int] = {}
    for row in draw_rows(build_tree(spans)):
        span = row.node.span
        if row.depth == 0 and span.start_ns is not None:
            begins.setdefault(span.trace_id, span.start_ns)
        begin_ns = begins.get(span.trace_id) if times else None
        indent = _indent(row.depth)
        lines.append(indent + _span_line(row.node, begin_ns, times))
        lines += [f"{indent}  {_event_line(event, begin_ns)}" for event in span.events]
    return "\n".join(lines)


def _indent(depth: int) -> str:
    return "  " * depth if depth <= MAX_DEPTH else "  " * MAX_DEPTH + f"[depth {depth}] "


def _span_line(node: Node[SpanRecord], begin_ns: int | None, times: bool) -> str:
    span = node.span
    parts = [escape(span.name)]
    if times:
        parts.append(_times(span, begin_ns))
    if span.status is not SpanStatus.UNKNOWN:
        status = "ok" if span.status is SpanStatus.OK else "error"
        message = f": {escape(span.status_message)}" if span.status_message else ""
        parts.append(f"[{status}{message}]")
    if span.metadata:
        parts.append(format_metadata(span.metadata))
    if node.place is Place.CYCLE:
        parts.append("(its own ancestor)")
    elif node.place is Place.ORPHAN and not span.parent_is_remote:
        parts.append("(parent missing)")
    if node.is_duplicate:
        parts.append("(span id seen before)")
    return " ".join(parts)


def _times(span: SpanRecord, begin_ns: int | None) -> str:
    duration_ns = span.duration_ns
    took = "unfinished" if duration_ns is None else format_duration(duration_ns)
    if span.start_ns is None or begin_ns is None or span.start_ns == begin_ns:
        return f"({took})"
    return f"({took} at {format_duration(span.start_ns - begin_ns, signed=True)})"


def _event_line(event: SpanEvent, begin_ns: int | None) -> str:
    at = ""
    if begin_ns is not None:
        at = f"{format_duration(event.time_ns - begin_ns, signed=True)} "
    metadata = {
        key: value for key, value in event.metadata.items() if key != "exception.stacktrace"
    }
    return " ".join(filter(None, (f"* {at}{escape(event.msg)}", format_metadata(metadata))))
