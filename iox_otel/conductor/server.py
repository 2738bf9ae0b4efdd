"""Serving an ASGI application on a socket until somebody asks the process to end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from .errors import CutOffError, NotingSend

BACKLOG = 2048
GRACE_S = 0.5
"""Requests that still run when the server is asked to end have so long; then they are cancelled."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class ListenError(OSError):
    """An address that cannot be listened on: `str()` is one line that names it and the reason."""

    def __init__(self, number: int | None, reason: str, where: str) -> None:
        super().__init__(number, reason)
        self.where = where

    def __str__(self) -> str:
        return f"cannot listen on {self.where}: {self.strerror}"


class PortInUseError(ListenError):
    """Somebody else listens there; the reason names the flag that chooses another address."""


def serve(app: ASGIApp, *, host: str, port: int, on_ready: Callable[[str], None]) -> float:
    """Serve *app* over HTTP until SIGINT or SIGTERM, then return the monotonic time of the signal.

    It returns within a second of the signal: idle connections are closed at once, requests that
    run have `GRACE_S` seconds to end before they are cancelled, and a second signal cancels them at
    once.
    The signal is not raised again, so that the process may flush its spans and exit with status 0,
    as InfluxDB and most servers do that end because they were asked to. Signal handlers are as
    before on return. Logging is left as it is set up. Call it on the main thread.

    Args:
        app: its lifespan is not run; end what it uses after this returns.
        host: a name or address, IPv4 or IPv6.
        port: 0 for any that is free.
        on_ready: called with the URL, such as "http://127.0.0.1:8080", once connections are taken.

    Raises:
        PortInUseError: somebody else listens there.
        ListenError: the address cannot be listened on for another reason.
    """
    with listen(host, port) as listener:
        config = uvicorn.Config(
            _Interruptible(app),
            log_config=None,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,  # type: ignore[arg-type]  # seconds to wait for
        )
        url = _url(host, listener.getsockname()[1])
        server = _Server(config, ready=lambda: on_ready(url))
        server.run([listener])
        return server.asked_s


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on *host* and *port*, as `serve` takes them.

    Its connections send what they have at once: on one that is kept alive, Nagle's algorithm and
    delayed acknowledgements would make every answer wait 40 ms.

    Raises:
        PortInUseError: somebody else listens there.
        ListenError: the address cannot be listened on for another reason.
    """
    where = f"{_bracketed(host)}:{port}"
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = addresses[0]
        listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
        # By the protocol, which create_server leaves out, asyncio knows where to set TCP_NODELAY.
        return socket.socket(family, listener.type, socket.IPPROTO_TCP, listener.detach())
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = "the port is in use, choose another with --http-bind"
            raise PortInUseError(error.errno, reason, where) from None
        raise ListenError(error.errno, error.strerror or str(error), where) from None


def _url(host: str, port: int) -> str:
    return f"http://{_bracketed(host)}:{port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class _Interruptible:
    """Ends a request that the server gives up when it ends: a 503, or a body that is cut off.

    The server would log a traceback for each, and answer a 500; likewise for other answers that
    are cut off.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        noting = NotingSend(send)
        try:
            await self.app(scope, receive, noting)
        except CutOffError:
            pass  # the server closes the connection of an answer that is not complete
        except asyncio.CancelledError:
            if not noting.has_begun:
                response = JSONResponse({"error": "server is shutting down"}, status_code=503)
                await response(scope, receive, send)


class _Server(uvicorn.Server):
    """A uvicorn that says when it is ready, and does not die of the signal that ended it."""

    def __init__(self, config: uvicorn.Config, *, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self.asked_s = math.nan

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            self.force_exit = True
        else:
            self.asked_s = time.monotonic()
            self.should_exit = True
