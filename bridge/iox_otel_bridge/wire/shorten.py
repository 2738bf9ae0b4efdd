"""What cutting down a span is about in every wire format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

MARK = "iox.truncated"
"""The attribute that says what was cut, such as "events dropped: 812, values shortened: 3"."""

VALUES = "values shortened"
"""How the mark says that of texts."""

_ELLIPSIS = "…"
_SHORTEST_VALUE_BYTES = 32


def number_to_lose(sizes: Iterable[int], excess: int) -> int:
    """Return how many of the first of *sizes* make up *excess*; all, if they do not."""
    count = saved = 0
    for size in sizes:
        if saved >= excess:
            break
        saved += size
        count += 1
    return count


def shorten_texts(texts: Sequence[tuple[Any, str]], excess: int) -> int:
    """Cut the ends of the longest of *texts*, objects with the names of their attributes, so that
    all lose *excess* bytes together; return how many were cut. None counts as empty."""
    values = [(getattr(*text) or "").encode() for text in texts]
    level = _level([len(value) for value in values], excess)
    shortened = 0
    for (holder, attribute), value in zip(texts, values, strict=True):
        if len(value) > level:
            kept = value[: level - len(_ELLIPSIS.encode())].decode(errors="ignore")
            setattr(holder, attribute, kept + _ELLIPSIS)
            shortened += 1
    return shortened


def _level(lengths: Sequence[int], excess: int) -> int:
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
