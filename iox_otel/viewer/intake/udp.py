"""UdpIntake: Jaeger's datagrams, as a Jaeger agent takes them on port 6831."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator, Sequence

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope

from iox_otel.viewer.stored import Batch, Source
from iox_otel_bridge.wire.errors import DecodeError
from iox_otel_bridge.wire.jaeger_decode import decode_datagram

from .accepting import Accepting

NAME = "udp"

_WANT_BUFFER_BYTES = 32 << 20
_RCVBUFFORCE = 33  # Linux; beyond net.core.rmem_max for who may
_MAX_DATAGRAM_BYTES = 65_536
_DATAGRAMS_AT_ONCE = 256
_LOOK_UP_MS = 50
"""How often it looks whether it is to end."""
_LAST_S = 0.3
"""At the end it takes what has arrived already for so long at most: senders may go on for ever."""
_OVERHEAD_BYTES = 256
"""Of a datagram that waits, beside its payload."""


class UdpIntake:
    """Takes datagrams from *bound* on a thread of its own, which does nothing else.

    They are decoded when they are stored. What is malformed, or finds the queue full, is counted
    and lost: nobody would send it again.
    """

    def __init__(self, bound: socket.socket, accepting: Accepting) -> None:
        self._socket = bound
        self._accepting = accepting
        self._is_closed = False
        widen(bound)
        bound.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="iox-otel udp", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take what has arrived already, and end; blocks for half a second at most."""
        self._is_closed = True
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        readable = select.poll()
        readable.register(self._socket, select.POLLIN)
        while not self._is_closed:
            readable.poll(_LOOK_UP_MS)
            if datagrams := self._receive():
                self._put(datagrams)
        end_s = time.monotonic() + _LAST_S
        while time.monotonic() < end_s and (datagrams := self._receive()):
            self._put(datagrams)

    def _receive(self) -> list[bytes]:
        """Return what is there."""
        datagrams: list[bytes] = []
        try:
            while len(datagrams) < _DATAGRAMS_AT_ONCE:
                datagrams.append(self._socket.recv(_MAX_DATAGRAM_BYTES))
        except OSError:  # there is no more
            pass
        return datagrams

    def _put(self, datagrams: list[bytes]) -> None:
        byte_count = sum(map(len, datagrams)) + _OVERHEAD_BYTES * len(datagrams)
        if not self._accepting.writer.put(lambda: self._batches(datagrams), byte_count):
            self._accepting.counts.reject(NAME, len(datagrams))

    def _batches(self, datagrams: Sequence[bytes]) -> Iterator[Batch]:
        counts = self._accepting.counts
        for datagram in datagrams:
            try:
                emitted = decode_datagram(datagram)
            except DecodeError:
                counts.reject(NAME)
                continue
            counts.take_datagram(emitted)
            batch = Batch(emitted.resource, InstrumentationScope(), emitted.spans, Source.JAEGER)
            kept, refused = self._accepting.checked([batch])
            if refused:
                counts.reject(NAME, refused)
            yield from kept


def widen(bound: socket.socket) -> None:
    """Give a socket the largest receive buffer that the system lets it have."""
    try:
        bound.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, _WANT_BUFFER_BYTES)
    except OSError:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WANT_BUFFER_BYTES)
