"""What stands before a peer: it hands on what comes, byte for byte, and shows it to somebody."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

Seen = Callable[[bytes], object]


@contextmanager
def udp_tee(port: int, seen: Seen) -> Iterator[int]:
    """Hand datagrams on to *port* of loopback; the value is the port to send them to.

    They are shown at the end: whoever looks takes time, in which the kernel would drop others.
    """
    came: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tap:
        tap.bind(("127.0.0.1", 0))

        def hand_on() -> None:
            while datagram := tap.recv(65_535):
                tap.sendto(datagram, ("127.0.0.1", port))
                came.append(datagram)

        thread = threading.Thread(target=hand_on)
        thread.start()
        try:
            yield tap.getsockname()[1]
        finally:
            tap.sendto(b"", tap.getsockname())
            thread.join()
    for datagram in came:
        seen(datagram)


@contextmanager
def http_tee(url: str, seen: Seen) -> Iterator[str]:
    """Hand requests of OTLP on to *url*; the value is the base URL to send them to."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {"Content-Type": self.headers["Content-Type"]}
            answer = httpx.post(f"{url}{self.path}", content=body, headers=headers)
            seen(body)
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
