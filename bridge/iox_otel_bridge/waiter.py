"""Waiter: one flush or shutdown that waits for the worker, and until when it does."""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Lock

from .clock import monotonic_s


class Waiter:
    """Waits for the worker's answer on the thread that asked. Nothing here takes a lock that is
    held for longer than a moment, so it may be made and waited on in a signal handler.

    Args:
        deadline_s: monotonic time at which the wait ends in any case.
        target: how many spans must have left the backlog.
        refused: how many spans had been refused when it asked.
        told: how many of the losses an earlier answer told of; None if nobody hears the answer.
        quiet_s: the wait also ends this long after the last accepted batch.
        accepted_s: monotonic time of the last accepted batch.
    """

    def __init__(
        self,
        deadline_s: float,
        *,
        target: int = 0,
        refused: int = 0,
        told: int | None = None,
        quiet_s: float = math.inf,
        accepted_s: Callable[[], float] | None = None,
    ) -> None:
        self.target = target
        self.refused = refused
        self.told = told
        self.answer = False
        self.began_s = monotonic_s()
        self._deadline_s = deadline_s
        self._quiet_s = quiet_s
        self._accepted_s = accepted_s
        self._answered = Lock()
        self._answered.acquire()

    def left_s(self) -> float:
        """Return how many seconds it will still wait; 0 or less if no more."""
        now_s = monotonic_s()
        left_s = self._deadline_s - now_s
        if self._accepted_s is not None:
            since_s = now_s - max(self.began_s, self._accepted_s())
            left_s = min(left_s, self._quiet_s - since_s)
        return left_s

    def done(self) -> bool:
        """Return whether there is an answer, or nobody waits for it any more."""
        return not self._answered.locked() or self.left_s() <= 0

    def tell(self, answer: bool) -> None:
        """Give the answer, from the thread that works."""
        self.answer = answer
        try:
            self._answered.release()
        except RuntimeError:
            pass  # told before

    def wait(self) -> bool:
        """Return whether an answer came in time."""
        while True:
            left_s = self.left_s()
            if self._answered.acquire(timeout=min(max(0.0, left_s), MAX_WAIT_S)):
                self.tell(self.answer)  # for whoever else looks
                return True
            if left_s <= 0:
                return False


MAX_WAIT_S = 86_400.0
"""One wait at a time lasts no longer than this; a lock refuses much more."""
