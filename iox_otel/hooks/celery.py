"""Hooks into Celery: tasks belong to the trace of whoever sends them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import Task, signals

from iox_otel import SpanContext, SpanKind, SpanRecorder, SpanStatus, TraceCollector
from iox_otel._report import report
from iox_otel.http import HeaderError, HeaderParser, TraceHeaderParser
from iox_otel.http.client import trace_headers

_FLUSH_S = 2.0
_RECORDER = "_iox_otel_recorder"
"""Under this a task's request keeps the recorder of its span."""
_FAILED = "a task could not be traced"


class TracedTasks:
    """Has a span for each task that is sent from within a trace, and sends the trace along.

        TracedTasks(tracing.collector, tracing.header_parser)     # in the module that has the tasks

    The context that is current where a task is sent goes into its headers. Where it runs, its span
    (kind CONSUMER, called by the task's name) is a child of that, and is current: code finds it by
    `SpanContext.current`. A retry is a span of its own. A worker's process delivers what it has
    before it ends. Needed in both programs, the one that sends and the one that runs; nothing is
    ever raised into either.

    Args:
        collector: takes the spans; None records nothing, but passes contexts on.
        header_parser: reads the headers; `TraceHeaderParser()` if not given.
    """

    def __init__(
        self, collector: TraceCollector | None, header_parser: HeaderParser | None = None
    ) -> None:
        self._collector = collector
        self._parser = TraceHeaderParser() if header_parser is None else header_parser
        # Celery refers to bound methods weakly unless told otherwise, and nobody keeps this object.
        signals.before_task_publish.connect(self._send, weak=False)
        signals.task_prerun.connect(self._begin, weak=False)
        signals.task_postrun.connect(self._end, weak=False)
        signals.worker_process_shutdown.connect(self._flush, weak=False)

    def _send(self, headers: dict[str, Any] | None = None, **_: object) -> None:
        context = SpanContext.current()
        if context is not None and headers is not None:
            try:
                headers.update(trace_headers(context))
            except Exception:
                report(_FAILED)

    def _begin(self, task: Task, task_id: str, **_: object) -> None:
        try:
            context = self._context_of(task.request.headers or {})
            if context is None:
                return
            recorder = context.recorder(task.name)
            if recorder.span is not None:
                recorder.span.kind = SpanKind.CONSUMER
                recorder.set_metadata("messaging.system", "celery")
                recorder.set_metadata("messaging.message.id", task_id)
                recorder.set_metadata("celery.retries", task.request.retries)
            recorder.__enter__()
            setattr(task.request, _RECORDER, recorder)
        except Exception:
            report(_FAILED)

    def _context_of(self, headers: Mapping[str, Any]) -> SpanContext | None:
        pairs = [
            (name.lower().encode(), value.encode())
            for name, value in headers.items()
            if isinstance(value, str)
        ]
        try:
            found = self._parser.parse(pairs)
        except HeaderError as error:
            report("error extracting trace context from a task", error)
            return None
        if found is None or found.context is None:
            return None
        found.context.collector = self._collector
        return found.context

    def _end(self, task: Task, retval: object, state: str | None, **_: object) -> None:
        recorder: SpanRecorder | None = getattr(task.request, _RECORDER, None)
        if recorder is None:
            return
        try:
            delattr(task.request, _RECORDER)
            recorder.set_metadata("celery.state", state)
            if isinstance(retval, BaseException):
                recorder.exception(retval)
            elif state == "SUCCESS":
                recorder.status(SpanStatus.OK)
        except Exception:
            report(_FAILED)
        finally:
            recorder.__exit__(None, None, None)

    def _flush(self, **_: object) -> None:
        """Deliver what is queued: a worker's process ends without the usual clean-up."""
        flush = getattr(self._collector, "force_flush", None)
        if flush is not None:
            flush(timeout_s=_FLUSH_S)
