"""HeaderParser: what finds the trace context in a request's headers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from iox_otel import SpanContext


class Extracted(NamedTuple):
    """What the headers of a request say."""

    context: SpanContext | None
    """The caller's context; its collector is None. None if there was only a debug id."""
    debug_id: str | None
    """The text of the debug header, capped in length: the request is to be traced in any case."""


class HeaderParser(Protocol):
    """Finds the trace context in a request's headers. One instance serves all requests."""

    header_names: frozenset[bytes] | None
    """Every header name it reads, lower case. A request with none of them is not parsed; with None
    every request is."""

    def parse(
        self, headers: Iterable[tuple[bytes, bytes]], *, peer: str | None = None
    ) -> Extracted | None:
        """Return what *headers* (names in lower case, as ASGI has them) say, None if nothing.

        Args:
            headers: the pairs of an ASGI scope.
            peer: the address of the client, where it is known.

        Raises:
            HeaderError: a header is there but malformed.
        """
