"""What the tests of `iox_otel.http` share."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import pytest

from iox_otel.http import TraceLayer
from iox_otel.testing import CapturingTraceCollector

# Starlette 1.x warns, once, at this import, that it will want another HTTP client; importing it
# here keeps the warning out of the tests, where it would be an error.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import starlette.testclient  # noqa: F401

Message = dict[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]

SAMPLED = (b"uber-trace-id", b"4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0:1")


class Bench:
    """Serves single requests by hand: a layer, and a server that does what the test says."""

    def __init__(self) -> None:
        self.collector = CapturingTraceCollector()
        self.sent: list[Message] = []
        """What the server was given, in order."""
        self.scope: dict[str, Any] = {}
        """The scope of the last request, as it was left."""

    def layer(self, app: App, **options: Any) -> TraceLayer:
        """Return a layer around *app* that collects here."""
        defaults: dict[str, Any] = {"collector": self.collector, "name": "IOx http"}
        return TraceLayer(app, **defaults | options)

    async def serve(
        self,
        app: App,
        *,
        headers: Iterable[tuple[bytes, bytes]] = (SAMPLED,),
        receives: Sequence[Message] = (),
        send: Callable[[Message], Awaitable[None]] | None = None,
        **scope: Any,
    ) -> list[Message]:
        """Serve one request with *app*, and return what it sent."""
        self.sent = []
        incoming = [*receives]
        self.scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/x",
            "headers": list(headers),
        } | scope

        async def receive() -> Message:
            return incoming.pop(0) if incoming else {"type": "http.request", "body": b""}

        async def keep(message: Message) -> None:
            if send is not None:
                await send(message)
            self.sent.append(message)

        await app(self.scope, receive, keep)
        return self.sent

    def run(
        self, app: App, *, layer: dict[str, Any] | None = None, **request: Any
    ) -> list[Message]:
        """Serve one request with a layer around *app*; *layer* are the options of that."""
        return asyncio.run(self.serve(self.layer(app, **(layer or {})), **request))


@pytest.fixture
def bench() -> Bench:
    """A layer with a collector, to send requests through by hand."""
    return Bench()
