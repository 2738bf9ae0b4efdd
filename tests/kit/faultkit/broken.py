"""Addresses behind which nothing good is: what refuses, stays silent, or hangs up."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import grpc

from peerkit.process import free_port

from .receivers import AnyReceiver, GrpcReceiver, HttpReceiver

CERTIFICATE = Path(__file__).parents[2] / "bridge" / "exporters" / "loopback.pem"

_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset


@contextmanager
def refusing() -> Iterator[str]:
    """An address that nobody listens on."""
    yield f"127.0.0.1:{free_port()}"


@contextmanager
def silent() -> Iterator[str]:
    """An address whose connections are accepted, by the kernel, and never read."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        yield "{}:{}".format(*listening.getsockname())


@contextmanager
def deaf() -> Iterator[str]:
    """An address that answers no SYN: the kernel drops them when a listener's queue is full."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with suppress(BlockingIOError):
                filler.connect(listening.getsockname())
        yield "{}:{}".format(*listening.getsockname())


@contextmanager
def resetting(address: str, times: int, after_bytes: int = 5_000) -> Iterator[str]:
    """A relay to *address* that resets its first connections after so many bytes of a request."""
    host, _, port = address.rpartition(":")
    left = iter(range(times))
    clients: list[socket.socket] = []

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            clients.append(self.request)
            is_reset = next(left, None) is not None
            with socket.create_connection((host, int(port))) as server:
                back = threading.Thread(target=_pump, args=(server, self.request))
                back.start()
                _pump(self.request, server, after_bytes if is_reset else None)
                if is_reset:
                    self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                    self.request.close()
                _end(server)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay) as relay:
        thread = threading.Thread(target=relay.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield "{}:{}".format(*relay.server_address[:2])
        finally:
            relay.shutdown()
            thread.join()
            for each in clients:  # one that is kept alive would keep its handler
                _end(each)


def _pump(source: socket.socket, target: socket.socket, limit: int | None = None) -> None:
    """Pass on what comes, *limit* bytes if there is one; then there is no more for *target*."""
    passed = 0
    with suppress(OSError):
        while (limit is None or passed < limit) and (data := source.recv(4_096)):
            target.sendall(data)
            passed += len(data)
    if limit is None:
        _end(target)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class TakingLittle(HttpReceiver):
    """A receiver that takes requests up to so many bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        super().__init__()

    def post(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer 413 to what is larger."""
        size = int(handler.headers["Content-Length"])
        if size <= self._max_bytes:
            super().post(handler)
            return
        handler.rfile.read(size)
        handler.send_response(413)
        handler.send_header("Content-Length", "0")
        handler.end_headers()


def with_untrusted_certificate(protocol: str) -> AnyReceiver:
    """A receiver that speaks TLS, with a certificate that nobody has signed."""
    if protocol == "grpc":
        pem = CERTIFICATE.read_bytes()
        start = pem.index(b"-----BEGIN PRIVATE")
        credentials = grpc.ssl_server_credentials([(pem[start:], pem[:start])])
        return GrpcReceiver(credentials=credentials)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return HttpReceiver(wrap=lambda plain: context.wrap_socket(plain, server_side=True))
