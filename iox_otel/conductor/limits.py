"""Limits: how much the server takes on before it refuses the rest."""

from __future__ import annotations

from typing import NamedTuple

MIB = 1024 * 1024


class Limits(NamedTuple):
    """What a server may be asked for at once. The defaults fit a machine of some GiB."""

    max_request_bytes: int = 10 * MIB
    """The body of a request, as sent and unzipped; the reference's default, too."""
    max_concurrent_requests: int = 100
    """Requests that are under way, whatever for."""
    max_concurrent_queries: int = 8
    """Queries that run; others wait for their turn."""
    query_timeout_s: float = 60.0
    """From a query's turn to its last row; 0 for as long as it takes."""
    query_memory_bytes: int = 256 * MIB
    """What DataFusion may take for one query, beside the data itself."""
    max_data_bytes: int = 1024 * MIB
    """All databases together."""

    @property
    def timeout_s(self) -> float | None:
        """The timeout of a query as asyncio has it: None for none."""
        return self.query_timeout_s or None


def in_mib(size_bytes: int) -> str:
    """Return *size_bytes* for a message."""
    return f"{size_bytes / MIB:g} MiB"
