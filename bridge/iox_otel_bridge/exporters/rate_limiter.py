"""RateLimiter: spaces messages out in time. Agrees with IOx `trace_exporters::rate_limiter`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class RateLimiter:
    """Lets one message through in 1/*max_per_second* seconds; no bursts.

    For one thread at a time, but for `interrupt`.

    Args:
        max_per_second: more than 0; so large a number that it means no limit is fine.
        clock_ns: nanoseconds that only ever go forward.
        wait: waits the seconds given, at most; returns True if it was cut short by `interrupt`.

    Raises:
        ValueError: max_per_second is not more than 0.
    """

    def __init__(
        self,
        max_per_second: float,
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        if not max_per_second > 0:
            raise ValueError(f"max_per_second must be more than 0, got {max_per_second!r}")
        self._interval_ns = int(1e9 / max_per_second)
        self._clock_ns = clock_ns
        self._next_ns = clock_ns()
        self._wait = self._sleep if wait is None else wait
        # Held but for the moment of an interrupt. A raw lock, since an Event set in a signal
        # handler can meet itself half set on the same thread, and deadlock.
        self._wake = threading.Lock()
        self._wake.acquire()

    def acquire(self, timeout_s: float, meanwhile: Callable[[], float] | None = None) -> float:
        """Wait until the next message may go, and take its place.

        As long as it waits it calls *meanwhile*, which says after how many seconds to call again.

        Blocks for *timeout_s* at most, and not at all if that is known not to be enough.

        Returns:
            0.0 if the message may go, else in how many seconds it could.
        """
        while (left_ns := self._next_ns - self._clock_ns()) > 0:
            left_s = left_ns / 1e9
            pause_s = left_s if meanwhile is None else meanwhile()
            if left_s > timeout_s or self._wait(min(left_s, pause_s)):
                return left_s
        self._next_ns = self._clock_ns() + self._interval_ns
        return 0.0

    def interrupt(self) -> None:
        """Make an `acquire` that waits on another thread return at once, else the next to wait.

        Takes no lock that a signal handler could find held.
        """
        try:
            self._wake.release()
        except RuntimeError:
            pass  # interrupted already, and not waited since

    def _sleep(self, seconds: float) -> bool:
        return self._wake.acquire(timeout=seconds)
