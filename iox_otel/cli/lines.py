"""Cutting line protocol into requests: at ends of lines, and never inside a quoted string."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from io import BytesIO
from typing import BinaryIO, NamedTuple

CHUNK_BYTES = 1 << 20
"""How much is sent in a request; a single line may be longer."""

MAX_LINE_BYTES = 10 << 20
"""The longest line that is sent: what the server takes in a request."""

_READ_BYTES = 1 << 16

_TOKEN = re.compile(rb'\\.?|[ =,"]', re.DOTALL)
_BLANKS = b" \t\r\n"


class Chunk(NamedTuple):
    """Whole lines of a file."""

    body: bytes
    first_line: int
    """The number of its first line in the file, counted from 1."""


class LongLine(NamedTuple):
    """A line of a file that is too long; its text is not kept."""

    number: int
    """Where it begins, counted from 1."""
    size_bytes: int
    has_open_string: bool
    """Whether the file ends inside one of its strings."""


def chunks(
    file: BinaryIO, *, chunk_bytes: int = CHUNK_BYTES, max_line_bytes: int = MAX_LINE_BYTES
) -> Iterator[Chunk | LongLine]:
    """Yield the contents of *file* in chunks, and between them the lines that are too long.

    Args:
        file: line protocol; read in small pieces, of which about *chunk_bytes* and the longest line
            are held.
        chunk_bytes: what a chunk has at most, unless it is a single line.
        max_line_bytes: how long a line may be.
    """
    parts: list[bytes] = []
    size, first_line, line = 0, 1, 1
    for text in _lines(file, max_line_bytes):
        if parts and (text.body is None or size + text.size_bytes > chunk_bytes):
            yield Chunk(b"".join(parts), first_line)
            parts.clear()
            size = 0
        if text.body is None:
            yield LongLine(line, text.size_bytes, text.has_open_string)
        else:
            if not parts:
                first_line = line
            parts.append(text.body)
            size += text.size_bytes
        line += text.newlines
    if parts:
        yield Chunk(b"".join(parts), first_line)


def data_lines(body: bytes, refused: Collection[int] = ()) -> list[int]:
    """Return where each line of data begins in *body*, counted from 1; not comments, blank lines.

    Args:
        body: a chunk's.
        refused: the numbers of the lines that the server took for bad: it takes the string that one
            of them leaves open to end with that line.
    """
    numbers = []
    quotes = _Quotes()
    for number, text in enumerate(BytesIO(body), start=1):
        if not quotes.open:
            quotes.restart()
            if _is_data(text):
                numbers.append(number)
        quotes.feed(text)
        if number in refused:
            quotes.open = False
    return numbers


class _Line(NamedTuple):
    body: bytes | None
    """None if it is too long."""
    size_bytes: int
    newlines: int
    has_open_string: bool


def _lines(file: BinaryIO, max_bytes: int) -> Iterator[_Line]:
    """Yield each line with all the newlines that its strings have."""
    quotes = _Quotes()
    while text := file.readline(_READ_BYTES):
        quotes.restart()
        quotes.feed(text)
        if text.endswith(b"\n") and not quotes.open:
            yield _Line(text, len(text), 1, False)
        else:
            yield _rest_of_line(file, text, quotes, max_bytes)


def _rest_of_line(file: BinaryIO, text: bytes, quotes: _Quotes, max_bytes: int) -> _Line:
    """Read on where *text* has begun a line, to its end."""
    body = bytearray()
    size = newlines = 0
    while text:
        size += len(text)
        newlines += text.endswith(b"\n")
        if size <= max_bytes:
            body += text
        elif body:
            body = bytearray()
        if text.endswith(b"\n") and not quotes.open:
            break
        text = file.readline(_READ_BYTES)
        quotes.feed(text)
    too_long = size > max_bytes
    return _Line(None if too_long else bytes(body), size, newlines, quotes.open)


def _is_data(text: bytes) -> bool:
    stripped = text.lstrip(_BLANKS)
    return bool(stripped) and not stripped.startswith(b"#")


class _Quotes:
    """Follows a line piece by piece, to know whether a string is open at its end.

    By the rules that the server follows: a quote counts in the field set only, behind an equals
    sign that no comma has answered yet.
    """

    __slots__ = ("_escaping", "_fields", "_is_comment", "_pending", "open")

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Take what follows as the beginning of a line."""
        self.open = self._fields = self._escaping = False
        self._is_comment: bool | None = None  # not known before something else than a blank
        self._pending = 0

    def feed(self, text: bytes) -> None:
        """Take *text* as what follows; it has a newline at its end or none."""
        if b'"' not in text and text.endswith(b"\n"):
            self._escaping = False
            return  # whatever it holds, a string is as open as before
        if self._is_comment is None:
            text = text.lstrip(_BLANKS)
            self._is_comment = text.startswith(b"#") if text else None
        if not self._is_comment:
            self._follow(text)

    def _follow(self, text: bytes) -> None:
        start, self._escaping = int(self._escaping), False
        for match in _TOKEN.finditer(text, start):
            token = match.group()
            if token == b'"':
                if self._fields and self._pending > 0:
                    self.open = not self.open
            elif token == b"\\":
                self._escaping = True
            elif self.open:
                continue
            elif token == b" ":
                self._fields = True
            elif self._fields and token in b"=,":
                self._pending += 1 if token == b"=" else -1
