"""Spans held back until their trace is finished."""

from __future__ import annotations

import pytest

from iox_otel.tree import SpanRecord
from iox_otel_bridge.exporters import held as module
from iox_otel_bridge.exporters.held import (
    MAX_AGE_S,
    MAX_SPANS_PER_TRACE,
    QUIET_S,
    STRAGGLER_S,
    FinishedTrace,
    HeldTraces,
)


def span(
    span_id: int, parent: int | None, trace_id: int = 1, *, remote: bool = False, end_ns: int = 10
) -> SpanRecord:
    return SpanRecord(trace_id, span_id, parent, f"s{span_id}", 0, end_ns, parent_is_remote=remote)


def names(traces: list[FinishedTrace]) -> list[str]:
    return [" ".join(span.name for span in trace.spans) for trace in traces]


@pytest.fixture
def held() -> HeldTraces:
    return HeldTraces()


@pytest.mark.parametrize("remote", [False, True])
def test_goes_when_its_root_has_ended(held: HeldTraces, remote: bool) -> None:
    """A trace goes 0.2 s after its local root came, with what came until then."""
    root = span(1, 99, remote=True) if remote else span(1, None)
    held.add([span(2, 1)], 0)
    assert held.next_due_s(0) == QUIET_S
    held.add([root], 5)
    assert held.next_due_s(5) == pytest.approx(STRAGGLER_S)
    assert held.take_due(5.1) == []
    held.add([span(3, 2)], 5.15)

    due = held.take_due(5.21)

    assert names(due) == ["s2 s1 s3"]
    assert due[0].is_complete and not due[0].parent_names
    assert held.span_count == 0
    assert held.next_due_s(6) is None


def test_late_span(held: HeldTraces) -> None:
    """A span that comes after its parent was let go follows, with the parent's name."""
    held.add([span(1, None)], 0)
    held.take_due(1)

    held.add([span(3, 2), span(2, 1)], 2)
    due = held.take_due(2.3)

    assert names(due) == ["s3 s2"]
    assert due[0].parent_names == {1: "s1"}
    assert due[0].is_complete


def test_other_root_of_the_same_trace_stays(held: HeldTraces) -> None:
    """What hangs below a parent that is still open waits for it, while the rest goes."""
    held.add([span(1, 90, remote=True), span(2, 1), span(12, 11)], 0)

    assert names(held.take_due(0.3)) == ["s1 s2"]
    assert held.span_count == 1
    held.add([span(11, 91, remote=True)], 5)
    assert names(held.take_due(5.3)) == ["s12 s11"]


def test_further_roots_do_not_hold_it_up(held: HeldTraces) -> None:
    """A trace whose local roots follow one another quickly goes by the first of them."""
    for n in range(3):
        held.add([span(n + 1, 90 + n, remote=True)], n * 0.1)

    assert names(held.take_due(0.21)) == ["s1 s2 s3"]


def test_root_that_never_ends(held: HeldTraces) -> None:
    """Spans whose root does not come go after a quiet time, marked."""
    held.add([span(3, 2)], 0)
    held.add([span(4, 2)], 9)
    assert held.take_due(18.9) == []

    due = held.take_due(9 + QUIET_S)

    assert names(due) == ["s3 s4"]
    assert not due[0].is_complete


def test_trace_that_is_never_quiet(held: HeldTraces) -> None:
    """A trace that goes on and on is shown in pieces, the later ones under names shown before."""
    now_s = 0.0
    while not (due := held.take_due(now_s)):
        held.add([span(int(now_s) + 2, 1)], now_s)
        now_s += 1

    assert now_s == MAX_AGE_S
    assert not due[0].is_complete


def test_ring_goes_too(held: HeldTraces) -> None:
    """Spans that are each other's ancestors never close; they go like orphans."""
    held.add([span(1, 2), span(2, 1)], 0)

    assert names(held.take_due(QUIET_S)) == ["s1 s2"]


@pytest.mark.parametrize(
    ("limit", "value"), [("MAX_TRACES", 10), ("MAX_SPANS", 10), ("MAX_BYTES", 8_500)]
)
def test_bounds(held: HeldTraces, monkeypatch: pytest.MonkeyPatch, limit: str, value: int) -> None:
    """When too much is held the oldest goes early; what is held and what went is everything."""
    monkeypatch.setattr(module, limit, value)
    gone: list[FinishedTrace] = []
    for trace_id in range(1, 101):
        held.add([span(2, 1, trace_id)], 0)
        gone += held.take_due(0)

    assert 5 <= held.span_count <= 10
    assert [trace.spans[0].trace_id for trace in gone] == list(range(1, len(gone) + 1))
    assert len(gone) + held.span_count == 100


def test_very_large_trace(held: HeldTraces) -> None:
    """Of a million spans of one trace a few thousand are kept, the longest; all are counted."""
    count = 100_000
    for first in range(2, count + 2, 500):
        held.add([span(n, 1, end_ns=n) for n in range(first, first + 500)], 0)
        assert len(held._traces[1].spans) <= MAX_SPANS_PER_TRACE
    assert held.span_count == count
    held.add([span(1, None, end_ns=1)], 0)

    (due,) = held.take_due(1)

    assert due.span_count == count + 1
    assert due.spans[-1].name == "s1"
    assert f"s{count + 1}" in {span.name for span in due.spans}
    assert held.span_count == 0


def test_counts_bytes(held: HeldTraces) -> None:
    """What went is no longer counted."""
    held.add([span(1, None), span(2, 1), span(8, 7)], 0)
    assert held._byte_count > 0
    held.take_due(1)
    assert held.span_count == 1
    held.take_all()

    assert (held._byte_count, held._kept_count) == (0, 0)


def test_names_are_bounded(held: HeldTraces) -> None:
    """Names of what went are kept for late spans, so many and no more."""
    for trace_id in range(1, 10_102):
        held.add([span(1, None, trace_id)], 0)
        held.take_all()

    assert len(held._names) == 10_000
    held.add([span(2, 1, 10_101), span(2, 1, 5)], 0)
    assert [trace.parent_names for trace in held.take_all()] == [{1: "s1"}, {}]


def test_take_all_and_forget(held: HeldTraces) -> None:
    """Everything goes at once, in the order the traces began; or is dropped."""
    held.add([span(2, 1, 7), span(1, None, 8), span(1, None, 7)], 0)
    assert names(held.take_all()) == ["s2 s1", "s1"]
    held.add([span(2, 1, 7)], 0)

    held.forget()

    assert held.take_all() == []
    assert held.span_count == 0
