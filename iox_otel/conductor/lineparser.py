"""One line of line protocol, taken apart by line-protocol-parser and put right where that errs.

Where the package (2.0) departs from InfluxDB's parser (`influxdb_line_protocol`) and from the line
protocol reference, and this module does not:

- it knows no unsigned integers: `5u` becomes `Unsigned(5)` here, an `int` there;
- of a field named twice it silently keeps the first; here that is an error;
- two backslashes stay two outside of strings; here they are one, as the reference has it, and a
  name or tag value that ends in one is an error;
- it refuses NUL bytes anywhere; here they are allowed but in a measurement;
- it passes over tabs and other blanks at the beginning of a field key or a time; here they are part
  of a key, and an error in a time;
- it takes quotes that are not escaped as part of a string; here they are an error;
- it refuses floats too small to be normal ones, such as `1e-310`; here they are read.

Cutting a text into lines, comments and precisions, which it does not do, are in `lines` and
`lineprotocol`.

Left as it is: `.5` and `5.` are taken as floats; an unescaped `=` in a tag value or `,` in a field
key is an error, so is a time beyond ±9223372036854775806 (the reference's documented range, though
it takes all of 64 bits), and so are a measurement and tags of more than 65,535 bytes together.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

from line_protocol_parser import LineFormatError as PackageError
from line_protocol_parser import parse_line as package_parse_line

from .columns import FieldValue, Unsigned

MAX_STRING_BYTES = 65_536
"""No string of a line may be longer, encoded; the reference's limit."""

_UNSIGNED = re.compile(r"[0-9]u(?:[, ]|$)")
_FLOAT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
# What is possessive needs no memory for each letter, to come back to it.
_SERIES = re.compile(r"(?:\\.|[^\\ ]++)++ ++", re.DOTALL)
_FIELD = re.compile(r'((?:\\.|[^\\=]++)++)=("(?:\\.|[^"\\]++)*+"|[^," ]*+),?', re.DOTALL)
_ESCAPE = re.compile(r"\\([,= ])")
_NONCHARACTERS = tuple(map(chr, range(0xFDD0, 0xFDF0)))
_ODD = "\0\t\v\f\r"
_TO_STAND_IN = re.compile(f"[{_ODD}]").search


class LineProtocolError(ValueError):
    """A line that is no line protocol; the text says why."""


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
    if "\\\\" in line or _TO_STAND_IN(line):
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
        without, tiny = _without_tiny_floats(line)
        if not tiny:
            raise LineProtocolError(str(error).rstrip(".")) from None
        parsed = _parse_with_package(without)
        parsed.fields.update(tiny)
        return parsed
    parsed = Parsed(parts["measurement"], parts["tags"], parts["fields"], parts["time"])
    # Both are rare, and seen from afar: the line is taken apart again only if it may hold them.
    may_repeat = line.count("=") > len(parsed.tags) + len(parsed.fields)
    if may_repeat or _UNSIGNED.search(line) or ('"' in line and _may_hold_quotes(line, parsed)):
        _mend_fields(line, parsed.fields)
    return parsed


def _may_hold_quotes(line: str, parsed: Parsed) -> bool:
    strings = sum(isinstance(value, str) for value in parsed.fields.values())
    return line.count('"') - line.count('\\"') > 2 * strings


def _mend_fields(line: str, fields: dict[str, FieldValue]) -> None:
    """Refuse a field named twice or with quotes in its string, and mark the unsigned integers."""
    seen = set()
    end = None
    for match in _raw_fields(line):
        end = match.end()
        key = _key(match)
        if key in seen:
            raise LineProtocolError(f"multiple instances of '{key}' field found")
        seen.add(key)
        if match[2].endswith("u"):  # a quoted string ends in its quote
            fields[key] = Unsigned(fields[key])
    if end is not None and line[end : end + 1] not in ("", " "):
        raise LineProtocolError("a quote in a string must follow a backslash")


def _without_tiny_floats(line: str) -> tuple[str, dict[str, float]]:
    """Return *line* with a 0 for each float that the package finds too small, and those floats."""
    pieces: list[str] = []
    tiny: dict[str, float] = {}
    position = 0
    for match in _raw_fields(line):
        text = match[2]
        if not _FLOAT.fullmatch(text) or abs(float(text)) >= sys.float_info.min:
            continue
        if text.strip("-0."):  # not simply zero
            tiny[_key(match)] = float(text)
            pieces += (line[position : match.start(2)], "0")
            position = match.end(2)
    return "".join((*pieces, line[position:])), tiny


def _raw_fields(line: str) -> Iterator[re.Match[str]]:
    """Return the key and the text of the value of each field of *line*, as groups 1 and 2."""
    series = _SERIES.match(line)
    position = series.end() if series else len(line)
    while match := _FIELD.match(line, position):
        yield match
        if not match[0].endswith(","):
            return
        position = match.end()


def _key(match: re.Match[str]) -> str:
    return _ESCAPE.sub(r"\1", match[1])


def _parse_with_stand_ins(line: str) -> Parsed:
    r"""Parse *line* with other characters in place of `\\` and odd ones, and put those back."""
    free = [character for character in _NONCHARACTERS if character not in line]
    if len(free) <= len(_ODD):
        raise LineProtocolError(
            "a line with backslashes, tabs or NULs holds too many noncharacters"
        )
    there = dict(zip(("\\\\", *_ODD), free, strict=False))
    back = str.maketrans({stand_in: odd[0] for odd, stand_in in there.items()})

    def restore(text: str) -> str:
        return text.translate(back)

    stood_in = line
    for odd, stand_in in there.items():
        stood_in = stood_in.replace(odd, stand_in)
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
