"""What importing iox_otel costs its users, and what it offers them."""

from __future__ import annotations

import subprocess
import sys

import pytest

import iox_otel
import iox_otel.http


def modules_loaded_by(statement: str) -> set[str]:
    """Return the names of the modules that *statement* loads into a new, isolated interpreter."""
    script = (
        "import sys; before = set(sys.modules)\n"
        f"{statement}\n"
        "print('\\n'.join(sorted(set(sys.modules) - before)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    return set(run.stdout.split())


@pytest.mark.parametrize("package", ["iox_otel", "iox_otel.http", "iox_otel.testing"])
def test_the_core_loads_the_standard_library_only(package: str) -> None:
    """Code that only records spans pays for no third-party module."""
    loaded = {name.partition(".")[0] for name in modules_loaded_by(f"import {package}")}

    assert loaded - sys.stdlib_module_names == {"iox_otel"}


@pytest.mark.parametrize("package", ["iox_otel", "iox_otel.http"])
def test_the_core_loads_nothing_heavy(package: str) -> None:
    """Modules that cost more than the core itself are left until they are needed."""
    heavy = {"asyncio", "dataclasses", "datetime", "inspect", "logging", "random", "traceback"}

    assert modules_loaded_by(f"import {package}") & heavy == set()


@pytest.mark.parametrize("package", [iox_otel, iox_otel.http])
def test_public_names_are_sorted_and_complete(package: object) -> None:
    """`__all__` is what the package means to offer: sorted, and nothing else is in sight."""
    public: list[str] = package.__all__  # type: ignore[attr-defined]
    in_sight = {
        name
        for name, value in vars(package).items()
        if not name.startswith("_") and type(value) is not type(sys)
    }

    assert public == sorted(public)
    assert set(public) == in_sight - {"annotations"}
