"""Cutting line protocol: every byte arrives, and no string is torn apart."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iox_otel.cli.lines import chunks, count_lines


def bodies(text: bytes, chunk_bytes: int = 1) -> list[bytes]:
    """Return the contents of the chunks of *text*, by default as short as they can be."""
    return [chunk.body for chunk in chunks(BytesIO(text), chunk_bytes)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", []),
        (b"a f=1\nb f=2\n", [b"a f=1\n", b"b f=2\n"]),
        (b"a f=1\nb f=2", [b"a f=1\n", b"b f=2"]),
        (b"a f=1\r\nb f=2\r\n", [b"a f=1\r\n", b"b f=2\r\n"]),
        (b'a f="x\ny",g=1\nb f=2\n', [b'a f="x\ny",g=1\n', b"b f=2\n"]),
        (b'a f="x\\"\ny"\nb f=2\n', [b'a f="x\\"\ny"\n', b"b f=2\n"]),
        (b'a f="x\\\\"\nb f=2\n', [b'a f="x\\\\"\n', b"b f=2\n"]),
        (b'a,t="x f=1\nb f=2\n', [b'a,t="x f=1\n', b"b f=2\n"]),
        (b'a,t=\\ "x f=1\nb f=2\n', [b'a,t=\\ "x f=1\n', b"b f=2\n"]),
        (b'a f=1,"g=2\nb f=2\n', [b'a f=1,"g=2\n', b"b f=2\n"]),
        (b'a f="1,2=3",g="\n" 5\nb f=2\n', [b'a f="1,2=3",g="\n" 5\n', b"b f=2\n"]),
        (b'# say "hello\na f=1\n', [b'# say "hello\n', b"a f=1\n"]),
        (b'a f="\n\n#\n"\nb f=2\n', [b'a f="\n\n#\n"\n', b"b f=2\n"]),
    ],
)
def test_cuts_between_lines_only(text: bytes, expected: list[bytes]) -> None:
    """A chunk ends where a line ends, which is not at a newline inside a quoted string."""
    assert bodies(text) == expected


def test_chunks_know_their_place() -> None:
    """Each chunk says on which line of the file it begins."""
    text = b'a f=1\n\n# comment\nb f="x\ny"\nc f=1\n'

    assert [(chunk.first_line, chunk.body) for chunk in chunks(BytesIO(text), 20)] == [
        (1, b"a f=1\n\n# comment\n"),
        (4, b'b f="x\ny"\nc f=1\n'),
    ]


def test_chunks_are_of_the_size_asked_for() -> None:
    """Lines are put together up to the size, which only a single line may exceed."""
    text = b"".join(b"m f=%d\n" % number for number in range(1000)) + b"m f=" + b"1" * 200 + b"\n"

    cut = bodies(text, 100)

    assert b"".join(cut) == text
    assert all(len(body) <= 100 for body in cut[:-1])
    assert len(cut) < len(text) / 90 + 2


def test_forgotten_quote_ends_somewhere() -> None:
    """A string that never closes does not make the rest of the file one chunk."""
    text = b'a f="x\n' + b"b f=1\n" * 100_000

    cut = bodies(text, 10_000)

    assert b"".join(cut) == text
    assert max(map(len, cut)) < 200_000
    assert len(cut) > 20


def test_endless_line_is_cut() -> None:
    """A file without newlines is not read into memory as a whole."""
    text = b"a" * (20 << 20)

    assert [len(body) for body in bodies(text)] == [8 << 20, 8 << 20, 4 << 20]


@given(st.text('ab"=, \\\n#', max_size=60).map(str.encode), st.integers(1, 40))
def test_nothing_is_lost(text: bytes, chunk_bytes: int) -> None:
    """Whatever the text, the chunks are the text, and their line numbers add up."""
    line, total = 1, 0
    cut = list(chunks(BytesIO(text), chunk_bytes))
    for chunk in cut:
        assert chunk.first_line == line
        line += chunk.body.count(b"\n")
        total += count_lines(chunk.body)

    assert b"".join(chunk.body for chunk in cut) == text
    assert total == count_lines(text)


@pytest.mark.parametrize(
    ("text", "refused", "expected"),
    [
        (b"", (), 0),
        (b"a f=1", (), 1),
        (b"\n \r\n# c\n\ta f=1\n", (), 1),
        (b'a f="x\ny"\nb f=1\n', (), 2),
        (b'a f="x\nb f=1\nc f=1\n', (), 1),
        (b'a f="x\nb f=1\nc f=1\n', (1,), 3),
        (b"a f=1\nbad\nc f=1\n", (2,), 3),
    ],
)
def test_count_lines(text: bytes, refused: tuple[int, ...], expected: int) -> None:
    """Comments and blank lines do not count, nor do newlines in a string that the server took."""
    assert count_lines(text, refused) == expected
