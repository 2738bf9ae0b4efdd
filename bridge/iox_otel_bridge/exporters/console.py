"""ConsoleSender: spans to standard output, as trees for people or as JSON lines for programs."""

from __future__ import annotations

import io
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, TextIO

from opentelemetry.sdk.resources import Resource
from rich.console import Console

from iox_otel import SpanEvent
from iox_otel.tree import SpanRecord
from iox_otel_bridge.records import record_of, slim
from iox_otel_bridge.render import TraceView, render_trace
from iox_otel_bridge.sender import AnySpan, Batch, Outcome, Pipeline, Sender, Verdict

from .held import FinishedTrace, HeldTraces, byte_count_of
from .jsonlines import json_line, record_line
from .stream import StreamWriter

ConsoleFormat = Literal["auto", "tree", "json"]
_FORMATS = ("auto", "tree", "json")

_MAX_BATCH_BYTES = 256 << 10
_IDLE_WRITE_S = 0.2
_CLOSE_S = 1.0

_logger = logging.getLogger("iox_otel")
_DELIVERED = Outcome(Verdict.DELIVERED)


class ConsoleSender(Sender):
    """Writes spans to *stream*: see `render.render_trace` for trees, `jsonlines` for JSON.

    As a tree, a trace is held back until its local root has ended (see `HeldTraces`); its spans
    count as delivered from the moment they are held. `flush` and `close` write all that is held,
    and `flush` says whether that succeeded, and whether all was written that was held before.
    Very large traces are shown in part, with the number of what is not (`MAX_SPANS_PER_TRACE`,
    `render.MAX_LINES`).

    A stream that is closed, broken or full fails the batch (FATAL); one that is not being read
    makes it wait (RETRY). Nothing raises, and nothing blocks beyond its time.

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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if format not in _FORMATS:
            raise ValueError(f"format must be one of {', '.join(_FORMATS)}, got {format!r}")
        self._resource = resource
        self._format = format
        self._clock = clock
        self._writer = StreamWriter(stream)
        self._held = HeldTraces()
        self._pending_count = 0
        self._lost = 0
        self._is_broken = False
        self._is_reported = False
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
        self._after_fork()
        deadline_s = self._clock() + timeout_s
        try:
            if not self._drain(timeout_s):
                return Outcome(Verdict.RETRY, detail="standard output is not being read")
            if isinstance(batch.payload, str):
                self._write(batch.payload, batch.span_count, deadline_s)
            else:
                self._hold(batch.payload, deadline_s)  # type: ignore[arg-type]  # made by encode
        except Exception as exc:
            self._give_up()
            if not isinstance(batch.payload, str):
                self._lost = max(0, self._lost - batch.span_count)  # the caller counts these
            return Outcome(Verdict.FATAL, detail=f"cannot write to standard output: {exc}")
        return _DELIVERED

    def flush(self, timeout_s: float) -> bool:
        """Write all that is held, finished or not.

        True if that succeeded, and nothing that was held since the last flush has been lost.
        """
        self._after_fork()
        deadline_s = self._clock() + timeout_s
        try:
            if self._drain(timeout_s):
                self._show(self._held.take_all(), deadline_s)
        except Exception as exc:
            self._give_up()
            self._report(exc)
        lost, self._lost = self._lost, 0
        return not (lost or self._writer.pending or self._held.span_count)

    def idle(self) -> float | None:
        """Write the traces that are due; return in how many seconds the next one will be."""
        self._after_fork()
        now_s = self._clock()
        try:
            if self._drain(_IDLE_WRITE_S):
                self._show(self._held.take_due(now_s), now_s + _IDLE_WRITE_S)
        except Exception as exc:
            self._give_up()
            self._report(exc)
        return _IDLE_WRITE_S if self._writer.pending else self._held.next_due_s(now_s)

    def bind(self, pipeline: Pipeline) -> None:
        """Let *pipeline* go on while a write waits for somebody to read."""
        self._writer.meanwhile = pipeline.meanwhile

    def interrupt(self) -> None:
        """Make a write to a pipe that nobody reads return soon."""
        self._writer.interrupt()

    def close(self) -> None:
        """Write all that is held, in a second at most; what cannot be written is logged as lost."""
        if not self.flush(_CLOSE_S):
            lost = self._held.span_count + self._pending_count
            if lost:
                _logger.warning("standard output is not being read, spans lost: %d", lost)
        self._forget()

    def _hold(self, records: Sequence[SpanRecord], deadline_s: float) -> None:
        now_s = self._clock()
        self._held.add(records, now_s)
        # Once the stream has failed, it is tried with every batch, so that losses are counted.
        due = self._held.take_all() if self._is_broken else self._held.take_due(now_s)
        self._show(due, deadline_s)

    def _show(self, traces: Sequence[FinishedTrace], deadline_s: float) -> None:
        """Write *traces* as trees. Raises what the stream raises; the rest of them is lost then."""
        for place, trace in enumerate(traces):
            try:
                text = self._drawn(trace, self._writer.stream())
                self._write(text, trace.span_count, deadline_s)
            except Exception:
                self._lost += sum(lost.span_count for lost in traces[place:])
                raise

    def _drawn(self, trace: FinishedTrace, stream: TextIO) -> str:
        """Return *trace* as text; one that cannot be drawn is lost, says so, and costs no other."""
        try:
            view = render_trace(
                trace.spans,
                omitted=trace.omitted,
                note=_note(trace),
                parent_names=trace.parent_names,
            )
            return _rendered(view, stream)
        except Exception as exc:
            self._lost += trace.span_count
            return f"a trace cannot be drawn ({type(exc).__name__}), spans: {trace.span_count}\n"

    def _write(self, text: str, span_count: int, deadline_s: float) -> None:
        self._writer.write(text, max(0.0, deadline_s - self._clock()))
        self._pending_count = self._pending_count + span_count if self._writer.pending else 0
        self._is_broken = self._is_reported = False

    def _drain(self, timeout_s: float) -> bool:
        """Write what the last write left over; True if nothing is."""
        if not self._writer.drain(timeout_s):
            return False
        self._pending_count = 0
        return True

    def _give_up(self) -> None:
        """Drop all that is held: the stream has failed."""
        self._lost += self._held.span_count + self._pending_count
        self._forget()
        self._is_broken = True

    def _report(self, exc: Exception) -> None:
        """Log a failure that no outcome tells of, once until it works again."""
        if not self._is_reported:
            self._is_reported = True
            _logger.warning("cannot write to standard output (%s), spans lost: %d", exc, self._lost)

    def _forget(self) -> None:
        self._held.forget()
        self._writer.forget()
        self._pending_count = 0

    def _after_fork(self) -> None:
        """In a forked child, forget what is held: it is the parent's to write."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._forget()


def _unreadable(span: AnySpan) -> SpanRecord:
    return SpanRecord(0, 0, None, f"<unreadable {type(span).__name__}>")


def _note(trace: FinishedTrace) -> str:
    if not trace.is_complete:
        return "incomplete"
    return "late" if trace.parent_names else ""


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
