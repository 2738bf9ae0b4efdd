"""What this task is doing right now, as far as tracing is concerned."""

from __future__ import annotations

from contextvars import ContextVar

current: ContextVar[object] = ContextVar("iox_otel_current", default=None)
"""The live `Span` of this task, else the incoming `SpanContext`, sampled or not, else None.

Set by `TraceLayer` for a request and by `with SpanRecorder(...)` for a block. It also holds an
unsampled incoming context, so that other instrumentation does not start new roots beneath it.
"""
