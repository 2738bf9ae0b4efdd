"""The source distribution: what is needed to set up, test and check the project is in it."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = (".ci", "bridge", "collector", "docs", "examples", "iox_otel", "requirements", "tests")
FILES = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "pyproject.toml",
)


def test_everything_is_in_the_source_distribution(tmp_path: Path) -> None:
    """Who unpacks it can call `make install`, `make test` and `make lint`."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=50,
    )
    (archive,) = tmp_path.iterdir()
    with tarfile.open(archive) as file:
        packed = {name.split("/")[1] for name in file.getnames()}

    assert {*FOLDERS, *FILES} <= packed
