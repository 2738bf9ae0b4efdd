"""One measurement, in a process of its own: `python -m versus.measure ROW WHOM`."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

import pyperf

from .rows import ROWS
from .timing import Measure


def _function(row: str, whom: str) -> Callable[[], Any]:
    module = importlib.import_module(f"versus.{ROWS[row].module}")
    function: Callable[[], Any] = getattr(module, ROWS[row].of[whom])
    return function


def _time(row: str, whom: str) -> None:
    """Measure by `pyperf`, which runs this again for the work."""
    measure: list[Measure] = []

    def measured(loops: int) -> float:
        if not measure:
            measure.append(_function(row, whom)())
        return measure[0](loops)

    runner = pyperf.Runner(program_args=("-m", "versus.measure", row, whom))
    runner.bench_time_func(f"{row}: {whom}", measured, inner_loops=ROWS[row].batch)


def main() -> None:
    """Measure, and end at once: some peers would wait for their servers."""
    row, whom = sys.argv[1:3]
    del sys.argv[1:3]
    if ROWS[row].is_timed:
        _time(row, whom)
    else:
        print(_function(row, whom)())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
