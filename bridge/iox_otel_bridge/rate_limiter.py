"""RateLimiter: so many a second. The leaky bucket of Jaeger's clients, in whole nanoseconds."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from threading import RLock

from .clock import monotonic_ns

_SECOND_NS = 1_000_000_000
_MAX_INTERVAL_NS = 1 << 62

# Held for a few instructions, so one will do for all; re-entrant, since a signal handler may begin
# a trace as well. A child is not to wait for a thread that was left with the parent.
_lock = RLock()


def _renew_lock() -> None:
    global _lock
    _lock = RLock()


os.register_at_fork(after_in_child=_renew_lock)


class RateLimiter:
    """Lets so many a second pass, and after a quiet time as many at once.

    A bucket of max(*per_second*, 1) that is full at first and filled again at *per_second*: exactly
    that, whatever number of threads ask. So in *t* seconds no more pass than it held and
    *t* · *per_second*. Agrees with `RateLimiter` of jaeger-client-go and its like.

    Args:
        per_second: how many pass, 0 or more, for instance 0.1 for one in ten seconds.
        like: begins as full as this one is, for a change of the rate.
        clock_ns: nanoseconds that only go forward.
    """

    def __init__(
        self,
        per_second: float,
        *,
        like: RateLimiter | None = None,
        clock_ns: Callable[[], int] = monotonic_ns,
    ) -> None:
        self._clock_ns = clock_ns
        # Rounded up: never more than was asked for.
        self._interval_ns = (
            math.ceil(min(_SECOND_NS / per_second, _MAX_INTERVAL_NS)) if per_second else None
        )
        self._capacity_ns = math.ceil(max(per_second, 1) * (self._interval_ns or 0))
        # What has been filled in since then, one for each interval, is there.
        self._since_ns: int = like._since_ns if like else clock_ns() - self._capacity_ns

    def take(self) -> bool:
        """Return whether one more may pass now; if so, it has."""
        interval_ns = self._interval_ns
        if interval_ns is None:
            return False
        with _lock:
            now_ns = self._clock_ns()
            since_ns = max(self._since_ns, now_ns - self._capacity_ns) + interval_ns
            if since_ns > now_ns:
                return False
            self._since_ns = since_ns
            return True
