"""What every test runs under."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# Properties are about behaviour: a busy machine is no reason for one to fail.
settings.register_profile("iox-otel", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("iox-otel")

# A shell that runs the tests in the background has them ignore SIGINT, and with them every process
# they start: a test that interrupts one would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
