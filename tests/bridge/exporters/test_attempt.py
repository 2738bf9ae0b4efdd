"""A blocking call that can be given up."""

from __future__ import annotations

import threading
import time

import pytest

from iox_otel_bridge.exporters import attempt
from iox_otel_bridge.exporters.attempt import Attempt, GivenUp

LONG_S = 20.0


def test_result_is_what_the_work_returns() -> None:
    """In time, the answer comes back, even if it is None or false."""
    assert Attempt(lambda: 42).result(LONG_S) == 42
    assert Attempt(lambda: None).result(LONG_S) is None


def test_error_is_what_the_work_raises() -> None:
    """So does the exception."""

    def fail() -> None:
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        Attempt(fail).result(LONG_S)


def test_meanwhile() -> None:
    """While the work goes on something else is done, again and again, for no longer than it."""
    release = threading.Event()
    calls = 0

    def meanwhile() -> float:
        nonlocal calls
        calls += 1
        if calls == 3:
            release.set()
        return 0.0 if calls < 3 else LONG_S

    assert Attempt(lambda: release.wait(LONG_S)).result(LONG_S, meanwhile)
    assert calls == 3
    with pytest.raises(GivenUp, match="no answer"):
        Attempt(lambda: threading.Event().wait(1)).result(0.05, lambda: 0.01)


def test_deadline() -> None:
    """When the time is over the work is left behind, and ends by itself."""
    release = threading.Event()
    attempt = Attempt(lambda: release.wait(LONG_S))
    with pytest.raises(GivenUp, match=r"no answer within 0\.05 s"):
        attempt.result(0.05)
    assert attempt.running()
    release.set()
    deadline = time.monotonic() + LONG_S
    while attempt.running():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_interrupt() -> None:
    """Another thread can end the waiting."""
    release = threading.Event()
    begun = threading.Event()

    def work() -> None:
        begun.set()
        release.wait(LONG_S)

    attempt = Attempt(work)

    def interrupt() -> None:
        begun.wait(LONG_S)
        attempt.interrupt()
        attempt.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    started = time.monotonic()
    with pytest.raises(GivenUp, match="interrupted"):
        attempt.result(LONG_S)
    assert time.monotonic() - started < LONG_S / 2
    release.set()
    thread.join(LONG_S)


def test_interrupt_before_it_begins() -> None:
    """An interrupt that comes early is not lost."""
    release = threading.Event()
    attempt = Attempt(lambda: release.wait(LONG_S))
    attempt.interrupt()
    with pytest.raises(GivenUp, match="interrupted"):
        attempt.result(LONG_S)
    release.set()


def test_interrupt_after_the_answer() -> None:
    """An interrupt that comes late changes nothing."""
    attempt = Attempt(lambda: 42)
    assert attempt.result(LONG_S) == 42
    attempt.interrupt()


def test_without_threads_the_caller_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter that starts no more threads still gets the work done."""

    def refuse(*args: object) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(attempt, "start_new_thread", refuse)

    assert Attempt(threading.get_ident).result(LONG_S) == threading.get_ident()
