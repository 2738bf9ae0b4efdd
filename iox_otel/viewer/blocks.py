"""Blocks: traces whose numbers follow each other, so that one number tells which have something.

Most of what spans say many traces say: a row for each of them would be most of the database.
"""

from __future__ import annotations

from collections.abc import Iterator

SIZE = 63
"""Traces in a block; SQLite's integers have one bit more."""


def place_of(number: int) -> tuple[int, int]:
    """Return the block of the trace with that number, and its bit there."""
    block, at = divmod(number, SIZE)
    return block, 1 << at


def numbers_in(block: int, bits: int) -> Iterator[int]:
    """Give the numbers of a block's traces that have a bit."""
    while bits:
        last = bits.bit_length() - 1
        yield block * SIZE + last
        bits ^= 1 << last
