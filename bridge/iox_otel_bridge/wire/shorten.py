"""What cutting down a span is about in every wire format."""

from __future__ import annotations

from collections.abc import Sequence

MARK = "iox.truncated"
"""The attribute that says what was cut, such as "events dropped: 812, values shortened: 3"."""

ELLIPSIS = "…"
_SHORTEST_VALUE_BYTES = 32


def level_of(lengths: Sequence[int], excess: int) -> int:
    """Return the length to which longer ones must be cut for all to lose *excess* together."""
    longest_first = sorted(lengths, reverse=True)
    total = 0
    for count, length in enumerate(longest_first, 1):
        total += length
        level = (total - excess) // count
        following = longest_first[count] if count < len(longest_first) else 0
        if level >= following:
            return max(level, _SHORTEST_VALUE_BYTES)
    return _SHORTEST_VALUE_BYTES
