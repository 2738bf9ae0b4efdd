"""What the wire formats share: their errors, strict hexadecimal, and contexts built cheaply."""

from __future__ import annotations

from iox_otel import SpanContext

TRACE_ID_DIGITS = 32
SPAN_ID_DIGITS = 16


class HeaderError(ValueError):
    """A trace header is there but cannot be read.

    `str()` of it is one short line: it quotes the header's name and never its value, so that it is
    safe to log whatever the client sent. The texts are those of IOx `trace_http::ctx`.
    """

    header: str
    """The header's name, as it is written in the message."""
    debug_id: str | None
    """The text of the debug header beside the unreadable one, if there was one. The caller's
    context is lost, but the wish to see this request traced is plain: a server counts the error and
    starts a new trace."""

    def __init__(self, header: str, cause: str = "cannot be read") -> None:
        super().__init__(header, cause)
        self.header = header
        self.debug_id = None

    def __str__(self) -> str:
        return f"header '{self.header}' {self.args[1]}"


class MissingHeaderError(HeaderError):
    """A header that the format found cannot do without is missing."""

    def __init__(self, header: str, cause: str = "not found") -> None:
        super().__init__(header, cause)


class HeaderEncodingError(HeaderError):
    """The bytes of a header are not UTF-8."""

    def __init__(self, header: str, cause: str = "has non-UTF8 content") -> None:
        super().__init__(header, cause)


class HeaderDecodeError(HeaderError):
    """A header's value is not of its format."""

    def __str__(self) -> str:
        return f"error decoding header '{self.header}': {self.args[1]}"


class HeaderNumberError(HeaderDecodeError):
    """A number in a header's value is empty, too large, or has a character that is no digit."""

    def __str__(self) -> str:
        return f"error decoding header '{self.header}': value decode error: {self.args[1]}"


def parse_hex(text: str, max_digits: int, header: str) -> int:
    """Return the number that *text* writes in hexadecimal, of either case; zero is fine here.

    What is too large is judged by value, so leading zeros do not count. Nothing that Python's
    `int(text, 16)` would take beyond digits is accepted: no sign, `0x`, `_`, blank or digit of
    another script.

    Raises:
        HeaderNumberError: no digits, a character that is none, or a number too large.
    """
    digits = text.lstrip("0")
    if len(digits) <= max_digits:
        if digits.isalnum() and digits.isascii():
            try:
                return int(digits, 16)
            except ValueError:
                pass
        elif text and not digits:
            return 0
    raise HeaderNumberError(header, _number_fault(text, digits, max_digits))


def _number_fault(text: str, digits: str, max_digits: int) -> str:
    """Name the first fault from the left, as Rust's `from_str_radix` does. Looks at no more
    characters than a number may have, however long *digits* is.
    """
    if not text:
        return "cannot parse integer from empty string"
    if len(digits) > max_digits and not digits[: max_digits + 1].strip("0123456789abcdefABCDEF"):
        return "number too large to fit in target type"
    return "invalid digit found in string"


def parse_trace_id(text: str, header: str) -> int:
    """Return the trace id in *text*, 1…2¹²⁸−1. Raises as `parse_hex`, and for zero."""
    trace_id = parse_hex(text, TRACE_ID_DIGITS, header)
    if not trace_id:
        raise HeaderDecodeError(header, "value cannot be 0")
    return trace_id


def parse_span_id(text: str, header: str) -> int:
    """Return the span id in *text*, 1…2⁶⁴−1. Raises as `parse_hex`, and for zero."""
    span_id = parse_hex(text, SPAN_ID_DIGITS, header)
    if not span_id:
        raise HeaderDecodeError(header, "value cannot be 0")
    return span_id


def remote_context(
    trace_id: int, span_id: int, parent_span_id: int | None, sampled: bool, debug: bool
) -> SpanContext:
    """Return the context of a span in another process; the ids have been checked already.

    Written out slot by slot, since it is built for every request: a quarter of the constructor.
    """
    ctx = _new_context(SpanContext)
    ctx.trace_id = trace_id
    ctx.span_id = span_id
    ctx.parent_span_id = parent_span_id
    ctx._links = None
    ctx.collector = None
    ctx.sampled = sampled
    ctx.debug = debug
    ctx.trace_state = None
    ctx.random_trace_id = False
    ctx.is_remote = True
    ctx.parent_is_remote = False
    return ctx


_new_context = SpanContext.__new__
