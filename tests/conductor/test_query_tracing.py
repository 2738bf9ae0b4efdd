"""Operators' spans from their metrics: times, counts, partitions, what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from iox_otel import Span, SpanContext
from iox_otel.conductor.query_tracing import export_operators
from iox_otel.testing import CapturingTraceCollector

Value = int | datetime | None


class FakeMetric:
    def __init__(
        self, name: str, value: Value, partition: int | None, labels: dict[str, str] | None = None
    ) -> None:
        self.name = name
        self.value = value
        self.partition = partition
        self._labels = labels or {}

    def labels(self) -> dict[str, str]:
        return self._labels


class FakeMetrics:
    def __init__(self, metrics: Sequence[FakeMetric]) -> None:
        self._metrics = metrics

    def metrics(self) -> Sequence[FakeMetric]:
        return self._metrics


class FakeOperator:
    """An operator of a plan that says what a test wants; the real ones cannot be told what."""

    def __init__(
        self,
        description: str,
        metrics: Sequence[FakeMetric] | None,
        *children: FakeOperator,
    ) -> None:
        self._description = description
        self._metrics = metrics
        self._children = children

    def display(self) -> str:
        return self._description

    def metrics(self) -> FakeMetrics | None:
        return None if self._metrics is None else FakeMetrics(self._metrics)

    def children(self) -> Sequence[FakeOperator]:
        return self._children


def at(second: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)


def times(start: int | None, end: int | None, partition: int | None = 1) -> list[FakeMetric]:
    return [
        FakeMetric("start_timestamp", None if start is None else at(start), partition),
        FakeMetric("end_timestamp", None if end is None else at(end), partition),
    ]


def counts(rows: int, nanos: int, partition: int) -> list[FakeMetric]:
    return [
        FakeMetric("output_rows", rows, partition),
        FakeMetric("elapsed_compute", nanos, partition),
    ]


@pytest.fixture
def collector() -> CapturingTraceCollector:
    return CapturingTraceCollector()


def export(
    collector: CapturingTraceCollector, operator: FakeOperator, *, per_partition: bool = True
) -> dict[str, Span]:
    """Export *operator* under an open span at 5 s; return its spans by name."""
    parent = SpanContext.new(collector).child("foo")
    export_operators(operator, parent, per_partition=per_partition, now_ns=5_000_000_000)
    spans = {span.name: span for span in collector.spans}
    assert len(spans) == len(collector.spans)
    return spans


def seconds(span: Span) -> tuple[float, float]:
    assert span.start_ns is not None and span.end_ns is not None
    return span.start_ns / 1e9, span.end_ns / 1e9


def test_name_and_description(collector: CapturingTraceCollector) -> None:
    """The name ends before the colon, the description is kept whole, on one line."""
    spans = export(collector, FakeOperator("FooExec: a:b\n", times(1, 2)))

    assert spans["FooExec"].metadata == {"desc": "FooExec: a:b"}
    assert set(spans) == {"FooExec", "FooExec (1)"}


def test_times_and_their_gaps(collector: CapturingTraceCollector) -> None:
    """Missing times are the parent's; who has none at all did not run, and is left out."""
    partitions = [*times(None, 2, 1), *times(2, 3, 2), *times(1, None, 3)]
    operator = FakeOperator(
        "exec",
        times(1, 4),
        FakeOperator("child1: foo", times(2, None)),
        FakeOperator("child2: bar", times(2, 3)),
        FakeOperator("child3: baz", times(None, 3)),
        FakeOperator("child4: bingo", times(None, None)),
        FakeOperator("child5: bongo", partitions),
    )

    spans = export(collector, operator)

    assert {name: seconds(span) for name, span in spans.items()} == {
        "exec": (1, 4),
        "exec (1)": (1, 4),
        "child1": (2, 4),
        "child1 (1)": (2, 4),
        "child2": (2, 3),
        "child2 (1)": (2, 3),
        "child3": (1, 3),
        "child3 (1)": (1, 3),
        "child5": (1, 4),
        "child5 (1)": (1, 2),
        "child5 (2)": (2, 3),
        "child5 (3)": (1, 4),
    }


def test_an_operator_without_times_is_skipped(collector: CapturingTraceCollector) -> None:
    """What it reads from hangs under its parent."""
    leaf = FakeOperator("leaf", times(2, 3))
    operator = FakeOperator("top", times(1, 4), FakeOperator("between", [], leaf))

    spans = export(collector, operator, per_partition=False)

    assert set(spans) == {"top", "leaf"}
    assert spans["leaf"].ctx.parent_span_id == spans["top"].ctx.span_id


def test_an_operator_without_metrics(collector: CapturingTraceCollector) -> None:
    """It takes its parent's times, and says that it has none of its own."""
    operator = FakeOperator("top", times(1, 4), FakeOperator("below", None))

    spans = export(collector, operator)

    assert spans["below"].metadata == {"desc": "below", "missing_statistics": "true"}
    assert seconds(spans["below"]) == (1, 4)


def test_counts_are_summed(collector: CapturingTraceCollector) -> None:
    """The operator has the sums of its partitions, each partition its own."""
    metrics = [*times(1, 2, 0), *times(1, 3, 1), *counts(100, 1000, 0), *counts(200, 2000, 1)]

    spans = export(collector, FakeOperator("exec", metrics))

    assert {name: dict(span.metadata) for name, span in spans.items()} == {
        "exec": {"desc": "exec", "output_rows": 300, "elapsed_compute_nanos": 3000},
        "exec (0)": {"output_rows": 100, "elapsed_compute_nanos": 1000},
        "exec (1)": {"output_rows": 200, "elapsed_compute_nanos": 2000},
    }
    assert spans["exec (0)"].ctx.parent_span_id == spans["exec"].ctx.span_id


def test_no_partitions_unless_asked(collector: CapturingTraceCollector) -> None:
    """Without per-partition tracing there is one span an operator."""
    spans = export(collector, FakeOperator("exec", times(1, 2)), per_partition=False)

    assert set(spans) == {"exec"}


def test_metrics_of_no_partition(collector: CapturingTraceCollector) -> None:
    """They count for the operator and make no partition; labelled times are somebody else's."""
    labelled = FakeMetric("end_timestamp", at(9), None, {"of": "something"})

    spans = export(collector, FakeOperator("exec", [*times(1, 2, None), labelled]))

    assert set(spans) == {"exec"}
    assert seconds(spans["exec"]) == (1, 2)


def test_an_operator_that_did_not_end(collector: CapturingTraceCollector) -> None:
    """Under a span that is still open its end is now."""
    spans = export(collector, FakeOperator("exec", times(1, None)))

    assert seconds(spans["exec"]) == (1, 5)
