"""Tests of the flush at the end of an application's lifespan."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from iox_otel import _report
from iox_otel.http._flush import flush

SHUTDOWN = {"type": "lifespan.shutdown.complete"}


class Flushable:
    """A collector that notes its flushes, and the thread they run on."""

    def __init__(self) -> None:
        self.flushes: list[tuple[int, int]] = []

    def export(self, span: Any) -> None:
        """Keep nothing."""

    def force_flush(self, timeout_millis: int) -> bool:
        """Note the flush; called as the SDK calls its processors."""
        self.flushes.append((timeout_millis, threading.get_ident()))
        return True


async def ending(scope: Any, receive: Any, send: Any) -> None:
    """Run a lifespan from start to end."""
    await send({"type": "lifespan.startup.complete"})
    await send(SHUTDOWN)


def test_the_collector_is_flushed_before_the_server_hears_of_the_end(bench: Any) -> None:
    """Once, on another thread, with a bound; nothing at the start."""
    collector = Flushable()
    flushes_at: list[tuple[str, int]] = []

    async def send(message: Any) -> None:
        flushes_at.append((message["type"], len(collector.flushes)))

    bench.run(ending, type="lifespan", send=send, layer={"collector": collector})

    assert flushes_at == [("lifespan.startup.complete", 0), ("lifespan.shutdown.complete", 1)]
    [(timeout_millis, thread)] = collector.flushes
    assert timeout_millis == 5_000
    assert thread != threading.get_ident()


def test_a_collector_that_knows_when_to_give_up_is_flushed_that_way(bench: Any) -> None:
    """A server does not take longer to end because a receiver is dead."""

    class Exiting(Flushable):
        def flush_before_exit(self, timeout_millis: int) -> bool:
            self.flushes.append((-timeout_millis, 0))
            return True

    collector = Exiting()
    bench.run(ending, type="lifespan", layer={"collector": collector, "flush_timeout_s": 2.0})

    assert collector.flushes == [(-2_000, 0)]


def test_a_failed_shutdown_flushes_too(bench: Any) -> None:
    """The spans of an application that ends badly are worth the most."""
    collector = Flushable()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.shutdown.failed", "message": "no"})

    bench.run(app, type="lifespan", layer={"collector": collector, "flush_timeout_s": 0.5})

    assert [timeout_millis for timeout_millis, _ in collector.flushes] == [500]


def test_layers_inside_each_other_flush_once(bench: Any) -> None:
    """The outer layer has all the spans."""
    collector = Flushable()
    inner = bench.layer(ending, collector=collector)

    sent = bench.run(inner, type="lifespan", layer={"collector": collector})

    assert len(collector.flushes) == 1
    assert sent[-1] == SHUTDOWN


def test_a_flush_that_raises_is_logged(
    bench: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application ends as it would have."""

    class Broken(Flushable):
        def force_flush(self, *args: Any, **kwargs: Any) -> bool:
            raise RuntimeError("closed")

    monkeypatch.setattr(_report, "_last_ns", {})
    with caplog.at_level(logging.WARNING, "iox_otel"):
        sent = bench.run(ending, type="lifespan", layer={"collector": Broken()})

    assert sent[-1] == SHUTDOWN
    assert caplog.messages == ["the flush of a trace collector raised"]


def test_a_flush_that_hangs_is_left_behind() -> None:
    """The loop goes on meanwhile, and after the time given the caller does."""
    release = threading.Event()
    ticks = 0

    async def main() -> None:
        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        await flush(lambda timeout_millis: release.wait(30), timeout_s=0.2)
        ticking.cancel()
        # Not one of asyncio's own threads, which the end of the loop would wait for.
        assert [each.daemon for each in threading.enumerate() if "flush" in each.name] == [True]

    try:
        asyncio.run(asyncio.wait_for(main(), 10))
    finally:
        release.set()

    assert ticks > 1


def test_a_flush_that_ends_after_its_loop_harms_nobody() -> None:
    """The thread finds the loop closed, and ends."""
    release = threading.Event()
    flushed = threading.Event()

    def force_flush(timeout_millis: int) -> None:
        release.wait(30)
        flushed.set()

    asyncio.run(flush(force_flush, timeout_s=0.01))
    release.set()

    assert flushed.wait(10)
    for thread in threading.enumerate():
        if thread.name == "iox_otel flush":
            thread.join(10)
            assert not thread.is_alive()


def test_without_a_loop_the_flush_is_a_call() -> None:
    """Driven by hand, the coroutine ends at once, and the collector is flushed."""
    collector = Flushable()

    with pytest.raises(StopIteration):
        flush(collector.force_flush, timeout_s=1.0).send(None)

    assert collector.flushes == [(1_000, threading.get_ident())]
