"""Line protocol: text in, points and errors out."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from .columns import FieldValue
from .lineparser import LineProtocolError, parse_line
from .lines import Line, Lines

_MIN_TIME_NS = -(1 << 63)
_MAX_TIME_NS = (1 << 63) - 1


class Precision(Enum):
    """The unit of a write's timestamps. The value is its length in nanoseconds; 0 guesses."""

    AUTO = 0
    NANOSECOND = 1
    MICROSECOND = 1_000
    MILLISECOND = 1_000_000
    SECOND = 1_000_000_000


PRECISIONS = {
    "auto": Precision.AUTO,
    "ns": Precision.NANOSECOND,
    "nanosecond": Precision.NANOSECOND,
    "us": Precision.MICROSECOND,
    "microsecond": Precision.MICROSECOND,
    "ms": Precision.MILLISECOND,
    "millisecond": Precision.MILLISECOND,
    "s": Precision.SECOND,
    "second": Precision.SECOND,
}
"""The names of the precisions in requests."""


class LineError(NamedTuple):
    """A line that was not taken, as the HTTP API reports it."""

    original_line: str
    line_number: int
    error_message: str


class Point(NamedTuple):
    """A line that makes sense."""

    line: Line
    measurement: str
    tags: dict[str, str]
    fields: dict[str, FieldValue]
    time_ns: int

    def error(self, message: str) -> LineError:
        """Return the report that this line was not taken, and why."""
        return line_error(self.line, message)


MAX_BAD_LINES = 10_000
"""So many lines of a write may make no sense; one with more is not line protocol at all."""

MAX_REPORTED_CHARS = 1024
"""Of a line that was not taken, so much is sent back."""


def line_error(line: Line, message: str) -> LineError:
    """Return the report that *line* was not taken because of *message*."""
    return LineError(line.text[:MAX_REPORTED_CHARS], line.number, message)


def parse(text: str, *, precision: Precision, now_ns: int) -> Iterator[Point | LineError]:
    """Return what each line of *text* says, in order; a bad line does not keep it from the rest.

    Args:
        text: line protocol, any number of lines.
        precision: the unit of its timestamps.
        now_ns: the time of lines without one, Unix time in nanoseconds.
    """
    lines = Lines(text)
    for line in lines:
        try:
            measurement, tags, fields, time = parse_line(line.text)
            time_ns = now_ns if time is None else to_nanoseconds(time, precision)
        except LineProtocolError as error:
            yield line_error(lines.break_up(line), str(error))
        else:
            yield Point(line, measurement, tags, fields, time_ns)


def to_nanoseconds(time: int, precision: Precision) -> int:
    """Return *time*, in units of *precision*, as Unix time in nanoseconds.

    AUTO goes by magnitude, as the reference does: below 5·10⁹ seconds, 5·10¹² milliseconds, 5·10¹⁵
    microseconds, else nanoseconds.

    Raises:
        LineProtocolError: it does not fit into 64 bits.
    """
    time_ns = time * (precision.value or _guess_unit_ns(abs(time)))
    if not _MIN_TIME_NS <= time_ns <= _MAX_TIME_NS:
        raise LineProtocolError(
            f"timestamp {time} is out of range for precision {precision.name.lower()}"
        )
    return time_ns


def _guess_unit_ns(magnitude: int) -> int:
    if magnitude < 5_000_000_000:
        return 1_000_000_000
    if magnitude < 5_000_000_000_000:
        return 1_000_000
    return 1_000 if magnitude < 5_000_000_000_000_000 else 1
