"""Threads for work that blocks. Nobody waits for them when the server ends."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from threading import Lock, Thread
from typing import Any, TypeVar

from .errors import ApiError

T = TypeVar("T")


class ServerBusyError(ApiError):
    """All threads for work of this kind are taken, and stay so."""

    status = 503
    retry_after_s = 1


class Threads:
    """Runs functions on threads, at most *limit* at a time; the others wait for their turn.

    Unlike those of `asyncio.to_thread`, which are joined by a loop that closes and again by the
    interpreter, they keep nobody from ending: some of what they do cannot be interrupted.

    Args:
        limit: how many threads there may be. They start with the work and end when there is none.
        patience_s: how long a call waits for its turn; None waits as long as it takes.
        name: of what is done, in an error and for debuggers.
    """

    def __init__(self, limit: int, *, patience_s: float | None = None, name: str) -> None:
        self._limit = limit
        self._patience_s = patience_s
        self._name = name
        self._lock = Lock()
        self._waiting: deque[_Call] = deque()
        self._running = 0

    async def run(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Return what *function* returns, called in a copy of this context.

        When the caller is cancelled, a call that waits is forgotten; one that runs goes on, and
        nobody hears what becomes of it.

        Raises:
            ServerBusyError: no thread was free in time.
        """
        call = _Call(partial(copy_context().run, function, *args, **kwargs))
        self._submit(call)
        answer = asyncio.wrap_future(call.future)
        try:
            await asyncio.wait([answer], timeout=self._patience_s)
            if not answer.done() and call.future.cancel():  # only a call that waits can be
                raise ServerBusyError(f"server is busy: too much {self._name} at the same time")
            result: T = await answer
            return result
        finally:
            answer.cancel()
            self._forget(call)

    def _submit(self, call: _Call) -> None:
        with self._lock:
            self._waiting.append(call)
            if self._running == self._limit:
                return
            self._running += 1
        Thread(target=self._work, name=f"iox_otel {self._name}", daemon=True).start()

    def _forget(self, call: _Call) -> None:
        with self._lock:
            if call in self._waiting:
                self._waiting.remove(call)

    def _work(self) -> None:
        while (call := self._next()) is not None:
            call.make()

    def _next(self) -> _Call | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._running -= 1
            return None


class _Call:
    def __init__(self, function: Callable[[], Any]) -> None:
        self.future: Future[Any] = Future()
        self._function = function

    def make(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._function()
        except BaseException as error:  # a panic of DataFusion's is no Exception
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


_threads = Threads(min(32, (os.cpu_count() or 1) + 4), name="work")


async def in_thread(function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Return what *function*, which blocks for a while, returns, called on another thread."""
    return await _threads.run(function, *args, **kwargs)
