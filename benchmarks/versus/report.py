"""Writes what was measured last into docs/benchmarks.md, between its two marks."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from .results import Results
from .table import growth_lines, lines

_PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
_BEGIN, _END = "<!-- make bench-report writes from here -->", "<!-- to here -->"
_PACKAGES = (
    "iox-otel",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-asgi",
    "opentelemetry-exporter-otlp-proto-grpc",
    "opentelemetry-exporter-jaeger-thrift",
    "ddtrace",
    "elastic-apm",
    "sentry-sdk",
    "logfire",
    "pyperf",
)


def write(results: Results) -> None:
    """Write it."""
    before, _, rest = _PAGE.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    body = "\n".join(_body(results))
    _PAGE.write_text(f"{before}{_BEGIN}\n\n{body}\n\n{_END}{after}")


def _body(results: Results) -> Iterator[str]:
    measured = time.strftime("%Y-%m-%d", time.gmtime(results.times.stat().st_mtime))
    yield f"Measured on {measured}: {_machine()}."
    yield f"Versions: {', '.join(f'{name} {version(name)}' for name in _PACKAGES)}."
    yield ""
    yield from lines(results.figures())
    yield ""
    yield from growth_lines(results.growth())


def _machine() -> str:
    model = "an unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(": ")[2]
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{os.cpu_count()} cores of {model}, {python}, {platform.system()} {platform.machine()}"
