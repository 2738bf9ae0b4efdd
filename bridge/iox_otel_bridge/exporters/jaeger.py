"""JaegerSender: spans to a Jaeger agent over UDP. Agrees with IOx `trace_exporters::jaeger`."""

from __future__ import annotations

import errno
import os
import socket
import sys
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from opentelemetry.sdk.resources import Resource

from iox_otel import Span
from iox_otel_bridge.sender import AnySpan, Batch, Outcome, Pipeline, Sender, Verdict
from iox_otel_bridge.wire import jaeger as wire

from .rate_limiter import RateLimiter
from .udp import UdpConnection

MIN_PACKET_BYTES = 512
"""In less there may be no room for a span beside its process."""
MAX_PACKET_BYTES = 65_507
"""The most that UDP over IPv4 carries."""

_RESOLVE_AGAIN_S = 1.0
_MAX_RESOURCES = 64
_WOULD_BLOCK = frozenset((errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS))


class _Packet(NamedTuple):
    """What goes into one datagram."""

    process: bytes
    spans: bytes
    """Encoded, one after the other."""
    sizes: array[int]
    """How long each of them is."""


class _Undeliverable(NamedTuple):
    """A span that no datagram can carry."""

    detail: str
    is_too_large: bool


class JaegerSender(Sender):
    """Sends spans to *host* and *port* as `emitBatch` messages in compact Thrift, one a datagram.

    Datagrams are filled by exact encoded size. A span that is too large for one alone is cut down
    and marked (`wire.shorten_span`). A span of another OpenTelemetry library with a Resource of
    its own goes into datagrams of its own.

    What is known to be lost is told: a datagram that the send buffer has no room for is FATAL; one
    that a port of this host refuses, a name that cannot be looked up and an unreachable network
    are RETRY. What another host refuses or a network loses is DELIVERED all the same, since UDP
    does not say.

    `seqNo` numbers the datagrams, from 0, with a gap for each that was lost here. `ClientStats`
    are totals since the start; a Jaeger agent makes metrics of both by the Process's tag
    `client-uuid`, which tells this sender from every other one. It is random, unless the resource
    has such an attribute.

    Args:
        host: a name or an address; 0.0.0.0 and :: are this host.
        port: 1…65,535.
        resource: service.name names the Process, the other attributes are its tags.
        max_packet_bytes: of a datagram's payload, 512…65,507.
        max_msgs_per_second: datagrams; more of them wait.
        connection: stands in for the one to *host* and *port*.
        limiter: stands in for the one of *max_msgs_per_second*.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        *,
        host: str = "0.0.0.0",  # noqa: S104  a destination: this machine
        port: int = 6831,
        resource: Resource,
        max_packet_bytes: int = 65_000,
        max_msgs_per_second: float = 1000,
        connection: UdpConnection | None = None,
        limiter: RateLimiter | None = None,
    ) -> None:
        if not host or "\0" in host:
            raise ValueError(f"host must be a name or an address, got {host!r}")
        if not 1 <= port <= 65_535:
            raise ValueError(f"port must be from 1 to 65535, got {port!r}")
        if not MIN_PACKET_BYTES <= max_packet_bytes <= MAX_PACKET_BYTES:
            raise ValueError(
                f"max_packet_bytes must be from {MIN_PACKET_BYTES} to {MAX_PACKET_BYTES}, "
                f"got {max_packet_bytes!r}"
            )
        self._resource = resource
        self._max_packet_bytes = max_packet_bytes
        self._limiter = limiter or RateLimiter(max_msgs_per_second)
        self._connection = connection or UdpConnection(host, port)
        self._target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._client_uuid = os.urandom(8).hex()
        self._process = self._encode_process(resource)
        # By identity, since to compare two costs more than to encode a span; kept alive, so that
        # the identity stays theirs. Equal ones have equal bytes, and meet in one packer.
        self._processes: dict[int, tuple[Resource, bytes]] = {}
        self._pipeline: Pipeline | None = None
        self._seq_no = 0
        self._too_large_spans = 0
        self._failed_spans = 0

    def encode(self, spans: Sequence[AnySpan]) -> Iterator[Batch]:
        """Pack *spans* into datagrams; each keeps the order they have. Never raises."""
        packers: dict[bytes, _Packer] = {}
        for span in spans:
            try:
                process = self._process_of(span)
                encoded = wire.encode_span(span)
            except Exception as exc:
                yield _undeliverable(f"a span cannot be encoded: {exc!r}", is_too_large=False)
                continue
            yield from self._pack(packers, process, encoded)
        yield from _rest(packers)

    def send(self, batch: Batch, timeout_s: float) -> Outcome:
        """Send one datagram; waits for the rate limit only, and to look up a name."""
        try:
            return self._send(batch, timeout_s)
        except Exception as exc:
            self._failed_spans += batch.span_count
            return Outcome(Verdict.FATAL, detail=f"jaeger: {exc!r}")

    def split(self, batch: Batch) -> Sequence[Batch]:
        """Pack the spans of *batch* again, for what has turned out to be the largest datagram."""
        packet = batch.payload
        if not isinstance(packet, _Packet):
            return (batch,)
        max_process_bytes = self._max_packet_bytes // 2
        process = wire.shorten_process(packet.process, max_process_bytes) or packet.process
        packers: dict[bytes, _Packer] = {}
        batches: list[Batch] = []
        for start, end in pairwise(accumulate(packet.sizes, initial=0)):
            batches += self._pack(packers, process, packet.spans[start:end])
        return [*batches, *_rest(packers)]

    def bind(self, pipeline: Pipeline) -> None:
        """Report the spans that *pipeline* counts as dropped for a full queue."""
        self._pipeline = pipeline

    def interrupt(self) -> None:
        """End a wait for the rate limit; a look-up of a name cannot be ended."""
        self._limiter.interrupt()

    def close(self) -> None:
        """Close the socket."""
        self._connection.close()

    def _process_of(self, span: AnySpan) -> bytes:
        resource = self._resource if isinstance(span, Span) else span.resource
        if resource is None or resource is self._resource:
            return self._process
        if (known := self._processes.get(id(resource))) is None:
            if len(self._processes) >= _MAX_RESOURCES:
                self._processes.clear()
            process = self._encode_process(resource)
            known = self._processes[id(resource)] = (resource, process)
        return known[1]

    def _encode_process(self, resource: Resource) -> bytes:
        attributes = {"client-uuid": self._client_uuid, **(resource.attributes or {})}
        encoded = wire.encode_process(attributes)
        return wire.shorten_process(encoded, self._max_packet_bytes // 2) or encoded

    def _pack(
        self, packers: dict[bytes, _Packer], process: bytes, encoded: bytes
    ) -> Iterator[Batch]:
        """Add a span to the packer of its process; yields the datagram that is full now, if any."""
        if (packer := packers.get(process)) is None:
            packer = packers[process] = _Packer(process, self._max_packet_bytes)
        if not packer.has_room(encoded):
            if packer:
                yield packer.take()
            shorter = wire.shorten_span(encoded, packer.max_span_bytes)
            if shorter is None:
                yield _undeliverable("a span is too large", is_too_large=True)
                return
            encoded = shorter
        packer.add(encoded)

    def _send(self, batch: Batch, timeout_s: float) -> Outcome:
        packet = batch.payload
        if isinstance(packet, _Undeliverable):
            return self._lose(batch, packet.detail, is_too_large=packet.is_too_large)
        if not isinstance(packet, _Packet):
            raise TypeError(f"a batch of another sender: {type(packet).__name__}")
        datagram = self._datagram(packet)
        if len(datagram) > self._max_packet_bytes:
            return self._too_large_now(batch, timeout_s)
        meanwhile = self._pipeline.meanwhile if self._pipeline else None
        wait_s = self._limiter.acquire(timeout_s, meanwhile)
        if wait_s > 0:
            return Outcome(Verdict.RETRY, retry_after_s=wait_s)
        try:
            self._connection.send(datagram)
        except OSError as exc:
            if exc.errno == errno.EMSGSIZE and len(datagram) // 2 >= MIN_PACKET_BYTES:
                self._lower_limit(len(datagram) // 2)
                return self._too_large_now(batch, timeout_s)
            return self._failure(batch, exc)
        self._seq_no += 1
        return Outcome(Verdict.DELIVERED)

    def _datagram(self, packet: _Packet) -> bytes:
        dropped = self._pipeline.stats().dropped_queue_full if self._pipeline else 0
        return wire.encode_batch(
            packet.process,
            packet.spans,
            len(packet.sizes),
            seq_no=self._seq_no,
            stats=wire.ClientStats(dropped, self._too_large_spans, self._failed_spans),
        )

    def _lower_limit(self, max_packet_bytes: int) -> None:
        """Pack less from now on: by halves, since the system does not say what it would take."""
        self._max_packet_bytes = max_packet_bytes
        self._process = self._encode_process(self._resource)
        self._processes.clear()

    def _too_large_now(self, batch: Batch, timeout_s: float) -> Outcome:
        """Answer for a datagram that was packed before the limit was known to be lower."""
        pieces = self.split(batch)
        if len(pieces) > 1:
            return Outcome(Verdict.TOO_LARGE, detail=f"jaeger at {self._target}: too long")
        return self._send(pieces[0], timeout_s)  # the same spans, cut down, or with less process

    def _failure(self, batch: Batch, exc: OSError) -> Outcome:
        detail = f"jaeger at {self._target}: {exc.strerror or exc}"
        if isinstance(exc, socket.gaierror):
            return Outcome(Verdict.RETRY, retry_after_s=_RESOLVE_AGAIN_S, detail=detail)
        if exc.errno in _WOULD_BLOCK:
            self._seq_no += 1  # the gap tells the agent
            return self._lose(batch, detail, is_too_large=False)
        if exc.errno == errno.EMSGSIZE:
            return self._lose(batch, detail, is_too_large=True)
        return Outcome(Verdict.RETRY, detail=detail)

    def _lose(self, batch: Batch, detail: str, *, is_too_large: bool) -> Outcome:
        if is_too_large:
            self._too_large_spans += batch.span_count
        else:
            self._failed_spans += batch.span_count
        return Outcome(Verdict.FATAL, detail=detail)


class _Packer:
    """Collects the spans of one datagram."""

    def __init__(self, process: bytes, max_bytes: int) -> None:
        self._process = process
        self._max_bytes = max_bytes
        self.max_span_bytes = max_bytes - wire.max_batch_bytes(len(process), 0, 1)
        self._sure_bytes = max_bytes - wire.max_batch_bytes(len(process), 0, max_bytes)
        self._spans: list[bytes] = []
        self._span_bytes = 0

    def __len__(self) -> int:
        return len(self._spans)

    def has_room(self, encoded: bytes) -> bool:
        """Whether the datagram still fits with one more span."""
        span_bytes = self._span_bytes + len(encoded)
        if span_bytes <= self._sure_bytes:  # for any number of spans
            return True
        count = len(self._spans) + 1
        return wire.max_batch_bytes(len(self._process), span_bytes, count) <= self._max_bytes

    def add(self, encoded: bytes) -> None:
        """Put one more span into the datagram."""
        self._spans.append(encoded)
        self._span_bytes += len(encoded)

    def take(self) -> Batch:
        """Return what was collected, and begin anew."""
        spans = b"".join(self._spans)
        sizes = array("I", map(len, self._spans))
        packet = _Packet(self._process, spans, sizes)
        self._spans = []
        self._span_bytes = 0
        return Batch(packet, len(sizes), sum(map(sys.getsizeof, (packet, spans, sizes))))


def _undeliverable(detail: str, *, is_too_large: bool) -> Batch:
    payload = _Undeliverable(detail, is_too_large)
    return Batch(payload, 1, sys.getsizeof(payload) + sys.getsizeof(detail))


def _rest(packers: dict[bytes, _Packer]) -> Iterator[Batch]:
    return (packer.take() for packer in packers.values() if packer)
