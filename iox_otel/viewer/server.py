"""Serving the viewer: its page, its APIs and its intakes, until somebody asks it to end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import FrameType
from typing import NamedTuple

import uvicorn
from starlette.types import ASGIApp

from .app import Viewer, create_app
from .intake import otlp_http
from .intake.otlp_grpc import GrpcIntake
from .intake.udp import UdpIntake
from .listening import ListenError, Port, bracketed, listen_tcp, listen_udp, reached
from .security import Guard

GRACE_S = 0.5
"""Requests that still run when the server is asked to end have so long; then they are cancelled."""

_SWITCH_S = 0.001
"""So soon a thread that stores gives way to the ones that receive."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Ports(NamedTuple):
    """What to listen on; None is off."""

    page: Port
    udp: Port | None
    grpc: Port | None
    http: Port | None


class Listening(NamedTuple):
    """What is listened on."""

    url: str
    """By which this machine reaches the page, without a slash at the end."""
    intakes: dict[str, str]
    """Addresses by the names of intakes."""


def serve(
    viewer: Viewer,
    *,
    host: str,
    ports: Ports,
    token: str | None = None,
    on_ready: Callable[[Listening], None],
) -> None:
    """Serve until SIGINT or SIGTERM; what has come in by then is stored. On the main thread.

    Args:
        viewer: what is served; it is not closed.
        host: a name or an address.
        ports: what to listen on.
        token: asked for by the page and the APIs; not by the intakes.
        on_ready: called once everything listens.

    Raises:
        ListenError: one of the ports cannot be listened on; then none is.
    """
    sys.setswitchinterval(_SWITCH_S)
    with ExitStack() as stack:
        page = stack.enter_context(listen_tcp(host, ports.page))
        intakes: dict[str, str] = {}
        servers = [_server(Guard(create_app(viewer), hosts=_hosts(host, token), token=token))]
        sockets = [page]
        if ports.http is not None:
            listener = stack.enter_context(listen_tcp(host, ports.http))
            intake = otlp_http.create_intake(viewer.accepting)
            servers.append(_server(Guard(intake, hosts=_hosts(host, token), any_sender=True)))
            sockets.append(listener)
            intakes["http"] = _address(host, listener)
        if ports.udp is not None:
            bound = stack.enter_context(listen_udp(host, ports.udp))
            intakes["udp"] = _address(host, bound)
            stack.callback(UdpIntake(bound, viewer.accepting).close)
        if ports.grpc is not None:
            grpc_intake = _listen_grpc(host, ports.grpc, viewer)
            intakes["grpc"] = f"{bracketed(host)}:{grpc_intake.port}"
            stack.callback(grpc_intake.close)
        viewer.listen(intakes)
        url = f"http://{reached(host)}:{page.getsockname()[1]}"
        ready = Listening(url, intakes)
        asyncio.run(_Serving(servers, sockets, viewer).run(lambda: on_ready(ready)))


def _listen_grpc(host: str, port: Port, viewer: Viewer) -> GrpcIntake:
    # gRPC says less well what is wrong.
    listen_tcp(host, port).close()
    try:
        return GrpcIntake(bracketed(host), port.number, viewer.accepting)
    except OSError as exc:
        where = f"{bracketed(host)}:{port.number}"
        raise ListenError(exc, where, port.flag, can_be_off=True) from None


def _server(app: ASGIApp) -> _Server:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,  # type: ignore[arg-type]  # seconds to wait for
    )
    return _Server(config)


class _Serving:
    """Servers that run and end together."""

    def __init__(
        self, servers: list[_Server], sockets: list[socket.socket], viewer: Viewer
    ) -> None:
        self._servers = servers
        self._sockets = sockets
        self._viewer = viewer

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Serve until a signal."""
        with self._signals():
            tasks = [
                asyncio.create_task(server.serve([listener]))
                for server, listener in zip(self._servers, self._sockets, strict=True)
            ]
            for server in self._servers:
                await server.ready.wait()
            on_ready()
            await asyncio.gather(*tasks)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._viewer.live.close()
        for server in self._servers:
            server.force_exit = server.should_exit
            server.should_exit = True


class _Server(uvicorn.Server):
    """A uvicorn that says when it is ready, and leaves signals to others."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _hosts(host: str, token: str | None) -> tuple[str, ...] | None:
    """Return what the Host header may be; with a token anything, as others do not have it."""
    return (host,) if token is None else None


def _address(host: str, bound: socket.socket) -> str:
    return f"{bracketed(host)}:{bound.getsockname()[1]}"
