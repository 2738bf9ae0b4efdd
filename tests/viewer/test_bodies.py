"""Bodies of requests, on a real socket: what is too large, packed oddly, or breaks off."""

from __future__ import annotations

import gzip
import socket
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

Receiving = Any
PROTOBUF = {"Content-Type": "application/x-protobuf"}
LIMIT = 32 << 20


def post(receiving: Receiving, body: Any, **headers: str) -> httpx.Response:
    """Post a body to the intake."""
    url = f"http://{receiving.intake['http']}/v1/traces"
    said = PROTOBUF | {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(url, content=body, headers=said, timeout=20)


@pytest.mark.parametrize("is_chunked", [True, False])
def test_too_large(receiving: Receiving, is_chunked: bool) -> None:
    """It is 413, whether its length is said or not, and the sender gets to read that."""
    body: Any = bytes(LIMIT + (1 << 20))
    if is_chunked:
        body = (bytes(1 << 20) for _ in range(33))
    assert post(receiving, body).status_code == 413
    assert receiving.loss()["rejected"]["http"] == 1


def test_a_bomb(receiving: Receiving) -> None:
    """What unpacks to more than the limit is 413, and not unpacked further."""
    pack = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    first, again = (pack.compress(bytes(1 << 20)) + pack.flush(zlib.Z_FULL_FLUSH) for _ in "12")
    tracemalloc.start()
    try:
        answer = post(receiving, first + again * 1_023, Content_Encoding="gzip")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.status_code == 413
    assert peak < 4 * LIMIT


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (b"", "br", 415),
        (b"not packed", "gzip", 400),
        (b"", "gzip", 400),
        (gzip.compress(b"")[:-1], "gzip", 400),
        (gzip.compress(b"") + b"more", "gzip", 400),
        (gzip.compress(b"") + gzip.compress(b""), "gzip", 400),
        (gzip.compress(b""), "GZIP", 200),
    ],
)
def test_packed_bodies(receiving: Receiving, body: bytes, encoding: str, status: int) -> None:
    """What is not gzip, breaks off, or goes on after its end is refused, and counted."""
    answer = post(receiving, body, Content_Encoding=encoding)
    assert answer.status_code == status
    assert receiving.loss()["rejected"]["http"] == (status != 200)


def test_what_goes_on_for_ever(receiving: Receiving) -> None:
    """What follows the end of a packed body is not gathered."""

    def chunks() -> Iterator[bytes]:
        yield gzip.compress(b"")
        for _ in range(1_000):
            yield bytes(1 << 16)

    try:
        assert post(receiving, chunks(), Content_Encoding="gzip").status_code == 400
    except httpx.TransportError:  # it was cut off while it still sent
        pass
    assert receiving.loss()["rejected"]["http"] == 1


def test_a_sender_that_goes_away(receiving: Receiving) -> None:
    """Half a request is counted, and nothing waits for the rest."""
    host, _, port = receiving.intake["http"].rpartition(":")
    with socket.create_connection((host, int(port)), 10) as sender:
        head = "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
        sender.sendall(f"{head}Content-Type: application/x-protobuf\r\n\r\nhalf".encode())
    receiving.wait_until(lambda: receiving.viewer.counts.loss()["rejected"]["http"])
