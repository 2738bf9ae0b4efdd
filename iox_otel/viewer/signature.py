"""Signatures: some bits for each tag of a span, so that most spans without a tag need no reading.

A Bloom filter. A span of 15 tags passes for one with another tag once in 500 times.
"""

from __future__ import annotations

_BITS = 63
"""Of a column; SQLite's integers have one bit more."""
COLUMNS = ("signature_1", "signature_2", "signature_3", "signature_4")
"""Of the database; a tag has a bit in each."""


def bits_of(tag: int) -> int:
    """Return the bits of a tag, of which *tag* is a hash of 64 bits."""
    return (
        1 << tag % _BITS
        | 1 << _BITS + (tag >> 16) % _BITS
        | 1 << 2 * _BITS + (tag >> 32) % _BITS
        | 1 << 3 * _BITS + (tag >> 48) % _BITS
    )


def columns_of(signature: int) -> tuple[int, int, int, int]:
    """Return the bits of a span's tags as the database has them."""
    mask = (1 << _BITS) - 1
    return (
        signature & mask,
        signature >> _BITS & mask,
        signature >> 2 * _BITS & mask,
        signature >> 3 * _BITS,
    )


def condition_of(signature: int) -> str:
    """Return SQL that is true of spans that have these bits."""
    pairs = zip(COLUMNS, columns_of(signature), strict=True)
    return " AND ".join(f"{column} & {bits} = {bits}" for column, bits in pairs)
