"""Cutting text into lines: comments, blanks, newlines in strings, forgotten quotes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from iox_otel.conductor.lineprotocol import Point, Precision, parse
from iox_otel.conductor.lines import Line, Lines


def test_comments_and_blank_lines() -> None:
    """They are left out, and counted."""
    text = '\n# comment\nm f=1\n \t\n   # another="\nm f=2'

    assert list(Lines(text)) == [Line(3, "m f=1"), Line(6, "m f=2")]


def test_line_ends() -> None:
    """A line ends in LF or CRLF or with the text, and loses blanks around it."""
    assert list(Lines("m f=1\r\n  m f=2 5 \n\n")) == [Line(1, "m f=1"), Line(2, "m f=2 5")]


def test_newlines_in_strings() -> None:
    """A newline inside quotes belongs to the string, and the numbers go on counting."""
    text = 'm f="a\nb\\"\n",g=1 5\nm f=2'

    assert list(Lines(text)) == [Line(1, 'm f="a\nb\\"\n",g=1 5'), Line(4, "m f=2")]


def test_quotes_that_are_none() -> None:
    """A quote in a name or tag, or where no value begins, quotes nothing."""
    text = 'm,t=a"b f=1\n"m f=2\nm "f=3\nm f=1,"g=4\n'

    assert [line.number for line in Lines(text)] == [1, 2, 3, 4]


def test_a_line_is_broken_up() -> None:
    """After a forgotten quote, the lines that it swallowed come again."""
    lines = Lines('m f="open\nm f=2\nm f=3')
    swallowed = next(lines)

    assert swallowed.text == 'm f="open\nm f=2\nm f=3'
    assert lines.break_up(swallowed) == Line(1, 'm f="open')
    assert list(lines) == [Line(2, "m f=2"), Line(3, "m f=3")]


def test_a_single_line_cannot_be_broken_up() -> None:
    """A line that is only one comes back as it is, and is not read again."""
    lines = Lines("nonsense\nm f=2")
    first = next(lines)

    assert lines.break_up(first) == first
    assert list(lines) == [Line(2, "m f=2")]


def test_forgotten_quotes_cost_only_their_own_lines() -> None:
    """The good lines around lines with a forgotten quote are kept."""
    text = "\n".join('m f="open 1' if i in (3, 50, 51, 99) else f"m f=1 {i}" for i in range(100))

    points = list(parse(text, precision=Precision.NANOSECOND, now_ns=0))

    good = [point.time_ns for point in points if isinstance(point, Point)]
    bad = [point.line_number for point in points if not isinstance(point, Point)]
    assert good == [i for i in range(100) if i not in (3, 50, 51, 99)]
    assert bad == [4, 51, 52, 100]


def test_work_is_bounded() -> None:
    """Lines of which each swallows the rest are read in time that grows with their number only."""
    text = '" x="\n' * 30_000  # as 30,000 times 30,000 lines it would take hours

    errors = list(parse(text, precision=Precision.NANOSECOND, now_ns=0))

    assert errors and not any(isinstance(error, Point) for error in errors)


@given(st.lists(st.text(alphabet='m f=1"\\,#', max_size=10), max_size=8))
def test_every_line_comes_once(texts: list[str]) -> None:
    """Put together, the lines are the text without blank lines and comments."""
    text = "\n".join(texts)

    lines = list(Lines(text))

    numbers = [line.number for line in lines]
    assert numbers == sorted(set(numbers))
    kept = "".join(line.text for line in lines)
    skipped = [t for t in texts if not t.strip() or t.strip().startswith("#")]
    assert all(t.strip() in kept for t in texts if t not in skipped)
