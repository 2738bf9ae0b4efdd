"""Cutting line protocol into requests: at ends of lines, and never inside a quoted string."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from io import BytesIO
from typing import BinaryIO, NamedTuple

CHUNK_BYTES = 1 << 20
"""How much is sent in a request; a single line may be longer."""

MAX_LINE_BYTES = 8 << 20
"""Where a line is cut that has no end; the server refuses such a one."""

_MAX_QUOTED_BYTES = 1 << 17
"""A string that is still open after so much has lost its closing quote."""

_TOKEN = re.compile(rb'\\.|[ =,"]', re.DOTALL)
_BLANKS = b" \t\r\n"


class Chunk(NamedTuple):
    """Whole lines of a file."""

    body: bytes
    first_line: int
    """The number of its first line in the file, counted from 1."""


def chunks(file: BinaryIO, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
    """Yield the contents of *file* in pieces of about *chunk_bytes*."""
    parts: list[bytes] = []
    size, first_line, line = 0, 1, 1
    for text in _lines(file):
        if parts and size + len(text) > chunk_bytes:
            yield Chunk(b"".join(parts), first_line)
            parts.clear()
            size, first_line = 0, line
        parts.append(text)
        size += len(text)
        line += text.count(b"\n")
    if parts:
        yield Chunk(b"".join(parts), first_line)


def count_lines(body: bytes, refused: Collection[int] = ()) -> int:
    """Return how many lines of data *body* has, without comments and blank lines.

    Args:
        body: a chunk's.
        refused: the numbers of the lines, counted from 1, that the server took for bad: it takes
            the string that one of them leaves open to end with that line.
    """
    total = 0
    quotes = _Quotes()
    for number, text in enumerate(BytesIO(body), start=1):
        if quotes.open:
            quotes.feed(text)
            continue
        total += _is_data(text)
        quotes.restart(text)
        if number in refused:
            quotes.open = False
    return total


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield each line with all the newlines that its strings have."""
    quotes = _Quotes()
    parts: list[bytes] = []
    size = 0
    while text := file.readline(MAX_LINE_BYTES):
        if parts:
            quotes.feed(text)
        else:
            quotes.restart(text)
        parts.append(text)
        size += len(text)
        if not quotes.open or size > _MAX_QUOTED_BYTES:
            yield b"".join(parts)
            parts.clear()
            size = 0
    if parts:
        yield b"".join(parts)


def _is_data(text: bytes) -> bool:
    stripped = text.lstrip(_BLANKS)
    return bool(stripped) and not stripped.startswith(b"#")


class _Quotes:
    """Follows a line as far as is needed to know whether a string is open at its end.

    By the rules that the server follows: a quote counts in the field set only, behind an equals
    sign that no comma has answered yet.
    """

    __slots__ = ("_fields", "_pending", "open")

    def __init__(self) -> None:
        self.open = False
        self._fields = False
        self._pending = 0

    def restart(self, text: bytes) -> None:
        """Take *text* as the beginning of a line."""
        self.open = self._fields = False
        self._pending = 0
        if b'"' in text and _is_data(text):
            self.feed(text.lstrip(_BLANKS))

    def feed(self, text: bytes) -> None:
        """Take *text* as what follows."""
        for match in _TOKEN.finditer(text):
            token = match.group()
            if token == b'"':
                if self._fields and self._pending > 0:
                    self.open = not self.open
            elif self.open:
                continue
            elif token == b" ":
                self._fields = True
            elif self._fields and token in b"=,":
                self._pending += 1 if token == b"=" else -1
