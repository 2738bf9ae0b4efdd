"""Listening: the addresses that the viewer takes, all of them or none."""

from __future__ import annotations

import errno
import socket
from typing import NamedTuple

BACKLOG = 2_048


class ListenError(OSError):
    """An address cannot be listened on: one line that names it, and the flag that changes it."""

    def __init__(self, error: OSError, where: str, flag: str, *, can_be_off: bool) -> None:
        super().__init__(error.errno, error.strerror)
        self.flag = flag
        self._error = error
        self._where = where
        self._can_be_off = can_be_off

    def __str__(self) -> str:
        if self._error.errno == errno.EADDRINUSE:
            off = f" ({self.flag} off does without)" if self._can_be_off else ""
            reason = f"the port is in use, choose another with {self.flag}{off}"
        else:
            reason = self._error.strerror or str(self._error)
        return f"cannot listen on {self._where}: {reason}"


class Port(NamedTuple):
    """A port that is wanted."""

    number: int
    """0 for any that is free."""
    flag: str
    """Which flag of the command line says it."""
    can_be_off: bool = True


def listen_tcp(host: str, port: Port) -> socket.socket:
    """Return a socket that listens; raises ListenError."""
    try:
        family, address = _resolve(host, port.number, socket.SOCK_STREAM)
        listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as exc:
        raise _error(exc, host, port) from None
    # By the protocol, which create_server leaves out, asyncio knows where to set TCP_NODELAY.
    return socket.socket(family, listener.type, socket.IPPROTO_TCP, listener.detach())


def listen_udp(host: str, port: Port) -> socket.socket:
    """Return a socket that takes datagrams; raises ListenError."""
    try:
        family, address = _resolve(host, port.number, socket.SOCK_DGRAM)
        bound = socket.socket(family, socket.SOCK_DGRAM)
        try:
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as exc:
        raise _error(exc, host, port) from None
    return bound


def bracketed(host: str) -> str:
    """Return *host* as a part of a URL."""
    return f"[{host}]" if ":" in host else host


def reached(host: str) -> str:
    """Return, as a part of a URL, what leads from this machine to a port of *host*.

    Where it is every address, that is a name of this machine; IPv6's are listened on alone.
    """
    return {"0.0.0.0": "localhost", "::": "[::1]"}.get(host) or bracketed(host)  # noqa: S104  how such an address is shown


def _resolve(host: str, port: int, kind: socket.SocketKind) -> tuple[int, tuple[str, int]]:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)[0]
    return family, address  # type: ignore[return-value]  # of IPv4 and IPv6 it begins so


def _error(error: OSError, host: str, port: Port) -> ListenError:
    where = f"{bracketed(host)}:{port.number}"
    return ListenError(error, where, port.flag, can_be_off=port.can_be_off)
