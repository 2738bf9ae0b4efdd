"""The pages in docs/ say what is so."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def code_of(page: str, heading: str) -> str:
    """Return the first code block under *heading* of docs/*page*."""
    section = (DOCS / page).read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    block = re.search(r"(?:^(?:    .*)?\n)+", section[section.index("    ") :], re.MULTILINE)
    assert block is not None
    return textwrap.dedent(block[0])


def test_the_testing_example_runs() -> None:
    """What docs/library.md shows under Testing passes as it stands."""
    code = "from iox_otel import Span, SpanRecorder\n" + code_of("library.md", "Testing")

    exec(compile(code, "docs/library.md", "exec"), {})
    assert code.count("assert ") == 2
