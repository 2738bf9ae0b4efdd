"""Backlog: what waits between the recording threads and the wire, and the count of every span."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Sequence
from itertools import repeat
from operator import length_hint
from typing import NamedTuple

from .sender import AnySpan, Batch, Stats

NEVER = sys.maxsize


class Tally:
    """A count that any thread, `__del__` or signal handler may raise by one, exactly.

    `n += 1` loses counts between threads, and a lock may deadlock in a signal handler. One step of
    an iterator written in C does neither.
    """

    __slots__ = ("_steps", "add")

    def __init__(self) -> None:
        self._steps = iter(range(sys.maxsize))
        self.add = self._steps.__next__

    def value(self) -> int:
        """Return how often `add` was called."""
        return sys.maxsize - length_hint(self._steps)


class Books(NamedTuple):
    """Where the spans are that left the inbox. Replaced as a whole, so that a reader on any thread,
    or in a signal handler, sees every span exactly once."""

    taken: list[AnySpan]
    """On their way from the inbox into batches."""
    encoded: int
    held: int
    """Kept by the sender. Below 0 while it settles spans of the very batch it is given."""
    delivered: int
    failed: int
    full: int
    """Dropped after they were admitted, because the encoded ones take too much memory."""
    shut: int

    def left(self) -> int:
        """Return how many spans are done with, one way or the other."""
        return self.delivered + self.failed + self.full + self.shut


class Backlog:
    """Spans waiting to be delivered, bounded in number and in encoded bytes.

    Recording threads only append to `inbox`, and go on to `Worker.attend` when it is then as long
    as `threshold`. All other changes are made by the one thread that works for the processor. There
    is no lock: each change is one step that no other thread can see half of.

    Args:
        max_spans: how many spans may wait, raw and encoded together.
        max_bytes: how many bytes the encoded ones may take.
    """

    def __init__(self, max_spans: int, max_bytes: int) -> None:
        self.max_spans = max_spans
        self.max_bytes = max_bytes
        self.inbox: deque[AnySpan] = deque()
        self.ready: deque[Batch] = deque()
        self.ready_bytes = 0
        self.bytes_full = False
        self.closed = False
        self.losing = False
        """Whether spans were dropped for want of room since somebody cleared this."""
        self.threshold = 1
        """A span that makes the inbox this long needs attention: there may be no room for it."""
        self.wake_at = 1
        """The inbox length that the worker wants to be woken at."""
        self._span_bytes = 512.0  # of an encoded span, as last seen; a guess until then
        self._books = Books([], 0, 0, 0, 0, 0, 0)
        self._refused_full = Tally()
        self._refused_closed = Tally()
        self._final: Books | None = None

    # Recording threads

    def over(self) -> bool:
        """Return whether the span just appended is one too many."""
        return self.bytes_full or self.waiting() > self.max_spans

    def refuse(self, inbox: deque[AnySpan]) -> None:
        """Drop the newest span of *inbox* and count it, unless the worker was faster and has it."""
        try:
            inbox.pop()
        except IndexError:
            return
        if self.closed:
            self._refused_closed.add()
        else:
            self._refused_full.add()
            self.losing = True

    # The worker

    def watch(self, wake_at: int) -> None:
        """Ask for attention when the inbox holds *wake_at* spans, or there is no room for more."""
        self.wake_at = wake_at
        books = self._books
        room = self.max_spans - books.encoded - len(books.taken)
        self.threshold = 0 if self.bytes_full else min(wake_at, room + 1)
        if self.closed:  # perhaps since the line above
            self.threshold = 0

    def close(self) -> None:
        """Take no more spans: what is recorded from now on is dropped and counted."""
        self.closed = True
        self.threshold = 0

    def take(self, most: int) -> list[AnySpan]:
        """Move the oldest spans, at most *most*, out of the inbox; `put` or `discard` comes next.

        As many as are likely to fit when encoded. If that is not even one the door is shut, and the
        spans returned are to be discarded.
        """
        count = min(most, len(self.inbox))
        if not self.fits():
            self.shut_door()
        if not self.bytes_full:
            count = min(count, max(1, self._fitting()))
        books = self._books
        # Lowered first: at no moment may the recording threads believe in too much room.
        left = self.max_spans - books.encoded - len(books.taken) - count
        self.threshold = min(self.threshold, max(0, left + 1))
        try:
            # One step that no other thread can see half of, a loop in C.
            books.taken.extend(map(deque.popleft, repeat(self.inbox, count)))
        except IndexError:
            pass  # a recording thread took back its newest, the last there was
        return books.taken

    def put(self, batches: Sequence[Batch], failed: int) -> None:
        """Let *batches*, made of the spans taken, wait; *failed* spans could not be encoded.

        What does not fit into the bytes allowed is dropped, and the door is shut until some leave.
        """
        full = encoded = 0
        for batch in batches:
            if self.ready_bytes + batch.byte_count > self.max_bytes:
                full += batch.span_count
                self.shut_door()
                continue
            self.ready.append(batch)
            self.ready_bytes += batch.byte_count
            encoded += batch.span_count
        spans = sum(batch.span_count for batch in batches)
        if spans:
            self._span_bytes = max(1.0, sum(batch.byte_count for batch in batches) / spans)
        books = self._books
        self._books = books._replace(
            taken=[],
            encoded=books.encoded + encoded,
            failed=books.failed + failed,
            full=books.full + full,
        )
        self._reopen()

    def discard(self) -> None:
        """Drop the spans taken, for want of memory."""
        books = self._books
        self._books = books._replace(taken=[], full=books.full + len(books.taken))

    def drop_newest(self, count: int) -> None:
        """Drop the *count* newest spans of the inbox, for want of memory."""
        try:
            self._books.taken.extend(map(deque.pop, repeat(self.inbox, count)))
        except IndexError:
            pass  # recording threads took back theirs
        self.discard()

    def settle(self, delivered: int, failed: int) -> None:
        """Let the oldest batch go, of which so many spans were *delivered* and so many *failed*."""
        batch = self._take_off()
        books = self._books
        self._books = books._replace(
            encoded=books.encoded - batch.span_count,
            delivered=books.delivered + delivered,
            failed=books.failed + failed,
        )
        self._reopen()

    def hold(self) -> None:
        """Let the oldest batch go into the sender's keeping."""
        batch = self._take_off()
        books = self._books
        self._books = books._replace(
            encoded=books.encoded - batch.span_count, held=books.held + batch.span_count
        )
        self._reopen()

    def settle_held(self, delivered: int, failed: int) -> None:
        """Let go of spans in the sender's keeping, so many *delivered* and so many *failed*."""
        books = self._books
        self._books = books._replace(
            held=books.held - delivered - failed,
            delivered=books.delivered + delivered,
            failed=books.failed + failed,
        )

    def _take_off(self) -> Batch:
        batch = self.ready.popleft()
        self.ready_bytes -= batch.byte_count
        return batch

    def split(self, pieces: Sequence[Batch]) -> None:
        """Put *pieces*, the same spans, in the place of the oldest batch."""
        self._take_off()
        self.ready.extendleft(reversed(pieces))
        self.ready_bytes += sum(piece.byte_count for piece in pieces)
        while self.ready_bytes > self.max_bytes:  # pieces may weigh more than the whole
            newest = self.ready.pop()
            self.ready_bytes -= newest.byte_count
            books = self._books
            self._books = books._replace(
                encoded=books.encoded - newest.span_count, full=books.full + newest.span_count
            )

    def end(self) -> None:
        """Count all that still waits as dropped by the shutdown, and let go of it, for good.

        Any thread may call it: what the worker is doing meanwhile changes the counts no more.
        """
        self.close()
        books, queued = self._moment()
        shut = books.shut + queued + books.held
        self._final = books._replace(taken=[], encoded=0, held=0, shut=shut)
        self.inbox = deque()
        self.ready = deque()

    @property
    def ended(self) -> bool:
        """Whether all is counted, for good."""
        return self._final is not None

    def fits(self) -> bool:
        """Return whether there is likely to be room for one more span, encoded."""
        return self._fitting() >= 1 or not self.ready

    def shut_door(self) -> None:
        """Let no span in until some that are encoded have left."""
        self.bytes_full = self.losing = True
        self.threshold = 0

    def _fitting(self) -> int:
        return int((self.max_bytes - self.ready_bytes) / self._span_bytes)

    def _reopen(self) -> None:
        if self.bytes_full and self.fits():
            self.bytes_full = False
            self.watch(self.wake_at)

    # Anyone

    def waiting(self) -> int:
        """Return how many spans wait, in whatever form, but for those held by the sender."""
        return self._moment()[1]

    def left(self) -> int:
        """Return how many of the spans admitted wait no more: done with, or held by the sender."""
        books = self._final or self._books
        return books.left() + books.held

    def admitted(self) -> int:
        """Return how many spans were let in so far."""
        books, queued = self._moment()
        return queued + books.held + books.left()

    def refused(self) -> int:
        """Return how many spans were not let in so far, because it was full."""
        return self._refused_full.value()

    def roomy(self) -> bool:
        """Return whether half of it is free."""
        bytes_free = self.ready_bytes * 2 <= self.max_bytes
        return bytes_free and self.waiting() * 2 <= self.max_spans

    def lost(self) -> int:
        """Return how many spans were let in and then lost."""
        books = self._final or self._books
        return books.left() - books.delivered

    def stats(self) -> Stats:
        """Return the counters, as they are at one moment."""
        books, queued = self._moment()
        full, shut = self._refused_full.value() + books.full, self._refused_closed.value()
        if self._final is not None:  # a span that slipped in while the door fell shut
            shut, queued = shut + queued, 0
        excess = max(0, queued - self.max_spans)  # appended, and just about to be refused
        full, queued, shut = full + excess, queued - excess + books.held, shut + books.shut
        recorded = books.delivered + full + books.failed + shut + queued
        return Stats(recorded, books.delivered, full, books.failed, shut, queued)

    def _moment(self) -> tuple[Books, int]:
        """Return the books, and how many spans wait, as they are at one and the same moment."""
        while True:
            books, inbox = self._final or self._books, self.inbox
            waiting = len(inbox)
            queued = waiting + len(books.taken) + books.encoded
            # Spans that were taken meanwhile have left the inbox shorter.
            if (
                len(inbox) == waiting
                and books is (self._final or self._books)
                and inbox is self.inbox
            ):
                return books, queued
