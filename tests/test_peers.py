"""Getting the real peers, on a machine that has not what they are made with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    """Without Go, Java and Maven it names them and ends with 3, and leaves nothing behind."""
    run = subprocess.run(
        [sys.executable, "-m", "peerkit.build"],
        env={
            **os.environ,
            "PATH": str(tmp_path),
            "PYTHONPATH": str(ROOT / "tests" / "peers"),
            "PEERS_DIR": str(tmp_path / "peers"),
        },
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (run.returncode, run.stdout) == (3, "")
    assert run.stderr.startswith("Not on PATH: go, java, mvn. Go builds")
    assert list(tmp_path.iterdir()) == []
