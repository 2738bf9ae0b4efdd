"""A trace as a picture in the terminal: its tree, its durations and a waterfall, with rich.

All text of users goes into `rich.text.Text` objects, escaped: none of it is read as markup, none
reaches the terminal as a control sequence.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, OverflowMethod, RenderResult
from rich.text import Text

from iox_otel import SpanEvent, SpanStatus
from iox_otel.display import Window, escape, format_duration, format_value, waterfall_bar
from iox_otel.tree import Row, SpanRecord, build_tree, draw_rows

from .records import MAX_TEXT, slim, weight

MAX_LINES = 1_000
MAX_WIDTH = 160
"""A wider terminal is not filled: the eye loses the line between a name and its bar."""
_MIN_BAR = 8
_MIN_ROOM = 40
"""How wide lines are taken to be when their number is estimated."""
_GAP = "  "

_DIM = "bright_black"
_BAR_STYLES = ("cyan", "magenta", "green", "blue", "yellow")
"""One per service, in order of appearance."""
_ERROR = "red"


def render_trace(
    spans: Iterable[SpanRecord],
    *,
    width: int | None = None,
    max_lines: int = MAX_LINES,
    omitted: int = 0,
    note: str = "",
    parent_names: Mapping[int, str] = {},
) -> TraceView:
    """Return the spans of one trace as something that rich prints: `Console().print(it)`.

    A line of title, then a line for each span: its name in its place in the tree, its duration, a
    bar to the scale of the trace. Under it, where there are any, a failure's message (of an
    exception that passed through several spans only the first says it), the metadata (short values
    first, two lines at most), and the messages of its events, all cut to the width.

    Args:
        spans: of one trace, in any order, see `records.record_of`.
        width: cells to a line; what the console has if None, but at most MAX_WIDTH.
        max_lines: of a larger trace only so much is shown, roots, failures and the longest spans
            first, and the number of the others.
        omitted: how many more spans the trace has than are given.
        note: a remark for the title.
        parent_names: span id to name of spans that are not given, since they were shown before;
            their children appear under that name.
    """
    return TraceView(list(spans), width, max_lines, omitted, note, parent_names)


class TraceView:
    """What `render_trace` returns; laid out anew for each console that prints it."""

    def __init__(
        self,
        spans: Sequence[SpanRecord],
        width: int | None,
        max_lines: int,
        omitted: int,
        note: str,
        parent_names: Mapping[int, str],
    ) -> None:
        self._spans = [slim(span) for span in _choose(spans, max_lines)]
        self._width = width
        self._omitted = omitted + len(spans) - len(self._spans)
        self._count = omitted + len(spans)
        self._failures = sum(span.status is SpanStatus.ERR for span in spans)
        self._note = note
        self._parent_names = parent_names

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self._spans:
            return
        width = max(1, min(options.max_width, self._width or MAX_WIDTH))
        for line in self._lines(width, ascii_only=options.ascii_only):
            line.no_wrap = True
            line.overflow = "crop"
            line.rstrip()
            line.truncate(width, overflow=_cut(options.ascii_only))
            yield line

    def _lines(self, width: int, *, ascii_only: bool) -> Iterator[Text]:
        shown = {(span.trace_id, span.span_id) for span in self._spans}
        trace_id = self._spans[0].trace_id
        earlier = [
            SpanRecord(trace_id, span_id, None, name)
            for span_id, name in self._parent_names.items()
            if (trace_id, span_id) not in shown
        ]
        roots = build_tree([*earlier, *self._spans])
        rows = list(draw_rows(roots, max_depth=max(1, width // 6), ascii_only=ascii_only))
        layout = _Layout(rows, Window.of(self._spans), width, ascii_only)
        yield self._title(layout.services, width, ascii_only)
        earlier_ids = {span.span_id for span in earlier}
        for row in rows:
            if row.node.span.span_id in earlier_ids:
                yield Text(f"{row.guide}{_shown(row.node.span.name)} (shown before)", _DIM)
            else:
                yield from layout.lines_of(row)
        if self._omitted:
            more = "..." if ascii_only else "…"
            yield Text(f"{more} and {_counted(self._omitted, 'more span')}", _DIM)

    def _title(self, services: Sequence[str], width: int, ascii_only: bool) -> Text:
        """Return a rule with the trace's id and as many of the other facts as there is room for."""
        line = "-" if ascii_only else "─"
        trace_id = f"{self._spans[0].trace_id:032x}"
        label = "trace " if width >= 44 else ""
        title = Text.assemble((f"{line * 2} {label}", _DIM), (trace_id, "bold"))
        facts = [
            (", ".join(_shown(service) for service in services), _BAR_STYLES[0]),
            (self._note, "yellow"),
            (_counted(self._failures, "error") if self._failures else "", _ERROR),
            (_counted(self._count, "span"), _DIM),
        ]
        for fact, style in facts:
            if fact and title.cell_len + 4 + cell_len(fact) <= width:
                title.append(f" {line} ", _DIM).append(fact, style)
        return title.append(f" {line * max(0, width - title.cell_len - 1)}", _DIM)


class _Layout:
    """Where the columns of one trace begin: names, durations, bars."""

    def __init__(
        self, rows: Sequence[Row[SpanRecord]], window: Window, width: int, ascii_only: bool
    ) -> None:
        self._window = window
        self._width = width
        self._ascii_only = ascii_only
        self.services = list(dict.fromkeys(row.node.span.service for row in rows))
        if "" in self.services:
            self.services.remove("")
        spans = [row.node.span for row in rows]
        self._duration_width = max((cell_len(self._duration(span)) for span in spans), default=0)
        longest = max((self._name(row).cell_len for row in rows), default=0)
        room = width - self._duration_width - 2 * len(_GAP)
        name_room = min(longest, max(room * 2 // 3, room - 60))
        if room - name_room < _MIN_BAR:  # no room for bars: names and durations only
            name_room = max(1, min(longest, width - self._duration_width - len(_GAP)))
            self._bar_width = 0
        else:
            self._bar_width = room - name_room
        self._name_width = name_room

    def lines_of(self, row: Row[SpanRecord]) -> Iterator[Text]:
        """Return the line of a span, and those about it."""
        span = row.node.span
        style = _ERROR if span.status is SpanStatus.ERR else self._style(span)
        name = self._name(row)
        name.truncate(self._name_width, overflow=_cut(self._ascii_only), pad=True)
        bar = waterfall_bar(span, self._window, self._bar_width, ascii_only=self._ascii_only)
        took = f"{_GAP}{self._duration(span).rjust(self._duration_width)}{_GAP}"
        yield Text.assemble(name, (took, "yellow"), (bar, style))
        room = self._width - len(row.guide_below)
        for text, text_style in _remarks(span, room, ascii_only=self._ascii_only):
            if text_style == _ERROR and _is_passed_on(row, text):
                continue
            yield Text.assemble((row.guide_below, _DIM), (text, text_style))

    def _name(self, row: Row[SpanRecord]) -> Text:
        """Return the name in its place; a failure is marked, for those who see no colours."""
        span = row.node.span
        name = Text().append(row.guide, _DIM)
        if span.status is SpanStatus.ERR:
            name.append("! " if self._ascii_only else "✗ ", "bold red")
            name.append(_shown(span.name), "bold red")
        else:
            name.append(_shown(span.name), "" if row.depth else "bold")
        if len(self.services) > 1 and span.service:
            name.append(f" {_shown(span.service)}", self._style(span))
        return name

    def _duration(self, span: SpanRecord) -> str:
        if span.duration_ns is None:
            return "?"
        duration = format_duration(span.duration_ns)
        return duration.replace("µ", "u") if self._ascii_only else duration

    def _style(self, span: SpanRecord) -> str:
        place = self.services.index(span.service) if span.service else 0
        return _BAR_STYLES[place % len(_BAR_STYLES)]


def _choose(spans: Sequence[SpanRecord], max_lines: int) -> Sequence[SpanRecord]:
    """Return as many of *spans* as fit into *max_lines*, the weightiest, in their order."""
    if len(spans) * 4 <= max_lines:
        return spans
    order = heapq.nlargest(max_lines, range(len(spans)), key=lambda index: weight(spans[index]))
    chosen: list[int] = []
    lines = 0
    for index in order:
        lines += 1 + sum(1 for _ in _remarks(spans[index], _MIN_ROOM))
        if chosen and lines > max_lines:
            break
        chosen.append(index)
    return [spans[index] for index in sorted(chosen)]


def _remarks(span: SpanRecord, room: int, *, ascii_only: bool = False) -> Iterator[tuple[str, str]]:
    """Return the lines under a span's own, each with its style."""
    failure = _failure(span)
    if failure:
        yield failure, _ERROR
    for line in _metadata(span.metadata, room):
        yield line, _DIM
    events = _events(span, ascii_only)
    if events:
        yield events, f"italic {_DIM}"


def _failure(span: SpanRecord) -> str:
    """Return the exceptions of a span, and its status message unless they say it already."""
    exceptions = [_exception(event) for event in span.events if event.msg == "exception"]
    message = _shown(span.status_message or "") if span.status is SpanStatus.ERR else ""
    if message and not any(message in exception for exception in exceptions):
        exceptions.insert(0, message)
    return "; ".join(exceptions)


def _is_passed_on(row: Row[SpanRecord], failure: str) -> bool:
    """Return whether a span below says the same: an exception is told where it came from."""
    return any(
        child.span.status is SpanStatus.ERR and _failure(child.span) == failure
        for child in row.node.children
    )


def _exception(event: SpanEvent) -> str:
    kind = str(event.metadata.get("exception.type", "exception"))
    kind = _shown(kind.rpartition(".")[2] or kind)
    message = _shown(str(event.metadata.get("exception.message", "")))
    return f"{kind}: {message}" if message else kind


def _metadata(metadata: Mapping[str, object], room: int) -> list[str]:
    """Return metadata as `key=value`, what is short first, on two lines if it does not fit on one.

    What is long comes last and is cut off with the line.
    """
    pairs = [f"{_shown(key)}={format_value(value)}" for key, value in metadata.items()]
    lines: list[str] = []
    for pair in sorted(pairs, key=_is_long):
        if not lines:
            lines.append(pair)
        elif _is_long(pair) or len(lines) == 2 or cell_len(f"{lines[-1]} {pair}") <= room:
            lines[-1] += f" {pair}"
        else:
            lines.append(pair)
    return lines


def _is_long(pair: str) -> bool:
    return len(pair) > 40


def _events(span: SpanRecord, ascii_only: bool) -> str:
    """Return the messages of events that say something new, repeated ones once."""
    counts: dict[str, int] = {}
    said = ("exception", span.status_message if span.status is SpanStatus.ERR else None)
    for event in span.events:
        if event.msg not in said:
            counts[event.msg] = counts.get(event.msg, 0) + 1
    separator, times = (" | ", "x") if ascii_only else (" · ", "×")
    return separator.join(
        _shown(msg) + (f" {times}{count}" if count > 1 else "") for msg, count in counts.items()
    )


def _shown(text: str) -> str:
    return escape(text[:MAX_TEXT])


def _cut(ascii_only: bool) -> OverflowMethod:
    """Return how a line too long ends; the ellipsis that rich writes is no ASCII."""
    return "crop" if ascii_only else "ellipsis"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
