"""`python -m fuzzkit [RUNS [MAX_S]]`: fuzz each decoder in a process of its own, and tell of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fuzzkit.engine import SUMMARY

MODULES = ("jaeger_thrift", "otlp_protobuf", "trace_json")
BUILD = Path("build/fuzz")
RUNS = 1_000_000
MAX_S = 3_600
"""For one decoder."""
_NOISE = re.compile(rb"INFO: Instrumenting .*\n")
_FAILURES = re.compile("(crash|oom|timeout|leak)-[0-9a-f]+")


def main(runs: int, max_s: int) -> int:
    """Return the exit status: 0 if each decoder took all its inputs."""
    with ThreadPoolExecutor(os.cpu_count()) as several:
        return max(several.map(lambda module: _fuzz(module, runs, max_s), MODULES))


def _fuzz(module: str, runs: int, max_s: int) -> int:
    folder = BUILD / module
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SUMMARY).unlink(missing_ok=True)
    before, start_s, log = _failures(folder), time.monotonic(), folder / "log.txt"
    command = ("-m", "fuzzkit.engine", module, str(runs), str(folder), str(max_s))
    with log.open("wb") as out:
        ended = subprocess.run((sys.executable, *command), stdout=out, stderr=out, check=False)
    said = _NOISE.sub(b"", log.read_bytes()).decode(errors="replace")
    new, summary = _failures(folder) - before, _summary(folder)
    failures = len(new) or int(ended.returncode != 0)
    print(_line(module, summary, said, time.monotonic() - start_s, failures), flush=True)
    if failures:
        print("\n".join([*said.splitlines()[-40:], *map(str, sorted(new))]), file=sys.stderr)
        print(f"{module} ended with status {ended.returncode}", file=sys.stderr)
        return 1
    if summary.get("inputs", 0) < runs:
        print(f"{module}: the time of {max_s} s was over before all inputs", file=sys.stderr)
        return 1
    return 0


def _line(module: str, summary: dict[str, Any], said: str, took_s: float, failures: int) -> str:
    """Return what came of one decoder, in a line."""
    found = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)/", said) or [("0", "0", "0")]
    edges, features, corpus = map(int, found[-1])
    return (
        f"{module.replace('_', '-'):<14} {summary.get('inputs', 0):>9,} inputs "
        f"({summary.get('was_read', 0):,} read), {edges:,} edges, {features:,} features, "
        f"corpus {corpus:,}, slowest {summary.get('slowest_ns', 0) / 1e6:.0f} ms "
        f"({summary.get('slowest_bytes', 0):,} bytes), "
        f"extra memory {summary.get('extra_bytes', 0) / (1 << 20):.1f} MB, "
        f"{took_s / 60:.1f} min, failures {failures}"
    )


def _failures(folder: Path) -> set[Path]:
    return {path for path in folder.iterdir() if _FAILURES.match(path.name)}


def _summary(folder: Path) -> dict[str, Any]:
    """Return what the engine wrote last."""
    file = folder / SUMMARY
    return dict(json.loads(file.read_text())) if file.exists() else {}


if __name__ == "__main__":
    main_arguments = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*(main_arguments + [RUNS, MAX_S][len(main_arguments) :])))
