"""What every test runs under."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from iox_otel import SpanLimits, set_span_limits, span_limits

# Properties are about behaviour: a busy machine is no reason for one to fail.
settings.register_profile("iox-otel", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("iox-otel")

# A shell that runs the tests in the background has them ignore SIGINT, and with them every process
# they start: a test that interrupts one would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def wide_limits() -> Iterator[None]:
    """For tests of what only spans beyond the usual limits need."""
    before = span_limits()
    set_span_limits(SpanLimits(*[10_000_000] * len(before)))
    yield
    set_span_limits(before)
