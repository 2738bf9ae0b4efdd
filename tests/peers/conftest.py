"""The peers that the tests here share; who breaks one starts one of his own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from peerkit.jaeger import Jaeger
from peerkit.zipkin import Zipkin

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test here: `make test` leaves them out, `make test-peers` runs them alone."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("peers")


@pytest.fixture(scope="session")
def jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    """A Jaeger for all tests: each looks for the traces it has made."""
    with Jaeger(tmp_path_factory.mktemp("jaeger")) as running:
        yield running


@pytest.fixture(scope="session")
def zipkin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zipkin]:
    """A Zipkin for all tests: each looks for the traces it has made."""
    with Zipkin(tmp_path_factory.mktemp("zipkin")) as running:
        yield running


_compared: list[str] = []


@pytest.fixture(scope="session")
def compared() -> list[str]:
    """Lines that say what was compared with what; they are shown when all tests are done."""
    return _compared


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was compared."""
    if _compared:
        terminalreporter.section("compared with real peers")
        for line in _compared:
            terminalreporter.write_line(line)
