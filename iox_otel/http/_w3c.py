"""W3C Trace Context, level 2: `traceparent` and `tracestate`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from iox_otel import SpanContext

from ._decode import HeaderDecodeError, HeaderNumberError, remote_context

TRACEPARENT_HEADER = "traceparent"
TRACESTATE_HEADER = "tracestate"

MAX_TRACE_STATE_MEMBERS = 32
MAX_TRACE_STATE_CHARS = MAX_TRACE_STATE_MEMBERS * (256 + len("=") + 256 + len(",")) - len(",")
"""The longest list the grammar allows (section 3.3): so no valid one is ever cut short."""

_TRACEPARENT_CHARS = 55
_SAMPLED = 0x01
_RANDOM_TRACE_ID = 0x02

_OWS = " \t"
_LOWER_HEX = "0123456789abcdef"
_KEY_START = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_KEY_CHARS = "abcdefghijklmnopqrstuvwxyz0123456789_-*/@"
_VALUE_CHARS = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in ",=")


def parse_traceparent(value: str) -> SpanContext:
    """Return the context that *value* of the header `traceparent` writes (section 3.2).

    A version above 00 is read as far as version 00 goes, and may have more after another dash.
    Of the flags, sampled and random-trace-id are kept. Blanks around *value* are ignored.

    Raises:
        HeaderDecodeError: a wrong length or separator, version ff, a digit that is not lower-case
            hexadecimal, or an id that is all zeros.
    """
    value = value.strip(_OWS)
    head = value[:_TRACEPARENT_CHARS]
    if len(head) < _TRACEPARENT_CHARS or head[2] != "-" or head[35] != "-" or head[52] != "-":
        raise HeaderDecodeError(
            TRACEPARENT_HEADER, 'Expected "version-trace-id-parent-id-trace-flags"'
        )
    version, trace_digits, span_digits, flag_digits = head[:2], head[3:35], head[36:52], head[53:]
    # strip() leaves nothing exactly when no character is outside the set.
    if (version + trace_digits + span_digits + flag_digits).strip(_LOWER_HEX):
        raise HeaderNumberError(TRACEPARENT_HEADER, "invalid digit found in string")
    if len(value) > _TRACEPARENT_CHARS and (version == "00" or value[_TRACEPARENT_CHARS] != "-"):
        raise HeaderDecodeError(
            TRACEPARENT_HEADER, 'Expected "version-trace-id-parent-id-trace-flags"'
        )
    if version == "ff":
        raise HeaderDecodeError(TRACEPARENT_HEADER, "version ff is invalid")
    trace_id, span_id, flags = int(trace_digits, 16), int(span_digits, 16), int(flag_digits, 16)
    if not trace_id or not span_id:
        raise HeaderDecodeError(TRACEPARENT_HEADER, "value cannot be 0")
    ctx = remote_context(trace_id, span_id, None, flags & _SAMPLED != 0, False)
    ctx.random_trace_id = flags & _RANDOM_TRACE_ID != 0
    return ctx


def format_traceparent(ctx: SpanContext) -> str:
    """Return *ctx* as the value of a `traceparent` header of version 00.

    Parent and debug have no place in it; a debug context is a sampled one.
    """
    flags = (_SAMPLED if ctx.sampled or ctx.debug else 0) | (
        _RANDOM_TRACE_ID if ctx.random_trace_id else 0
    )
    return f"00-{ctx.trace_id:032x}-{ctx.span_id:016x}-{flags:02x}"


def parse_tracestate(values: Sequence[str]) -> str | None:
    """Return the list that the `tracestate` headers *values* make together (section 3.3).

    Members keep their order and text; empty ones and blanks around them go. None when nothing is
    left, and when the list is malformed: a key or value outside the grammar, a key twice, more than
    32 members, or more than 16,447 characters as received. That never fails the trace.
    """
    if sum(map(len, values)) + len(values) - 1 > MAX_TRACE_STATE_CHARS:
        return None
    members = [member for part in ",".join(values).split(",") if (member := part.strip(_OWS))]
    if not 0 < len(members) <= MAX_TRACE_STATE_MEMBERS or not _valid(members):
        return None
    return ",".join(members)


def _valid(members: Iterable[str]) -> bool:
    """Tell whether every one of *members* is `key=value`, and no key is there twice."""
    keys = set()
    for member in members:
        key, equals, value = member.partition("=")
        if not (equals and 0 < len(key) <= 256 and key[0] in _KEY_START and key not in keys):
            return False
        if key.strip(_KEY_CHARS) or not 0 < len(value) <= 256 or value.strip(_VALUE_CHARS):
            return False
        keys.add(key)
    return True


def format_tracestate(ctx: SpanContext) -> str | None:
    """Return the value of a `tracestate` header for *ctx*; None for no header.

    A trace state that is no valid list is not sent, so that text which some code put there cannot
    reach the wire as another header.
    """
    return None if ctx.trace_state is None else parse_tracestate((ctx.trace_state,))
