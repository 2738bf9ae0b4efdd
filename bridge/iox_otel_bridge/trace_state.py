"""W3C trace states as OpenTelemetry wants to see them."""

from __future__ import annotations

from functools import lru_cache

from opentelemetry.trace import TraceState

from .plain import text_of


class ReceivedTraceState(TraceState):
    """A trace state that was checked when the header was read; here it is only taken apart.

    The ready-made parser knows the keys of level 1 only: it would drop a whole list that level 2
    allows, and log its text. Members that are no `key=value` are left out.

    Args:
        header: the value of `tracestate`.
    """

    def __init__(self, header: str) -> None:
        super().__init__()
        members = (member.strip().partition("=") for member in text_of(header).split(","))
        self._dict = {key: value for key, equals, value in members if equals}


@lru_cache(maxsize=256)
def trace_state_of(header: str | None) -> TraceState:
    """Return the trace state in *header*, which the traces of one client mostly share."""
    return ReceivedTraceState(header) if header else TraceState.get_default()
