"""Attempt: a blocking call that can be given up at any moment."""

from __future__ import annotations

import math
from _thread import start_new_thread  # noqa: PLC2701  see `Attempt`
from collections.abc import Callable
from contextvars import copy_context
from threading import Lock
from typing import Generic, TypeVar

from iox_otel_bridge.clock import monotonic_s

T = TypeVar("T")


class GivenUp(Exception):
    """The attempt was interrupted, or its time was over; the text says which."""


class Attempt(Generic[T]):
    """Runs *work* on a daemon thread of its own.

    A timeout given to a socket bounds each of its operations, and nothing bounds the look-up of a
    host name; so only a thread that is left behind makes a deadline true. What is left behind ends
    when its socket times out, and never holds up the end of the process.

    The thread and the lock it is waited for by are both what they were when this was imported: if
    gevent patched one of them since, the thread would be a greenlet that the lock lets never run.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._answers: list[T] = []
        self._errors: list[Exception] = []
        # A plain lock, not an Event: `interrupt` may be called from a signal handler.
        self._over = Lock()
        self._over.acquire()
        self._running = False

    def result(self, timeout_s: float, meanwhile: Callable[[], float] | None = None) -> T:
        """Run the work and return what it does, after *timeout_s* seconds at most.

        As long as it waits it calls *meanwhile*, which says after how many seconds to call again.

        An interpreter that is exiting starts no threads; then the work runs on this one, for as
        long as it takes.

        Raises:
            GivenUp: the time was over, or `interrupt` was called.
            Exception: the work raised it.
        """
        self._running = True
        try:
            # In a copy of the context, which says that what an exporter does is not to be traced.
            start_new_thread(copy_context().run, (self._run,))
        except RuntimeError:
            self._run()
        over = self._wait(monotonic_s() + timeout_s, meanwhile)
        if self._answers:
            return self._answers[0]
        if self._errors:
            raise self._errors[0]
        raise GivenUp("interrupted" if over else f"no answer within {timeout_s:.3g} s")

    def _wait(self, deadline_s: float, meanwhile: Callable[[], float] | None) -> bool:
        while True:
            pause_s = math.inf if meanwhile is None else meanwhile()
            left_s = max(0.0, deadline_s - monotonic_s())
            if self._over.acquire(timeout=min(left_s, pause_s)):
                return True
            if left_s <= pause_s:
                return False

    def interrupt(self) -> None:
        """Make `result` return at once."""
        self._finish()

    def running(self) -> bool:
        """Whether the work is still going on, given up or not."""
        return self._running

    def _run(self) -> None:
        try:
            self._answers.append(self._work())
        except Exception as error:
            self._errors.append(error)
        finally:
            self._running = False
            self._finish()

    def _finish(self) -> None:
        try:
            self._over.release()
        except RuntimeError:
            pass  # it was over before
