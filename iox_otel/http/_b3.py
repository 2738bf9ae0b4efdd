"""B3, Zipkin's trace context: several headers, or one.

Sources: IOx `trace_http::ctx` for several headers; openzipkin/b3-propagation for one.
"""

from __future__ import annotations

from iox_otel import SpanContext

from ._decode import (
    HeaderDecodeError,
    MissingHeaderError,
    parse_span_id,
    parse_trace_id,
    remote_context,
)

B3_HEADER = "b3"
B3_TRACE_ID_HEADER = "X-B3-TraceId"
B3_SPAN_ID_HEADER = "X-B3-SpanId"
B3_PARENT_SPAN_ID_HEADER = "X-B3-ParentSpanId"
B3_SAMPLED_HEADER = "X-B3-Sampled"
B3_FLAGS_HEADER = "X-B3-Flags"

_DENY, _ACCEPT, _DEBUG = "0", "1", "d"
_STATES = (_DENY, _ACCEPT, _DEBUG)


def parse_b3_multi(
    trace_id: str,
    span_id: str | None,
    *,
    parent_span_id: str | None = None,
    sampled: str | None = None,
    flags: str | None = None,
) -> SpanContext:
    """Return the context that the values of the X-B3 headers write; None is a header not there.

    Sampled only where X-B3-Sampled says `1` or `true`, or X-B3-Flags says `1`, which is debug. No
    other value of these two is an error, as in IOx.

    Raises:
        MissingHeaderError: there is no X-B3-SpanId.
        HeaderDecodeError: an id is zero, the parent's too, or no hexadecimal number of its size.
    """
    trace = parse_trace_id(trace_id, B3_TRACE_ID_HEADER)
    parent = None
    if parent_span_id is not None:
        parent = parse_span_id(parent_span_id, B3_PARENT_SPAN_ID_HEADER)
    if span_id is None:
        raise MissingHeaderError(B3_SPAN_ID_HEADER)
    span = parse_span_id(span_id, B3_SPAN_ID_HEADER)
    debug = flags == "1"
    return remote_context(trace, span, parent, debug or sampled in ("1", "true"), debug)


def format_b3_multi(ctx: SpanContext) -> dict[str, str]:
    """Return *ctx* as X-B3 headers, by name. A debug context has X-B3-Flags instead of a sampling
    decision, as B3 wants it.
    """
    headers = {
        B3_TRACE_ID_HEADER: f"{ctx.trace_id:032x}",
        B3_SPAN_ID_HEADER: f"{ctx.span_id:016x}",
    }
    if ctx.parent_span_id is not None:
        headers[B3_PARENT_SPAN_ID_HEADER] = f"{ctx.parent_span_id:016x}"
    if ctx.debug:
        headers[B3_FLAGS_HEADER] = "1"
    else:
        headers[B3_SAMPLED_HEADER] = _ACCEPT if ctx.sampled else _DENY
    return headers


def parse_b3_single(value: str) -> SpanContext | None:
    """Return the context that *value* of the header `b3`, `trace-span[-sampled[-parent]]`, writes.

    None for a sampling decision alone (`0`, `1`, `d`): it names no trace to continue. Without a
    decision the context is unsampled, as with several headers; `d` is debug.

    Raises:
        HeaderDecodeError: *value* has another shape, the decision is unknown, or an id is zero or
            no hexadecimal number of its size.
    """
    if value in _STATES:
        return None
    parts = value.split("-", 4)
    if not 2 <= len(parts) <= 4:
        raise HeaderDecodeError(B3_HEADER, 'Expected "trace-id-span-id-sampled-parent-span-id"')
    trace_id = parse_trace_id(parts[0], B3_HEADER)
    span_id = parse_span_id(parts[1], B3_HEADER)
    state = parts[2] if len(parts) > 2 else _DENY
    if state not in _STATES:
        raise HeaderDecodeError(B3_HEADER, "sampled must be 0, 1 or d")
    parent_span_id = parse_span_id(parts[3], B3_HEADER) if len(parts) > 3 else None
    return remote_context(trace_id, span_id, parent_span_id, state != _DENY, state == _DEBUG)


def format_b3_single(ctx: SpanContext) -> str:
    """Return *ctx* as the value of the header `b3`."""
    state = _DEBUG if ctx.debug else _ACCEPT if ctx.sampled else _DENY
    parent = "" if ctx.parent_span_id is None else f"-{ctx.parent_span_id:016x}"
    return f"{ctx.trace_id:032x}-{ctx.span_id:016x}-{state}{parent}"
