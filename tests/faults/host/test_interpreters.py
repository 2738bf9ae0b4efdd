"""Sub-interpreters: recording works in them, sending is refused with one clear line."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

PRELUDE = """
    import sys
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters

    def run(code):
        \"\"\"Run *code* in a new interpreter, with this one's path, to its end.\"\"\"
        made = interpreters.create()
        failed = interpreters.run_string(made, f"import sys; sys.path[:] = {sys.path!r}\\n{code}")
        interpreters.destroy(made)
        if failed:
            sys.exit(failed.formatted)
"""
RECORD = """
import iox_otel.http, iox_otel.testing, iox_otel.tree
from iox_otel import RingBufferTraceCollector, Span, SpanRecorder, current
collector = RingBufferTraceCollector(10)
with SpanRecorder(Span.root("work", collector)) as recorder:
    recorder.event("here")
    assert current.get() is recorder.span
print(collector.spans()[0].name, flush=True)
"""
BUILD = """
from iox_otel_bridge import BridgeProcessor, ConfigError, TracingConfig
assert TracingConfig(exporter="none").build().collector is None
try:
    TracingConfig(exporter=%r, **%r).build()
except ConfigError as error:
    print(error, flush=True)
try:
    BridgeProcessor(object)
except RuntimeError as error:
    print(error, flush=True)
"""
REFUSED = (
    "iox_otel_bridge sends spans from the main interpreter only: a sub-interpreter that ends while "
    "a thread of an exporter runs takes the whole process with it"
)


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run *code* in a sub-interpreter of a new process."""
    script = f"{textwrap.dedent(PRELUDE)}\nrun({code!r})\nprint('and this one lives')"
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False
    )


def test_recording_works() -> None:
    """The core needs nothing that a sub-interpreter does not have."""
    ran = run(RECORD)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == ["work", "and this one lives"]


@pytest.mark.parametrize(
    ("exporter", "options"),
    [
        ("jaeger", {}),
        ("console", {}),
        ("otlp", {"otlp_protocol": "grpc"}),
        ("otlp", {"otlp_protocol": "http/protobuf"}),
    ],
    ids=["jaeger", "console", "grpc", "http"],
)
def test_sending_is_refused(exporter: str, options: dict[str, str]) -> None:
    """`build()` and `BridgeProcessor` say why; nothing was started, and the process lives on."""
    ran = run(BUILD % (exporter, options))

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [
        f"Cannot set up the traces exporter {exporter!r}: {REFUSED}",
        REFUSED,
        "and this one lives",
    ]
