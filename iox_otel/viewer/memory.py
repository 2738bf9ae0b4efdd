"""Memory: how that of a viewer's process is shared out."""

from __future__ import annotations

from typing import NamedTuple

from .store import DEFAULT_MAX_MB
from .writer import DEFAULT_MAX_QUEUE_BYTES

_PROCESS_MB = 128
"""For Python, what it loads and knows, and the pages that a transaction changes; as measured."""


class Shares(NamedTuple):
    """What the parts of a viewer may use."""

    max_mb: int
    """Of the database."""
    max_queue_bytes: int
    """Of what has come in and is not yet stored."""


def shares_of(process_mb: int | None = None) -> Shares:
    """Return them for a viewer in memory whose process may use *process_mb*, 192 at least."""
    process_mb = process_mb or DEFAULT_MAX_MB
    queue_mb = min(process_mb // 16, DEFAULT_MAX_QUEUE_BYTES >> 20)
    return Shares(process_mb - _PROCESS_MB - queue_mb, queue_mb << 20)
