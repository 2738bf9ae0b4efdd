"""The table of the settings in docs/settings.md, made from the code.

    python -m iox_otel_bridge.settings_table docs/settings.md

rewrites what stands between the two markers in that file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from .settings import SETTINGS, Setting

BEGIN = "<!-- table of the settings: begin -->"
END = "<!-- table of the settings: end -->"


def settings_table() -> str:
    """Return the settings as a Markdown table."""
    rows = [_cells("variable", "flag", "keyword", "default", "what it is")]
    rows.append(_cells(*["---"] * 5))
    rows.extend(_row(setting) for setting in SETTINGS)
    return "\n".join(rows)


def with_table(page: str) -> str:
    """Return *page* with the table as it is now.

    Raises:
        ValueError: the markers are not in the page, each once and in order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in after or END in before + after:
        raise ValueError(f"expected the lines {BEGIN} and {END}, each once")
    return f"{before}{BEGIN}\n{settings_table()}\n{END}{after}"


def _row(setting: Setting) -> str:
    return _cells(
        f"`{setting.variable}`",
        f"`{setting.flag}`",
        f"`{setting.name}`",
        setting.default_text,
        setting.help,
    )


def _cells(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main(arguments: Sequence[str]) -> int:
    """Rewrite the table in the file that is the only argument."""
    if len(arguments) != 1:
        print("usage: python -m iox_otel_bridge.settings_table docs/settings.md", file=sys.stderr)
        return 2
    path = Path(arguments[0])
    path.write_text(with_table(path.read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
