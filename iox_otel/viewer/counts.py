"""Counts: what was lost on the way to the viewer, and what it refused."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

from iox_otel_bridge.wire.jaeger_batch import ClientStats
from iox_otel_bridge.wire.jaeger_decode import Emitted

from .stored import service_of

INTAKES = ("udp", "grpc", "http")

_MAX_CLIENTS = 1_000
_MAX_GAP = 100_000
"""A number that is further ahead or back is no gap, but the beginning of another count."""
_LATE = (1 << 4_097) - 1
"""So far back missing numbers are remembered, a bit for each, in case that they come after all."""
_MAX_NAME_CHARS = 256
"""Of a client and its service; longer names are cut."""


class Sequence:
    """Counts the numbers that are missing between the first and the highest one seen.

    What comes late is no longer missing; what comes twice does not count. What was lost before the
    first one that came is not known of.
    """

    __slots__ = ("_gaps", "_highest", "missing")

    def __init__(self) -> None:
        self._highest: int | None = None
        self._gaps = 0
        """Its bit n is set if the number n below the highest one is missing: with a container of
        numbers strangers could fill the memory."""
        self.missing = 0

    def take(self, number: int) -> None:
        """Take a number into account."""
        ahead = 0 if self._highest is None else number - self._highest
        if self._highest is None or abs(ahead) > _MAX_GAP:
            self._highest, self._gaps = number, 0
        elif ahead > 0:
            self._highest = number
            self.missing += ahead - 1
            between = (1 << ahead) - 2
            self._gaps = (self._gaps << ahead | between) & _LATE
        elif self._gaps >> -ahead & 1:
            self._gaps ^= 1 << -ahead
            self.missing -= 1


class _Client:
    """A process that sends datagrams."""

    def __init__(self, service: str, name: str) -> None:
        self.service = service
        self.name = name
        self.sequence = Sequence()
        self.stats = ClientStats()

    def take(self, seq_no: int | None, stats: ClientStats | None) -> None:
        """Take a datagram into account."""
        if seq_no is not None:
            self.sequence.take(seq_no)
        if stats is not None:  # totals: those of a late datagram are lower
            self.stats = ClientStats(*map(max, self.stats, stats))


class Counts:
    """What was lost, for the page. All methods may be called from any thread.

    Of clients beyond a number the ones not heard of for longest are forgotten, but for the sum of
    their missing datagrams.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: OrderedDict[tuple[str, str], _Client] = OrderedDict()
        self._missing_of_others = 0
        self._rejected: Counter[str] = Counter()
        self._busy: Counter[str] = Counter()
        self._not_stored = 0
        self._own: dict[str, Callable[[], ClientStats]] = {}

    def watch(self, service: str, lost: Callable[[], ClientStats]) -> None:
        """Show also what *service* lost, which runs in this process and tells it by *lost*."""
        self._own[service] = lost

    def take_datagram(self, emitted: Emitted) -> None:
        """Take what a datagram says of itself and of its client into account.

        As a Jaeger agent, of clients only that say who they are.
        """
        name = emitted.client_uuid
        if not name or (emitted.seq_no is None and emitted.stats is None):
            return
        name = name[:_MAX_NAME_CHARS]
        service = service_of(emitted.resource)[:_MAX_NAME_CHARS]
        with self._lock:
            client = self._clients.setdefault((service, name), _Client(service, name))
            self._clients.move_to_end((service, name))
            client.take(emitted.seq_no, emitted.stats)
            while len(self._clients) > _MAX_CLIENTS:
                _, forgotten = self._clients.popitem(last=False)
                self._missing_of_others += forgotten.sequence.missing

    def reject(self, intake: str, number: int = 1) -> None:
        """Count datagrams, requests or spans that were refused for good: they are lost."""
        with self._lock:
            self._rejected[intake] += number

    def postpone(self, intake: str) -> None:
        """Count a request that was refused for now: its sender tries again."""
        with self._lock:
            self._busy[intake] += 1

    def fail(self, spans: int) -> None:
        """Count spans that the database did not take."""
        with self._lock:
            self._not_stored += spans

    def loss(self) -> dict[str, Any]:
        """Return what was lost, as JSON of the page.

        Of the missing `datagrams` those of each of the `processes` are its `missing`.
        """
        own = [_process(name, "this process", lost()) for name, lost in self._own.items()]
        with self._lock:
            missing = sum(client.sequence.missing for client in self._clients.values())
            return {
                "datagrams": missing + self._missing_of_others,
                "processes": [each for each in (*own, *self._processes()) if _has_lost(each)],
                "rejected": {intake: self._rejected[intake] for intake in INTAKES},
                "postponed": {intake: self._busy[intake] for intake in INTAKES[1:]},
                "notStored": self._not_stored,
            }

    def _processes(self) -> Iterator[dict[str, Any]]:
        for client in self._clients.values():
            yield _process(client.service, client.name, client.stats, client.sequence.missing)


def _process(service: str, client: str, stats: ClientStats, missing: int = 0) -> dict[str, Any]:
    return {
        "service": service,
        "client": client,
        "missing": missing,
        "queue_full": stats.full_queue_dropped_spans,
        "too_large": stats.too_large_dropped_spans,
        "failed": stats.failed_to_emit_spans,
    }


def _has_lost(process: dict[str, Any]) -> bool:
    return any(process[kind] for kind in ("missing", "queue_full", "too_large", "failed"))
