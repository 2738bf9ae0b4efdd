"""Trace context in HTTP requests: headers in and out, and the layer that opens a span a request."""

from .headers import HeaderError, format_jaeger_trace_context
from .layer import TraceLayer, request_log_context, span_context
from .parser import Extracted, HeaderParser, TraceHeaderParser
from .sampler import Sampler

__all__ = [
    "Extracted",
    "HeaderError",
    "HeaderParser",
    "Sampler",
    "TraceHeaderParser",
    "TraceLayer",
    "format_jaeger_trace_context",
    "request_log_context",
    "span_context",
]
