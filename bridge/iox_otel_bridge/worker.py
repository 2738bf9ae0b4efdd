"""Worker: the one thread that empties a processor's backlog, and those who wait for it."""

from __future__ import annotations

import math
import threading
from _thread import start_new_thread  # noqa: PLC2701  a Thread takes locks when it starts
from collections import deque
from collections.abc import Sequence
from threading import Lock, get_ident
from typing import NamedTuple

from .backlog import NEVER, Backlog
from .clock import monotonic_s
from .delivery import Delivery, suppressed_instrumentation
from .notices import Notices
from .sender import AnySpan
from .waiter import MAX_WAIT_S, Waiter

ABANDON_S = 0.05
"""How often to look whether those whose time is over have given up."""
UNATTENDED_S = 30.0
"""How long a flush or shutdown that nobody waits for is worked at."""


class Timing(NamedTuple):
    """When a worker works, and how long an exit waits for it."""

    max_batch_size: int
    """A full batch, in spans."""
    schedule_delay_s: float
    """How old the oldest span may get before it is sent in a smaller batch."""
    exit_quiet_s: float
    """How long the exit goes on waiting without an accepted batch."""
    exit_timeout_s: float
    """How long the exit waits in all."""


class Worker:
    """Takes spans out of *backlog* when a batch is full or the oldest is old enough, and delivers.

    The thread is a daemon, started by the first span; it sleeps without a timeout when there is
    nothing to do. Where no thread can be started, as late in the interpreter's exit, flush and
    shutdown do the work on their caller's thread.

    Args:
        backlog: where the spans wait.
        delivery: how they leave.
        notices: where to say what was lost.
        timing: when to do so.
        name: of the thread.
    """

    def __init__(
        self,
        backlog: Backlog,
        delivery: Delivery,
        notices: Notices,
        timing: Timing,
        name: str,
    ) -> None:
        self.backlog = backlog
        self.delivery = delivery
        self.over = False
        """Whether there is nothing left to do, or nobody who may do it."""
        self._notices = notices
        self.exit_quiet_s = timing.exit_quiet_s
        self.exit_timeout_s = timing.exit_timeout_s
        self._max_batch_size = timing.max_batch_size
        self._schedule_delay_s = timing.schedule_delay_s
        self._name = name
        self._wake = Lock()  # released to wake: safe in a signal handler, unlike an Event
        self._wake.acquire()
        self._working = Lock()  # held by whoever works, and never waited for
        self._ident: int | None = None
        self._waiters: deque[Waiter] = deque()
        self._told = 0  # losses that an answer told of
        self._kept = False  # whether all was delivered, when it was over
        self._begun: Waiter | None = None  # of the last flush that nobody waits for
        self._retired = False  # nobody can wait, as nobody knows of it
        self._empty_s = monotonic_s()  # when the inbox was last seen empty

    # Recording threads, `__del__` and signal handlers: nothing here waits.

    def attend(self, inbox: deque[AnySpan]) -> None:
        """See to the span just appended to *inbox*: wake the worker, or drop it."""
        backlog = self.backlog
        if backlog.closed:
            backlog.refuse(inbox)
            return
        if len(inbox) >= backlog.wake_at:
            self.rouse()
        if backlog.over():
            if not backlog.losing:
                self.rouse()  # to warn of it
            backlog.refuse(inbox)

    def rouse(self) -> None:
        """Wake the worker, or start it."""
        if not self._working.locked() and not self.over:
            self._start()
        if self._wake.locked():
            try:
                self._wake.release()
            except RuntimeError:
                pass  # another thread woke it in this moment

    def _start(self) -> None:
        if not self._working.acquire(blocking=False):
            return
        try:
            start_new_thread(self._main, ())
        except RuntimeError:
            self._working.release()  # the interpreter ends, or there are too many threads
        except BaseException:
            self._working.release()
            raise

    # Those who wait

    def begin_flush(self) -> None:
        """Ask for everything to be delivered now, and do not wait. Safe in a signal handler."""
        begun = self._begun
        if begun is None or begun.done():
            begun = self._begun = self._flush_waiter(monotonic_s() + UNATTENDED_S)
            begun.told = None
            self._waiters.append(begun)
        else:  # one is enough, however often it is asked for
            begun.target = self.backlog.admitted()
        self._hasten()

    def accepted_s(self) -> float:
        """Return the monotonic time of the last accepted batch."""
        return self.delivery.accepted_s

    def flush(self, deadline_s: float, *, quiet_s: float = math.inf) -> bool:
        """Wait until all that was recorded is delivered; True if it was.

        The wait ends at *deadline_s*, or *quiet_s* after the last accepted batch.

        A loss makes one answer False, not all that follow.
        """
        if self.over or self._ident == get_ident():  # there, the exporter itself asks
            return self.over and self._kept
        waiter = self._flush_waiter(deadline_s, quiet_s)
        self._waiters.append(waiter)
        self._hasten()
        if self.over:  # since the line above: perhaps nobody saw the waiter
            return self._kept
        self._await(waiter)
        return waiter.answer

    def begin_shutdown(self, waiter: Waiter) -> None:
        """Take no more spans and deliver those that are there; *waiter* says until when.

        Safe in a signal handler.
        """
        waiter.target = NEVER  # the end answers it, nothing before
        self._waiters.append(waiter)
        self.backlog.close()
        self.delivery.hurry(closing=True)
        self._rouse_if_needed()

    def finish_shutdown(self, waiter: Waiter) -> bool:
        """Wait for what `begin_shutdown` asked for; True if every span before it was delivered.

        What is not delivered in time is counted as dropped by the shutdown.
        """
        if not self.over and self._ident != get_ident():
            self._await(waiter)
        if not self.over:
            self.abandon()
        return self._kept

    def retire(self) -> None:
        """Shut down in the background: nobody can record or wait any more."""
        if not self.over:
            self._retired = True
            self.begin_shutdown(Waiter(monotonic_s() + UNATTENDED_S))
            self.rouse()

    def abandon(self) -> None:
        """Stop, whatever is under way; what waits is counted as dropped by the shutdown."""
        self.backlog.end()
        self.over = True
        self.delivery.interrupt()
        self._notices.ended(self.backlog.stats())
        for each in tuple(self._waiters):
            each.tell(False)
        if self._working.acquire(blocking=False):
            self.delivery.close()  # else the worker does, when it comes back from its call
        else:
            self.rouse()

    def _flush_waiter(self, deadline_s: float, quiet_s: float = math.inf) -> Waiter:
        backlog = self.backlog
        return Waiter(
            deadline_s,
            target=backlog.admitted(),
            refused=backlog.refused(),
            told=self._told,
            quiet_s=quiet_s,
            accepted_s=self.accepted_s,
        )

    def _hasten(self) -> None:
        self.delivery.hurry(closing=self.backlog.closed)
        self._rouse_if_needed()

    def _rouse_if_needed(self) -> None:
        """Wake the worker; start none when there is no work for it."""
        if self._working.locked() or self.backlog.waiting():
            self.rouse()

    def _await(self, waiter: Waiter) -> None:
        """Wait for the worker; if there is none, because none was needed or none can be started,
        work here."""
        if not self._working.acquire(blocking=False):
            waiter.wait()
            return
        try:
            waiter.began_s = monotonic_s()
            self._ident = get_ident()
            with suppressed_instrumentation():
                self._run(waiter)
        finally:
            self._ident = None
            self.backlog.watch(1)
            self._working.release()
        if self.backlog.inbox and not self.over:
            self.rouse()

    # The worker

    def _main(self) -> None:
        self._ident = get_ident()
        try:
            threading.current_thread().name = self._name
            with suppressed_instrumentation():
                while not self.over:
                    self._run_contained()
        finally:
            self.delivery.close()

    def _run_contained(self) -> None:
        try:
            self._run(None)
        except BaseException as error:  # a defect of ours must not end all delivery
            self._notices.warn("the export thread failed and goes on", error, trace=True)
            self._wake.acquire(timeout=1.0)

    def _run(self, waiter: Waiter | None) -> None:
        """Work until it is over, or until *waiter* is done."""
        while not self.over and not (waiter and waiter.done()):
            if not self.backlog.inbox:
                self._empty_s = monotonic_s()
            if self.backlog.losing:
                self._notices.losing(self.backlog)
            if (self._waiters or self.backlog.closed) and self._answer():
                continue
            if self.backlog.ready and self.delivery.retry_in_s() <= 0:
                self.delivery.send_next(self._time_left_s(waiter))
            elif self._due():
                self.delivery.encode_next()
            else:
                self._rest(waiter)

    def _due(self) -> bool:
        """Return whether the inbox should be encoded now."""
        waiting = len(self.backlog.inbox)
        if not waiting or self._must_wait():
            return False
        if waiting >= self._max_batch_size or self._waiters or self.backlog.closed:
            return True
        return monotonic_s() >= self._empty_s + self._schedule_delay_s

    def _must_wait(self) -> bool:
        """Return whether what is encoded must leave first, lest spans are dropped that no others
        will come after."""
        return self.backlog.closed and not self.backlog.fits()

    def _rest(self, waiter: Waiter | None) -> None:
        """Sleep until there is something to do, without a timeout if only others can bring it."""
        backlog = self.backlog
        raw = len(backlog.inbox)
        wake_at = self._max_batch_size if raw else 1
        left_s = self._rest_s(waiter, raw)
        backlog.watch(wake_at)
        if len(backlog.inbox) < wake_at and left_s > 0:
            self._wake.acquire(timeout=-1 if left_s == math.inf else min(left_s, MAX_WAIT_S))
        backlog.watch(NEVER)
        if not raw:
            self._empty_s = monotonic_s()

    def _rest_s(self, waiter: Waiter | None, raw: int) -> float:
        left_s = waiter.left_s() if waiter else math.inf
        if self.backlog.closed:
            left_s = min(left_s, self._time_left_s(waiter))
        if self.backlog.ready:
            left_s = min(left_s, self.delivery.retry_in_s())
        if raw and not self._must_wait():
            left_s = min(left_s, self._empty_s + self._schedule_delay_s - monotonic_s())
        elif not raw and not self.backlog.ready:
            idle_s = self.delivery.idle()
            left_s = min(left_s, math.inf if idle_s is None else max(0.001, idle_s))
        return left_s

    def _time_left_s(self, waiter: Waiter | None) -> float:
        if waiter:
            return waiter.left_s()
        if self.backlog.closed:
            return max((each.left_s() for each in tuple(self._waiters)), default=0.0)
        return math.inf

    def _answer(self) -> bool:
        """Answer those whose spans have all left; return whether it did."""
        for each in tuple(self._waiters):
            if each.done():
                self._waiters.remove(each)
        if self.backlog.closed:
            return self._end_if_due()
        left = self.backlog.left()
        ready = [each for each in tuple(self._waiters) if each.target <= left]
        if not ready:
            return False
        self._tell(ready, self.delivery.flush(max(each.left_s() for each in ready)))
        return True

    def _end_if_due(self) -> bool:
        if not self._waiters:
            if self._retired:
                self.abandon()  # nobody will
            else:
                self._wake.acquire(timeout=ABANDON_S)
        elif self.backlog.waiting():
            return False
        else:
            self._conclude()
        return True

    def _conclude(self) -> None:
        """Let everything go: all has left."""
        flushed = self.delivery.flush(self._time_left_s(None))
        if self.over:
            return  # abandoned meanwhile
        self._kept = flushed and not self.backlog.lost() and not self.backlog.refused()
        self.backlog.end()
        self.over = True
        self._notices.ended(self.backlog.stats())
        self.delivery.close()
        self._tell(tuple(self._waiters), flushed)  # those too that came meanwhile

    def _tell(self, waiters: Sequence[Waiter], flushed: bool) -> None:
        for each in waiters:
            lost = each.refused + self.backlog.lost()
            each.tell(flushed and lost == each.told)
            if each.told is not None:
                self._told = max(self._told, lost)
