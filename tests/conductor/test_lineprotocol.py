"""Line protocol to points: types, escapes, precisions, errors, and the package's deviations."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iox_otel.conductor.columns import FieldValue, Unsigned
from iox_otel.conductor.lineparser import MAX_STRING_BYTES, LineProtocolError, parse_line
from iox_otel.conductor.lineprotocol import (
    MAX_REPORTED_CHARS,
    LineError,
    Point,
    Precision,
    parse,
    to_nanoseconds,
)

NOW_NS = 1_700_000_000_000_000_000


def parsed(text: str, precision: Precision = Precision.NANOSECOND) -> list[Point | LineError]:
    return list(parse(text, precision=precision, now_ns=NOW_NS))


def only_point(text: str, precision: Precision = Precision.NANOSECOND) -> Point:
    (point,) = parsed(text, precision)
    assert isinstance(point, Point), point
    return point


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0),
        ("-1.5", -1.5),
        ("1e3", 1000.0),
        ("-2.5E-3", -0.0025),
        ("-5e-324", -5e-324),
        ("1e-400", 0.0),
        ("0.000e-5", 0.0),
        ("1i", 1),
        ("-9223372036854775808i", -(2**63)),
        ("9223372036854775807i", 2**63 - 1),
        ("5u", Unsigned(5)),
        ("18446744073709551615u", Unsigned(2**64 - 1)),
        *((word, True) for word in ("t", "T", "true", "True", "TRUE")),
        *((word, False) for word in ("f", "F", "false", "False", "FALSE")),
        ('""', ""),
        ('"a, b = c"', "a, b = c"),
        ('"5u"', "5u"),
        (r'"say \"hi\""', 'say "hi"'),
        (r'"C:\\dir\file"', r"C:\dir\file"),
        (r'"ends in \\"', "ends in \\"),
        ('"two\nlines"', "two\nlines"),
        ('"ü 😀"', "ü 😀"),
        ('"a\0b"', "a\0b"),
    ],
)
def test_field_values(text: str, value: FieldValue) -> None:
    """Every type of field is read as the value and the type that it is."""
    point = only_point(f"m f={text} 5")

    assert point.fields == {"f": value}
    assert type(point.fields["f"]) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "inf",
        "0x10",
        "1_000",
        "+5",
        "1e400",
        "yes",
        "tRue",
        "9223372036854775808i",
        "18446744073709551616u",
        "-1u",
        "1.5i",
        "u",
        "i",
        "",
        "'a'",
        '"open',
        '"a"b',
        "1,",
        "1,g",
        "1,=2",
    ],
)
def test_values_that_are_none(text: str) -> None:
    """What is no value of line protocol makes the line an error that says something."""
    (error,) = parsed(f"m f={text} 5")

    assert isinstance(error, LineError)
    assert error.line_number == 1
    assert error.original_line == f"m f={text} 5".strip()
    assert error.error_message


def test_escapes_in_names() -> None:
    """Commas, spaces and equals signs in names and tag values are escaped by a backslash."""
    point = only_point(r"my\,m\ x,tag\ \=\,k=v\,a\ l\=ue f\,i\ e\=ld=1 5")

    assert point.measurement == "my,m x"
    assert point.tags == {"tag =,k": "v,a l=ue"}
    assert point.fields == {"f,i e=ld": 1.0}


def test_backslashes_outside_of_strings() -> None:
    """Two are one, as the reference has it; before an ordinary character one stands for itself."""
    point = only_point(r"m\\x,t\a=b\\\,c f\\=1,g\n=2".replace(r"f\\=", r"f\\e="))

    assert point.measurement == r"m\x"
    assert point.tags == {r"t\a": r"b\,c"}
    assert point.fields == {r"f\e": 1.0, r"g\n": 2.0}


@pytest.mark.parametrize("line", [r"m\\ f=1", r"m,t\\=a f=1", r"m,t=a\\ f=1", r"m f\\=1"])
def test_names_that_end_in_a_backslash(line: str) -> None:
    """A name or tag value may not end in a backslash, as in the reference."""
    with pytest.raises(LineProtocolError, match="may not end with a backslash"):
        parse_line(line)


def test_a_nul_in_a_measurement() -> None:
    """A NUL is refused in a measurement."""
    with pytest.raises(LineProtocolError, match="NUL"):
        parse_line("m\0 f=1")


def test_noncharacters_survive() -> None:
    """The characters that stand in for backslashes while parsing may be in the line themselves."""
    point = only_point('m,t=\ufdd0\\\\x f="\ufdd1\0\\\\" 5')

    assert point.tags == {"t": "\ufdd0\\x"}
    assert point.fields == {"f": "\ufdd1\0\\"}


def test_a_field_named_twice() -> None:
    """A field named twice is an error, where the package would keep the first."""
    (error,) = parsed(r"m a=1,f\ 1=2,f\ 1=3 5")

    assert isinstance(error, LineError)
    assert error.error_message == "multiple instances of 'f 1' field found"


def test_a_tag_named_twice() -> None:
    """A tag named twice is an error."""
    (error,) = parsed("m,t=a,t=b f=1 5")

    assert isinstance(error, LineError)


def test_equals_signs_in_strings_are_no_fields() -> None:
    """What looks like the same field again inside a string is not one; `5u` there is no number."""
    point = only_point('m f="f=1,f=2",g="x=5u, y",h=7u 5')

    assert point.fields == {"f": "f=1,f=2", "g": "x=5u, y", "h": Unsigned(7)}
    assert type(point.fields["h"]) is Unsigned


def test_unsigned_and_signed_on_one_line() -> None:
    """Only the fields that end in u are unsigned."""
    point = only_point('m a=1i,b=2u,c="u",d=3,e=4u')

    assert {name: type(value) for name, value in point.fields.items()} == {
        "a": int,
        "b": Unsigned,
        "c": str,
        "d": float,
        "e": Unsigned,
    }


@pytest.mark.parametrize(
    ("precision", "time", "time_ns"),
    [
        (Precision.NANOSECOND, 5, 5),
        (Precision.MICROSECOND, 5, 5_000),
        (Precision.MILLISECOND, 5, 5_000_000),
        (Precision.SECOND, -5, -5_000_000_000),
        (Precision.AUTO, 4_999_999_999, 4_999_999_999_000_000_000),
        (Precision.AUTO, -4_999_999_999, -4_999_999_999_000_000_000),
        (Precision.AUTO, 5_000_000_000, 5_000_000_000_000_000),
        (Precision.AUTO, 4_999_999_999_999, 4_999_999_999_999_000_000),
        (Precision.AUTO, 5_000_000_000_000, 5_000_000_000_000_000),
        (Precision.AUTO, 4_999_999_999_999_999, 4_999_999_999_999_999_000),
        (Precision.AUTO, 5_000_000_000_000_000, 5_000_000_000_000_000),
    ],
)
def test_precisions(precision: Precision, time: int, time_ns: int) -> None:
    """Times are read in the unit given; without one their magnitude tells it."""
    assert only_point(f"m f=1 {time}", precision).time_ns == time_ns


def test_a_time_out_of_range() -> None:
    """A time that does not fit into 64 bits of nanoseconds is the line's error."""
    good, error = parsed("m f=1 1\nm f=1 9223372037", Precision.SECOND)

    assert isinstance(good, Point)
    assert error == LineError(
        "m f=1 9223372037", 2, "timestamp 9223372037 is out of range for precision second"
    )
    with pytest.raises(LineProtocolError):
        to_nanoseconds(-9_223_372_037, Precision.SECOND)


def test_a_line_without_time() -> None:
    """A line without a time has that of the write."""
    assert only_point("m f=1").time_ns == NOW_NS


def test_bad_lines_do_not_keep_good_ones_from_the_rest() -> None:
    """Each line is read on its own; errors have the number of their line in the text."""
    points = parsed("# made by hand\n\nm f=1 1\nnonsense\n\n  m f=2 2\nm, f=3 3\nm f=4 4\r\n")

    assert [p.time_ns if isinstance(p, Point) else -p.line_number for p in points] == [
        1,
        -4,
        2,
        -7,
        4,
    ]


def test_a_long_bad_line_is_reported_in_part() -> None:
    """Of a bad line only the beginning is sent back."""
    (error,) = parsed("x" * 5000)

    assert isinstance(error, LineError)
    assert error.original_line == "x" * MAX_REPORTED_CHARS


@pytest.mark.parametrize("line", ['m f="{}"', r'm f="{}\\"', "m {}=1"])
def test_strings_of_64_kib_are_the_longest(line: str) -> None:
    """A string may have 65,536 bytes and not one more."""
    one = 1 if "\\" in line else 0
    parse_line(line.format("é" * (MAX_STRING_BYTES // 2 - one)))

    with pytest.raises(LineProtocolError, match="64KB"):
        parse_line(line.format("é" * (MAX_STRING_BYTES // 2) + "x"))


@pytest.mark.parametrize("line", ["m,t={} f=1", "{} f=1"])
def test_a_series_of_64_kib_is_too_long(line: str) -> None:
    """The measurement and tags together may have one byte less than that."""
    with pytest.raises(LineProtocolError, match="65535"):
        parse_line(line.format("é" * (MAX_STRING_BYTES // 2)))


@given(st.text())
def test_any_text_is_points_and_errors(text: str) -> None:
    """Whatever the text, each line of it is a point or an error, in order, and nothing raises."""
    numbers = [
        point.line.number if isinstance(point, Point) else point.line_number
        for point in parsed(text, Precision.AUTO)
    ]

    assert numbers == sorted(numbers)
    assert all(1 <= number <= text.count("\n") + 1 for number in numbers)


@given(st.text(alphabet='m,t= f1u"\\\n#i', max_size=60))
def test_any_text_of_the_special_characters(text: str) -> None:
    """The same of text that is nearly line protocol."""
    for point in parsed(text):
        assert isinstance(point, Point | LineError)


NAMES = st.text(
    st.characters(exclude_characters="\n\t\r\0", exclude_categories=["Cs"]), min_size=1, max_size=20
).filter(lambda name: not name.endswith("\\") and not name.startswith(("#", " ")) and name.strip())
MEASUREMENTS = NAMES.filter(lambda name: "=" not in name)
VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**64 - 1).map(Unsigned),
    st.booleans(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
)
TIMES = st.integers(-(2**63) + 2, 2**63 - 2)


def escaped(name: str, specials: str) -> str:
    name = name.replace("\\", "\\\\")
    for special in specials:
        name = name.replace(special, f"\\{special}")
    return name


def written(value: Any) -> str:
    if isinstance(value, str):
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Unsigned):
        return f"{int(value)}u"
    return f"{value}i" if isinstance(value, int) else repr(value)


@given(
    measurement=MEASUREMENTS,
    tags=st.dictionaries(NAMES, NAMES, max_size=4),
    fields=st.dictionaries(NAMES, VALUES, min_size=1, max_size=5),
    time_ns=TIMES,
)
def test_what_is_written_is_read(
    measurement: str, tags: dict[str, str], fields: dict[str, FieldValue], time_ns: int
) -> None:
    """Any values, written as the reference says, come back with their types."""
    series = "".join(f",{escaped(k, ',= ')}={escaped(v, ',= ')}" for k, v in tags.items())
    field_set = ",".join(f"{escaped(k, ',= ')}={written(v)}" for k, v in fields.items())

    point = only_point(f"{escaped(measurement, ', ')}{series} {field_set} {time_ns}")

    assert point.measurement == measurement
    assert point.tags == tags
    assert point.fields == fields
    assert {k: type(v) for k, v in point.fields.items()} == {k: type(v) for k, v in fields.items()}
    assert point.time_ns == time_ns
