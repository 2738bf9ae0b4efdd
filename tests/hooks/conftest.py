"""A server that answers as its path says, and keeps what it was sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Answering:
    """Where it is, and the headers of the requests so far."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []
        self.failures = 0
        """So many requests more are answered by 503."""
        answering = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                answering.seen.append({name.lower(): text for name, text in self.headers.items()})
                if answering.failures:
                    answering.failures -= 1
                    self.answer(503)
                elif self.path.startswith("/redirect"):
                    self.answer(302, location="/cart")
                elif self.path.startswith("/missing"):
                    self.answer(404)
                elif self.path.startswith("/broken"):
                    self.send_response(200)
                    self.send_header("content-length", "100")
                    self.end_headers()
                    self.wfile.write(b"hello")
                    self.close_connection = True
                else:
                    self.answer(200)

            def answer(self, status: int, **headers: str) -> None:
                self.send_response(status)
                for name, text in headers.items():
                    self.send_header(name, text)
                self.send_header("content-length", "5")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(b"hello")

            do_POST = do_HEAD = do_GET

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"


@pytest.fixture
def answering() -> Iterator[Answering]:
    answering = Answering()
    thread = threading.Thread(target=answering.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield answering
    answering.server.shutdown()
    answering.server.server_close()
    thread.join()
