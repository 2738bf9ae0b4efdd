"""What was measured: `pyperf`'s file of times, and one of all else."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pyperf

from .rows import ROWS, Target

_TO_UNIT = 1e6


class Figures(NamedTuple):
    """The figures of one run, by row and by whom, in the row's unit."""

    of: dict[str, dict[str, list[float]]]

    def median(self, row: str, whom: str) -> float | None:
        """Return the middle one; None if it was not measured."""
        values = self.of.get(row, {}).get(whom)
        return median(values) if values else None

    def ratio(self, row: str, peer: str) -> float | None:
        """Return how many times ours a peer's figure is."""
        ours, theirs = (self.median(row, whom) for whom in (next(iter(ROWS[row].of)), peer))
        return theirs / ours if ours and theirs is not None else None

    def is_met(self, row: str, target: Target) -> bool:
        """Tell whether a target is reached."""
        ours = self.median(row, next(iter(ROWS[row].of)))
        if target.most is not None:
            return ours is not None and ours <= target.most
        ratio = self.ratio(row, target.peer)
        return target.least is not None and ratio is not None and ratio >= target.least


class Results:
    """The files of the last run, in *folder*."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.times = folder / "times.json"
        self._others = folder / "others.json"
        self._growth = folder / "growth.json"

    def begin(self) -> None:
        """Forget what an earlier run measured."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.times.unlink(missing_ok=True)
        self._others.write_text("{}")
        self._growth.write_text("{}")

    def add(self, row: str, whom: str, value: float) -> None:
        """Note what is no time."""
        others = json.loads(self._others.read_text())
        others.setdefault(row, {}).setdefault(whom, []).append(value)
        self._others.write_text(json.dumps(others, indent=1))

    def add_growth(self, what: str, costs: dict[str, float]) -> None:
        """Note how the cost of one grows."""
        growth = self.growth()
        growth[what] = costs
        self._growth.write_text(json.dumps(growth, indent=1))

    def growth(self) -> dict[str, dict[str, float]]:
        """Return what was noted of it: costs by size."""
        found: dict[str, dict[str, float]] = json.loads(self._growth.read_text())
        return found

    def figures(self) -> Figures:
        """Return all else that was measured."""
        found = json.loads(self._others.read_text())
        if self.times.exists():
            for bench in pyperf.BenchmarkSuite.load(str(self.times)):
                row, _, whom = bench.get_name().partition(": ")
                values = [value * _TO_UNIT for value in bench.get_values()]
                found.setdefault(row, {})[whom] = values
        return Figures(found)
