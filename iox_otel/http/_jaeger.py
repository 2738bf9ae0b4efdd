"""Jaeger's trace context header, `trace:span:parent:flags` in hexadecimal.

Sources: IOx `trace_http::ctx`; Jaeger's client libraries, "propagation format".
"""

from __future__ import annotations

import re

from iox_otel import SpanContext

from ._decode import (
    SPAN_ID_DIGITS,
    HeaderDecodeError,
    parse_hex,
    parse_span_id,
    parse_trace_id,
    remote_context,
)

JAEGER_HEADER = "uber-trace-id"
JAEGER_DEBUG_HEADER = "jaeger-debug-id"

MAX_DEBUG_ID_CHARS = 256

_SAMPLED = 1
_DEBUG = 2
_FLAG_DIGITS = 2
_PLAIN = re.compile(
    "([0-9a-fA-F]{1,32}):([0-9a-fA-F]{1,16}):([0-9a-fA-F]{1,16}):([0-9a-fA-F]{1,2})"
).fullmatch


def parse_jaeger_trace_context(value: str, *, header: str = JAEGER_HEADER) -> SpanContext:
    """Return the context that *value* of the header *header* writes.

    The colons may be URL-encoded. Parent 0 means no parent; the debug flag implies sampled.

    Raises:
        HeaderDecodeError: *value* is not four hexadecimal numbers of their sizes, or the trace or
            span id is zero.
    """
    trace_id, span_id, parent_span_id, flags = _numbers(value, header)
    debug = flags & _DEBUG != 0
    return remote_context(
        trace_id, span_id, parent_span_id or None, debug or flags & _SAMPLED != 0, debug
    )


def _numbers(value: str, header: str) -> tuple[int, int, int, int]:
    if found := _PLAIN(value):  # as nearly all are
        trace_id, span_id, parent_span_id, flags = found.groups()
        numbers = int(trace_id, 16), int(span_id, 16), int(parent_span_id, 16), int(flags, 16)
        if numbers[0] and numbers[1]:
            return numbers
    if "%" in value:
        value = value.replace("%3A", ":").replace("%3a", ":")
    parts = value.split(":", 4)  # at most one more than there may be, however many colons there are
    if len(parts) != 4:
        raise HeaderDecodeError(header, 'Expected "trace-id:span-id:parent-span-id:flags"')
    return (
        parse_trace_id(parts[0], header),
        parse_span_id(parts[1], header),
        parse_hex(parts[2], SPAN_ID_DIGITS, header),
        parse_hex(parts[3], _FLAG_DIGITS, header),
    )


def format_jaeger_trace_context(ctx: SpanContext) -> str:
    """Return *ctx* as the value of a Jaeger trace context header.

    Flags are 1 for a sampled context, 3 for a debug one, 0 for neither; parent 0 means none.
    """
    flags = _SAMPLED | _DEBUG if ctx.debug else int(ctx.sampled)
    return f"{ctx.trace_id:032x}:{ctx.span_id:016x}:{ctx.parent_span_id or 0:x}:{flags}"


def parse_debug_id(value: str) -> str:
    """Return the text of a debug header: any text will do, and its first 256 characters are kept.

    What was not UTF-8 becomes U+FFFD.
    """
    value = value[:MAX_DEBUG_ID_CHARS]
    if value.isascii():
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
