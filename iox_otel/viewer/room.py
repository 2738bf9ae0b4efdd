"""Room: how much a cache may hold."""

from __future__ import annotations

from collections.abc import Callable

_ENTRY_BYTES = 300
"""Of what holds an entry in Python, beside its bytes; as measured."""
_MOST = 256
"""One entry takes such a part of it at most: what is long is seldom seen twice."""


class Room:
    """Bounds a cache by its bytes, as names and values may be of any length. Not thread-safe.

    Args:
        max_bytes: of all entries.
        clear: forgets them.
    """

    def __init__(self, max_bytes: int, clear: Callable[[], None]) -> None:
        self._max_bytes = self._left = max_bytes
        self._clear = clear

    def takes(self, byte_count: int) -> bool:
        """Tell whether to keep something of about *byte_count*; forget all others now and then."""
        byte_count += _ENTRY_BYTES
        if byte_count > self._max_bytes // _MOST:
            return False
        self._left -= byte_count
        if self._left < 0:
            self._clear()
            self._left = self._max_bytes - byte_count
        return True
