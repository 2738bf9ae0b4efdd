"""Turns: how many do something at the same time, and how long the others wait for it."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from .errors import TooManyRequestsError, answer_api_error


class Turns:
    """At most *limit* have their turn at the same time; the others wait. For one event loop.

    Args:
        limit: how many.
        patience_s: how long one waits before it is refused.
        refusal: what it is told then.
    """

    def __init__(self, limit: int, *, patience_s: float, refusal: str) -> None:
        self._free = asyncio.Semaphore(limit)
        self._patience_s = patience_s
        self._refusal = refusal

    async def take(self) -> None:
        """Wait for a turn; `give_back` ends it.

        Raises:
            TooManyRequestsError: there was none in time.
        """
        try:
            async with asyncio.timeout(self._patience_s):
                await self._free.acquire()
        except TimeoutError:
            raise TooManyRequestsError(self._refusal) from None

    def give_back(self) -> None:
        """End a turn."""
        self._free.release()


class RequestLimit:
    """Turns requests away while *limit* others are under way: each may hold a body.

    Args:
        app: is called for the others.
        limit: how many.
        exempt: paths that are always answered.
    """

    def __init__(self, app: ASGIApp, *, limit: int, exempt: tuple[str, ...]) -> None:
        self._app = app
        self._limit = limit
        self._exempt = exempt
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as ASGI has it."""
        if scope["type"] != "http" or scope["path"] in self._exempt:
            await self._app(scope, receive, send)
            return
        if self._running >= self._limit:
            refusal = TooManyRequestsError(
                f"too many requests at the same time: {self._limit} are, "
                "see --max-concurrent-requests"
            )
            response = await answer_api_error(Request(scope), refusal)
            await response(scope, receive, send)
            return
        self._running += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._running -= 1
