"""The fixture `traces` for pytest; there as soon as iox-otel is installed beside pytest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .testing import CapturingTraceCollector


@pytest.fixture
def traces() -> CapturingTraceCollector:
    """A collector for what this test has recorded: give it to the code, or use `traces.root`."""
    from .testing import CapturingTraceCollector  # for those who want it

    return CapturingTraceCollector()
