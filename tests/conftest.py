"""What every test runs under."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Properties are about behaviour: a busy machine is no reason for one to fail.
settings.register_profile("iox-otel", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("iox-otel")
