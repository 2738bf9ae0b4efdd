"""What the tests of faults found out, as tables of docs/reliability.md."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

BUILD = Path(__file__).parents[3] / "build" / "faults"
PAGE = Path(__file__).parents[3] / "docs" / "reliability.md"

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


class Tables:
    """Rows under the names of tables."""

    def __init__(self) -> None:
        self._rows: dict[str, list[tuple[str, ...]]] = {}

    def add(self, table: str, *row: object) -> None:
        """Add a row, as wide as the table's head."""
        assert len(row) == len(HEADS[table]), row
        self._rows.setdefault(table, []).append(tuple(map(str, row)))

    def lines(self) -> Iterator[str]:
        """Give the lines of all tables, in Markdown."""
        for name, rows in self._rows.items():
            yield ""
            yield f"{name}:"
            yield from _table(name, rows)

    def save(self, size: str) -> None:
        """Keep them in build/, where `main` finds them."""
        for name, rows in self._rows.items():
            BUILD.mkdir(parents=True, exist_ok=True)
            (BUILD / f"{name}-{size}.md").write_text("\n".join(_table(name, rows)) + "\n", "utf-8")


def _table(name: str, rows: list[tuple[str, ...]]) -> Iterator[str]:
    head = HEADS[name]
    for row in (head, ("---",) * len(head), *rows):
        yield f"| {' | '.join(row)} |"


def main() -> None:
    """Write the tables that were found last, at full size, into docs/reliability.md."""
    text = PAGE.read_text("utf-8")
    for name in HEADS:
        path = BUILD / f"{name}-soak.md"
        if not path.exists():
            sys.exit(f"{path} is missing: run make soak first")
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = before + begin + path.read_text("utf-8") + end + after
    PAGE.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
