"""How much the tests of faults try, and what they show in the end."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from faultkit.report import Tables
from faultkit.sinks import Sinks

HERE = Path(__file__).parent
IS_SOAK = os.environ.get("FAULTS") == "soak"

_tables = Tables()
_deselected: list[pytest.Item] = []


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Remember what is left out: `-k` makes no tables for the page."""
    _deselected.extend(items)


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


@pytest.fixture
def tables(request: pytest.FixtureRequest) -> Tables:
    """What is to be shown, and written down for docs/reliability.md."""
    _tables.test = request.node.nodeid
    return _tables


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write down what was found out, unless something failed or was left out: those that passed
    alone would look too good."""
    folders = [session.startpath / each for each in session.config.args]
    if exitstatus == pytest.ExitCode.OK and folders == [HERE] and not _deselected:
        _tables.save("soak" if IS_SOAK else "quick")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was tried."""
    for line in _tables.lines():
        terminalreporter.write_line(line)
