"""Query: what a search asks of a span.

Agrees with the search of Jaeger's memory storage: all conditions hold on one span, its duration is
the one that counts, and a tag is one of the span's, of its process or a field of its logs.
"""

from __future__ import annotations

from dataclasses import dataclass

from .arrivals import MAX_TIME_NS
from .stored import StoredSpan
from .tags import all_tags


@dataclass(frozen=True, slots=True)
class Query:
    """What a span has to be; what is empty or 0 asks for nothing.

    Args:
        service: its service.
        operation: its name.
        tags: keys and texts, see `Tag.text`; it has all of them.
        start_ns: it starts then or later.
        end_ns: it starts then or earlier.
        min_duration_ns: it takes so long at least.
        max_duration_ns: it takes so long at most; None for any.
        errors_only: its status is an error.
        limit: of traces; 0 for all.
    """

    service: str = ""
    operation: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    start_ns: int = 0
    end_ns: int = MAX_TIME_NS
    min_duration_ns: int = 0
    max_duration_ns: int | None = None
    errors_only: bool = False
    limit: int = 20

    @property
    def longest_ns(self) -> int:
        """How long a span may take, as the database holds durations."""
        return MAX_TIME_NS if self.max_duration_ns is None else self.max_duration_ns


def fits(stored: StoredSpan, query: Query) -> bool:
    """Tell whether a span is what *query* asks for."""
    span = stored.span
    if not query.start_ns <= span.start_time_unix_nano <= query.end_ns:
        return False
    if stored.duration_ns < query.min_duration_ns:
        return False
    if query.max_duration_ns is not None and stored.duration_ns > query.max_duration_ns:
        return False
    if query.service and stored.service != query.service:
        return False
    if query.operation and span.name != query.operation:
        return False
    if query.errors_only and not stored.is_error:
        return False
    if not query.tags:
        return True
    left = set(query.tags)
    for tag in all_tags(stored, {key for key, _ in left}):
        left.discard((tag.key, tag.text))
    return not left
