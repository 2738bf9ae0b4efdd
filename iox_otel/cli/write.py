"""Writing files of line protocol, in requests that the server acknowledges one by one."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, NamedTuple, Protocol

from .client import Client, PartialWriteError, TooLargeError
from .failure import Failure, one_line
from .http_client import ApiError
from .lines import MAX_LINE_BYTES, Chunk, LongLine, chunks, data_lines

STDIN = "-"


class Source(NamedTuple):
    """An open file of line protocol."""

    name: str
    file: BinaryIO
    size_bytes: int | None
    """None if it is no regular file."""


class Advance(Protocol):
    """Takes the number of bytes that were sent."""

    def __call__(self, sent_bytes: int, /) -> None: ...


@contextmanager
def open_sources(paths: Sequence[str]) -> Iterator[list[Source]]:
    """Open all of *paths*, so that a wrong name stops a write before it begins.

    Raises:
        Failure: one cannot be opened.
    """
    with ExitStack() as stack:
        sources = []
        for path in paths:
            if path == STDIN:
                sources.append(Source("stdin", sys.stdin.buffer, None))
                continue
            try:
                file = stack.enter_context(open(path, "rb"))
                size = file.seek(0, 2) if file.seekable() else None
                if size is not None:
                    file.seek(0)
            except OSError as exc:
                raise Failure(f"Error reading {path}: {exc.strerror or exc}") from None
            sources.append(Source(path, file, size))
        yield sources


class Writer:
    """Sends the lines of files, and counts those that the server has.

    Args:
        client: of the server.
        database: the name of the database.
        precision: the unit of the times, in the API's words.
        accept_partial: whether the good lines of a request with bad ones are kept.
    """

    def __init__(
        self, client: Client, database: str, *, precision: str, accept_partial: bool
    ) -> None:
        self._client = client
        self._database = database
        self._precision = precision
        self._accept_partial = accept_partial
        self.kept = 0
        """How many lines the server has."""
        self.refused = 0
        """How many it did not take."""

    def write(self, source: Source, advance: Advance) -> Iterator[str]:
        """Send all of *source*; yield a line of text for each line that was refused.

        Raises:
            ApiError: the server took a request not at all; nothing more is sent.
        """
        try:
            for piece in chunks(source.file):
                if isinstance(piece, LongLine):
                    yield self._refuse(source.name, piece)
                    advance(piece.size_bytes)
                else:
                    yield from self._send(source.name, piece)
                    advance(len(piece.body))
        except OSError as exc:
            raise ApiError(f"cannot read {source.name}: {exc.strerror or exc}") from None

    def _refuse(self, name: str, line: LongLine) -> str:
        self.refused += 1
        why = "; a string in it has no end" if line.has_open_string else ""
        return one_line(f"{name}:{line.number}: line is longer than {MAX_LINE_BYTES} bytes{why}")

    def _send(self, name: str, chunk: Chunk) -> Iterator[str]:
        lines = data_lines(chunk.body)
        if not lines:
            return
        try:
            self._client.write(
                self._database,
                chunk.body,
                precision=self._precision,
                accept_partial=self._accept_partial,
            )
        except PartialWriteError as exc:
            lines = data_lines(chunk.body, {line.number for line in exc.lines})
            kept = max(0, len(lines) - len(exc.lines)) if self._accept_partial else 0
            self.kept += kept
            self.refused += len(lines) - kept
            for line in exc.lines:
                yield one_line(f"{name}:{chunk.first_line + line.number - 1}: {line.message}")
        except TooLargeError as exc:
            if len(lines) > 1:
                raise
            self.refused += 1
            yield one_line(f"{name}:{chunk.first_line + lines[0] - 1}: {exc}")
        else:
            self.kept += len(lines)
