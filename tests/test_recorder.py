"""SpanRecorder: timing, exactly one export, exceptions, the no-op."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import textwrap
import threading
import tracemalloc
from collections.abc import AsyncIterator, Iterator

import pytest

from iox_otel import (
    RingBufferTraceCollector,
    Span,
    SpanContext,
    SpanEvent,
    SpanRecorder,
    SpanStatus,
    _clock,
    _report,
    current,
)

SECOND_NS = 1_000_000_000


@pytest.fixture
def collector() -> RingBufferTraceCollector:
    return RingBufferTraceCollector(100)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Both clocks, under the test's hand."""
    now = {"wall": 1_000 * SECOND_NS, "monotonic": 5 * SECOND_NS}
    monkeypatch.setattr(_clock, "wall_ns", lambda: now["wall"])
    monkeypatch.setattr(_clock, "monotonic_ns", lambda: now["monotonic"])
    return now


def test_records_start_end_and_exports_once(
    collector: RingBufferTraceCollector, clock: dict[str, int]
) -> None:
    """The block is the span; finishing again changes nothing."""
    with SpanRecorder(Span.root("foo", collector)) as recorder:
        clock["wall"] += SECOND_NS
        clock["monotonic"] += SECOND_NS
    recorder.finish()

    (span,) = collector.spans()
    assert (span.start_ns, span.end_ns) == (1_000 * SECOND_NS, 1_001 * SECOND_NS)


@pytest.mark.parametrize("step_ns", [-3_600 * SECOND_NS, 3_600 * SECOND_NS])
def test_a_wall_clock_step_does_not_change_the_duration(
    collector: RingBufferTraceCollector, clock: dict[str, int], step_ns: int
) -> None:
    """Durations come from the monotonic clock."""
    with SpanRecorder(Span.root("foo", collector)):
        clock["wall"] += step_ns
        clock["monotonic"] += SECOND_NS

    (span,) = collector.spans()
    assert span.start_ns is not None and span.end_ns is not None
    assert span.end_ns - span.start_ns == SECOND_NS


def test_a_start_in_the_past_is_kept_and_one_in_the_future_is_clamped(
    collector: RingBufferTraceCollector, clock: dict[str, int]
) -> None:
    """start = min(start, now)."""
    for start_ns in (clock["wall"] - SECOND_NS, clock["wall"] + SECOND_NS):
        span = Span.root("foo", collector)
        span.start_ns = start_ns
        SpanRecorder(span).finish()

    past, future = collector.spans()
    assert (past.start_ns, past.end_ns) == (999 * SECOND_NS, 1_000 * SECOND_NS)
    assert (future.start_ns, future.end_ns) == (1_000 * SECOND_NS, 1_000 * SECOND_NS)


def test_an_end_that_is_set_later_than_now_is_kept(
    collector: RingBufferTraceCollector, clock: dict[str, int]
) -> None:
    """end = max(end, now)."""
    for end_ns in (1, clock["wall"] + SECOND_NS):
        span = Span.root("foo", collector)
        span.end_ns = end_ns
        SpanRecorder(span).finish()

    early, late = collector.spans()
    assert (early.end_ns, late.end_ns) == (1_000 * SECOND_NS, 1_001 * SECOND_NS)


@pytest.mark.parametrize(("ahead_ns", "end_ns"), [(200, 200), (1_000_000, 0), (-5, 0)])
def test_no_event_lies_just_behind_the_end(
    collector: RingBufferTraceCollector, clock: dict[str, int], ahead_ns: int, end_ns: int
) -> None:
    """Where the two clocks differ by a little the end gives way; not where one was set."""
    with SpanRecorder(Span.root("foo", collector)) as recorder:
        clock["wall"] += ahead_ns
        recorder.event_msg("last")

    (span,) = collector.spans()
    assert span.end_ns == 1_000 * SECOND_NS + end_ns


@pytest.mark.parametrize("field", ["start_ns", "end_ns"])
def test_a_time_that_is_no_number_breaks_nothing(
    collector: RingBufferTraceCollector, field: str
) -> None:
    """Whatever the application writes there, the block ends and the span is exported."""
    with SpanRecorder(Span.root("foo", collector)) as recorder:
        setattr(recorder.span, field, "now")

    assert len(collector.spans()) == 1


@pytest.mark.parametrize("start_ns", [None, 2_000 * SECOND_NS])
def test_a_start_moved_behind_the_end_is_clamped(
    collector: RingBufferTraceCollector, clock: dict[str, int], start_ns: int | None
) -> None:
    """Whatever the application does to the start meanwhile, no duration is negative."""
    span = Span.root("foo", collector)
    with SpanRecorder(span):
        span.start_ns = start_ns

    assert (span.start_ns, span.end_ns) == (1_000 * SECOND_NS, 1_000 * SECOND_NS)


def test_everything_recorded_reaches_the_span(collector: RingBufferTraceCollector) -> None:
    """Metadata, events, status and links go to the span, children hang under it."""
    other = SpanContext.new(None)
    with SpanRecorder(Span.root("foo", collector)) as recorder:
        recorder.set_metadata("rows", 3)
        recorder.set_metadata("tables", ["cpu", "mem"])
        recorder.event("cache miss", key="k")
        recorder.event(SpanEvent("made before", time_ns=1))
        recorder.event_msg("plain")
        recorder.link(other)
        recorder.status(SpanStatus.OK)
        recorder.error("too late to count")
        with recorder.child("bar"):
            pass
        child_span = recorder.child_span("baz")

    bar, foo = collector.spans()
    assert foo.metadata == {"rows": 3, "tables": ("cpu", "mem")}
    assert [e.msg for e in foo.events] == [
        "cache miss",
        "made before",
        "plain",
        "too late to count",
    ]
    assert foo.status is SpanStatus.OK
    assert foo.ctx.links == ((other.trace_id, other.span_id),)
    assert (bar.name, bar.ctx.parent_span_id) == ("bar", foo.ctx.span_id)
    assert child_span is not None and child_span.ctx.parent_span_id == foo.ctx.span_id


def test_ok_and_error_set_the_status(collector: RingBufferTraceCollector) -> None:
    """`ok` and `error` add their message as an event."""
    with SpanRecorder(Span.root("good", collector)) as recorder:
        recorder.ok("done")
    with SpanRecorder(Span.root("bad", collector)) as recorder:
        recorder.error("disk full")

    good, bad = collector.spans()
    assert (good.status, good.status_message) == (SpanStatus.OK, "done")
    assert (bad.status, bad.status_message) == (SpanStatus.ERR, "disk full")


def test_an_exception_is_recorded_and_goes_on(collector: RingBufferTraceCollector) -> None:
    """Event and attributes are named as OpenTelemetry's conventions name them."""
    raised = KeyError("missing")
    with pytest.raises(KeyError) as caught, SpanRecorder(Span.root("foo", collector)):
        raise raised

    assert caught.value is raised
    (span,) = collector.spans()
    (event,) = span.events
    assert (span.status, span.status_message) == (SpanStatus.ERR, "'missing'")
    assert event.msg == "exception"
    assert event.metadata["exception.type"] == "KeyError"
    assert event.metadata["exception.message"] == "'missing'"
    assert "raise raised" in str(event.metadata["exception.stacktrace"])


def test_an_exception_type_is_fully_qualified(collector: RingBufferTraceCollector) -> None:
    """Only builtins go without their module."""
    with pytest.raises(asyncio.QueueEmpty), SpanRecorder(Span.root("foo", collector)):
        raise asyncio.QueueEmpty

    assert collector.spans()[0].events[0].metadata["exception.type"] == "asyncio.queues.QueueEmpty"


def test_an_unprintable_exception_is_recorded_too(collector: RingBufferTraceCollector) -> None:
    """An exception whose text cannot be had does not replace itself by another."""

    class BadError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    with pytest.raises(BadError), SpanRecorder(Span.root("foo", collector)):
        raise BadError

    assert collector.spans()[0].status_message == "<BadError: unprintable>"


def test_cancellation_is_no_error(collector: RingBufferTraceCollector) -> None:
    """A cancelled task's span says so and keeps its status."""

    async def work() -> None:
        with SpanRecorder(Span.root("foo", collector)):
            started.set()
            await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(work())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    started = asyncio.Event()
    asyncio.run(main())

    (span,) = collector.spans()
    assert span.status is SpanStatus.UNKNOWN
    assert [event.msg for event in span.events] == ["cancelled"]


def test_a_closed_generator_is_no_error(collector: RingBufferTraceCollector) -> None:
    """GeneratorExit counts as a cancellation."""

    def rows() -> Iterator[int]:
        with SpanRecorder(Span.root("foo", collector)):
            yield 1

    generator = rows()
    next(generator)
    generator.close()  # type: ignore[attr-defined]

    assert [event.msg for event in collector.spans()[0].events] == ["cancelled"]


def test_an_async_generator_closed_in_another_context_raises_nothing(
    collector: RingBufferTraceCollector,
) -> None:
    """The token of one context cannot be reset in another; the span is exported all the same."""

    async def rows() -> AsyncIterator[int]:
        with SpanRecorder(Span.root("foo", collector)):
            yield 1

    async def main() -> None:
        generator = rows()
        await asyncio.create_task(anext(generator))  # type: ignore[arg-type]
        await asyncio.create_task(generator.aclose())  # type: ignore[attr-defined]

    asyncio.run(main())

    assert [span.name for span in collector.spans()] == ["foo"]


def test_current_is_the_innermost_live_span(collector: RingBufferTraceCollector) -> None:
    """`with` sets it and puts back what was there."""
    assert current.get() is None
    with SpanRecorder(Span.root("foo", collector)) as foo:
        assert current.get() is foo.span
        with foo.child("bar") as bar:
            assert current.get() is bar.span
        assert current.get() is foo.span
        with SpanRecorder(None):
            assert current.get() is foo.span
    assert current.get() is None


def test_the_noop_takes_every_call() -> None:
    """Every method of the recorder of nothing does nothing."""
    noop = SpanRecorder(None)
    with noop as entered:
        assert entered is noop
        noop.set_metadata("a", 1)
        noop.event("x", a=1)
        noop.event_msg("x")
        noop.ok("x")
        noop.error("x")
        noop.status(SpanStatus.ERR)
        noop.exception(ValueError())
        noop.link(SpanContext.new(None))
        noop.finish()
    assert noop.child("x") is noop
    assert noop.take() is noop
    assert noop.child_span("x") is None
    assert noop.span is None
    with pytest.raises(ValueError, match="mine"), noop:
        raise ValueError("mine")


def test_the_noop_allocates_nothing() -> None:
    """A million unsampled spans cost no memory."""

    def use() -> None:
        for _ in range(1_000):
            with SpanRecorder(None) as recorder:
                recorder.set_metadata("rows", 3)
                recorder.event_msg("x")

    use()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        use()
        grown, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert grown - before < 200
    assert peak - before < 1_000


def test_take_moves_the_span(collector: RingBufferTraceCollector, clock: dict[str, int]) -> None:
    """After `take` only the new recorder records, and times from the old start."""
    first = SpanRecorder(Span.root("foo", collector))
    second = first.take()
    first.set_metadata("a", 1)
    first.finish()
    assert collector.spans() == []

    clock["monotonic"] += SECOND_NS
    second.finish()

    (span,) = collector.spans()
    assert span.metadata == {}
    assert (span.start_ns, span.end_ns) == (1_000 * SECOND_NS, 1_001 * SECOND_NS)


def test_an_unfinished_recorder_exports_what_it_has_and_warns(
    collector: RingBufferTraceCollector,
) -> None:
    """Nothing is lost because somebody forgot to finish."""
    recorder = SpanRecorder(Span.root("foo", collector))
    recorder.set_metadata("rows", 3)

    with pytest.warns(ResourceWarning, match="span 'foo' was never finished"):
        del recorder
        gc.collect()

    (span,) = collector.spans()
    assert span.metadata == {"rows": 3}
    assert span.end_ns is not None


def test_an_unfinished_recorder_at_the_end_of_the_interpreter() -> None:
    """Where nothing can be imported any more, nothing is said."""
    code = """
        from iox_otel import Span, SpanRecorder

        class Collector:
            def export(self, span):
                recorder  # so that it is in a cycle, and found last

        recorder = SpanRecorder(Span.root("foo", Collector()))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["foo", 7])
def test_a_child_is_the_same_however_it_is_opened(
    collector: RingBufferTraceCollector, clock: dict[str, int], name: str
) -> None:
    """By `SpanContext.recorder`, `SpanRecorder.child`, or in two steps: each slot of it and of its
    context, which stays the same one once it was asked for.
    """
    incoming = SpanContext(
        trace_id=1,
        span_id=2,
        parent_span_id=3,
        links=[(4, 5)],
        collector=collector,
        debug=True,
        trace_state="a=b",
        random_trace_id=True,
    )
    incoming.is_remote = True
    parent = SpanRecorder(Span("parent", incoming))  # that has the same context
    incoming.recorder(name).finish()
    parent.child(name).finish()
    SpanRecorder(incoming.child(name)).finish()
    parent.finish()

    one, other, expected, _ = map(_slots_of, collector.spans())
    assert one == other == expected


def _slots_of(span: Span) -> dict[str, object]:
    names = set(Span.__slots__) - {"_ctx", "_parent", "_span_id"}
    slots = {name: getattr(span, name) for name in names}
    ctx = span.ctx
    assert ctx is span.ctx
    names = set(SpanContext.__slots__) - {"span_id"}
    return slots | {name: getattr(ctx, name) for name in names}


def test_a_collector_that_raises_breaks_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The application never sees a collector's failure; the log does, once for many."""

    class Broken:
        def export(self, span: Span) -> None:
            raise RuntimeError("broken collector")

    monkeypatch.setattr(_report, "_last_ns", {})
    with caplog.at_level(logging.WARNING, "iox_otel"):
        for _ in range(100):
            SpanRecorder(Span.root("foo", Broken())).finish()

    (record,) = caplog.records
    assert record.getMessage() == "a trace collector raised, its span is lost"
    assert record.exc_info is not None


def test_the_log_line_says_how_many_like_it_were_swallowed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, clock: dict[str, int]
) -> None:
    """After the interval the next line counts what was not logged."""
    monkeypatch.setattr(_report, "_last_ns", {})
    with caplog.at_level(logging.WARNING, "iox_otel"):
        for _ in range(4):
            _report.report("it failed", "detail")
        clock["monotonic"] += _report.INTERVAL_NS
        _report.report("it failed", "detail")

    assert [record.getMessage() for record in caplog.records] == [
        "it failed: detail",
        "it failed: detail (3 more like it since the last such line)",
    ]


def test_recorders_of_many_threads_do_not_mix(collector: RingBufferTraceCollector) -> None:
    """Each thread has its own `current`, and every span is exported."""
    wrong: list[object] = []

    def work(number: int) -> None:
        with SpanRecorder(Span.root(f"root {number}", collector)) as recorder:
            for _ in range(10):
                with recorder.child(f"child {number}") as child:
                    if current.get() is not child.span:
                        wrong.append(current.get())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert len(collector.spans()) == 88
