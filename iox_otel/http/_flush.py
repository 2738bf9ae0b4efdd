"""Flushing a collector from a coroutine, without blocking its loop."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

from iox_otel._report import report


async def flush(force_flush: Callable[..., object], *, timeout_s: float) -> None:
    """Call *force_flush*, with milliseconds as the SDK calls its processors, on a thread, and wait
    for it, *timeout_s* at most.

    Works on asyncio and on trio; without either there is no loop to keep going, and it is called
    on this thread. Never raises, but for the cancellation of the caller.
    """
    work = partial(_contained, force_flush, timeout_s)
    asyncio = sys.modules.get("asyncio")  # 47 ms to import: if it is not there, it does not run us
    if asyncio is not None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            await _on_asyncio(asyncio, loop, work, timeout_s)
            return
    trio = sys.modules.get("trio")
    if trio is not None:
        try:
            trio.lowlevel.current_trio_token()
        except RuntimeError:
            pass
        else:
            with trio.move_on_after(timeout_s):
                await trio.to_thread.run_sync(work, abandon_on_cancel=True)
            return
    work()


async def _on_asyncio(asyncio, loop, work: Callable[[], None], timeout_s: float) -> None:  # type: ignore[no-untyped-def]
    from threading import Thread

    done = loop.create_future()

    def run() -> None:
        work()
        try:
            loop.call_soon_threadsafe(lambda: done.done() or done.set_result(None))
        except RuntimeError:
            pass  # the loop is closed: nobody waits any more

    # A daemon, unlike the threads of `asyncio.to_thread`, which a closing loop waits for without
    # end.
    Thread(target=run, name="iox_otel flush", daemon=True).start()
    await asyncio.wait([done], timeout=timeout_s)


def _contained(force_flush: Callable[..., object], timeout_s: float) -> None:
    try:
        force_flush(int(timeout_s * 1000))
    except Exception:
        report("the flush of a trace collector raised")
