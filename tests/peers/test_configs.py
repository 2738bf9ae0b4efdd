"""The Collector takes the configurations in collector/ as they are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from peerkit.build import COLLECTOR
from peerkit.collector import CONFIGS


@pytest.mark.parametrize("config", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_a_configuration_is_valid(config: Path, tmp_path: Path) -> None:
    """Each is valid without a variable set, and nothing in it is deprecated."""
    run = subprocess.run(
        [COLLECTOR.path, "validate", "--config", config],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (run.returncode, run.stdout + run.stderr) == (0, "")
