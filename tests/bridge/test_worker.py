"""What becomes of spans between being recorded and being on the wire."""

from __future__ import annotations

import gc
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import cast

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from iox_otel import Span, SpanContext, current
from iox_otel.logs import TraceContextFilter
from iox_otel_bridge import delivery, endings, notices, worker
from iox_otel_bridge.backlog import Backlog
from iox_otel_bridge.processor import BridgeProcessor
from iox_otel_bridge.sender import AnySpan, Batch, Outcome, Pipeline, Sender, Stats, Verdict

DELIVERED = Outcome(Verdict.DELIVERED)
RETRY = Outcome(Verdict.RETRY, detail="not now")
FATAL = Outcome(Verdict.FATAL, detail="never")
TOO_LARGE = Outcome(Verdict.TOO_LARGE)
SPAN_BYTES = 10


class Wire(Sender):
    """Delivers into a list, after the outcomes it was given; blocks while `gate` is closed."""

    def __init__(self, *outcomes: Outcome | Exception) -> None:
        self.outcomes = deque(outcomes)
        self.default = DELIVERED
        self.delivered: list[str] = []
        self.sizes: list[int] = []
        self.times_s: list[float] = []
        self.timeouts_s: list[float] = []
        self.calls: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.interrupted = threading.Event()
        self.closed = threading.Event()
        self.poison: str | None = None
        self.encoded = 0

    def encode(self, spans: Sequence[AnySpan]) -> Iterable[Batch]:
        names = tuple(span.name for span in spans)
        if self.poison in names:
            raise ValueError("cannot be encoded")
        self.encoded += len(names)
        return [Batch(names, len(names), SPAN_BYTES * len(names))]

    def send(self, batch: Batch, timeout_s: float) -> Outcome:
        names = batch.payload
        assert isinstance(names, tuple)
        self.times_s.append(time.monotonic())
        self.timeouts_s.append(timeout_s)
        self.sizes.append(len(names))
        self.calls.append("send")
        self.entered.set()
        self.gate.wait(timeout_s)
        outcome = self.outcomes.popleft() if self.outcomes else self.default
        if isinstance(outcome, Exception):
            raise outcome
        if outcome.verdict is Verdict.DELIVERED:
            self.delivered += names
        return outcome

    def split(self, batch: Batch) -> Sequence[Batch]:
        names = batch.payload
        assert isinstance(names, tuple)
        middle = len(names) // 2
        if not middle:
            return (batch,)
        halves = (names[:middle], names[middle:])
        return [Batch(half, len(half), SPAN_BYTES * len(half)) for half in halves]

    def flush(self, timeout_s: float) -> bool:
        self.calls.append("flush")
        return True

    def interrupt(self) -> None:
        self.interrupted.set()
        self.gate.set()

    def close(self) -> None:
        self.calls.append("close")
        self.closed.set()


@contextmanager
def pipeline(
    wire: Sender,
    *,
    max_queue_size: int = 100_000,
    max_queue_bytes: int = 1_000_000,
    max_batch_size: int = 512,
    schedule_delay_s: float = 0.2,
) -> Iterator[BridgeProcessor]:
    processor = BridgeProcessor(
        wire,
        max_queue_size=max_queue_size,
        max_queue_bytes=max_queue_bytes,
        max_batch_size=max_batch_size,
        schedule_delay_s=schedule_delay_s,
        name="test",
    )
    try:
        yield processor
    finally:
        if isinstance(wire, Wire):
            wire.gate.set()
        processor.shutdown(timeout_s=2)
        assert_balanced(processor.stats())
        assert processor.stats().queued == 0


def record(processor: BridgeProcessor, *names: str) -> None:
    for name in names:
        processor.export(Span.root(name, processor))


def record_many(processor: BridgeProcessor, count: int) -> None:
    record(processor, *(f"span {number}" for number in range(count)))


def assert_balanced(stats: Stats) -> None:
    assert stats.recorded == (
        stats.delivered
        + stats.dropped_queue_full
        + stats.dropped_export_failed
        + stats.dropped_shut_down
        + stats.queued
    )


def until(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "the condition never came true"
        time.sleep(0.001)


# Batches


def test_spans_arrive_in_the_order_they_were_recorded() -> None:
    """Everything recorded is delivered, oldest first."""
    wire = Wire()
    with pipeline(wire, max_batch_size=10) as processor:
        record_many(processor, 95)
        assert processor.force_flush(timeout_s=5)

        assert wire.delivered == [f"span {number}" for number in range(95)]
        assert max(wire.sizes) == 10
        assert processor.stats() == Stats(95, 95, 0, 0, 0, 0)


def test_a_full_batch_does_not_wait_for_the_delay() -> None:
    """The worker wakes for a full batch, long before the delay is over."""
    wire = Wire()
    with pipeline(wire, max_batch_size=5, schedule_delay_s=60) as processor:
        record_many(processor, 5)
        until(lambda: len(wire.delivered) == 5)


def test_a_lone_span_waits_for_the_delay_and_no_longer() -> None:
    """A batch that does not fill goes out when its first span is as old as the delay."""
    wire = Wire()
    with pipeline(wire, schedule_delay_s=0.05) as processor:
        began_s = time.monotonic()
        record(processor, "first", "second")
        until(lambda: len(wire.delivered) == 2)

        assert wire.sizes == [2]
        assert wire.times_s[0] - began_s >= 0.05


def test_an_idle_worker_is_woken_again_and_again() -> None:
    """No span is left lying, however often the worker goes to sleep in between."""
    wire = Wire()
    with pipeline(wire, schedule_delay_s=0) as processor:
        for number in range(300):
            record(processor, str(number))
            until(lambda count=number + 1: len(wire.delivered) == count)  # type: ignore[misc]


def test_no_thread_before_the_first_span() -> None:
    """A processor that nothing was recorded with starts no thread, not even to be shut down."""
    before = threading.active_count()
    wire = Wire()
    with pipeline(wire) as processor:
        assert processor.force_flush(timeout_s=1)
        assert processor.shutdown(timeout_s=1)

    assert threading.active_count() == before
    assert wire.closed.is_set()


# Bounds


def test_the_newest_is_dropped_when_the_queue_is_full() -> None:
    """With a blocked receiver exactly the first max_queue_size spans are kept."""
    wire = Wire()
    wire.gate.clear()
    with pipeline(wire, max_queue_size=100, max_batch_size=10) as processor:
        record_many(processor, 1)
        assert processor.stats().queued == 1
        processor.begin_flush()
        assert wire.entered.wait(5)
        record_many(processor, 250)

        assert processor.stats() == Stats(251, 0, 151, 0, 0, 100)
        wire.gate.set()
        assert not processor.force_flush(timeout_s=5)
        assert wire.delivered == ["span 0", *(f"span {number}" for number in range(99))]


def test_the_bound_holds_while_eight_threads_record() -> None:
    """No moment sees more spans waiting than allowed, and each is counted once."""
    wire = Wire()
    wire.gate.clear()
    most = 0
    with pipeline(wire, max_queue_size=1000, max_batch_size=50) as processor:
        threads = [threading.Thread(target=record_many, args=(processor, 5000)) for _ in range(8)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            most = max(most, processor.stats().queued)
        assert most <= 1000
        assert processor.stats() == Stats(40_000, 0, 39_000, 0, 0, 1000)


def test_what_waits_in_a_backoff_is_encoded_and_bounded_in_bytes() -> None:
    """While the receiver is away, spans are kept encoded, and never more bytes than allowed."""
    wire = Wire()
    wire.default = Outcome(Verdict.RETRY, retry_after_s=60)
    limit = SPAN_BYTES * 95
    with pipeline(wire, max_queue_bytes=limit, max_batch_size=10, schedule_delay_s=0) as processor:
        for number in range(300):
            record(processor, f"span {number}")
            until(lambda: processor.stats().queued <= 95)
        until(lambda: not processor._backlog.inbox)

        stats = processor.stats()
        assert 86 <= stats.queued <= 95
        assert stats.dropped_queue_full == 300 - stats.queued
        assert processor._backlog.ready_bytes == SPAN_BYTES * stats.queued <= limit
        wire.default = DELIVERED
        assert not processor.shutdown(timeout_s=5)
        assert wire.delivered == [f"span {number}" for number in range(stats.queued)]


def test_what_waits_behind_a_send_is_encoded_and_bounded_in_bytes() -> None:
    """So it is while an attempt hangs: what is left raw is a batch, however long it takes."""

    class Waiting(Wire):
        def bind(self, pipeline: Pipeline) -> None:
            self.pipeline = pipeline

        def send(self, batch: Batch, timeout_s: float) -> Outcome:
            self.entered.set()
            while not self.gate.wait(min(self.pipeline.meanwhile(), 0.001)):
                pass
            return super().send(batch, timeout_s)

    wire = Waiting()
    wire.gate.clear()
    limit = SPAN_BYTES * 95
    with pipeline(wire, max_queue_bytes=limit, max_batch_size=10, schedule_delay_s=0) as processor:
        backlog = processor._backlog
        record(processor, "first")
        assert wire.entered.wait(5)
        record(processor, *map(str, range(300)))
        until(lambda: backlog.bytes_full and len(backlog.inbox) <= 10)

        stats = processor.stats()
        assert 86 <= stats.queued - len(backlog.inbox) <= 95
        assert stats.dropped_queue_full == 301 - stats.queued
        assert backlog.ready_bytes == SPAN_BYTES * (stats.queued - len(backlog.inbox)) <= limit
        wire.gate.set()
        assert not processor.shutdown(timeout_s=5)
        assert wire.delivered == ["first", *map(str, range(stats.queued - 1))]


def test_a_shutdown_has_the_time_to_deliver_what_does_not_fit_encoded() -> None:
    """Once no more can come, spans wait as they are for room, instead of being dropped."""
    for closed, kept in [(True, 9), (False, 2)]:
        backlog = Backlog(100, SPAN_BYTES)
        unsent = delivery.Delivery(Wire, backlog, notices.Notices("test"), Wire(), max_batch_size=2)
        backlog.inbox.extend(Span.root("span", None) for _ in range(10))
        backlog.take(1)
        backlog.put([Batch(("span",), 1, SPAN_BYTES)], failed=0)
        if closed:
            backlog.close()
        unsent.sending = True
        assert unsent.meanwhile() > 0
        assert len(backlog.inbox) == kept
        assert backlog.stats() == Stats(10, 0, 9 - kept, 0, 0, 1 + kept)


def test_what_waits_behind_many_short_sends_is_encoded() -> None:
    """A receiver that is slow, batch by batch, leaves no more raw than one that hangs."""
    wire = Wire()
    seen: list[int] = []

    class Short(Wire):
        def send(self, batch: Batch, timeout_s: float) -> Outcome:
            record_many(processor, 10)
            seen.append(len(processor._backlog.inbox))
            return wire.send(batch, timeout_s) if len(seen) > 20 else RETRY

    with pipeline(Short(), max_batch_size=10, schedule_delay_s=0) as processor:
        record_many(processor, 10)
        for count in range(1, 31):
            processor.begin_flush()  # so that there is no pause
            until(lambda count=count: len(seen) >= count)  # type: ignore[misc]
        assert max(seen) <= 30


def test_a_small_byte_limit_loses_nothing_to_a_receiver_that_is_there() -> None:
    """Batches are cut to what fits, as long as one span does."""
    wire = Wire()
    with pipeline(wire, max_queue_bytes=SPAN_BYTES * 3, schedule_delay_s=0.01) as processor:
        record_many(processor, 200)
        assert processor.force_flush(timeout_s=5)
        assert max(wire.sizes) <= 3


def test_a_span_above_the_byte_limit_is_dropped_and_the_next_is_not() -> None:
    """A span that could never wait is counted as dropped for want of room; the door stays open."""
    wire = Wire()
    with pipeline(wire, max_queue_bytes=SPAN_BYTES - 1) as processor:
        record(processor, "too large")
        assert not processor.force_flush(timeout_s=5)
        record(processor, "too large as well")
        assert not processor.force_flush(timeout_s=5)
        assert processor.stats() == Stats(2, 0, 2, 0, 0, 0)


def test_loss_is_logged_when_it_starts_and_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    """One warning when the queue is full, one with the number when there is room again."""
    wire = Wire()
    wire.gate.clear()
    with (
        caplog.at_level(logging.WARNING, "iox_otel"),
        pipeline(wire, max_queue_size=10, max_batch_size=2) as processor,
    ):
        record(processor, "first", "second")
        assert wire.entered.wait(5)
        record_many(processor, 20)
        wire.gate.set()
        until(lambda: processor.stats().queued == 0)
        processor.force_flush(timeout_s=5)
        until(lambda: len(caplog.messages) >= 2)

        assert caplog.messages == [
            "test: the queue is full, new spans are being dropped",
            "test: the queue has room again, 12 spans were dropped",
        ]


# Outcomes


def test_what_is_logged_of_a_delivery_is_of_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    """Though an unsampled span is current there, so that the exporter's calls are not traced."""
    current_one = SpanContext(trace_id=0xABC, span_id=1, sampled=False)
    caplog.handler.addFilter(stamp := TraceContextFilter())
    try:
        with pipeline(Wire(RETRY)) as processor:
            token = current.set(current_one)
            record(processor, "a")
            assert processor.force_flush(timeout_s=5)
            assert current.get() is current_one
            current.reset(token)
    finally:
        caplog.handler.removeFilter(stamp)

    assert [line.getMessage() for line in caplog.records] == [
        "test: cannot deliver spans now, will go on trying: not now",
        "test: delivering again",
    ]
    assert {line.__dict__["trace_id"] for line in caplog.records} == {""}


def test_a_batch_is_tried_again_until_it_is_delivered() -> None:
    """RETRY loses nothing, and the pauses grow."""
    wire = Wire(RETRY, RETRY, RETRY)
    with pipeline(wire, schedule_delay_s=0) as processor:
        record(processor, "span")
        until(lambda: wire.delivered == ["span"])

        pauses_s = [
            later - earlier for earlier, later in zip(wire.times_s, wire.times_s[1:], strict=False)
        ]
        assert len(pauses_s) == 3
        assert pauses_s[0] >= 0.08
        assert pauses_s[1] >= 0.16
        assert pauses_s[2] >= 0.32
        assert wire.encoded == 1
        assert processor.stats() == Stats(1, 1, 0, 0, 0, 0)


def test_the_receiver_says_when_to_come_again() -> None:
    """Retry-After is waited for, also by a flush."""
    wire = Wire(Outcome(Verdict.RETRY, retry_after_s=0.3))
    with pipeline(wire) as processor:
        record(processor, "span")
        assert processor.force_flush(timeout_s=5)
        assert wire.times_s[1] - wire.times_s[0] >= 0.3


@pytest.fixture(name="long_pauses")
def _long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_RETRY_S", 60.0)
    monkeypatch.setattr(delivery, "LAST_RETRY_S", 60.0)


@pytest.mark.usefixtures("long_pauses")
def test_a_flush_ends_a_pause() -> None:
    """A flush tries at once, instead of waiting for the backoff."""
    wire = Wire(RETRY)
    with pipeline(wire, schedule_delay_s=0) as processor:
        record(processor, "span")
        until(lambda: len(wire.times_s) == 1)
        assert processor.force_flush(timeout_s=5)
        assert wire.delivered == ["span"]


@pytest.mark.parametrize("outcome", [FATAL, RuntimeError("broken")], ids=["fatal", "exception"])
def test_a_failure_costs_its_batch_only(outcome: Outcome | Exception) -> None:
    """FATAL, or an exception out of send, is counted, and delivery goes on."""
    wire = Wire(outcome)
    with pipeline(wire, max_batch_size=3) as processor:
        record(processor, "a", "b", "c")
        until(lambda: processor.stats().dropped_export_failed == 3)
        record(processor, "d")
        assert not processor.force_flush(timeout_s=5)
        record(processor, "e")
        assert processor.force_flush(timeout_s=5)  # the loss has been told of
        assert wire.delivered == ["d", "e"]
        assert processor.stats() == Stats(5, 2, 0, 3, 0, 0)


def test_a_flush_that_nobody_waits_for_tells_nobody_of_a_loss() -> None:
    """After `begin_flush` the next flush that somebody waits for still answers False."""
    wire = Wire(FATAL)
    with pipeline(wire, schedule_delay_s=60) as processor:
        record(processor, "lost")
        processor.begin_flush()
        until(lambda: processor.stats().dropped_export_failed == 1)
        processor.begin_flush()
        until(lambda: wire.calls.count("flush") >= 2)
        assert not processor.force_flush(timeout_s=5)
        assert processor.force_flush(timeout_s=5)


@pytest.mark.parametrize(
    "nonsense",
    [None, "delivered", DELIVERED[:1] + ("all", None, "")],
    ids=repr,
)
def test_nonsense_for_an_outcome_is_a_failure(nonsense: object) -> None:
    """What a sender returns instead of an Outcome costs the batch, once."""

    class Confused(Wire):
        def send(self, batch: Batch, timeout_s: float) -> Outcome:
            super().send(batch, timeout_s)
            return nonsense  # type: ignore[return-value]

    wire = Confused()
    with pipeline(wire) as processor:
        record(processor, "span")
        assert not processor.force_flush(timeout_s=5)
        assert wire.sizes == [1]
        assert processor.stats() == Stats(1, 0, 0, 1, 0, 0)


@pytest.mark.parametrize("retry_after_s", [0.0, -5.0, float("nan")])
def test_a_receiver_cannot_ask_to_be_hammered(retry_after_s: float) -> None:
    """However soon it wants the next attempt, there is a pause."""
    wire = Wire(*[Outcome(Verdict.RETRY, retry_after_s=retry_after_s)] * 3)
    with pipeline(wire, schedule_delay_s=0) as processor:
        record(processor, "span")
        until(lambda: wire.delivered == ["span"])
        assert wire.times_s[-1] - wire.times_s[0] >= 0.3


def test_rejected_spans_are_failed_ones() -> None:
    """Partial success: what the receiver refused is dropped and counted."""
    wire = Wire(Outcome(Verdict.DELIVERED, rejected=2))
    with pipeline(wire) as processor:
        record_many(processor, 5)
        assert not processor.force_flush(timeout_s=5)
        assert processor.stats() == Stats(5, 3, 0, 2, 0, 0)


def test_more_rejected_than_sent_is_all_of_them() -> None:
    """A receiver that cannot count does not unbalance the counters."""
    wire = Wire(Outcome(Verdict.DELIVERED, rejected=99))
    with pipeline(wire) as processor:
        record_many(processor, 5)
        assert not processor.force_flush(timeout_s=5)
        assert processor.stats() == Stats(5, 0, 0, 5, 0, 0)


def test_a_batch_too_large_is_split_until_it_fits() -> None:
    """TOO_LARGE halves the batch; the order stays."""
    wire = Wire(TOO_LARGE, TOO_LARGE)
    with pipeline(wire) as processor:
        record(processor, "a", "b", "c", "d", "e")
        assert processor.force_flush(timeout_s=5)
        assert wire.delivered == ["a", "b", "c", "d", "e"]
        assert wire.sizes == [5, 2, 1, 1, 3]


def test_a_span_too_large_is_failed_and_its_neighbours_are_not() -> None:
    """What cannot be split any more is dropped and counted."""
    wire = Wire(TOO_LARGE, TOO_LARGE)
    with pipeline(wire) as processor:
        record(processor, "a", "b")
        assert not processor.force_flush(timeout_s=5)
        assert wire.delivered == ["b"]
        assert processor.stats() == Stats(2, 1, 0, 1, 0, 0)


def test_a_span_that_cannot_be_encoded_goes_alone() -> None:
    """The others of its batch are delivered."""
    wire = Wire()
    wire.poison = "b"
    with pipeline(wire) as processor:
        record(processor, "a", "b", "c")
        assert not processor.force_flush(timeout_s=5)
        assert wire.delivered == ["a", "c"]
        assert processor.stats() == Stats(3, 2, 0, 1, 0, 0)


class _Shapeless(Wire):
    """Makes something that is no batch of what has a span named "odd"."""

    def encode(self, spans: Sequence[AnySpan]) -> Iterable[Batch]:
        for batch in super().encode(spans):
            odd = SimpleNamespace(payload=batch.payload, span_count=batch.span_count)
            yield cast(Batch, odd) if "odd" in cast("tuple[str, ...]", batch.payload) else batch


def test_a_sender_that_makes_something_else_than_batches_holds_nothing_up() -> None:
    """The span is counted as failed, and the others are delivered."""
    wire = _Shapeless()
    with pipeline(wire) as processor:
        record(processor, "a", "odd", "b")
        assert not processor.force_flush(timeout_s=5)
        assert wire.delivered == ["a", "b"]
        assert processor.stats() == Stats(3, 2, 0, 1, 0, 0)


class _Forgetful(Wire):
    """Leaves the spans named "lost" out of its batches."""

    def encode(self, spans: Sequence[AnySpan]) -> Iterable[Batch]:
        return super().encode([span for span in spans if span.name != "lost"])


def test_a_sender_that_forgets_a_span_does_not_unbalance_the_counters() -> None:
    """A span in no batch is counted as failed."""
    wire = _Forgetful()
    with pipeline(wire) as processor:
        record(processor, "a", "lost", "b")
        assert not processor.force_flush(timeout_s=5)
        assert wire.delivered == ["a", "b"]
        assert processor.stats() == Stats(3, 2, 0, 1, 0, 0)


def test_a_sender_that_counts_a_span_twice_does_not_unbalance_the_counters() -> None:
    """Batches of more spans than were given are not believed."""

    class Doubling(Wire):
        def encode(self, spans: Sequence[AnySpan]) -> Iterable[Batch]:
            return [*super().encode(spans), *super().encode(spans)]

    wire = Doubling()
    with pipeline(wire) as processor:
        record(processor, "a", "b")
        assert not processor.force_flush(timeout_s=5)
        assert wire.delivered == []
        assert processor.stats() == Stats(2, 0, 0, 2, 0, 0)


def test_the_end_of_an_outage_is_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log's last word is how it is now, with few words for a receiver that comes and goes."""
    monkeypatch.setattr(delivery, "FIRST_RETRY_S", 0.001)
    wire = Wire(*[RETRY, RETRY, DELIVERED] * 20)
    with (
        caplog.at_level(logging.WARNING, "iox_otel"),
        pipeline(wire, schedule_delay_s=0) as processor,
    ):
        for number in range(20):
            record(processor, str(number))
            assert processor.force_flush(timeout_s=5)
        monkeypatch.setattr(notices, "INTERVAL_S", 0.0)
        wire.outcomes.append(RETRY)
        record(processor, "later")
        assert processor.force_flush(timeout_s=5)

        assert caplog.messages == [
            "test: cannot deliver spans now, will go on trying: not now",
            "test: delivering again",
            "test: cannot deliver spans now, will go on trying: not now"
            " (39 more like it since the last such line)",
            "test: delivering again",
        ]


def test_a_wait_without_a_reason_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A RETRY without detail, as of a sender that keeps to a rate, worries nobody."""
    wire = Wire(Outcome(Verdict.RETRY, retry_after_s=0.01))
    with (
        caplog.at_level(logging.WARNING, "iox_otel"),
        pipeline(wire, schedule_delay_s=0) as processor,
    ):
        record(processor, "span")
        assert processor.force_flush(timeout_s=5)
        assert len(wire.times_s) == 2
        assert caplog.messages == []


def test_failures_are_logged_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    """A hundred failures of a kind make one line, not a hundred."""
    wire = Wire(*[FATAL] * 100)
    with (
        caplog.at_level(logging.WARNING, "iox_otel"),
        pipeline(wire, max_batch_size=1) as processor,
    ):
        record_many(processor, 100)
        assert not processor.force_flush(timeout_s=5)
        assert caplog.messages == ["test: spans were refused and are lost: never"]


# Flush and shutdown


def test_flush_ends_on_time_with_a_blocked_sender() -> None:
    """False, within 100 ms of the time given, and the spans stay queued."""
    wire = Wire()
    wire.gate.clear()
    with pipeline(wire) as processor:
        record_many(processor, 3)
        began_s = time.monotonic()
        assert not processor.force_flush(timeout_s=0.2)
        assert 0.2 <= time.monotonic() - began_s < 0.3
        assert processor.stats().queued == 3
        wire.gate.set()
        assert processor.force_flush(5000)
        assert processor.stats() == Stats(3, 3, 0, 0, 0, 0)


def test_a_flush_before_an_exit_gives_up_on_a_dead_receiver() -> None:
    """It waits no longer than an exit does, however long it may."""
    wire = Wire()
    wire.default = RETRY
    with pipeline(wire) as processor:
        record(processor, "foo")
        start_s = time.monotonic()

        assert not processor.flush_before_exit(timeout_s=30)

        assert 0.7 < time.monotonic() - start_s < 3
        wire.default = DELIVERED
        assert processor.flush_before_exit(timeout_s=30)
    assert wire.delivered == ["foo"]


def test_flush_does_not_wait_for_what_came_after_it() -> None:
    """A flush ends although other threads record without a pause."""
    wire = Wire()
    stop = threading.Event()

    def storm() -> None:
        while not stop.is_set():
            record_many(processor, 50)

    with pipeline(wire, max_batch_size=20) as processor:
        thread = threading.Thread(target=storm)
        thread.start()
        try:
            until(lambda: processor.stats().recorded > 100)
            before = processor.stats().recorded
            processor.force_flush(timeout_s=10)
            stats = processor.stats()
            assert stats.delivered + stats.dropped_queue_full >= before
        finally:
            stop.set()
            thread.join()


def test_shutdown_ends_on_time_with_a_blocked_sender(caplog: pytest.LogCaptureFixture) -> None:
    """The call under way is interrupted and counts as dropped, and one line says what was lost."""
    wire = Wire()
    wire.gate.clear()
    with (
        caplog.at_level(logging.WARNING, "iox_otel"),
        pipeline(wire, max_batch_size=2, max_queue_size=5) as processor,
    ):
        record(processor, "a", "b")
        assert wire.entered.wait(5)
        record(processor, "c", "d", "e", "f")
        began_s = time.monotonic()
        assert not processor.shutdown(timeout_s=0.2)
        assert 0.2 <= time.monotonic() - began_s < 0.3

        assert wire.interrupted.is_set()
        assert wire.closed.wait(5)
        assert processor.stats() == Stats(6, 0, 1, 0, 5, 0)
        assert caplog.messages[-1] == (
            "test: 6 of 6 spans were lost: 1 queue full, 0 export failed, "
            "5 not delivered before the end"
        )


@pytest.mark.usefixtures("long_pauses")
@pytest.mark.parametrize("retry_after_s", [None, 60.0])
def test_shutdown_ends_a_pause(retry_after_s: float | None) -> None:
    """What waits for a retry gets a last chance, even where the receiver asked for patience."""
    wire = Wire(Outcome(Verdict.RETRY, retry_after_s=retry_after_s))
    with pipeline(wire, schedule_delay_s=0) as processor:
        record(processor, "span")
        until(lambda: len(wire.times_s) == 1)
        assert processor.shutdown(timeout_s=5)
        assert wire.delivered == ["span"]


def test_shutdown_delivers_then_flushes_then_closes() -> None:
    """The sender is let go of last, and all that is over when shutdown returns."""
    wire = Wire()
    with pipeline(wire) as processor:
        record(processor, "span")
        assert processor.shutdown(timeout_s=5)
        assert wire.calls == ["send", "flush", "close"]


def test_after_shutdown_spans_are_counted_as_such() -> None:
    """What is recorded too late is dropped, not kept; a second shutdown only repeats the answer."""
    wire = Wire()
    with pipeline(wire) as processor:
        record(processor, "in time")
        assert processor.shutdown(timeout_s=5)
        record_many(processor, 10)
        began_s = time.monotonic()
        assert processor.shutdown(timeout_s=5)
        assert processor.force_flush(timeout_s=5)
        assert time.monotonic() - began_s < 0.5
        assert processor.stats() == Stats(11, 1, 0, 0, 10, 0)
        assert not processor._backlog.inbox


def test_a_shutdown_answers_those_who_flush() -> None:
    """A flush ends with the shutdown that overtakes it, not with its own time."""
    wire = Wire()
    wire.gate.clear()
    answers: list[bool] = []
    with pipeline(wire) as processor:
        record(processor, "span")
        thread = threading.Thread(target=lambda: answers.append(processor.force_flush(60_000)))
        thread.start()
        assert wire.entered.wait(5)
        assert not processor.shutdown(timeout_s=0.1)
        thread.join(5)
        assert answers == [False]


def test_two_shutdowns_at_once_end_with_the_earlier_deadline() -> None:
    """Whoever has less time ends it for both."""
    wire = Wire()
    wire.gate.clear()
    answers: list[bool] = []
    with pipeline(wire) as processor:
        record(processor, "span")
        thread = threading.Thread(target=lambda: answers.append(processor.shutdown(60_000)))
        thread.start()
        assert wire.entered.wait(5)
        assert not processor.shutdown(timeout_s=0.1)
        thread.join(5)
        assert answers == [False]


def test_beginning_flushes_adds_up_to_nothing() -> None:
    """However often a flush is begun, with or without spans, nothing grows."""
    wire = Wire()
    wire.gate.clear()
    with pipeline(wire) as processor:
        for _ in range(1000):
            processor.begin_flush()
        record(processor, "span")
        for _ in range(1000):
            processor.begin_flush()
        assert len(processor._worker._waiters) <= 1


def test_a_shutdown_without_any_time_counts_everything() -> None:
    """Nothing is lost track of when there is no time at all."""
    wire = Wire()
    wire.gate.clear()
    with pipeline(wire) as processor:
        record_many(processor, 700)
        assert not processor.shutdown(timeout_s=0)
        stats = processor.stats()
        assert stats == Stats(700, stats.delivered, 0, 0, 700 - stats.delivered, 0)


def test_a_batch_accepted_after_the_deadline_stays_counted_as_dropped() -> None:
    """The counters do not change any more once the shutdown is over."""

    class Late(Wire):
        def send(self, batch: Batch, timeout_s: float) -> Outcome:
            return super().send(batch, 5.0)  # whatever it was told

        def interrupt(self) -> None:
            self.interrupted.set()

    wire = Late()
    wire.gate.clear()
    with pipeline(wire) as processor:
        record(processor, "late")
        assert not processor.shutdown(timeout_s=0.1)
        wire.gate.set()
        assert wire.closed.wait(5)
        assert wire.delivered == ["late"]
        assert processor.stats() == Stats(1, 0, 0, 0, 1, 0)


def test_the_timeout_of_a_send_is_what_is_left_of_the_shutdown() -> None:
    """A sender is never given more time than the one who waits has."""
    wire = Wire()
    with pipeline(wire, schedule_delay_s=60) as processor:
        record(processor, "span")
        assert processor.shutdown(timeout_s=1.5)
        assert wire.timeouts_s[0] <= 1.5


def test_an_exporter_that_flushes_its_own_processor_is_answered() -> None:
    """A flush from inside send returns at once instead of waiting for itself."""

    class Curious(Wire):
        processor: BridgeProcessor
        answer: bool | None = None

        def send(self, batch: Batch, timeout_s: float) -> Outcome:
            self.answer = self.processor.force_flush(timeout_s=5)
            return super().send(batch, timeout_s)

    wire = Curious()
    with pipeline(wire) as processor:
        wire.processor = processor
        record(processor, "span")
        assert processor.force_flush(timeout_s=2)
        assert wire.answer is False


def test_a_dropped_processor_delivers_closes_and_vanishes() -> None:
    """When nobody holds a processor any more, its thread delivers what waits, and ends."""
    wire = Wire()
    processor = BridgeProcessor(wire, schedule_delay_s=60)
    processor.export(Span.root("span", None))
    gone = weakref.ref(processor)
    working = weakref.ref(processor._worker)
    del processor
    gc.collect()

    assert gone() is None
    assert wire.closed.wait(5)
    assert wire.delivered == ["span"]
    until(lambda: working() is None)


# Without a thread


@pytest.fixture(name="no_threads")
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """As late in the exit of Python 3.12 and later."""

    def refuse(*_: object) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(worker, "start_new_thread", refuse)


@pytest.mark.usefixtures("no_threads")
def test_flush_and_shutdown_work_on_their_callers_thread() -> None:
    """Where no thread can be started everything is delivered all the same, retries included."""
    wire = Wire(RETRY, TOO_LARGE)
    with pipeline(wire, max_batch_size=4) as processor:
        record_many(processor, 10)
        assert processor.stats().queued == 10
        assert processor.force_flush(timeout_s=5)
        assert wire.delivered == [f"span {number}" for number in range(10)]
        record(processor, "last")
        assert processor.shutdown(timeout_s=5)
        assert wire.delivered[-1] == "last"
        assert wire.calls[-2:] == ["flush", "close"]


@pytest.mark.usefixtures("no_threads")
def test_work_on_the_callers_thread_ends_on_time() -> None:
    """With a receiver that is down: flush keeps the spans, shutdown counts them."""
    wire = Wire()
    wire.default = RETRY
    with pipeline(wire) as processor:
        record_many(processor, 3)
        began_s = time.monotonic()
        assert not processor.force_flush(timeout_s=0.2)
        assert processor.stats().queued == 3
        assert not processor.shutdown(timeout_s=0.2)
        assert 0.4 <= time.monotonic() - began_s < 0.6
        assert processor.stats() == Stats(3, 0, 0, 0, 3, 0)
        assert wire.closed.is_set()


@pytest.mark.usefixtures("no_threads")
def test_one_after_the_other_each_has_its_quiet_time() -> None:
    """A dead receiver does not use up the time of the next one, which cannot work beside it."""
    dead, alive = Wire(), Wire()
    dead.default = RETRY
    with pipeline(dead) as first, pipeline(alive) as second:
        record(first, "lost")
        record(second, "kept")
        assert not endings.end([first.ending, second.ending])
        assert alive.delivered == ["kept"]
        assert first.stats() == Stats(1, 0, 0, 0, 1, 0)


def test_recording_goes_on_after_work_on_a_callers_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """When threads can be started again, the next span starts one."""

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    wire = Wire()
    with pipeline(wire, schedule_delay_s=0) as processor:
        with monkeypatch.context() as patch:
            patch.setattr(worker, "start_new_thread", refuse)
            record(processor, "first")
            assert processor.force_flush(timeout_s=5)
        record(processor, "second")
        until(lambda: wire.delivered == ["first", "second"])


# What a sender may ask for


def test_an_idle_sender_is_called_when_it_wants_to_be() -> None:
    """`idle` says after how many seconds to call it again, and is left alone after None."""

    class Holding(Wire):
        asked = 0

        def idle(self) -> float | None:
            self.asked += 1
            return 0.01 if self.delivered and self.asked < 5 else None

    wire = Holding()
    with pipeline(wire, schedule_delay_s=0) as processor:
        record(processor, "span")
        until(lambda: wire.asked == 5)


def test_a_sender_reads_the_counters_it_was_bound_to() -> None:
    """`bind` gives the sender the counters, readable while it sends."""

    class Reporting(Wire):
        seen: Stats

        def bind(self, pipeline: Pipeline) -> None:
            self.pipeline = pipeline

        def send(self, batch: Batch, timeout_s: float) -> Outcome:
            self.seen = self.pipeline.stats()
            return super().send(batch, timeout_s)

    wire = Reporting()
    with pipeline(wire) as processor:
        record(processor, "a", "b")
        assert processor.force_flush(timeout_s=5)
        assert wire.seen == Stats(2, 0, 0, 0, 0, 2)


class Keeping(Wire):
    """Holds what it is given until it is flushed, which hangs while `gate` is closed."""

    held = 0

    def bind(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline

    def send(self, batch: Batch, timeout_s: float) -> Outcome:
        super().send(batch, timeout_s)
        self.held += batch.span_count
        return Outcome(Verdict.HELD)

    def flush(self, timeout_s: float) -> bool:
        self.entered.set()
        self.gate.wait(5)
        self.pipeline.settle(self.held - self.held // 3, self.held // 3)
        self.held = 0
        return super().flush(timeout_s)


def test_a_shutdown_keeps_spans_for_which_there_are_no_bytes_yet() -> None:
    """A receiver that comes back in time gets them all: no new ones can come and want the room."""
    wire = Wire()
    wire.default = RETRY
    with pipeline(wire, max_queue_bytes=10 * SPAN_BYTES, max_batch_size=8) as processor:
        record_many(processor, 8)
        until(lambda: "send" in wire.calls)
        record_many(processor, 7)
        answers: list[bool] = []
        ending = threading.Thread(target=lambda: answers.append(processor.shutdown(timeout_s=5)))
        ending.start()
        until(lambda: wire.encoded == 10)  # as many as there are bytes for
        wire.default = DELIVERED
        ending.join()
        assert answers == [True]
        assert processor.stats() == Stats(15, 15, 0, 0, 0, 0)


def test_a_flush_settles_what_a_sender_holds() -> None:
    """Until then it is queued; the flush tells of what was lost of it, once."""
    wire = Keeping()
    with pipeline(wire, schedule_delay_s=0) as processor:
        record_many(processor, 3)
        until(lambda: wire.held == 3 and not processor._backlog.ready)
        assert processor.stats() == Stats(3, 0, 0, 0, 0, 3)
        assert not processor.force_flush(timeout_s=5)
        assert processor.stats() == Stats(3, 2, 0, 1, 0, 0)
        record_many(processor, 1)
        assert processor.force_flush(timeout_s=5)


def test_what_a_sender_holds_at_the_deadline_is_dropped_by_the_shutdown() -> None:
    """Also while it is being delivered: what comes of that changes no count."""
    wire = Keeping()
    processor = BridgeProcessor(wire, schedule_delay_s=0, name="test")
    record_many(processor, 3)
    until(lambda: wire.held == 3)
    wire.entered.clear()
    wire.interrupt = wire.interrupted.set  # type: ignore[method-assign]  # but goes on
    wire.gate.clear()
    assert not processor.shutdown(timeout_s=0.1)
    assert wire.entered.is_set()
    assert processor.stats() == Stats(3, 0, 0, 0, 3, 0)
    wire.gate.set()
    assert wire.closed.wait(5)
    assert processor.stats() == Stats(3, 0, 0, 0, 3, 0)


@pytest.mark.parametrize("method", ["flush", "idle", "interrupt", "close", "split"])
def test_nothing_a_sender_raises_gets_out(method: str) -> None:
    """An exception out of any method of a sender is contained, and delivery goes on."""

    def broken(*_: object) -> None:
        raise RuntimeError(method)

    wire = Wire(TOO_LARGE)
    setattr(wire, method, broken)
    with pipeline(wire, schedule_delay_s=0) as processor:
        record(processor, "a", "b")
        until(lambda: processor.stats().queued == 0)
        record(processor, "c")
        until(lambda: "c" in wire.delivered)
        processor.force_flush(timeout_s=2)


def test_the_sender_works_where_instrumentation_is_suppressed() -> None:
    """An instrumented HTTP client inside an exporter must not make spans of the export."""
    from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, get_value

    class Looking(Wire):
        suppressed: object = None

        def send(self, batch: Batch, timeout_s: float) -> Outcome:
            self.suppressed = get_value(_SUPPRESS_INSTRUMENTATION_KEY)
            return super().send(batch, timeout_s)

    wire = Looking()
    with pipeline(wire) as processor:
        record(processor, "span")
        assert processor.force_flush(timeout_s=5)
        assert wire.suppressed is True
        assert get_value(_SUPPRESS_INSTRUMENTATION_KEY) is None


def test_spans_of_both_kinds_reach_the_sender_as_they_are() -> None:
    """`encode` gets native spans and ReadableSpans, in the order recorded."""
    seen: list[AnySpan] = []

    class Keeping(Wire):
        def encode(self, spans: Sequence[AnySpan]) -> Iterable[Batch]:
            seen.extend(spans)
            return super().encode(spans)

    native, foreign = Span.root("native", None), ReadableSpan("foreign")
    with pipeline(Keeping()) as processor:
        processor.export(native)
        processor.export(foreign)
        assert processor.force_flush(timeout_s=5)
        assert seen == [native, foreign]
