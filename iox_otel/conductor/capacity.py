"""Capacity: how much memory the data of all databases may take, and how much it does."""

from __future__ import annotations

from threading import Lock

from .errors import ApiError
from .limits import in_mib


class DataFullError(ApiError):
    """There is no room for a write; nothing of it was written."""

    status = 507


class Capacity:
    """What the data may take. Safe for use from several threads.

    Args:
        max_bytes: of all that was taken.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._taken_bytes = 0
        self._lock = Lock()

    def take(self, size_bytes: int) -> None:
        """Take so much.

        Raises:
            DataFullError: it is not there; nothing was taken.
        """
        with self._lock:
            if self._taken_bytes + size_bytes > self._max_bytes:
                raise DataFullError(
                    f"no room for this: data may take {in_mib(self._max_bytes)} of memory, "
                    "see --max-data-mb; nothing was written"
                )
            self._taken_bytes += size_bytes

    def give_back(self, size_bytes: int) -> None:
        """Give back what was taken."""
        with self._lock:
            self._taken_bytes -= size_bytes
