"""Counts: what was lost on the way, from the numbers that clients give their datagrams."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from iox_otel.viewer.counts import Counts, Sequence
from iox_otel_bridge.wire.jaeger import ClientStats
from iox_otel_bridge.wire.jaeger_decode import Emitted


def missing(*numbers: int) -> int:
    """Return how many are missing of a sequence."""
    sequence = Sequence()
    for number in numbers:
        sequence.take(number)
    return sequence.missing


def emitted(client: str, seq_no: int | None, stats: ClientStats | None = None) -> Emitted:
    """Return a datagram without spans."""
    return Emitted(Resource(), [], seq_no, client, stats)


@given(st.permutations(range(20)), st.sets(st.integers(0, 19)))
def test_gaps(order: list[int], lost: set[int]) -> None:
    """Whatever the order, what is lost between the first that came and the highest is counted."""
    came = [number for number in order if number not in lost]
    expected = [n for n in range(20) if came and came[0] < n < max(came) and n in lost]
    late = [n for n in came if n < came[0]]
    assert missing(*came, *came) == len(expected), (came, late)


def test_another_count() -> None:
    """A client that begins again, far off, has lost nothing by that."""
    assert missing(1, 2, 200_000, 200_002, 1, 3) == 2


def test_far_more_than_are_remembered() -> None:
    """All are counted, though only the newest can come late."""
    assert missing(0, 50_001) == 50_000
    assert missing(0, 50_001, 50_000) == 49_999
    assert missing(0, 50_001, 1) == 50_000


def test_clients_are_told_apart() -> None:
    """By their ids; who has none has no numbers either."""
    counts = Counts()
    for client, number in (("a", 1), ("b", 7), ("a", 3), ("b", 8), ("", 1), ("", 9)):
        counts.take_datagram(emitted(client, number))
    loss = counts.loss()
    assert loss["datagrams"] == 1
    assert [(each["client"], each["missing"]) for each in loss["processes"]] == [("a", 1)]


def test_the_highest_totals_count() -> None:
    """A datagram that comes late does not lower them; who lost nothing is not told of."""
    counts = Counts()
    counts.take_datagram(emitted("a", 2, ClientStats(5, 0, 1)))
    counts.take_datagram(emitted("a", 1, ClientStats(4, 2, 0)))
    counts.take_datagram(emitted("b", 1, ClientStats()))
    assert counts.loss()["processes"] == [
        {
            "service": "unknown_service",
            "client": "a",
            "missing": 0,
            "queue_full": 5,
            "too_large": 2,
            "failed": 1,
        }
    ]


def test_clients_without_number() -> None:
    """The ones not heard of for longest are forgotten, but for what they lost."""
    counts = Counts()
    for client in range(1_500):
        for number in (1, 3):
            counts.take_datagram(emitted(str(client), number, ClientStats(1)))
    loss = counts.loss()
    assert (loss["datagrams"], len(loss["processes"])) == (1_500, 1_000)
    assert loss["processes"][0]["client"] == "500"


def test_strangers_cannot_fill_the_memory() -> None:
    """Whatever names and numbers datagrams have, all clients together take little of it."""
    counts = Counts()
    tracemalloc.start()
    for client in range(1_500):
        for number in range(0, 20_000, 5_000):
            counts.take_datagram(emitted(f"{client}{'x' * 60_000}", number))
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held_bytes < 8 << 20
    assert counts.loss()["datagrams"] == 1_500 * 3 * 4_999


def test_what_is_refused() -> None:
    """By intake: for good, or for now; and what the database did not take."""
    counts = Counts()
    counts.reject("udp", 3)
    counts.postpone("grpc")
    counts.fail(4)
    counts.fail(1)
    loss = counts.loss()
    assert loss["rejected"] == {"udp": 3, "grpc": 0, "http": 0}
    assert loss["postponed"] == {"grpc": 1, "http": 0}
    assert loss["notStored"] == 5
