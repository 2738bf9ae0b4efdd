"""How much the tests of faults try, and what they show in the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from faultkit.report import Tables
from faultkit.sinks import Sinks

HERE = Path(__file__).parent
IS_SOAK = os.environ.get("FAULTS") == "soak"

_tables = Tables()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test here: `make test` leaves them out, `make test-faults` runs them alone."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("faults")


@pytest.fixture(scope="session")
def runs() -> int:
    """How often each ending is tried."""
    return 100 if IS_SOAK else 10


@pytest.fixture(scope="session")
def load_s() -> float:
    """For how many seconds there is load."""
    return 600.0 if IS_SOAK else 60.0


@pytest.fixture(scope="session")
def sinks() -> Iterator[Sinks]:
    """The receivers that are in good health."""
    with Sinks() as running:
        yield running


@pytest.fixture(scope="session")
def tables() -> Tables:
    """What is to be shown, and written down for docs/reliability.md."""
    return _tables


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was tried."""
    for line in _tables.lines():
        terminalreporter.write_line(line)
    _tables.save("soak" if IS_SOAK else "quick")
