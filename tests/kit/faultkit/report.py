"""What the tests of faults found out, as tables of docs/reliability.md."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from fuzzkit import summary

ROOT = Path(__file__).parents[3]
BUILD = ROOT / "build" / "faults"
PAGE = ROOT / "docs" / "reliability.md"

HEADS = {
    "endings": (
        "how the process ends",
        "runs",
        "spans",
        "arrived by OTLP",
        "arrived by UDP",
        "lost",
        "longest end",
    ),
    "sinks": ("what the receiver does", "by", "spans", "arrived", "counted as dropped", "took"),
    "load": ("load", "what came of it"),
}


class Row(NamedTuple):
    """A row of a table, and the id of the test that found it out."""

    test: str
    table: str
    cells: tuple[str, ...]


class Tables:
    """Rows of all tables, as they are found out."""

    def __init__(self) -> None:
        self.test = ""
        """The id of the test that runs."""
        self.rows: list[Row] = []

    def add(self, table: str, *cells: object) -> None:
        """Add a row, as wide as the table's head."""
        assert len(cells) == len(HEADS[table]), cells
        self.rows.append(Row(self.test, table, tuple(map(str, cells))))

    def lines(self) -> Iterator[str]:
        """Give the lines of all tables, in Markdown."""
        for name in dict.fromkeys(row.table for row in self.rows):
            yield ""
            yield f"{name}:"
            yield from _table(name, self.rows)

    def save(self, size: str) -> None:
        """Keep them in build/, where `main` finds them."""
        BUILD.mkdir(parents=True, exist_ok=True)
        (BUILD / f"{size}.json").write_text(json.dumps(self.rows, indent=1), "utf-8")


def _table(name: str, rows: Sequence[Row]) -> Iterator[str]:
    head = HEADS[name]
    for cells in (head, ("---",) * len(head), *(row.cells for row in rows if row.table == name)):
        yield f"| {' | '.join(cells)} |"


class Collected:
    """A plugin of pytest: remembers which tests fill the tables."""

    def __init__(self) -> None:
        self.tests: set[str] = set()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Take what is to be run."""
        self.tests = {item.nodeid for item in session.items if "tables" in fixtures_of(item)}


def fixtures_of(item: pytest.Item) -> Sequence[str]:
    """Return the names of what a test asks for."""
    names: Sequence[str] = getattr(item, "fixturenames", ())
    return names


def main() -> None:
    """Write into docs/reliability.md what was found last, at full size."""
    path = BUILD / "soak.json"
    if not path.exists():
        sys.exit(f"{path} is missing: run make soak first")
    rows = [Row(test, table, tuple(cells)) for test, table, cells in json.loads(path.read_text())]
    if missing := sorted(_tests() - {row.test for row in rows}):
        sys.exit("\n".join(["these have no row: run make soak again", *missing]))
    text = PAGE.read_text("utf-8")
    for name in HEADS:
        text = _with(text, name, "\n".join(_table(name, rows)))
    PAGE.write_text(_with_inputs(text), "utf-8")


def _tests() -> set[str]:
    """Return which tests there are that fill the tables."""
    collected = Collected()
    options = ["tests/faults", "-m", "faults", "--collect-only"]
    with redirect_stdout(io.StringIO()) as said:
        status = pytest.main([f"--rootdir={ROOT}", *options], plugins=[collected])
    if status != pytest.ExitCode.OK:
        sys.exit(said.getvalue())
    return collected.tests


def _with_inputs(text: str) -> str:
    """Return *text* with what `make fuzz` found; if it was not run in full, as it is."""
    lines = summary.table(summary.PATH)
    if not lines:
        print(f"no full run in {summary.PATH}: the table of inputs stays as it is")
        return text
    return _with(text, "inputs", "\n".join(lines))


def _with(text: str, name: str, table: str) -> str:
    """Return *text* with *table* between the marks of that *name*."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    assert found, f"{PAGE} has no {begin}"
    assert ended, f"{PAGE} has no {end}"
    return f"{before}{begin}{table}\n{end}{after}"


if __name__ == "__main__":
    main()
