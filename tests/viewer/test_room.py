"""Room: what the viewer remembers of spans is bounded by its bytes, however long names are."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from iox_otel.viewer.room import Room
from iox_otel.viewer.store import Store
from iox_otel.viewer.stored import Batch, Source

from .conftest import Make

LONG = "é" * 50_000


def of_name(make: Make, number: int) -> Batch:
    """Return a span of a long name."""
    return make.batch([make.span(number, 1, name=f"{LONG}{number}")])


def of_jaeger(make: Make, number: int) -> Batch:
    """Return one that came from a Jaeger client."""
    return make.batch([make.span(number, 1, name=f"{LONG}{number}")], source=Source.JAEGER)


def of_service(make: Make, number: int) -> Batch:
    """Return a span of a service of a long name."""
    return make.batch([make.span(number, 1, key="value")], f"{LONG}{number}")


def of_resource(make: Make, number: int) -> Batch:
    """Return a span of a resource that is long."""
    return make.batch([make.span(number, 1)], where=f"{LONG}{number}")


def of_scope(make: Make, number: int) -> Batch:
    """Return a span of a scope of a long name."""
    batch = make.batch([make.span(number, 1)])
    batch.scope.name = f"{LONG}{number}"
    return batch


@pytest.mark.parametrize("made", [of_name, of_jaeger, of_service, of_resource, of_scope])
def test_what_is_long_is_not_remembered(make: Make, made: Callable[[Make, int], Batch]) -> None:
    """Neither by what is stored nor by what is read again."""
    batches = [made(make, number) for number in range(1, 101)]
    with Store() as store:
        tracemalloc.start()
        for batch in batches:
            store.add([batch])
        for number in range(1, 101):
            assert len(store.trace(make.trace_id(number))) == 1
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert held < 1_000_000


def test_a_full_cache_is_emptied() -> None:
    """Then there is room again, and for what is too long there never is."""
    kept: list[int] = []
    room = Room(1 << 20, kept.clear)
    for number in range(10_000):
        assert room.takes(100)
        kept.append(number)
        assert len(kept) <= (1 << 20) / 100
    assert 0 < len(kept) < 10_000
    before = list(kept)
    assert not room.takes(1 << 12)
    assert kept == before
