"""Durations, values and bars as people read them."""

from __future__ import annotations

import doctest
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iox_otel import display
from iox_otel.display import (
    Window,
    escape,
    format_duration,
    format_metadata,
    format_value,
    waterfall_bar,
)
from iox_otel.tree import SpanRecord


def span(start_ns: int | None, end_ns: int | None) -> SpanRecord:
    return SpanRecord(1, 1, None, "work", start_ns, end_ns)


def test_docstring_examples() -> None:
    """The examples in the docstrings give what they say."""
    results = doctest.testmod(display)

    assert results.attempted >= 5
    assert results.failed == 0


@pytest.mark.parametrize(
    ("duration_ns", "expected"),
    [
        (0, "0 ns"),
        (1, "1 ns"),
        (417, "417 ns"),
        (999, "999 ns"),
        (1_000, "1 µs"),
        (1_234, "1.23 µs"),
        (12_300, "12.3 µs"),
        (9_996, "10 µs"),
        (99_960, "100 µs"),
        (123_456, "123 µs"),
        (999_499, "999 µs"),
        (999_500, "1 ms"),
        (1_250_000, "1.25 ms"),
        (3_400_000_000, "3.4 s"),
        (59_900_000_000, "59.9 s"),
        (59_960_000_000, "1 min"),
        (125_000_000_000, "2 min 5 s"),
        (119_700_000_000, "2 min"),
        (3_600_000_000_000, "1 h"),
        (3_785_000_000_000, "1 h 3 min"),
        (97_200_000_000_000, "1 d 3 h"),
        (-12_300, "-12.3 µs"),
        (10**400, f"{10**400 // 86_400_000_000_000} d 17 h"),
    ],
)
def test_duration(duration_ns: int, expected: str) -> None:
    """A duration has three significant digits, and never 1000 of a unit that has a larger one."""
    assert expected == format_duration(duration_ns)


def test_signed_duration() -> None:
    """A signed duration says plus."""
    assert format_duration(12_000, signed=True) == "+12 µs"
    assert format_duration(-12_000, signed=True) == "-12 µs"


def hostile() -> Iterator[str]:
    yield from map(chr, (*range(0x20), *range(0x7F, 0xA0)))  # C0, DEL, C1
    yield from "\u061c\u200e\u200f\u202a\u202e\u2066\u2069"  # direction
    yield from "\u2028\u2029\ufeff\u00ad\ud800\udcff"  # line ends, invisibles, lone surrogates


@pytest.mark.parametrize("char", list(hostile()))
def test_escape_hostile(char: str) -> None:
    """No character that a terminal obeys, or that hides or turns text around, comes through."""
    shown = escape(f"a{char}b")

    assert char not in shown
    assert shown.isascii() and shown.isprintable()


def test_escape_leaves_text_alone() -> None:
    """Text of any script, and emoji, stay as they are, ligatures and all."""
    for text in ("SELECT * FROM cpu", "größe 表 цена", "می‌خواهم", "👩‍💻 done", "C:\\temp"):
        assert text == escape(text)


@given(st.text())
def test_escape_any_text(text: str) -> None:
    """Whatever comes in, one line of valid Unicode goes out."""
    shown = escape(text)

    assert len(shown.splitlines()) <= 1
    shown.encode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("GET", "GET"),
        ("/api/v3", "/api/v3"),
        ("", '""'),
        ("3", '"3"'),
        ("1e3", '"1e3"'),
        ("nan", '"nan"'),
        ("true", '"true"'),
        ("a b", '"a b"'),
        ("a=b", '"a=b"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("a\nb", '"a\\nb"'),
        ("a\\nb", '"a\\\\nb"'),
        (3, "3"),
        (0.5, "0.5"),
        (float("inf"), "inf"),
        (False, "false"),
        (("a", "b c"), '[a, "b c"]'),
        ((), "[]"),
        (None, "None"),
    ],
)
def test_value(value: object, expected: str) -> None:
    """A value is one line; its type can be told from its form."""
    assert expected == format_value(value)


def test_very_long_integer() -> None:
    """An integer of more digits than Python will write in decimal is hexadecimal."""
    assert hex(1 << 20_000) == format_value(1 << 20_000)


def test_metadata_keys_are_escaped() -> None:
    """A key is no more trusted than a value."""
    assert format_metadata({"a\x1b": 1}) == "a\\x1b=1"


@pytest.mark.parametrize(
    ("start_ns", "end_ns", "expected"),
    [
        (0, 80, "██████████"),
        (0, 40, "█████     "),
        (40, 80, "     █████"),
        (0, 12, "█▌        "),
        (8, 13, " ▋        "),
        (12, 24, " ▐█       "),
        (13, 13, " ▕        "),
        (79, 80, "         ▕"),
        (80, 80, "         ▕"),
        (0, 0, "▏         "),
        (-100, -50, "▏         "),
        (200, 300, "         ▕"),
        (-100, 300, "██████████"),
        (40, None, "     █████"),
        (None, 40, "     ▏    "),
        (50, 20, "      ▏   "),
        (None, None, "          "),
    ],
)
def test_bar(start_ns: int | None, end_ns: int | None, expected: str) -> None:
    """A bar is to scale within a cell, clamped to the window, and never empty."""
    assert expected == waterfall_bar(span(start_ns, end_ns), Window(0, 80), 10)


def test_bar_in_ascii() -> None:
    """Without block characters a bar is made of whole cells."""
    assert waterfall_bar(span(16, 33), Window(0, 80), 10, ascii_only=True) == "  ===     "
    assert waterfall_bar(span(80, 80), Window(0, 80), 10, ascii_only=True) == "         ="


TIMES = st.none() | st.integers(0, 2**64)


@given(TIMES, TIMES, TIMES, TIMES, st.integers(0, 200), st.booleans())
def test_bar_any_times(
    start_ns: int | None,
    end_ns: int | None,
    begin_ns: int | None,
    finish_ns: int | None,
    width: int,
    ascii_only: bool,
) -> None:
    """A bar has exactly the cells it was given, one connected run of them filled."""
    drawn = span(start_ns, end_ns)
    window = Window.of([drawn, span(begin_ns, finish_ns)])

    bar = waterfall_bar(drawn, window, width, ascii_only=ascii_only)

    assert width == len(bar)
    has_times = start_ns is not None or end_ns is not None
    assert (1 if has_times and width else 0) == len(bar.split())


def test_window_of_nothing() -> None:
    """No spans, or none with times, have an empty window."""
    assert Window(0, 0) == Window.of([])
    assert Window(0, 0) == Window.of([span(None, None)])
    assert Window.of([span(10, 20), span(None, 70), span(30, None)]).duration_ns == 60
