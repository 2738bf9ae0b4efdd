"""What `make fuzz` found, by decoder: kept in build/, and a table of docs/reliability.md."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

PATH = Path(__file__).parents[3] / "build" / "fuzz" / "summary.json"
FULL_RUNS = 1_000_000
"""What a decoder has to take for the page."""
_HEAD = ("decoder", "inputs", "read as valid", "edges", "slowest", "extra memory", "failures")
NAMES = {  # of the modules, as the page has them
    "otlp_protobuf": "OTLP in protobuf, and the viewer's intake of it",
    "jaeger_thrift": "Jaeger's datagrams, and the viewer's intake of them",
    "trace_json": "OTLP and Jaeger in JSON, and the viewer's upload",
}


class Found(NamedTuple):
    """What came of one decoder."""

    module: str
    inputs: int
    was_read: int
    edges: int
    slowest_ns: int
    extra_bytes: int
    failures: int


def save(found: Iterable[Found], path: Path) -> None:
    """Write down what was *found* today."""
    path.parent.mkdir(parents=True, exist_ok=True)
    day = time.strftime("%Y-%m-%d")
    path.write_text(json.dumps({"day": day, "found": [each._asdict() for each in found]}), "utf-8")


def table(path: Path) -> list[str]:
    """Return it in the lines of a table in Markdown; none if not all decoders took all inputs."""
    if not path.exists():
        return []
    kept = json.loads(path.read_text("utf-8"))
    found = {each["module"]: Found(**each) for each in kept["found"]}
    if any(module not in found or found[module].inputs < FULL_RUNS for module in NAMES):
        return []
    rows = [_HEAD, ("---",) * len(_HEAD), *(_cells(found[module]) for module in NAMES)]
    return [*(f"| {' | '.join(row)} |" for row in rows), "", f"(Run on {kept['day']}.)"]


def _cells(found: Found) -> tuple[str, ...]:
    return (
        NAMES[found.module],
        f"{found.inputs:,}",
        f"{found.was_read:,}",
        f"{found.edges:,}",
        f"{found.slowest_ns / 1e6:.0f} ms",
        f"{found.extra_bytes / (1 << 20):.1f} MB",
        f"{found.failures}",
    )
