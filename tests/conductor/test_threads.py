"""Work on threads that nobody waits for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from iox_otel.conductor.threads import ServerBusyError, Threads, in_thread

variable: ContextVar[str] = ContextVar("variable")


class Panic(BaseException):
    """What DataFusion raises when it breaks is no Exception either."""


class Blocker:
    """A function that blocks until it is told to go on."""

    def __init__(self) -> None:
        self.started = threading.Semaphore(0)
        self.goes_on = threading.Event()
        self.done = threading.Semaphore(0)

    def __call__(self) -> str:
        self.started.release()
        assert self.goes_on.wait(10)
        self.done.release()
        return "done"


@pytest.fixture
def blocker() -> Iterator[Blocker]:
    blocker = Blocker()
    yield blocker
    blocker.goes_on.set()


async def started(blocker: Blocker) -> None:
    assert await asyncio.to_thread(blocker.started.acquire, timeout=10)


def test_results_and_errors() -> None:
    """What the function returns or raises comes back; it runs on a daemon, in the context."""

    def work(raising: BaseException | None = None) -> tuple[str, bool]:
        if raising is not None:
            raise raising
        return variable.get(), threading.current_thread().daemon

    async def call() -> tuple[str, bool]:
        variable.set("set")
        for error in (ValueError("no"), Panic("broken")):
            with pytest.raises(type(error)) as caught:
                await in_thread(work, raising=error)
            assert caught.value is error
        return await in_thread(work)

    assert asyncio.run(call()) == ("set", True)


def test_calls_beyond_the_limit_wait(blocker: Blocker) -> None:
    """No more than the limit run at a time; the others have their turn when one is done."""
    threads = Threads(2, name="tests")

    async def call() -> list[str]:
        calls = [asyncio.create_task(threads.run(blocker)) for _ in range(3)]
        await started(blocker)
        await started(blocker)
        assert not blocker.started.acquire(timeout=0.05)
        blocker.goes_on.set()
        return await asyncio.gather(*calls)

    assert asyncio.run(call()) == ["done"] * 3


def test_patience(blocker: Blocker) -> None:
    """A call that gets no thread in time is refused with a 503, and never made."""
    threads = Threads(1, patience_s=0.05, name="planning")
    made: list[str] = []

    async def call() -> str:
        first = asyncio.create_task(threads.run(blocker))
        await started(blocker)
        with pytest.raises(ServerBusyError, match="^server is busy: too much planning at") as busy:
            await threads.run(made.append, "refused")
        assert busy.value.status == 503
        blocker.goes_on.set()
        answer = await first
        await threads.run(made.append, "next")
        return answer

    assert asyncio.run(call()) == "done"
    assert made == ["next"]


def test_patience_is_for_the_turn_only(blocker: Blocker) -> None:
    """What has begun may take as long as it does."""
    threads = Threads(1, patience_s=0.05, name="tests")

    async def call() -> str:
        call = asyncio.create_task(threads.run(blocker))
        await started(blocker)
        done, _ = await asyncio.wait([call], timeout=0.2)
        assert not done
        blocker.goes_on.set()
        return await call

    assert asyncio.run(call()) == "done"


def test_cancelled_callers(blocker: Blocker) -> None:
    """A call is forgotten while it waits; once it runs it goes on, and its thread is kept."""
    threads = Threads(1, name="tests")
    made: list[str] = []

    async def call() -> None:
        running = asyncio.create_task(threads.run(blocker))
        await started(blocker)
        waiting = asyncio.create_task(threads.run(made.append, "waiting"))
        await asyncio.sleep(0)
        for task in (waiting, running):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        third = asyncio.create_task(threads.run(made.append, "third"))
        await asyncio.wait([third], timeout=0.05)
        assert made == []
        blocker.goes_on.set()
        await third

    asyncio.run(call())
    assert made == ["third"]


def test_a_loop_that_ends_waits_for_nobody(blocker: Blocker) -> None:
    """The loop closes while a call still runs, and what that returns goes nowhere."""

    async def call() -> None:
        asyncio.create_task(in_thread(blocker)).add_done_callback(lambda _: None)
        await started(blocker)

    asyncio.run(call())
    assert not blocker.done.acquire(blocking=False)
    blocker.goes_on.set()
    assert blocker.done.acquire(timeout=10)
