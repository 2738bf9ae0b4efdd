"""Backlog: the bounds and the books, at every step."""

from __future__ import annotations

import threading

from iox_otel import Span
from iox_otel_bridge.backlog import NEVER, Backlog, Tally
from iox_otel_bridge.sender import Batch, Stats


def fill(backlog: Backlog, count: int) -> None:
    backlog.inbox.extend(Span.root("span", None) for _ in range(count))


def test_a_tally_counts_every_thread() -> None:
    """Eight threads raise it by ten thousand each."""
    tally = Tally()

    def add() -> None:
        for _ in range(10_000):
            tally.add()

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert tally.value() == 80_000


def test_each_span_is_in_one_place_at_every_step() -> None:
    """From the inbox over encoding and waiting to delivery, the sum is always what came in."""
    backlog = Backlog(100, 100_000)
    fill(backlog, 10)
    assert backlog.stats() == Stats(10, 0, 0, 0, 0, 10)
    assert len(backlog.take(6)) == 6
    assert backlog.stats() == Stats(10, 0, 0, 0, 0, 10)
    backlog.put([Batch(b"", 3, 30), Batch(b"", 2, 20)], failed=1)
    assert backlog.stats() == Stats(10, 0, 0, 1, 0, 9)
    assert (backlog.waiting(), backlog.ready_bytes, backlog.left()) == (9, 50, 1)
    backlog.settle(delivered=2, failed=1)
    assert backlog.stats() == Stats(10, 2, 0, 2, 0, 6)
    backlog.split([Batch(b"", 1, 10), Batch(b"", 1, 15)])
    assert (backlog.waiting(), backlog.ready_bytes) == (6, 25)
    backlog.end()
    assert backlog.stats() == Stats(10, 2, 0, 2, 6, 0)


def test_the_threshold_never_promises_more_room_than_there_is() -> None:
    """It counts what is being encoded and what is encoded, and rises when that has left."""
    backlog = Backlog(10, 1_000_000)
    backlog.watch(NEVER)
    assert backlog.threshold == 11
    fill(backlog, 8)
    backlog.take(5)
    assert backlog.threshold == 6
    backlog.put([Batch(b"", 5, 50)], failed=0)
    backlog.watch(NEVER)
    assert backlog.threshold == 6
    backlog.settle(delivered=5, failed=0)
    backlog.watch(NEVER)
    assert backlog.threshold == 11
    backlog.watch(2)
    assert backlog.threshold == 2


def test_the_newest_give_way_where_bytes_are_full() -> None:
    """What is dropped from the inbox is counted; the oldest stay, and it may be fewer by then."""
    backlog = Backlog(100, 100)
    fill(backlog, 5)
    oldest = list(backlog.inbox)[:2]
    backlog.drop_newest(3)
    assert list(backlog.inbox) == oldest
    assert backlog.stats() == Stats(5, 0, 3, 0, 0, 2)
    backlog.drop_newest(7)
    assert backlog.stats() == Stats(5, 0, 5, 0, 0, 0)


def test_the_door_shuts_on_full_bytes_and_opens_when_some_leave() -> None:
    """What does not fit is dropped, and so are new spans until there is room for one again."""
    backlog = Backlog(100, 100)
    fill(backlog, 3)
    backlog.take(1)
    backlog.put([Batch(b"", 1, 60)], failed=0)
    backlog.take(1)
    assert backlog.bytes_full  # 60 more will not fit
    backlog.discard()
    assert (backlog.threshold, backlog.over()) == (0, True)
    assert backlog.stats() == Stats(3, 0, 1, 0, 0, 2)
    backlog.settle(delivered=1, failed=0)
    assert not backlog.bytes_full
    assert backlog.threshold > 0


def test_pieces_that_weigh_more_than_the_whole_stay_within_the_bytes() -> None:
    """After a split the newest batches give way."""
    backlog = Backlog(100, 100)
    fill(backlog, 6)
    backlog._span_bytes = 10.0
    backlog.take(6)
    backlog.put([Batch(b"", 4, 60), Batch(b"", 2, 35)], failed=0)
    backlog.split([Batch(b"", 2, 40), Batch(b"", 2, 40)])
    assert backlog.ready_bytes == 80
    assert backlog.stats() == Stats(6, 0, 2, 0, 0, 4)


def test_what_the_sender_holds_is_queued_but_takes_no_room() -> None:
    """The sum holds at every step, also when a sender settles what it is just given."""
    backlog = Backlog(10, 100_000)
    fill(backlog, 10)
    backlog.take(10)
    backlog.put([Batch(b"", 6, 60), Batch(b"", 4, 40)], failed=0)
    backlog.hold()
    assert backlog.stats() == Stats(10, 0, 0, 0, 0, 10)
    assert (backlog.waiting(), backlog.ready_bytes) == (4, 40)
    assert (backlog.left(), backlog.admitted(), backlog.lost()) == (6, 10, 0)
    backlog.settle_held(delivered=6, failed=3)
    assert backlog.stats() == Stats(10, 6, 0, 3, 0, 1)
    assert (backlog.left(), backlog.admitted(), backlog.lost()) == (6, 10, 3)
    backlog.hold()
    assert backlog.stats() == Stats(10, 6, 0, 3, 0, 1)
    fill(backlog, 2)
    backlog.end()
    assert backlog.stats() == Stats(12, 6, 0, 3, 3, 0)
    backlog.settle_held(delivered=1, failed=0)
    assert backlog.stats() == Stats(12, 6, 0, 3, 3, 0)


def test_after_the_end_a_late_worker_moves_no_count() -> None:
    """What was under way when the time was over is counted already."""
    backlog = Backlog(100, 100_000)
    fill(backlog, 4)
    backlog.take(2)
    backlog.end()
    backlog.put([Batch(b"", 2, 20)], failed=0)
    backlog.settle(delivered=2, failed=0)
    fill(backlog, 1)  # a span that slipped in while the door fell shut
    assert backlog.stats() == Stats(5, 0, 0, 0, 5, 0)
    backlog.end()
    assert backlog.stats().dropped_shut_down >= 4


def test_a_span_is_refused_only_if_the_worker_has_not_taken_it() -> None:
    """`refuse` drops the newest, counts it by its reason, and nothing if there is nothing."""
    backlog = Backlog(1, 1000)
    fill(backlog, 2)
    assert backlog.over()
    backlog.refuse(backlog.inbox)
    assert not backlog.over()
    assert backlog.stats() == Stats(2, 0, 1, 0, 0, 1)
    backlog.take(1)
    backlog.refuse(backlog.inbox)
    assert backlog.stats() == Stats(2, 0, 1, 0, 0, 1)
    backlog.close()
    fill(backlog, 1)
    backlog.refuse(backlog.inbox)
    assert backlog.stats() == Stats(3, 0, 1, 0, 1, 1)
