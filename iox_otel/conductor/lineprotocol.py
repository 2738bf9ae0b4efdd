"""Line protocol: text in, points out. The parsing itself is line-protocol-parser's.

Where that package (2.0) departs from InfluxDB's parser (`influxdb_line_protocol`) and from the line
protocol reference, this module puts it right:

- it knows no unsigned integers: `5u` becomes `Unsigned(5)` here, an `int` there;
- of a field named twice it silently keeps the first; here that is an error;
- two backslashes stay two outside of strings; here they are one, as the reference has it, and a
  name or tag value that ends in one is an error;
- it refuses NUL bytes anywhere; here they are allowed but in a measurement;
- it parses one line: cutting, comments and blank lines are done in `lines`;
- its times are nanoseconds; precisions are done here.

Left as it is: `.5` and `5.` are taken as floats, an unescaped `=` in a tag value or `,` in a field
key is an error, and so is the smallest 64-bit time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from line_protocol_parser import LineFormatError as PackageError
from line_protocol_parser import parse_line as package_parse_line

from .columns import FieldValue, Unsigned
from .lines import Line, Lines

MAX_STRING_BYTES = 65_536
"""No string of a line may be longer, encoded; the reference's limit."""

_MIN_TIME_NS = -(1 << 63)
_MAX_TIME_NS = (1 << 63) - 1

_UNSIGNED = re.compile(r"[0-9]u(?:[, ]|$)")
_SERIES = re.compile(r"(?:\\.|[^\\ ])+ +", re.DOTALL)
_FIELD = re.compile(r'((?:\\.|[^\\=])+)=("(?:\\.|[^"\\])*"|[^," ]*),?', re.DOTALL)
_ESCAPE = re.compile(r"\\([,= ])")
_NONCHARACTERS = tuple(map(chr, range(0xFDD0, 0xFDF0)))


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


class LineProtocolError(ValueError):
    """A line that is no line protocol; the text says why."""


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


class Parsed(NamedTuple):
    """The parts of one line."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, FieldValue]
    time: int | None
    """In whatever unit the line's writer meant."""


def parse_line(line: str) -> Parsed:
    r"""Return the parts of *line*: one line, without its newline, no comment.

    Raises:
        LineProtocolError: it is no line protocol.
    """
    if "\\\\" in line or "\0" in line:
        return _parse_with_stand_ins(line)
    parsed = _parse_with_package(line)
    if "\\" in line:
        _refuse_final_backslashes(parsed)
    if len(line) > MAX_STRING_BYTES // 4:  # a character has four bytes at most
        _refuse_long_strings(parsed)
    return parsed


def _parse_with_package(line: str) -> Parsed:
    try:
        parts = package_parse_line(line)
    except PackageError as error:
        raise LineProtocolError(str(error).rstrip(".")) from None
    parsed = Parsed(parts["measurement"], parts["tags"], parts["fields"], parts["time"])
    # Both are rare, and seen from afar: the line is taken apart again only if it may hold them.
    may_repeat = line.count("=") > len(parsed.tags) + len(parsed.fields)
    if may_repeat or _UNSIGNED.search(line):
        _mend_fields(line, parsed.fields)
    return parsed


def _mend_fields(line: str, fields: dict[str, FieldValue]) -> None:
    """Refuse a field named twice, and mark the unsigned integers."""
    seen = set()
    for key, raw_value in _raw_fields(line):
        if key in seen:
            raise LineProtocolError(f"multiple instances of '{key}' field found")
        seen.add(key)
        if raw_value.endswith("u"):  # a quoted string ends in its quote
            fields[key] = Unsigned(fields[key])


def _raw_fields(line: str) -> Iterator[tuple[str, str]]:
    """Return the key and the text of the value of each field of *line*, which is well-formed."""
    series = _SERIES.match(line)
    position = series.end() if series else len(line)
    while match := _FIELD.match(line, position):
        yield _ESCAPE.sub(r"\1", match[1]), match[2]
        if not match[0].endswith(","):
            return
        position = match.end()


def _parse_with_stand_ins(line: str) -> Parsed:
    r"""Parse *line* with other characters in place of `\\` and NUL, and put those back."""
    free = [character for character in _NONCHARACTERS if character not in line]
    if len(free) < 2:
        raise LineProtocolError("a line with backslashes or NULs holds too many noncharacters")
    backslash, nul = free[0], free[1]

    def restore(text: str) -> str:
        return text.replace(backslash, "\\").replace(nul, "\0")

    stood_in = line.replace("\\\\", backslash).replace("\0", nul)
    measurement, tags, fields, time = _parse_with_package(stood_in)
    parsed = Parsed(
        restore(measurement),
        {restore(key): restore(value) for key, value in tags.items()},
        {restore(k): restore(v) if isinstance(v, str) else v for k, v in fields.items()},
        time,
    )
    if "\0" in parsed.measurement:
        raise LineProtocolError("a measurement must not hold a NUL")
    _refuse_final_backslashes(parsed)
    _refuse_long_strings(parsed)
    return parsed


def _refuse_final_backslashes(parsed: Parsed) -> None:
    names = (parsed.measurement, *parsed.tags, *parsed.tags.values(), *parsed.fields)
    if any(name.endswith("\\") for name in names):
        raise LineProtocolError(
            "Measurements, tag keys and values, and field keys may not end with a backslash"
        )


def _refuse_long_strings(parsed: Parsed) -> None:
    texts = (parsed.measurement, *parsed.tags, *parsed.tags.values(), *parsed.fields)
    values = (value for value in parsed.fields.values() if isinstance(value, str))
    if any(len(text.encode()) > MAX_STRING_BYTES for text in (*texts, *values)):
        raise LineProtocolError("String is greater than 64KB")
