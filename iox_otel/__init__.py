"""Distributed tracing in the form InfluxDB IOx gave it: a span model that costs almost nothing.

This package and `iox_otel.http` need the standard library only. `iox_otel_bridge` sends the spans
on, as Jaeger UDP, as OTLP or to the terminal.
"""

from ._collector import (
    FanOutTraceCollector,
    LogTraceCollector,
    RingBufferTraceCollector,
    TraceCollector,
)
from ._context import SpanContext
from ._current import current, in_context
from ._limits import SpanCut, SpanLimits, set_span_limits, span_limits, spans_cut
from ._recorder import SpanRecorder
from ._report import failures
from ._span import Span
from ._traced import traced
from ._values import MetaValue, SpanEvent, SpanKind, SpanStatus

__all__ = [
    "FanOutTraceCollector",
    "LogTraceCollector",
    "MetaValue",
    "RingBufferTraceCollector",
    "Span",
    "SpanContext",
    "SpanCut",
    "SpanEvent",
    "SpanKind",
    "SpanLimits",
    "SpanRecorder",
    "SpanStatus",
    "TraceCollector",
    "current",
    "failures",
    "in_context",
    "set_span_limits",
    "span_limits",
    "spans_cut",
    "traced",
]
