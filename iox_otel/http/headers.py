"""The wire formats of trace context, as pure functions over header values.

`parse_…` raises `HeaderError` for a value that cannot be read; `format_…` writes what the parser of
the same format reads back. Values are text; bytes that were not UTF-8 come as the lone surrogates
of Python's "surrogateescape". Which of a request's headers count is the business of
`TraceHeaderParser`, in `iox_otel.http.parser`.
"""

from ._b3 import (
    B3_FLAGS_HEADER,
    B3_HEADER,
    B3_PARENT_SPAN_ID_HEADER,
    B3_SAMPLED_HEADER,
    B3_SPAN_ID_HEADER,
    B3_TRACE_ID_HEADER,
    format_b3_multi,
    format_b3_single,
    parse_b3_multi,
    parse_b3_single,
)
from ._decode import (
    HeaderDecodeError,
    HeaderEncodingError,
    HeaderError,
    HeaderNumberError,
    MissingHeaderError,
)
from ._jaeger import (
    JAEGER_DEBUG_HEADER,
    JAEGER_HEADER,
    MAX_DEBUG_ID_CHARS,
    format_jaeger_trace_context,
    parse_debug_id,
    parse_jaeger_trace_context,
)
from ._w3c import (
    MAX_TRACE_STATE_CHARS,
    MAX_TRACE_STATE_MEMBERS,
    TRACEPARENT_HEADER,
    TRACESTATE_HEADER,
    format_traceparent,
    format_tracestate,
    parse_traceparent,
    parse_tracestate,
)

__all__ = [
    "B3_FLAGS_HEADER",
    "B3_HEADER",
    "B3_PARENT_SPAN_ID_HEADER",
    "B3_SAMPLED_HEADER",
    "B3_SPAN_ID_HEADER",
    "B3_TRACE_ID_HEADER",
    "JAEGER_DEBUG_HEADER",
    "JAEGER_HEADER",
    "MAX_DEBUG_ID_CHARS",
    "MAX_TRACE_STATE_CHARS",
    "MAX_TRACE_STATE_MEMBERS",
    "TRACEPARENT_HEADER",
    "TRACESTATE_HEADER",
    "HeaderDecodeError",
    "HeaderEncodingError",
    "HeaderError",
    "HeaderNumberError",
    "MissingHeaderError",
    "format_b3_multi",
    "format_b3_single",
    "format_jaeger_trace_context",
    "format_traceparent",
    "format_tracestate",
    "parse_b3_multi",
    "parse_b3_single",
    "parse_debug_id",
    "parse_jaeger_trace_context",
    "parse_traceparent",
    "parse_tracestate",
]
