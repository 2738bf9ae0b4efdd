"""Spans of a query's physical operators, made from DataFusion's own metrics after it has run.

Agrees with IOx `iox_query::exec::query_tracing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from iox_otel import Span

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_START, _END = "start_timestamp", "end_timestamp"


class Metric(Protocol):
    """One measurement of an operator, as `datafusion.plan.Metric` has it."""

    @property
    def name(self) -> str:
        """What was measured."""

    @property
    def value(self) -> int | datetime | None:
        """A count, nanoseconds or a time; None while there is none."""

    @property
    def partition(self) -> int | None:
        """Where it was measured; None if not in any one partition."""

    def labels(self) -> dict[str, str]:
        """What tells it from others of its name."""


class Metrics(Protocol):
    """The measurements of an operator, as `datafusion.plan.MetricsSet` has them."""

    def metrics(self) -> Iterable[Metric]:
        """Return them."""


class Operator(Protocol):
    """A node of a physical plan, as `datafusion.plan.ExecutionPlan` has it."""

    def display(self) -> str:
        """Return its description, one line: "Name: details"."""

    def children(self) -> Iterable[Operator]:
        """Return what it reads from."""

    def metrics(self) -> Metrics | None:
        """Return its measurements; they say something only once the plan has run."""


def export_operators(operator: Operator, parent: Span, *, per_partition: bool, now_ns: int) -> None:
    """Export a span for *operator* and each one below it, as children of *parent*.

    To be called when the plan has run or been given up. An operator's span runs from the first
    start to the last end of its partitions and has their `output_rows` and `elapsed_compute_nanos`
    summed; an end that is missing is the parent's, or *now_ns* if that is still open. An operator
    with metrics but no times is skipped, and what it reads from hangs under its parent; one without
    metrics takes its parent's times and says `missing_statistics`.
    """
    description = operator.display().strip()
    name = description.partition(":")[0]
    span = parent.child(name)
    span.set_metadata("desc", description)
    inherited = _Times(
        now_ns if parent.start_ns is None else parent.start_ns,
        now_ns if parent.end_ns is None else parent.end_ns,
    )
    metrics = operator.metrics()
    if metrics is None:
        span.set_metadata("missing_statistics", "true")
        span.start_ns, span.end_ns = inherited
    else:
        partitions = _by_partition(metrics.metrics(), inherited)
        _sum_up(span, partitions.values())
        if per_partition:
            _export_partitions(span, partitions)
    below = parent if span.start_ns is None else span
    for child in operator.children():
        export_operators(child, below, per_partition=per_partition, now_ns=inherited.end_ns)
    if span.start_ns is not None:
        span.export()


class _Times(NamedTuple):
    start_ns: int
    end_ns: int


class _Partition(NamedTuple):
    """What was measured in one partition."""

    times: _Times | None
    output_rows: int | None
    elapsed_compute_ns: int | None


def _by_partition(metrics: Iterable[Metric], inherited: _Times) -> dict[int | None, _Partition]:
    grouped: dict[int | None, dict[str, int]] = {}
    for metric in metrics:
        values = grouped.setdefault(metric.partition, {})
        value = metric.value
        if isinstance(value, datetime):
            if not metric.labels():
                values[metric.name] = (value - _EPOCH) // _MICROSECOND * 1000
        elif value is not None:
            values[metric.name] = values.get(metric.name, 0) + value
    return {number: _partition(values, inherited) for number, values in grouped.items()}


def _partition(values: Mapping[str, int], inherited: _Times) -> _Partition:
    times = None
    if _START in values or _END in values:  # else it never ran
        times = _Times(values.get(_START, inherited.start_ns), values.get(_END, inherited.end_ns))
    return _Partition(times, values.get("output_rows"), values.get("elapsed_compute"))


def _sum_up(span: Span, partitions: Iterable[_Partition]) -> None:
    """Give *span* the times and counts of *partitions* together; no times if none of them ran."""
    rows: int | None = None
    elapsed_ns: int | None = None
    for times, partition_rows, partition_elapsed_ns in partitions:
        rows = _add(rows, partition_rows)
        elapsed_ns = _add(elapsed_ns, partition_elapsed_ns)
        if times is not None:
            start_ns, end_ns = times
            span.start_ns = start_ns if span.start_ns is None else min(span.start_ns, start_ns)
            span.end_ns = end_ns if span.end_ns is None else max(span.end_ns, end_ns)
    _set_counts(span, rows, elapsed_ns)


def _add(total: int | None, more: int | None) -> int | None:
    if more is None:
        return total
    return more if total is None else total + more


def _set_counts(span: Span, rows: int | None, elapsed_ns: int | None) -> None:
    if rows is not None:
        span.set_metadata("output_rows", rows)
    if elapsed_ns is not None:
        span.set_metadata("elapsed_compute_nanos", elapsed_ns)


def _export_partitions(span: Span, partitions: Mapping[int | None, _Partition]) -> None:
    for number, (times, rows, elapsed_ns) in partitions.items():
        if number is not None and times is not None:
            child = span.child(f"{span.name} ({number})")
            child.start_ns, child.end_ns = times
            _set_counts(child, rows, elapsed_ns)
            child.export()
