"""Writer: what was put is stored, whatever goes wrong with other things; the rest is counted."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from iox_otel.viewer.store import Store
from iox_otel.viewer.stored import Batch
from iox_otel.viewer.writer import Writer

Make = Any
LONG_S = 10


class Told:
    """What a writer told."""

    def __init__(self) -> None:
        self.stored: list[bytes] = []
        self.failed: list[int] = []

    def writer(self, store: Store, **options: Any) -> Writer:
        """Return a writer that tells it."""
        return Writer(store, on_stored=self.stored.extend, on_failed=self.failed.append, **options)


def test_closing_stores_what_was_put(store: Store, make: Make) -> None:
    """A sender was told that it is kept; after that nothing is taken any more."""
    told = Told()
    writer = told.writer(store)
    for trace in range(1, 500):
        assert writer.put(partial(list, [make.batch([make.span(trace, 1)])]), 100)
    assert writer.close()
    assert store.kept().traces == 499
    assert len(told.stored) == 499
    assert not writer.put(list, 1)


def test_a_large_batch_is_stored_in_turns(store: Store, make: Make) -> None:
    """Readers of the store get at it in between; and nothing of the batch is lost."""
    told = Told()
    writer = told.writer(store)
    spans = [make.span(1, number) for number in range(1, 2_502)]
    writer.put(lambda: [make.batch(spans)], 1)
    assert writer.close()
    assert store.kept().spans == 2_501
    assert len(told.stored) == 3


def test_the_queue_is_bounded(store: Store) -> None:
    """By bytes; but what is larger than all of it has room when nothing else waits."""
    writer = Writer(store, max_queue_bytes=100)
    taken, go_on = threading.Event(), threading.Event()

    def wait() -> list[Batch]:
        taken.set()
        go_on.wait(LONG_S)
        return []

    assert writer.put(wait, 1)
    assert taken.wait(LONG_S)
    assert writer.put(list, 1_000)
    assert not writer.put(list, 1)
    go_on.set()
    assert writer.flush(LONG_S)
    assert writer.put(list, 60)
    assert writer.flush(LONG_S)
    assert writer.put(list, 60)
    assert writer.close()


def test_what_the_database_does_not_take(tmp_path: Path, make: Make) -> None:
    """It is counted in spans, and said once."""
    told = Told()
    broken = Store(tmp_path / "traces.db")
    broken.close()
    writer = told.writer(broken)
    writer.put(lambda: [make.batch([make.span(1, 1), make.span(1, 2)])], 1)
    assert writer.close()
    assert (told.stored, told.failed) == ([], [2])


def test_a_defect_loses_nothing_else(
    store: Store, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither one in what reads a request, nor one in what stores a batch; both are logged."""
    told = Told()
    writer = told.writer(store)
    odd: Any = make.batch([object(), object()])

    def fail() -> list[Batch]:
        raise ZeroDivisionError

    def put_all() -> list[Batch]:
        writer.put(fail, 1)
        writer.put(lambda: [make.batch([make.span(1, 1)])], 1)
        return []

    writer.put(put_all, 1)
    assert writer.flush(LONG_S)
    writer.put(lambda: [odd], 1)
    assert writer.flush(LONG_S)
    writer.put(lambda: [make.batch([make.span(2, 1)])], 1)
    assert writer.close()
    assert (store.kept().traces, told.failed) == (2, [2])
    assert [each.message.partition(":")[0] for each in caplog.records] == [
        "cannot read spans",
        "spans are lost",
    ]


def test_closing_does_not_wait_for_ever(
    store: Store, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """What takes longer to store than there is time is said to be lost."""
    writer = Writer(store)
    with store.reading():
        writer.put(lambda: [make.batch([make.span(1, 1)])], 1)
        assert not writer.close(0.05)
    assert writer.close()
    (said,) = caplog.records
    assert "the last spans are lost" in said.message
