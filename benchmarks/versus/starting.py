"""How long imports, set-ups and the server's start take."""

from __future__ import annotations

import os
import subprocess
import sys
from statistics import median
from time import perf_counter

_PAIRS = 10
_ALLOWED = "import typing, enum, threading"
_OTEL = "import opentelemetry.trace, opentelemetry.sdk.trace, opentelemetry.sdk.trace.export"


def _beyond(before: str, code: str) -> float:
    """Return how many ms longer *code* takes in a new interpreter than *before*; both by turns."""
    _started_ms(code)  # compiles what has not been
    return median(_started_ms(code) - _started_ms(before) for _ in range(_PAIRS))


def _started_ms(code: str) -> float:
    began_s = perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=_environment())
    return (perf_counter() - began_s) * 1e3


def _environment() -> dict[str, str]:
    """Return this process's, but for what would have every start compile all modules anew."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def core_ours() -> float:
    """Measure the core, beyond the three modules that it needs most."""
    return _beyond(_ALLOWED, f"{_ALLOWED}; import iox_otel")


def bridge_ours() -> float:
    """Measure the bridge."""
    return _beyond("pass", "import iox_otel_bridge")


def bridge_otel() -> float:
    """Measure the SDK."""
    return _beyond("pass", _OTEL)


_BUILD = "from iox_otel_bridge import TracingConfig; TracingConfig(exporter={!r}).build()"


def otlp_ours() -> float:
    """Measure the set-up for OTLP."""
    return _beyond("pass", _BUILD.format("otlp"))


def jaeger_ours() -> float:
    """Measure the set-up for Jaeger."""
    return _beyond("pass", _BUILD.format("jaeger"))


_OTEL_SETUP = f"""
{_OTEL}
from {{}} import {{}} as exporter
provider = opentelemetry.sdk.trace.TracerProvider()
provider.add_span_processor(opentelemetry.sdk.trace.export.BatchSpanProcessor(exporter({{}})))
"""


def otlp_otel() -> float:
    """Measure the SDK's set-up for OTLP."""
    where = "opentelemetry.exporter.otlp.proto.grpc.trace_exporter"
    return _beyond("pass", _OTEL_SETUP.format(where, "OTLPSpanExporter", ""))


def jaeger_otel() -> float:
    """Measure the SDK's set-up with the Jaeger exporter that there was."""
    return _beyond(
        "pass", _OTEL_SETUP.format("versus.peers", "jaeger_exporter", "'localhost', 6831")
    )


def core_ddtrace() -> float:
    """Measure ddtrace."""
    return _beyond("pass", "import ddtrace.trace")


def core_elastic() -> float:
    """Measure Elastic APM."""
    return _beyond("pass", "import elasticapm")


def core_sentry() -> float:
    """Measure Sentry."""
    return _beyond("pass", "import sentry_sdk")


def core_logfire() -> float:
    """Measure logfire."""
    return _beyond("pass", "import logfire")


def conductor_ours() -> float:
    """Measure the command until it serves, in ms."""
    command = [sys.executable, "-c", "from iox_otel.cli import main; main()"]
    command += ["run", "--server-id=1", "--http-bind=127.0.0.1:0"]
    environment = {**_environment(), "TRACES_EXPORTER": "otlp"}
    began_s = perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, text=True)
    assert process.stderr is not None
    while "listening on" not in process.stderr.readline():
        assert process.poll() is None
    took_ms = (perf_counter() - began_s) * 1e3
    process.kill()
    process.communicate()
    return took_ms
