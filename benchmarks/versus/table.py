"""The table, for a terminal and for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterator

from .growth import GROWTH
from .results import Figures
from .rows import OURS, ROWS, Row, Target


def lines(figures: Figures) -> Iterator[str]:
    """Give the table as Markdown, which a terminal shows well enough."""
    yield "| what | ours | peers, and how many times ours | target | met |"
    yield "|---|---|---|---|---|"
    for key, row in ROWS.items():
        if key in figures.of:
            yield f"| {' | '.join(_cells(figures, key, row))} |"


def growth_lines(growth: dict[str, dict[str, float]]) -> Iterator[str]:
    """Give the table of how costs grow."""
    if not growth:
        return
    yield "| what | µs, by how many | dearest ÷ cheapest |"
    yield "|---|---|---|"
    for what, costs in growth.items():
        figures = ", ".join(f"{int(size):,}: {cost:.3g}" for size, cost in costs.items())
        ratio = max(costs.values()) / min(costs.values())
        yield f"| {GROWTH[what].title} | {figures} | {ratio:.2f} |"


def unmet(figures: Figures) -> list[str]:
    """Return the titles of the rows of which a target is not reached."""
    return [
        ROWS[key].title
        for key in figures.of
        if not all(figures.is_met(key, target) for target in ROWS[key].targets)
    ]


def _cells(figures: Figures, key: str, row: Row) -> Iterator[str]:
    ours, *peers = row.of
    yield row.title
    yield _figure(figures.median(key, ours), row)
    yield ", ".join(
        _peer(figures, key, peer) for peer in peers if figures.median(key, peer) is not None
    )
    yield ", ".join(_target(target, row) for target in row.targets)
    if not row.targets:
        yield ""
        return
    yield "yes" if all(figures.is_met(key, target) for target in row.targets) else "**no**"


def _peer(figures: Figures, key: str, peer: str) -> str:
    figure = _figure(figures.median(key, peer), ROWS[key])
    ratio = figures.ratio(key, peer)
    return f"{peer} {figure}" + (f" (**{ratio:.3g}**)" if ratio else "")


def _figure(value: float | None, row: Row) -> str:
    if value is None:
        return "–"
    text = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
    return text if row.unit in ("spans", "blocks", "times") else f"{text} {row.unit}"


def _target(target: Target, row: Row) -> str:
    if target.most is not None:
        return f"at most {_figure(target.most, row)}"
    return f"{target.peer} at least {target.least:g} times" if target.peer != OURS else ""
