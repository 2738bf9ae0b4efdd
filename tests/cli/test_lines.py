"""Cutting line protocol: every byte arrives, and no string is torn apart."""

from __future__ import annotations

import tracemalloc
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iox_otel.cli.lines import MAX_LINE_BYTES, Chunk, LongLine, chunks, data_lines
from iox_otel.conductor.limits import Limits


def cut(text: bytes, chunk_bytes: int = 1) -> list[Chunk]:
    """Return the chunks of *text*, which has no line that is too long."""
    pieces = chunks(BytesIO(text), chunk_bytes=chunk_bytes)
    return [piece for piece in pieces if isinstance(piece, Chunk)]


def bodies(text: bytes, chunk_bytes: int = 1) -> list[bytes]:
    """Return the contents of the chunks of *text*, by default as short as they can be."""
    return [chunk.body for chunk in cut(text, chunk_bytes)]


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

    assert [(chunk.first_line, chunk.body) for chunk in cut(text, 20)] == [
        (1, b"a f=1\n\n# comment\n"),
        (4, b'b f="x\ny"\nc f=1\n'),
    ]


def test_chunks_are_of_the_size_asked_for() -> None:
    """Lines are put together up to the size, which only a single line may exceed."""
    text = b"".join(b"m f=%d\n" % number for number in range(1000)) + b"m f=" + b"1" * 200 + b"\n"

    parts = bodies(text, 100)

    assert b"".join(parts) == text
    assert all(len(part) <= 100 for part in parts[:-1])
    assert len(parts) < len(text) / 90 + 2


def test_longest_line_fills_a_request() -> None:
    """A line is sent if the server takes it alone, and not if it has a byte more."""
    assert Limits().max_request_bytes == MAX_LINE_BYTES
    longest = b'a f="' + b"x" * (MAX_LINE_BYTES - 7) + b'"\n'

    assert bodies(b"b f=1\n" + longest + b"c f=1\n") == [b"b f=1\n", longest, b"c f=1\n"]
    assert list(chunks(BytesIO(b"b" + longest))) == [LongLine(1, MAX_LINE_BYTES + 1, False)]


LIMIT = 200_000


@pytest.mark.parametrize(
    ("begin", "fill", "end", "has_open_string"),
    [
        (b"a", b"a", b"", False),
        (b"a f=", b"1", b"", False),
        (b"a f=", b"1", b',g="x\nb f=2\n"', False),
        (b'a f="', b"x", b'\nb f=2\n"', False),
        (b'a f="', b"x\n", b'b f=2\n"', False),
        (b'a f="', b'\\"\n', b'b f=2\n"', False),
        (b'a f="', b'\\"', b'\nb f=2\n"', False),
        (b"a,t=", b'"', b" f=1", False),
        (b'# say f="', b"x", b"", False),
        (b"", b" ", b'# f="', False),
        (b"", b" ", b'a f="\nb f=2"', False),
        (b'a f="', b"\nb f=2", b"", True),
    ],
)
def test_no_piece_of_a_line_is_sent(
    begin: bytes, fill: bytes, end: bytes, has_open_string: bool
) -> None:
    """What is too long is left out to its end, which may be behind newlines in a string."""
    before, line, after = b"# comment\nb f=1\n", begin + fill * LIMIT + end + b"\n", b"c f=1\n"
    text = before + line + after

    first, long, *rest = chunks(BytesIO(text), max_line_bytes=LIMIT)

    assert first == Chunk(before, 1)
    if has_open_string:
        assert (long, rest) == (LongLine(3, len(line + after), True), [])
    else:
        assert long == LongLine(3, len(line), False)
        assert rest == [Chunk(after, 3 + line.count(b"\n"))]


@pytest.mark.parametrize("fill", [b"x", b"x\n", b'\\"'])
def test_long_string_is_one_line(fill: bytes) -> None:
    """A string may be as long as the line that it is in, whatever it holds."""
    line = b'a f="' + fill * (LIMIT // len(fill)) + b'"\n'

    assert bodies(line + b"b f=1\n") == [line, b"b f=1\n"]


@pytest.mark.parametrize("text", [b"a f=" + b"1" * (8 << 20), b'a f="' + b"x\n" * (1 << 18)])
def test_little_of_a_long_line_is_held(text: bytes) -> None:
    """A line takes bounded memory, however long it is and of how many pieces."""
    file = BytesIO(text)
    tracemalloc.start()
    try:
        (line,) = chunks(file, max_line_bytes=LIMIT)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert isinstance(line, LongLine)
    assert line.size_bytes == len(text)
    assert peak_bytes < 4 * LIMIT


@given(st.text('ab"=, \\\n#', max_size=60).map(str.encode), st.integers(1, 40))
def test_nothing_is_lost(text: bytes, chunk_bytes: int) -> None:
    """Whatever the text, the chunks are the text, and their line numbers add up."""
    line, numbers = 1, []
    for chunk in cut(text, chunk_bytes):
        assert chunk.first_line == line
        numbers += [line + number - 1 for number in data_lines(chunk.body)]
        line += chunk.body.count(b"\n")

    assert b"".join(bodies(text, chunk_bytes)) == text
    assert numbers == data_lines(text)


@pytest.mark.parametrize(
    ("text", "refused", "expected"),
    [
        (b"", (), []),
        (b"a f=1", (), [1]),
        (b"\n \r\n# c\n\ta f=1\n", (), [4]),
        (b'a f="x\ny"\nb f=1\n', (), [1, 3]),
        (b'a f="x\nb f=1\nc f=1\n', (), [1]),
        (b'a f="x\nb f=1\nc f=1\n', (1,), [1, 2, 3]),
        (b"a f=1\nbad\nc f=1\n", (2,), [1, 2, 3]),
    ],
)
def test_data_lines(text: bytes, refused: tuple[int, ...], expected: list[int]) -> None:
    """Comments and blank lines do not count, nor do newlines in a string that the server took."""
    assert data_lines(text, refused) == expected
