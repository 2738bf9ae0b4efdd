"""docs/collector.md and the Collector's configurations name the same settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONFIGS = {"agent": "otel-config.yaml", "gateway": "gateway-config.yaml"}


def _configured(file: str) -> dict[str, str]:
    """Return the variables that a configuration reads, with their defaults."""
    text = (ROOT / "collector" / file).read_text()
    lines = "\n".join(line.partition(" # ")[0] for line in text.splitlines() if line[:1] != "#")
    return dict(re.findall(r"\$\{env:(\w+):-([^}]*)\}", lines))


def _documented() -> dict[str, dict[str, str]]:
    """Return the variables of the table, with their defaults, by configuration."""
    found: dict[str, dict[str, str]] = {name: {} for name in CONFIGS}
    table = (ROOT / "docs" / "collector.md").read_text().partition("## Settings")[2]
    for row in re.findall(r"^\|.*", table.partition("\n\n**")[0], re.MULTILINE):
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        names = re.findall(r"`(\w+)`", cells[0])
        if not names:
            continue
        agent, gateway = cells[1], cells[2].replace("the same", cells[1])
        for name, cell in (("agent", agent), ("gateway", gateway)):
            if cell != "–":
                values = [cell] if len(names) == 1 else cell.split(", ")
                found[name] |= dict(zip(names, values, strict=True))
    return found


def test_every_setting_of_the_collector_is_documented_with_its_default() -> None:
    """The table has what the files read, and nothing else."""
    assert _documented() == {name: _configured(file) for name, file in CONFIGS.items()}


@pytest.mark.parametrize("file", CONFIGS.values())
def test_what_is_acknowledged_is_on_disk(file: str) -> None:
    """Every exporter to a server has a queue in storage that is written with fsync."""
    text = (ROOT / "collector" / file).read_text()
    section = re.search(r"^exporters:\n(.*?)^\w", text, re.MULTILINE | re.DOTALL)
    assert section is not None
    _, *parts = re.split(r"^  ([\w/]+):\n", section[1], flags=re.MULTILINE)
    exporters = dict(zip(parts[::2], parts[1::2], strict=True))
    queued = {
        name
        for name, settings in exporters.items()
        if "    sending_queue: *queue\n" in settings
        or "    sending_queue: &queue\n      storage: file_storage\n" in settings
    }
    assert exporters.keys() - queued == {name for name in exporters if name[:4] in ("file", "debu")}
    assert "\n    fsync: true\n" in text and "extensions: [health_check, file_storage]" in text
