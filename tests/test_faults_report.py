"""`make faults-report`: what it writes into docs/reliability.md, and when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from faultkit import report
from faultkit.report import HEADS, Tables
from fuzzkit import summary

PAGE = "".join(
    f"{name}\n\n<!-- {name}: begin -->\nold {name}\n<!-- {name}: end -->\n\n"
    for name in (*HEADS, "inputs")
)


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page to write into, beside a build without anything."""
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    monkeypatch.setattr(report, "PAGE", page)
    monkeypatch.setattr(report, "BUILD", tmp_path / "build")
    monkeypatch.setattr(report, "_tests", lambda: {f"test_{name}" for name in HEADS})
    monkeypatch.setattr(summary, "PATH", tmp_path / "build" / "summary.json")
    return page


def save(*names: str) -> None:
    """Keep a row of each of these tables."""
    tables = Tables()
    for name in names:
        tables.test = f"test_{name}"
        tables.add(name, *(f"{name} {number}" for number, _ in enumerate(HEADS[name])))
    tables.save("soak")


def test_a_row_of_every_test_is_written(page: Path) -> None:
    """Each into its table; what there is no run of stays as it is."""
    save(*HEADS)
    report.main()
    written = page.read_text()
    assert "| load 0 | load 1 |\n<!-- load: end -->" in written
    assert [f"old {name}" in written for name in (*HEADS, "inputs")] == [False] * 3 + [True]


def test_a_page_with_a_row_missing_is_not_written(page: Path) -> None:
    """It is said which test it is of."""
    with pytest.raises(SystemExit, match="run make soak first"):
        report.main()
    save(*list(HEADS)[1:])
    with pytest.raises(SystemExit, match=r"no row: run make soak again\ntest_endings$"):
        report.main()
    assert page.read_text() == PAGE
