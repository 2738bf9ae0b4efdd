"""UdpConnection: datagrams to one host and port, by whichever of its addresses answers."""

from __future__ import annotations

# getaddrinfo's own, for names: a worker thread must not import anything.
import encodings.idna  # noqa: F401
import encodings.punycode  # noqa: F401
import errno
import ipaddress
import os
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any

WANT_SEND_BUFFER_BYTES = 2 * 1024 * 1024
RESOLVE_INTERVAL_NS = 1_000_000_000
"""A name is not looked up again before this."""

# "Any address" as a destination reaches the local host, on Linux only.
_LOCAL = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  a destination: this machine

# Errors that say nothing about the address: another would not do better.
_ABOUT_THE_DATAGRAM = frozenset((errno.EAGAIN, errno.EMSGSIZE, errno.ENOBUFS, errno.EWOULDBLOCK))

Address = tuple[int, tuple[Any, ...]]
"""A socket family, and an address in its form."""


class UdpConnection:
    """A connected, non-blocking UDP socket, opened when it is first needed and after a failure.

    A connected socket learns by ICMP that nobody listens. Over the loopback interface it does so
    before `send` returns, so a refused datagram is known to be lost. From another host the answer
    comes later and fails the next `send`, whose datagram has not left yet and is sent again: the
    one before it is lost and nobody is told.

    Not for two threads at once. In a forked child it opens a socket of its own.

    Args:
        host: a name or an address, IPv4 or IPv6; 0.0.0.0 and :: are this host.
        port: 1…65,535.
        resolve: stands in for `socket.getaddrinfo`.
        make_socket: stands in for `socket.socket`.
        clock_ns: nanoseconds that only ever go forward.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        resolve: Callable[..., list[Any]] = socket.getaddrinfo,
        make_socket: Callable[..., socket.socket] = socket.socket,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        bare = host.removeprefix("[").removesuffix("]")
        self.host = _LOCAL.get(bare, bare)
        self.port = port
        self._resolve = resolve
        self._make_socket = make_socket
        self._clock_ns = clock_ns
        self._resolved: list[Address] = []
        self._resolved_ns = 0
        self._addresses: deque[Address] = deque()
        self._socket: socket.socket | None = None
        self._is_loopback = False
        self._pid = 0

    def send(self, datagram: bytes) -> None:
        """Hand *datagram* to the kernel, once for each address until one takes it.

        Never blocks, but to look up a name: at first, and after a failure; that takes as long as
        the system's resolver takes.

        Raises:
            OSError: EAGAIN, ENOBUFS: the send buffer is full. EMSGSIZE: larger than the system or
                the way to that host allows. Any other: no address took it; ConnectionRefusedError
                if nobody listens, `socket.gaierror` if the name cannot be looked up.
        """
        if self._pid != os.getpid():
            self.close()
        try:
            self._send_to_any(datagram)
        except ConnectionRefusedError:
            self._send_to_any(datagram)  # with the name looked up again

    def close(self) -> None:
        """Close the socket; the next `send` opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send_to_any(self, datagram: bytes) -> None:
        if not self._addresses:
            self._addresses.extend(self._lookup())
        while True:
            try:
                return self._send_to_first(datagram)
            except OSError as exc:
                if exc.errno in _ABOUT_THE_DATAGRAM:
                    raise
                self.close()
                self._addresses.popleft()
                if not self._addresses:
                    raise

    def _send_to_first(self, datagram: bytes) -> None:
        if self._socket is None:
            self._socket = self._open(*self._addresses[0])
        self._socket.send(datagram)
        if self._is_loopback:
            error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, os.strerror(error))

    def _lookup(self) -> list[Address]:
        now_ns = self._clock_ns()
        if not self._resolved or now_ns - self._resolved_ns >= RESOLVE_INTERVAL_NS:
            try:
                found = self._resolve(self.host, self.port, type=socket.SOCK_DGRAM)
            except UnicodeError as exc:  # no name that DNS could have
                raise socket.gaierror(socket.EAI_NONAME, str(exc)) from exc
            self._resolved = list(dict.fromkeys((family, at) for family, *_, at in found))
            self._resolved_ns = now_ns
        return self._resolved

    def _open(self, family: int, address: tuple[Any, ...]) -> socket.socket:
        opened = self._make_socket(family, socket.SOCK_DGRAM)
        try:
            opened.setblocking(False)
            _grow_send_buffer(opened)
            opened.connect(address)
        except BaseException:
            opened.close()
            raise
        self._is_loopback = ipaddress.ip_address(address[0].partition("%")[0]).is_loopback
        self._pid = os.getpid()
        return opened


def _grow_send_buffer(opened: socket.socket) -> None:
    """Ask for a send buffer of 2 MiB, and for half as much until it is granted; never shrink it."""
    have_bytes = opened.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    want_bytes = WANT_SEND_BUFFER_BYTES
    while want_bytes > have_bytes:
        try:
            return opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, want_bytes)
        except OSError:
            want_bytes //= 2
