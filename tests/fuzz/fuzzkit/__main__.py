"""`python -m fuzzkit [RUNS [MAX_S]]`: fuzz each decoder in a process of its own, and tell of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fuzzkit import summary
from fuzzkit.engine import SUMMARY
from fuzzkit.summary import FULL_RUNS, NAMES, Found

BUILD = summary.PATH.parent
MAX_S = 3_600
"""For one decoder."""
_NOISE = re.compile(rb"INFO: Instrumenting .*\n")
_FAILURES = re.compile("(crash|oom|timeout|leak)-[0-9a-f]+")


def main(runs: int, max_s: int) -> int:
    """Return the exit status: 0 if each decoder took all its inputs."""
    with ThreadPoolExecutor(os.cpu_count()) as several:
        found = list(several.map(lambda module: _fuzz(module, runs, max_s), NAMES))
    summary.save(found, summary.PATH)
    return int(any(each.failures or each.inputs < runs for each in found))


def _fuzz(module: str, runs: int, max_s: int) -> Found:
    folder = BUILD / module
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SUMMARY).unlink(missing_ok=True)
    before, start_s, log = _failures(folder), time.monotonic(), folder / "log.txt"
    command = ("-m", "fuzzkit.engine", module, str(runs), str(folder), str(max_s))
    with log.open("wb") as out:
        ended = subprocess.run((sys.executable, *command), stdout=out, stderr=out, check=False)
    said = _NOISE.sub(b"", log.read_bytes()).decode(errors="replace")
    new, watched = _failures(folder) - before, _watched(folder)
    failures = len(new) or int(ended.returncode != 0)
    found = _found(module, watched, said, failures)
    print(_line(found, watched, said, time.monotonic() - start_s), flush=True)
    if failures:
        print("\n".join([*said.splitlines()[-40:], *map(str, sorted(new))]), file=sys.stderr)
        print(f"{module} ended with status {ended.returncode}", file=sys.stderr)
    elif found.inputs < runs:
        print(f"{module}: the time of {max_s} s was over before all inputs", file=sys.stderr)
    return found


def _found(module: str, watched: Mapping[str, int], said: str, failures: int) -> Found:
    edges, _, _ = _reached(said)
    names = ("inputs", "was_read", "slowest_ns", "extra_bytes")
    counted = {name: watched.get(name, 0) for name in names}
    return Found(module, edges=edges, failures=failures, **counted)


def _line(found: Found, watched: Mapping[str, int], said: str, took_s: float) -> str:
    """Return what came of one decoder, in a line."""
    edges, features, corpus = _reached(said)
    return (
        f"{found.module.replace('_', '-'):<14} {found.inputs:>9,} inputs "
        f"({found.was_read:,} read), {edges:,} edges, {features:,} features, "
        f"corpus {corpus:,}, slowest {found.slowest_ns / 1e6:.0f} ms "
        f"({watched.get('slowest_bytes', 0):,} bytes), "
        f"extra memory {found.extra_bytes / (1 << 20):.1f} MB, "
        f"{took_s / 60:.1f} min, failures {found.failures}"
    )


def _reached(said: str) -> tuple[int, int, int]:
    """Return how many edges and features were reached, and how large the corpus is."""
    lines = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)/", said) or [("0", "0", "0")]
    edges, features, corpus = map(int, lines[-1])
    return edges, features, corpus


def _failures(folder: Path) -> set[Path]:
    return {path for path in folder.iterdir() if _FAILURES.match(path.name)}


def _watched(folder: Path) -> dict[str, int]:
    """Return what the engine wrote last."""
    file = folder / SUMMARY
    return dict(json.loads(file.read_text())) if file.exists() else {}


if __name__ == "__main__":
    main_arguments = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*(main_arguments + [FULL_RUNS, MAX_S][len(main_arguments) :])))
