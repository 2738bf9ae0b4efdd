"""How durations, values and stretches of time are written for people, safe for any terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

_UNITS = ((1, "ns"), (1_000, "µs"), (1_000_000, "ms"), (1_000_000_000, "s"))
_SECOND_NS = 1_000_000_000
_LONG_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))

_MAX_INT_BITS = 10_000
"""Longer integers are written in hexadecimal: Python refuses the decimals of very long ones."""

_JOINERS = frozenset("\u200c\u200d")
"""Not printable as Unicode has it, yet part of words (Persian) and of emoji."""


def format_duration(duration_ns: int, *, signed: bool = False) -> str:
    """Return a duration as a person would say it.

        >>> [format_duration(ns) for ns in (417, 12_340, 1_250_000, 3_400_000_000)]
        ['417 ns', '12.3 µs', '1.25 ms', '3.4 s']
        >>> format_duration(125_000_000_000)
        '2 min 5 s'

    Three significant digits under a minute, above it the two largest units.

    Args:
        duration_ns: nanoseconds; may be negative.
        signed: write a plus sign, too.
    """
    sign = "-" if duration_ns < 0 else "+" if signed else ""
    duration_ns = abs(duration_ns)
    for unit_ns, unit in _UNITS:
        number = _three_digits(duration_ns, unit_ns)
        if float(number) < (60 if unit == "s" else 1000):
            return f"{sign}{number} {unit}"
    return sign + _long_duration((duration_ns + _SECOND_NS // 2) // _SECOND_NS)


def _three_digits(duration_ns: int, unit_ns: int) -> str:
    if unit_ns == 1:
        return str(duration_ns)
    if duration_ns >= 1_000 * unit_ns:
        return "1000"  # too large for this unit; beyond what a float holds, perhaps
    value = duration_ns / unit_ns
    # Rounded once to see which side of 10 and 100 it falls on: 9.996 has two decimals, 10.0 one.
    decimals = 2 if round(value, 2) < 10 else 1 if round(value, 1) < 100 else 0
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text


def _long_duration(seconds: int) -> str:
    for place, (unit, unit_s) in enumerate(_LONG_UNITS[:-1]):
        if seconds >= unit_s:
            smaller, smaller_s = _LONG_UNITS[place + 1]
            count, rest = divmod(seconds, unit_s)
            rest //= smaller_s
            return f"{count} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{seconds} s"


def escape(text: str) -> str:
    r"""Return *text* with every character that is not to be seen written as an escape.

        >>> escape("two\nlines \x1b[31m")
        'two\\nlines \\x1b[31m'

    Covers control characters (C0, C1), line ends, marks that reverse the direction of text, other
    invisible ones, and lone surrogates: so the result is one line, is valid Unicode, and a terminal
    takes no orders from it.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in _JOINERS else _escape_char(char) for char in text
    )


def _escape_char(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def format_value(value: object) -> str:
    """Return a metadata value on one line; text is quoted where it could be taken for another type.

    >>> [format_value(value) for value in ("GET", "show tables", "3", 3, True, ("a", "b"))]
    ['GET', '"show tables"', '"3"', '3', 'true', '[a, b]']
    """
    if isinstance(value, str):
        return value if _is_plain(value) else f'"{_quoted(value)}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value)) if value.bit_length() <= _MAX_INT_BITS else hex(value)
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, list | tuple):
        return f"[{', '.join(format_value(item) for item in value)}]"
    return escape(str(value))


def _is_plain(text: str) -> bool:
    if not text.isprintable() or not text or any(char in ' "\\=,[]' for char in text):
        return False
    if text in ("true", "false"):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return False


def _quoted(text: str) -> str:
    return escape(text.replace("\\", "\\\\").replace('"', '\\"'))


def format_metadata(metadata: Mapping[str, object]) -> str:
    """Return *metadata* as `key=value key=value`, in its own order.

    >>> format_metadata({"rows": 3, "query": "show tables"})
    'rows=3 query="show tables"'
    """
    return " ".join(f"{escape(key)}={format_value(value)}" for key, value in metadata.items())


class TimedSpan(Protocol):
    """What a span must have to be drawn to scale: Unix times in nanoseconds, None if unknown."""

    @property
    def start_ns(self) -> int | None: ...
    @property
    def end_ns(self) -> int | None: ...


class Window(NamedTuple):
    """The stretch of time that a waterfall shows, in Unix nanoseconds."""

    start_ns: int
    end_ns: int

    @classmethod
    def of(cls, spans: Iterable[TimedSpan]) -> Window:
        """Return the stretch from the earliest time of *spans* to the latest; (0, 0) if none."""
        times = [
            time_ns
            for span in spans
            for time_ns in (span.start_ns, span.end_ns)
            if time_ns is not None
        ]
        return cls(min(times, default=0), max(times, default=0))

    @property
    def duration_ns(self) -> int:
        """How long it is."""
        return self.end_ns - self.start_ns


_LEFT = " ▏▎▍▌▋▊▉█"
"""A cell filled from the left by so many eighths."""
_RIGHT = "██▐▐▐▐▕▕"
"""A cell of which so many eighths at the left are empty, as near as the characters come."""


def waterfall_bar(span: TimedSpan, window: Window, width: int, *, ascii_only: bool = False) -> str:
    """Return *span* as a bar of block characters: exactly *width* cells, blanks before and after.

    Its offset and length are to the scale of *window*, to an eighth of a cell at the end and about
    half a cell at the start, clamped to the window, and never nothing: the shortest span fills an
    eighth of a cell. An unfinished span reaches to the end of the window; one without times is
    blank. With *ascii_only* it is made of `=`, whole cells.
    """
    if width < 1 or (span.start_ns is None and span.end_ns is None):
        return " " * max(0, width)
    start_ns = span.end_ns if span.start_ns is None else span.start_ns
    end_ns = window.end_ns if span.end_ns is None else span.end_ns
    assert start_ns is not None  # noqa: S101  narrows the type
    steps = width if ascii_only else 8 * width
    total_ns = max(1, window.duration_ns)
    first = min(steps - 1, max(0, (start_ns - window.start_ns) * steps // total_ns))
    last = min(steps, max(first + 1, -((window.start_ns - end_ns) * steps // total_ns)))
    if ascii_only:
        return " " * first + "=" * (last - first) + " " * (steps - last)
    return _blocks(first, last, width)


def _blocks(first: int, last: int, width: int) -> str:
    """Return cells filled from eighth *first* to eighth *last*."""
    cell, empty = divmod(first, 8)
    full_until, part = divmod(last, 8)
    if full_until == cell:  # begins and ends within one cell
        body = _LEFT[last - first] if empty < 4 else "▐" if last - first > 2 else "▕"
    else:
        body = _RIGHT[empty] + "█" * (full_until - cell - 1) + (_LEFT[part] if part else "")
    return (" " * cell + body).ljust(width)
