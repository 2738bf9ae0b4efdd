"""Trust: whose headers may have a request traced, and how often. IOx trusts everybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from iox_otel.http import Extracted

from .backlog import Tally
from .clock import monotonic_s
from .notices import Notices
from .setting_types import ALWAYS, networks_of


class Refused(NamedTuple):
    """How many requests were not traced though their headers asked for it."""

    strangers: int
    """Because of who sent them."""
    debug: int
    """Because there were too many debug traces in that second."""


class Trust:
    """Decides whether a request is traced because its headers say so.

    Of a stranger's headers the ids count, for log lines and for what is called in turn, but not the
    sampled flag, the debug flag or the debug id. So it is with a debug trace too many, too.

    Args:
        who: "always", "never", or networks and addresses with commas between: "10.0.0.0/8,::1". A
            client whose address is not known, as behind a Unix socket, is in none of them.
        max_debug_per_second: how many traces debug headers may force; 0 for any number.
        clock_s: seconds that only go forward.

    Raises:
        ValueError: *who* is none of these.
    """

    def __init__(
        self,
        who: str = ALWAYS,
        max_debug_per_second: int = 0,
        *,
        clock_s: Callable[[], float] = monotonic_s,
    ) -> None:
        self._networks = None if who == ALWAYS else networks_of(who)
        self._max_debug = max_debug_per_second
        self._clock_s = clock_s
        self._second = 0
        self._debug = 0
        self._strangers_refused, self._debug_refused = Tally(), Tally()
        self._notices = Notices("tracing")

    def refused(self) -> Refused:
        """Return the counters."""
        return Refused(self._strangers_refused.value(), self._debug_refused.value())

    def judge(self, found: Extracted, peer: str | None) -> Extracted | None:
        """Return what counts of what was *found* in the headers of a request.

        Args:
            found: its context belongs to this request alone, and is changed.
            peer: the address of the client, if it is known.
        """
        context, debug_id = found
        if debug_id is None and (context is None or not context.sampled):
            return found  # it asks for no trace
        if self._networks is not None and not self._is_trusted(peer):
            self._strangers_refused.add()
        elif (debug_id is not None or (context and context.debug)) and not self._take():
            self._debug_refused.add()
            self._notices.warn(
                f"more than {self._max_debug} debug traces in a second, the others are not traced"
            )
        else:
            return found
        if context is None:
            return None
        context.sampled = context.debug = False
        return Extracted(context, None)

    def _is_trusted(self, peer: str | None) -> bool:
        if not self._networks or peer is None:
            return False
        from ipaddress import ip_address

        try:
            address = ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)  # as a socket for both kinds has it
        return any((mapped or address) in network for network in self._networks)

    def _take(self) -> bool:
        """Return whether there is room for one more debug trace in this second."""
        if not self._max_debug:
            return True
        # Not exact between threads: a trace more or less does not matter.
        second = int(self._clock_s())
        if second != self._second:
            self._second, self._debug = second, 0
        self._debug += 1
        return self._debug <= self._max_debug
