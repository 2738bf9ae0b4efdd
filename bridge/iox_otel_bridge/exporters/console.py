"""ConsoleSender: spans to standard output, as trees for people or as JSON lines for programs."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, TextIO

from opentelemetry.sdk.resources import Resource
from rich.console import Console

from iox_otel import SpanEvent
from iox_otel.tree import SpanRecord
from iox_otel_bridge.clock import monotonic_s
from iox_otel_bridge.records import record_of, slim
from iox_otel_bridge.render import TraceView, render_trace
from iox_otel_bridge.sender import AnySpan, Batch, Outcome, Pipeline, Sender, Verdict

from .held import FinishedTrace, HeldTraces, byte_count_of
from .jsonlines import json_line, record_line
from .stream import StreamWriter

ConsoleFormat = Literal["auto", "tree", "json"]
_FORMATS = ("auto", "tree", "json")

_MAX_BATCH_BYTES = 16 << 10
"""Small, so that a slow reader is seen to take something."""
_IDLE_WRITE_S = 0.2

_logger = logging.getLogger("iox_otel")
_HELD = Outcome(Verdict.HELD)


class ConsoleSender(Sender):
    """Writes spans to *stream*: see `render.render_trace` for trees, `jsonlines` for JSON.

    As a tree, a trace is held back until its local root has ended (see `HeldTraces`), or `flush`
    is called. All spans are HELD until they are written to the last byte, and settled then. Very
    large traces are shown in part, with the number of what is not (`MAX_SPANS_PER_TRACE`,
    `render.MAX_LINES`); that counts as written.

    A stream that is closed, broken or full fails all that is held; one that is not being read makes
    the next batch wait (RETRY). Nothing raises, and nothing blocks beyond its time.

    Args:
        resource: of native spans.
        format: "auto" is trees on a terminal, JSON lines elsewhere; decided anew for each batch.
        stream: None is what `sys.stdout` is at the time of writing.
        clock: seconds that only go forward.

    Raises:
        ValueError: there is no such format.
    """

    def __init__(
        self,
        *,
        resource: Resource,
        format: ConsoleFormat = "auto",
        stream: TextIO | None = None,
        clock: Callable[[], float] = monotonic_s,
    ) -> None:
        if format not in _FORMATS:
            raise ValueError(f"format must be one of {', '.join(_FORMATS)}, got {format!r}")
        self._resource = resource
        self._format = format
        self._clock = clock
        self._writer = StreamWriter(stream)
        self._held = HeldTraces()
        self._pipeline: Pipeline | None = None
        # Where in the output each text ends that has yet to be written, and its number of spans.
        self._unwritten: deque[tuple[int, int]] = deque()
        self._is_broken = False
        self._is_reported = False
        self._is_interrupted = False
        self._pid = os.getpid()

    def encode(self, spans: Sequence[AnySpan]) -> Iterable[Batch]:
        """Turn *spans* into text (JSON), or into records to be held."""
        is_tree = self._format == "tree" or (self._format == "auto" and self._writer.is_terminal())
        return self._records(spans) if is_tree else self._lines(spans)

    def _records(self, spans: Sequence[AnySpan]) -> Iterator[Batch]:
        records = tuple(self._record(span) for span in spans)
        if records:
            yield Batch(records, len(records), sum(map(byte_count_of, records)))

    def _record(self, span: AnySpan) -> SpanRecord:
        try:
            return slim(record_of(span, self._resource))
        except Exception:  # a span class of somebody's that cannot be read
            return _unreadable(span)

    def _lines(self, spans: Sequence[AnySpan]) -> Iterator[Batch]:
        lines: list[str] = []
        size = 0
        for span in spans:
            line = self._line(span)
            lines.append(line)
            size += len(line.encode()) + 1
            if size >= _MAX_BATCH_BYTES:
                yield Batch("\n".join((*lines, "")), len(lines), size)
                lines, size = [], 0
        if lines:
            yield Batch("\n".join((*lines, "")), len(lines), size)

    def _line(self, span: AnySpan) -> str:
        try:
            return json_line(span, self._resource)
        except Exception:
            return record_line(_unreadable(span), self._resource)

    def send(self, batch: Batch, timeout_s: float) -> Outcome:
        """Write *batch*, or hold its spans and write the traces that are due."""
        self._begin()
        deadline_s = self._clock() + timeout_s
        try:
            if not self._drain(timeout_s):
                return Outcome(Verdict.RETRY, detail="standard output is not being read")
            if isinstance(batch.payload, str):
                self._write(batch.payload, batch.span_count, deadline_s)
                return _HELD
        except Exception as exc:
            self._give_up()
            return Outcome(Verdict.FATAL, detail=f"cannot write to standard output: {exc}")
        self._hold(batch.payload, deadline_s)  # type: ignore[arg-type]  # made by encode
        return _HELD

    def flush(self, timeout_s: float) -> bool:
        """Write all that is held, finished or not. True if nothing is left, written or lost."""
        self._begin()
        deadline_s = self._clock() + timeout_s
        with self._contained():
            if self._drain(timeout_s):
                self._show(self._held.take_all(), deadline_s)
        return not (self._unwritten or self._held.span_count)

    def idle(self) -> float | None:
        """Write the traces that are due; return in how many seconds the next one will be."""
        self._begin()
        now_s = self._clock()
        with self._contained():
            if self._drain(_IDLE_WRITE_S):
                self._show(self._held.take_due(now_s), now_s + _IDLE_WRITE_S)
        return _IDLE_WRITE_S if self._writer.pending else self._held.next_due_s(now_s)

    def bind(self, pipeline: Pipeline) -> None:
        """Settle spans with *pipeline*, and let it go on while a write waits for a reader."""
        self._pipeline = pipeline
        self._writer.meanwhile = pipeline.meanwhile

    def interrupt(self) -> None:
        """Make a write to a pipe that nobody reads return soon; nothing more is drawn either."""
        self._is_interrupted = True
        self._writer.interrupt()

    def close(self) -> None:
        """Let go of all that is held: whatever `flush` could not write in time is lost."""
        self._forget()

    def _hold(self, records: Sequence[SpanRecord], deadline_s: float) -> None:
        now_s = self._clock()
        self._held.add(records, now_s)
        # Once the stream has failed, it is tried with every batch, so that losses are counted.
        due = self._held.take_all() if self._is_broken else self._held.take_due(now_s)
        with self._contained():
            self._show(due, deadline_s)

    def _show(self, traces: Sequence[FinishedTrace], deadline_s: float) -> None:
        """Write *traces* as trees. Raises what the stream raises; the rest of them is lost then."""
        for place, trace in enumerate(traces):
            if self._is_interrupted:  # at the end: they are counted, and `close` comes next
                self._lose(traces[place:])
                return
            try:
                text, is_drawn = _drawn(trace, self._writer.stream())
                self._write(text, trace.span_count if is_drawn else 0, deadline_s)
            except Exception:
                self._lose(traces[place:])
                raise
            if not is_drawn:
                self._settle(0, trace.span_count)

    def _lose(self, traces: Sequence[FinishedTrace]) -> None:
        """Note that *traces* will not be written; `_give_up` or the pipeline's end counts them."""
        self._unwritten.append((sys.maxsize, sum(trace.span_count for trace in traces)))

    def _write(self, text: str, span_count: int, deadline_s: float) -> None:
        self._writer.write(text, max(0.0, deadline_s - self._clock()))
        self._unwritten.append((self._writer.accepted_bytes, span_count))
        self._settle_written()
        self._is_broken = self._is_reported = False

    def _drain(self, timeout_s: float) -> bool:
        """Write what the last write left over; True if nothing is."""
        is_empty = self._writer.drain(timeout_s)
        self._settle_written()
        return is_empty

    def _settle_written(self) -> None:
        span_count = 0
        while self._unwritten and self._unwritten[0][0] <= self._writer.written_bytes:
            span_count += self._unwritten.popleft()[1]
        self._settle(span_count, 0)

    def _settle(self, delivered: int, failed: int) -> None:
        if self._pipeline is not None and delivered + failed:
            self._pipeline.settle(delivered, failed)

    @contextmanager
    def _contained(self) -> Iterator[None]:
        """Lose all that is held if the stream fails in the block; say so once until it works."""
        try:
            yield
        except Exception as exc:
            lost = self._give_up()
            if not self._is_reported:
                self._is_reported = True
                _logger.warning("cannot write to standard output (%s), spans lost: %d", exc, lost)

    def _give_up(self) -> int:
        """Drop all that is held, the stream having failed; return how many spans that were."""
        self._settle_written()  # before it failed
        lost = self._held.span_count + sum(count for _, count in self._unwritten)
        self._settle(0, lost)
        self._forget()
        self._is_broken = True
        return lost

    def _forget(self) -> None:
        self._held.forget()
        self._writer.forget()
        self._unwritten.clear()

    def _begin(self) -> None:
        """Forget an old interrupt, and in a forked child what is the parent's to write."""
        self._is_interrupted = False
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._forget()


def _unreadable(span: AnySpan) -> SpanRecord:
    return SpanRecord(0, 0, None, f"<unreadable {type(span).__name__}>")


def _note(trace: FinishedTrace) -> str:
    if not trace.is_complete:
        return "incomplete"
    return "late" if trace.parent_names else ""


def _drawn(trace: FinishedTrace, stream: TextIO) -> tuple[str, bool]:
    """Return *trace* as text, and whether it could be drawn; if not, the text says so."""
    try:
        view = render_trace(
            trace.spans,
            omitted=trace.omitted,
            note=_note(trace),
            parent_names=trace.parent_names,
        )
        return _rendered(view, stream), True
    except Exception as exc:
        text = f"a trace cannot be drawn ({type(exc).__name__}), spans: {trace.span_count}\n"
        return text, False


def _rendered(view: TraceView, stream: TextIO) -> str:
    """Return *view* as text with colours or without, in the width, as *stream* has it."""
    console = Console(file=stream, emoji=False, markup=False, highlight=False)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def _warm_up() -> None:
    """Render once: rich imports much at its first use, which must not happen on the worker.

    (An import under way on a thread is stuck for ever in a forked child, and late in the
    interpreter's exit it fails.)
    """
    for encoding in ("utf-8", "ascii"):
        stream = io.TextIOWrapper(io.BytesIO(), encoding)
        event = SpanEvent("exception", {"exception.message": "x"}, time_ns=0)
        record = SpanRecord(
            1, 1, None, "表👩\u200d💻" * 40, 0, 1, metadata={"a": 1}, events=(event,)
        )
        for force_terminal in (True, False):
            console = Console(file=stream, force_terminal=force_terminal)
            with console.capture():
                console.print(render_trace([record]))


_warm_up()
