"""The test doubles, as somebody who tests an instrumented program uses them."""

from __future__ import annotations

import doctest
import threading

import pytest

from iox_otel import Span, SpanContext, SpanRecorder, _clock, testing
from iox_otel.testing import CapturingTraceCollector, FakeClock


@pytest.fixture
def collector() -> CapturingTraceCollector:
    return CapturingTraceCollector()


def record(collector: CapturingTraceCollector, name: str) -> None:
    SpanRecorder(Span.root(name, collector)).finish()


def test_docstring_examples() -> None:
    """The examples in the docstrings give what they say."""
    results = doctest.testmod(testing)

    assert results.attempted >= 9
    assert results.failed == 0


def test_tree(collector: CapturingTraceCollector) -> None:
    """One assert compares a whole trace: names, statuses, metadata and events."""
    with (
        pytest.raises(ValueError, match="boom"),
        SpanRecorder(Span.root("handle", collector)) as recorder,
    ):
        recorder.set_metadata("path", "/")
        with recorder.child("parse") as parse:
            parse.ok("parsed")
        with recorder.child("query"):
            raise ValueError("boom")

    assert collector.tree().splitlines() == [
        "handle [error: boom] path=/",
        "  * exception exception.type=ValueError exception.message=boom",
        "  parse [ok: parsed]",
        "    * parsed",
        "  query [error: boom]",
        "    * exception exception.type=ValueError exception.message=boom",
    ]


def test_spans_in_the_order_they_finished(collector: CapturingTraceCollector) -> None:
    """`spans` is a list of its own, children before their parents."""
    with SpanRecorder(Span.root("a", collector)) as recorder, recorder.child("b"):
        pass

    spans = collector.spans
    assert [span.name for span in spans] == ["b", "a"]
    spans.clear()
    assert len(collector.spans) == 2


def test_find(collector: CapturingTraceCollector) -> None:
    """`find` returns the one span of a name, `find_all` all of them."""
    for name in ("a", "b", "b"):
        record(collector, name)

    assert collector.find("a").name == "a"
    assert collector.find_all("b") == collector.spans[1:]
    assert collector.find_all("c") == []


def test_find_says_what_there_is(collector: CapturingTraceCollector) -> None:
    """A span that is not there, or there twice, is an error that tells the reader why."""
    with pytest.raises(AssertionError, match=r"^no span is named 'c'; none were recorded$"):
        collector.find("c")
    for name in ("a", "b", "b"):
        record(collector, name)

    with pytest.raises(AssertionError, match=r"^no span is named 'c'; recorded were 'a', 'b'$"):
        collector.find("c")
    with pytest.raises(AssertionError, match=r"^2 spans are named 'b', .*find_all"):
        collector.find("b")
    for n in range(30):
        record(collector, f"n{n}")
    with pytest.raises(AssertionError, match=r"'n17' and 12 more$"):
        collector.find("c")


def test_clear(collector: CapturingTraceCollector) -> None:
    """After `clear` it is as new."""
    record(collector, "a")

    collector.clear()

    assert collector.spans == []
    assert collector.tree() == ""


def test_wait_for(collector: CapturingTraceCollector) -> None:
    """`wait_for` blocks until another thread has finished its spans."""
    waiting = threading.Event()

    def work() -> None:
        waiting.wait(5)
        for name in ("a", "b"):
            record(collector, name)

    thread = threading.Thread(target=work)
    thread.start()
    waiting.set()
    with FakeClock():  # the deadline is real all the same
        spans = collector.wait_for(2)
    thread.join()

    assert [span.name for span in spans] == ["a", "b"]


def test_wait_for_in_vain(collector: CapturingTraceCollector) -> None:
    """Spans that do not come are an error that says which came."""
    record(collector, "a")

    with pytest.raises(AssertionError, match=r"^1 of 2 spans came in 0.01 s; recorded were 'a'$"):
        collector.wait_for(2, timeout_s=0.01)


def test_many_threads(collector: CapturingTraceCollector) -> None:
    """Threads record at once while another reads; nothing is lost."""

    def work() -> None:
        for _ in range(500):
            record(collector, "x")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    collector.wait_for(4_000)
    for thread in threads:
        thread.join()

    assert len(collector.find_all("x")) == 4_000


def test_fake_clock(collector: CapturingTraceCollector) -> None:
    """Spans and events take their times from the fake clock, which moves when told."""
    with FakeClock(now_ns=1_000) as clock, SpanRecorder(Span.root("a", collector)) as recorder:
        clock.advance(ns=5)
        recorder.event("hit")
        clock.advance(2)

    span = collector.find("a")
    assert (span.start_ns, span.end_ns) == (1_000, 2_000_001_005)
    assert [event.time_ns for event in span.events] == [1_005]


def test_fake_clock_stepped(collector: CapturingTraceCollector) -> None:
    """A wall clock that is set back leaves durations alone."""
    with FakeClock() as clock, SpanRecorder(Span.root("a", collector)):
        clock.step_wall(-3_600)
        clock.advance(1)

    span = collector.find("a")
    assert span.start_ns is not None and span.end_ns is not None
    assert span.end_ns - span.start_ns == 1_000_000_000


def test_fake_clock_brings_back_the_real_one() -> None:
    """Leaving the block, even by an exception, restores what was there, nested ones in turn."""
    before = (_clock.wall_ns, _clock.monotonic_ns)

    with pytest.raises(KeyError), FakeClock(now_ns=1) as outer:
        with FakeClock(now_ns=2), outer:
            assert _clock.wall_ns() == 1
        assert _clock.wall_ns() == 1
        raise KeyError

    assert before == (_clock.wall_ns, _clock.monotonic_ns)


def test_fake_clock_never_runs_backwards() -> None:
    """Only the wall clock goes back, by `step_wall`."""
    with pytest.raises(ValueError, match="step_wall"):
        FakeClock().advance(-1)


def test_unsampled_context_records_nothing(collector: CapturingTraceCollector) -> None:
    """The collector sees what the program records, no more."""
    ctx = SpanContext(trace_id=1, span_id=2, collector=collector, sampled=False)

    with ctx.recorder("a"):
        pass

    assert collector.spans == []
