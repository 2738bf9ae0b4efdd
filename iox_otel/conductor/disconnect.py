"""Giving work up when the client that asked for it goes away before there is anything to send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request


@asynccontextmanager
async def unless_disconnected(request: Request) -> AsyncIterator[None]:
    """Cancel the block if the client of *request* goes away.

    The body of *request* must have been read, or be of no interest.

    Raises:
        ClientDisconnect: the client went away.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  narrows the type
    has_left = False

    async def watch() -> None:
        nonlocal has_left
        while (await request.receive())["type"] != "http.disconnect":
            pass
        has_left = True
        task.cancel()

    watching = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if has_left and task.uncancel() == 0:  # else the server gives the request up as well
            raise ClientDisconnect from None
        raise
    finally:
        watching.cancel()
