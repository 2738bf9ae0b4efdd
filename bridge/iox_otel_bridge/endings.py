"""Endings: what happens to waiting spans when the process exits, is terminated, or forks."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import weakref
from collections.abc import Sequence
from types import FrameType
from typing import Generic, Protocol, TypeVar

from .clock import monotonic_s
from .notices import Notices
from .waiter import Waiter

_notices = Notices("tracing")


class Endable(Protocol):
    """What delivers spans in the background and must be brought to an end."""

    exit_quiet_s: float
    """How long the exit goes on waiting without an accepted batch."""
    exit_timeout_s: float
    """How long the exit waits in all."""

    def accepted_s(self) -> float:
        """Return the monotonic time of the last accepted batch."""

    def begin_flush(self) -> None:
        """Ask for delivery now, without waiting."""

    def begin_shutdown(self, waiter: Waiter) -> None:
        """Ask for delivery and the end, without waiting."""

    def finish_shutdown(self, waiter: Waiter) -> bool:
        """Wait for it; True if nothing was lost."""


class Forkable(Protocol):
    """What must start afresh in a forked child."""

    def after_fork(self) -> None:
        """Begin anew: this is the child."""


_T = TypeVar("_T")


class WeakRegistry(Generic[_T]):
    """Objects that are forgotten when nobody else knows them. Any thread may add one."""

    def __init__(self) -> None:
        self._references: dict[int, weakref.ref[_T]] = {}

    def add(self, item: _T) -> None:
        """Know *item* as long as it lives."""
        key, references = id(item), self._references
        references[key] = weakref.ref(item, lambda _: references.pop(key, None))

    def clear(self) -> None:
        """Forget all."""
        self._references.clear()

    def live(self) -> list[_T]:
        """Return those that live."""
        items = [reference() for reference in list(self._references.values())]
        return [item for item in items if item is not None]


_endables: WeakRegistry[Endable] = WeakRegistry()
_forkables: WeakRegistry[Forkable] = WeakRegistry()


def register_ending(endable: Endable) -> None:
    """Deliver what *endable* holds when the process ends."""
    _endables.add(endable)


def register_fork(forkable: Forkable) -> None:
    """Start *forkable* afresh in every forked child."""
    _forkables.add(forkable)


def process_is_ending() -> bool:
    """Return whether the main thread is done, and what still runs are exit handlers."""
    return not threading.main_thread().is_alive()


def begin_flush_all() -> None:
    """Ask all to deliver now, and do not wait. Safe in a signal handler."""
    for endable in _endables.live():
        try:
            endable.begin_flush()
        except Exception as error:
            _notices.warn("a flush could not be begun", error, trace=True)


def end_all() -> bool:
    """Shut down all that live, together, within one deadline; True if nothing was lost.

    The wait ends `exit_quiet_s` after the last batch that any of them got accepted, and after
    `exit_timeout_s` at the latest.
    """
    return end(_endables.live())


def end(endables: Sequence[Endable], timeout_s: float | None = None) -> bool:
    """As `end_all`, for *endables* only, and for *timeout_s* at most."""
    began_s = monotonic_s()

    def accepted_s() -> float:
        return max((each.accepted_s() for each in endables), default=began_s)

    waiters = []
    for each in endables:
        limit_s = each.exit_timeout_s if timeout_s is None else min(each.exit_timeout_s, timeout_s)
        waiter = Waiter(began_s + limit_s, quiet_s=each.exit_quiet_s, accepted_s=accepted_s)
        each.begin_shutdown(waiter)
        waiters.append(waiter)
    answers = [each.finish_shutdown(waiter) for each, waiter in zip(endables, waiters, strict=True)]
    return all(answers)


def install_sigterm() -> bool:
    """Deliver what waits when SIGTERM comes; return whether the handler is in place.

    With the signal's default action: everything is shut down as at exit, and then the process dies
    of the signal. With a handler of the application's: a flush is begun, and the handler called.
    Nothing is installed where the signal is ignored, where its handler is not Python's, and off the
    main thread, where Python allows no handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    previous = signal.getsignal(signal.SIGTERM)
    if isinstance(previous, _SigtermHandler):
        return True
    if previous is None or previous is signal.SIG_IGN:
        return False
    signal.signal(signal.SIGTERM, _SigtermHandler(previous))
    return True


class _SigtermHandler:
    def __init__(self, previous: object) -> None:
        self._previous = previous

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        if callable(self._previous):
            begin_flush_all()
            self._previous(signum, frame)
            return
        _end_contained()
        signal.signal(signum, signal.SIG_DFL)
        signal.raise_signal(signum)


def _end_contained() -> None:
    try:
        end_all()
    except Exception as error:  # never a traceback at the end of somebody's program
        _notices.warn("the last spans could not be delivered", error, trace=True)


def _after_fork_in_child() -> None:
    _endables.clear()  # the parent's; the child's own come now
    for forkable in _forkables.live():
        try:
            forkable.after_fork()
        except Exception as error:
            _notices.warn("a forked child could not start afresh", error, trace=True)
    _join_multiprocessing()


def _join_multiprocessing() -> None:
    """Do the same in a child of multiprocessing, which may run no exit handlers.

    It has finalizers, which it forgets when it starts, and hooks that run right after that.
    """
    util = sys.modules.get("multiprocessing.util")
    if util is None:
        return
    util.register_after_fork(_endables, _add_finalizer)
    if sys.modules["multiprocessing.process"].parent_process() is not None:
        _add_finalizer(_endables)  # it has started already


def _add_finalizer(_: object) -> None:
    # A negative priority: after the child's own children have been joined.
    sys.modules["multiprocessing.util"].Finalize(None, _end_contained, exitpriority=-100)


# At import, so that exit handlers registered later, which run earlier, may still record spans.
atexit.register(_end_contained)
os.register_at_fork(after_in_child=_after_fork_in_child)
_join_multiprocessing()
