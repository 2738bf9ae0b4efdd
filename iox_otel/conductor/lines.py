"""Cutting a line-protocol text into lines: a quoted string may hold newlines of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(r'\\.|[ =,"\n]', re.DOTALL)
_BLANKS = " \t\r"


class Line(NamedTuple):
    """One line as line protocol understands it."""

    number: int
    """The line of the text that it starts on, counted from 1, blank lines and comments too."""
    text: str
    """Without the newline, a carriage return before it, and blanks in front."""


class Lines(Iterator[Line]):
    r"""The lines of *text* without blank ones and comments.

    A newline inside a quoted field string belongs to the string, by the rules of the reference's
    `split_lines`: a quote counts in the field set only, and only behind an equals sign. A forgotten
    closing quote would so swallow the lines behind it; `break_up` gives them back.

    Bounded: at most nine times the length of *text* is looked at, whatever it holds.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._number = 1
        self._line_start = 0
        self._line_number = 1
        self._to_rescan = 8 * len(text)

    def __next__(self) -> Line:
        text = self._text
        while self._position < len(text):
            newline = _find_newline(text, self._position)
            head = text[self._position : newline].lstrip(_BLANKS)
            if head and not head.startswith("#"):
                return self._take(_end_of_line(text, newline - len(head), newline))
            self._skip_to(newline)
        raise StopIteration

    def break_up(self, line: Line) -> Line:
        """Return the first of the text's lines that *line*, the latest one, runs over.

        For a line that makes no sense: those behind it come again, each on its own merits. After
        much of that, and for a line that is only one, *line* comes back as it is.
        """
        newline = _find_newline(self._text, self._line_start)
        if newline >= self._position - 1 or self._to_rescan < len(line.text):
            return line
        self._to_rescan -= len(line.text)
        self._position, self._number = self._line_start, self._line_number
        return self._take(newline)

    def _take(self, end: int) -> Line:
        self._line_start, self._line_number = self._position, self._number
        line = Line(self._number, self._text[self._position : end].strip(_BLANKS))
        self._number += self._text.count("\n", self._position, end)
        self._skip_to(end)
        return line

    def _skip_to(self, newline: int) -> None:
        self._position = newline + 1
        self._number += 1


def _find_newline(text: str, start: int) -> int:
    newline = text.find("\n", start)
    return len(text) if newline < 0 else newline


def _end_of_line(text: str, start: int, newline: int) -> int:
    """Return where the line ends that starts at *start*, given the first *newline* behind that."""
    if text.find('"', start, newline) < 0:
        return newline
    in_fields = quoted = False
    equals = commas = 0
    for match in _TOKEN.finditer(text, start):
        token = match.group()
        if token == " ":
            in_fields = True
        elif token == "\n":
            if not quoted:
                return match.start()
        elif in_fields and token == '"':
            quoted ^= equals > commas
        elif in_fields and not quoted:
            equals += token == "="
            commas += token == ","
    return len(text)
