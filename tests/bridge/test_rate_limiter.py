"""So many a second, exactly."""

from __future__ import annotations

import math
import os
import threading
import time

import pytest

from iox_otel_bridge import rate_limiter
from iox_otel_bridge.clock import monotonic_ns
from iox_otel_bridge.rate_limiter import RateLimiter

SECOND_NS = 1_000_000_000


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now_ns = 5 * SECOND_NS

    def __call__(self) -> int:
        return self.now_ns


def taken(limiter: RateLimiter, tries: int) -> int:
    return sum(limiter.take() for _ in range(tries))


@pytest.mark.parametrize(
    ("per_second", "at_once"),
    [(10, 10), (3, 3), (2.5, 2), (1, 1), (0.5, 1), (0, 0), (7_000, 7_000)],
)
def test_as_many_at_once_as_a_second_has(per_second: float, at_once: int) -> None:
    """And one at least, unless it is none at all."""
    clock = Clock()
    limiter = RateLimiter(per_second, clock_ns=clock)
    assert taken(limiter, 10_000) == at_once
    clock.now_ns += 1_000 * SECOND_NS  # no more have gathered
    assert taken(limiter, 10_000) == at_once


def test_one_more_for_each_tenth_of_a_second() -> None:
    """To the nanosecond."""
    clock = Clock()
    limiter = RateLimiter(10, clock_ns=clock)
    taken(limiter, 20)
    for _ in range(30):
        clock.now_ns += SECOND_NS // 10 - 1
        assert not limiter.take()
        clock.now_ns += 1
        assert taken(limiter, 5) == 1


@pytest.mark.parametrize("per_second", [0.1, 0.3, 1, 3, 7.7, 1_000])
def test_no_more_over_a_long_time(per_second: float) -> None:
    """Whatever the steps in which the clock is read: what it held and the rate times the time."""
    clock = Clock()
    limiter = RateLimiter(per_second, clock_ns=clock)
    began_ns, passed = clock.now_ns, 0
    for step in range(20_000):
        clock.now_ns += (step * 7_919_333) % 41_000_011
        passed += taken(limiter, 60)
    seconds = (clock.now_ns - began_ns) / SECOND_NS
    most = seconds * per_second + max(per_second, 1)
    # A bucket of one that is full between two looks loses what would have come in the meantime.
    assert seconds * per_second * 0.95 - 1 <= passed <= most


@pytest.mark.parametrize("per_second", [5e-324, 1e-9, 1e9, 1e300])
def test_any_rate_can_be_asked_for(per_second: float) -> None:
    assert RateLimiter(per_second, clock_ns=Clock()).take()


def test_a_change_of_the_rate_fills_nothing() -> None:
    """Else a service that is told another rate each minute would get a bucket with each."""
    clock = Clock()
    limiter = RateLimiter(10, clock_ns=clock)
    taken(limiter, 20)
    other = RateLimiter(20, like=limiter, clock_ns=clock)
    assert not other.take()
    clock.now_ns += SECOND_NS // 2
    assert taken(other, 20) == 10


def test_exact_between_threads() -> None:
    """Nothing is lost and nothing counted twice, though another thread goes on in between."""

    class Slow(int):
        def __sub__(self, other: int) -> int:  # between what is read and what is written
            time.sleep(0)
            return int(self) - other

    limiter = RateLimiter(1_000, clock_ns=lambda: Slow(5 * SECOND_NS))
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda: counts.append(taken(limiter, 1_000))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 1_000


def test_by_the_monotonic_clock() -> None:
    """In a real second no more than its bound."""
    limiter = RateLimiter(100)
    began_ns, passed = monotonic_ns(), 0
    while monotonic_ns() - began_ns < SECOND_NS // 2:
        passed += limiter.take()
    seconds = (monotonic_ns() - began_ns) / SECOND_NS
    assert 100 <= passed <= math.floor(100 + seconds * 100)
    assert abs(monotonic_ns() / SECOND_NS - time.monotonic()) < 60


def test_a_child_does_not_wait_for_a_thread_of_its_parents() -> None:
    """One that has the lock in the moment of the fork."""
    limiter = RateLimiter(10)
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        with rate_limiter._lock:
            held.set()
            go.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    if (pid := os.fork()) == 0:
        os._exit(0 if limiter.take() else 1)
    deadline_s = time.monotonic() + 10
    while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0 and time.monotonic() < deadline_s:
        time.sleep(0.01)
    go.set()
    holder.join()
    if ended[0] == 0:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    assert ended == (pid, 0)
