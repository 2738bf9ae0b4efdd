"""RateLimiter: how long messages wait, on a clock of the test's own."""

from __future__ import annotations

import threading
import time

import pytest

from iox_otel_bridge.exporters.rate_limiter import RateLimiter


class Clock:
    """A clock that stands still but while somebody waits by it."""

    def __init__(self) -> None:
        self.now_ns = 5_000_000_000
        self.waits: list[float] = []
        self.is_interrupted = False

    def read(self) -> int:
        return self.now_ns

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        if not self.is_interrupted:
            self.now_ns += int(seconds * 1e9)
        return self.is_interrupted

    def limiter(self, max_per_second: float) -> RateLimiter:
        return RateLimiter(max_per_second, clock_ns=self.read, wait=self.wait)


def test_the_first_message_goes_at_once() -> None:
    """A new limiter has nothing to wait for, even with no time given."""
    clock = Clock()

    assert clock.limiter(1).acquire(0.0) == 0.0
    assert clock.waits == []


def test_messages_are_spaced_evenly() -> None:
    """Four a second: each waits until a quarter of a second after the one before it."""
    clock = Clock()
    limiter = clock.limiter(4)
    sent_ns = []
    for _ in range(5):
        assert limiter.acquire(1.0) == 0.0
        sent_ns.append(clock.now_ns)

    assert [then - sent_ns[0] for then in sent_ns] == [0, 250e6, 500e6, 750e6, 1000e6]
    assert clock.waits == [0.25] * 4


def test_a_wait_goes_in_steps_if_there_is_something_to_do_meanwhile() -> None:
    """It is called before each step, says how long that is, and changes nothing about the end."""
    clock = Clock()
    limiter = clock.limiter(1)
    limiter.acquire(0.0)
    pauses_s = [0.0, 0.25, 0.5, 10.0]

    assert limiter.acquire(1.0, lambda: pauses_s.pop(0)) == 0.0

    assert clock.waits == [0.0, 0.25, 0.5, 0.25]
    assert pauses_s == []


def test_idle_time_is_not_saved_up() -> None:
    """After a pause there is no burst: the second message waits as ever."""
    clock = Clock()
    limiter = clock.limiter(10)
    limiter.acquire(0.0)
    clock.now_ns += 60_000_000_000

    assert limiter.acquire(0.0) == 0.0
    assert limiter.acquire(1.0) == 0.0
    assert clock.waits == [0.1]


def test_what_cannot_be_in_time_is_not_waited_for() -> None:
    """It answers at once in how many seconds the message could go, and takes no place."""
    clock = Clock()
    limiter = clock.limiter(1)
    limiter.acquire(0.0)
    clock.now_ns += 250_000_000

    assert limiter.acquire(0.5) == 0.75
    assert limiter.acquire(0.5) == 0.75
    assert clock.waits == []
    assert limiter.acquire(0.75) == 0.0


def test_an_interrupted_wait_takes_no_place() -> None:
    """The message may try again when its time has come."""
    clock = Clock()
    limiter = clock.limiter(1)
    limiter.acquire(0.0)
    clock.is_interrupted = True

    assert limiter.acquire(5.0) == 1.0
    clock.now_ns += 1_000_000_000
    assert limiter.acquire(0.0) == 0.0


def test_interrupt_ends_a_wait_on_another_thread() -> None:
    """By the real clock: a wait of ten minutes ends when it is interrupted."""
    limiter = RateLimiter(1 / 600)
    limiter.acquire(0.0)
    left: list[float] = []
    waiting = threading.Thread(target=lambda: left.append(limiter.acquire(600.0)), daemon=True)
    waiting.start()
    limiter.interrupt()
    limiter.interrupt()  # once more does no harm
    waiting.join(10)

    assert not waiting.is_alive()
    assert 500 < left[0] <= 600


def test_the_real_clock_waits_no_less_than_it_must() -> None:
    """Five messages at a hundred a second take at least 40 ms."""
    limiter = RateLimiter(100)
    start = time.monotonic()
    for _ in range(5):
        assert limiter.acquire(5.0) == 0.0

    assert time.monotonic() - start >= 0.04


def test_a_huge_limit_is_no_limit() -> None:
    """As the settings allow: 2⁶⁴−1 messages a second."""
    limiter = RateLimiter((1 << 64) - 1)

    assert [limiter.acquire(0.0) for _ in range(1000)] == [0.0] * 1000


@pytest.mark.parametrize("max_per_second", [0, -1, float("nan")])
def test_a_limit_must_let_something_through(max_per_second: float) -> None:
    """None a second, or fewer, is an error."""
    with pytest.raises(ValueError, match="max_per_second must be more than 0"):
        RateLimiter(max_per_second)
