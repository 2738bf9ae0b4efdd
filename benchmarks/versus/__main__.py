"""`make bench`, `make bench-quick` and `make bench-report`: see docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from . import report
from .growth import GROWTH
from .results import Results
from .rows import ROWS
from .table import growth_lines, lines, unmet

_ROUNDS = 5
_RESULTS = Results(Path(__file__).parents[2] / "build" / "bench")
_TIMEOUT_S = 120


def _measure(results: Results, row: str, whom: str, *pyperf_flags: str) -> None:
    """Measure once, in a process of its own."""
    command = [sys.executable, "-m", "versus.measure", row, whom]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    if ROWS[row].is_timed:
        command += ["--processes", "1", "--warmups", "1", "--quiet", "--copy-env"]
        command += ["--append", str(results.times), *pyperf_flags]
        if loops := ROWS[row].loops:
            command += ["--loops", str(loops)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    if done.returncode:
        sys.exit(f"{row}: {whom} failed:\n{done.stdout}{done.stderr}")
    if not ROWS[row].is_timed:
        results.add(row, whom, float(done.stdout.split()[-1]))


def _run(rows: list[str], rounds: int, *pyperf_flags: str) -> None:
    """Measure all, in turns: what slows the machine down for a while slows all of them."""
    for number in range(rounds):
        for row in rows:
            print(f"round {number + 1} of {rounds}: {row}", file=sys.stderr, flush=True)
            for whom in ROWS[row].of:
                _measure(_RESULTS, row, whom, *pyperf_flags)


def _run_growth() -> None:
    for what in GROWTH:
        print(f"growth: {what}", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "versus.growth", what]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=_TIMEOUT_S)
        _RESULTS.add_growth(what, json.loads(done.stdout))


def main() -> None:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(prog="versus", description=__doc__)
    parser.add_argument("what", choices=("full", "quick", "report"))
    parser.add_argument("rows", nargs="*", help=f"some of: {', '.join(ROWS)}")
    given = parser.parse_args()
    if given.what == "report":
        report.write(_RESULTS)
        return
    _RESULTS.begin()
    if given.what == "full":
        _run(given.rows or list(ROWS), _ROUNDS, "--values", "3")
        if not given.rows:
            _run_growth()
    else:
        quick = [key for key, row in ROWS.items() if row.is_quick]
        _run(given.rows or quick, 1, "--values", "3", "--min-time", "0.05")
    figures = _RESULTS.figures()
    print("\n".join(lines(figures)))
    print("\n".join(growth_lines(_RESULTS.growth())))
    for title in unmet(figures):
        print(f"not reached: {title}")


if __name__ == "__main__":
    main()
