"""Log lines that name their trace: a filter for `logging`, a processor for structlog."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any, TypeVar

from iox_otel import SpanContext

Event = TypeVar("Event", bound=MutableMapping[str, Any])


class TraceContextFilter(logging.Filter):
    """Stamps each record with the trace that this task works for, sampled or not.

        handler.addFilter(TraceContextFilter())
        handler.setFormatter(logging.Formatter("%(levelname)s trace=%(trace_id)s %(message)s"))

    On a handler it sees all records, on a logger only that logger's own. `trace_id` has 32 hex
    digits, `span_id` 16, `sampled` is a bool; outside of any trace they are "", "" and False, so
    that a format may name them always. It refuses no record.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Stamp *record*; always True."""
        context = SpanContext.current()
        if context is None:
            record.trace_id, record.span_id, record.sampled = "", "", False
        else:
            record.trace_id = f"{context.trace_id:032x}"
            record.span_id = f"{context.span_id:016x}"
            record.sampled = context.sampled
        return True


def add_trace_context(logger: object, method: str, event: Event) -> Event:
    """Add `trace_id`, `span_id` and `sampled` to *event*; outside of any trace nothing.

        structlog.configure(processors=[add_trace_context, structlog.processors.JSONRenderer()])

    A processor of structlog's; what the caller has set under these names stays.
    """
    context = SpanContext.current()
    if context is not None:
        event.setdefault("trace_id", f"{context.trace_id:032x}")
        event.setdefault("span_id", f"{context.span_id:016x}")
        event.setdefault("sampled", context.sampled)
    return event
