"""What programs use that know OpenTelemetry only: by its variables, without a line of ours."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult

from iox_otel_bridge import TracingConfig
from iox_otel_bridge.exporters.jaeger_exporter import JaegerExporter
from iox_otel_bridge.wire.jaeger import Batch, decode_batch

INSTRUMENT = Path(sys.executable).with_name("opentelemetry-instrument")
PROGRAM = """
    import json
    from opentelemetry import propagate, trace

    incoming = propagate.extract({"uber-trace-id": "abc:1:0:3"})
    with trace.get_tracer("plain").start_as_current_span("work", incoming) as span:
        span.set_attribute("rows", 3)
        carrier = {}
        propagate.inject(carrier)
        print(json.dumps(carrier))
"""


@pytest.fixture
def agent() -> Iterator[socket.socket]:
    """A Jaeger agent's socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        yield receiver


def batch_at(agent: socket.socket) -> Batch:
    return decode_batch(agent.recv(65_536))


def config_for(agent: socket.socket, **settings: object) -> TracingConfig:
    host, port = agent.getsockname()
    return TracingConfig(jaeger_agent_host=host, jaeger_agent_port=port, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("propagator", ["iox", "iox_jaeger"])
def test_a_program_that_opentelemetry_sets_up(agent: socket.socket, propagator: str) -> None:
    """`opentelemetry-instrument` finds the exporter and the propagators by their names."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    environ |= {
        "OTEL_TRACES_EXPORTER": "iox_jaeger",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_PROPAGATORS": propagator,
        "OTEL_SERVICE_NAME": "plain",
        "TRACES_EXPORTER_JAEGER_AGENT_HOST": "127.0.0.1",
        "TRACES_EXPORTER_JAEGER_AGENT_PORT": str(agent.getsockname()[1]),
    }
    command = [str(INSTRUMENT), sys.executable, "-c", textwrap.dedent(PROGRAM)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=50)

    assert done.returncode == 0, done.stderr
    batch = batch_at(agent)
    (span,) = batch.spans
    assert batch.process.serviceName == "plain"
    assert (span.operationName, span.traceIdLow, span.parentSpanId) == ("work", 0xABC, 1)
    assert {tag.key: tag.vLong for tag in span.tags}["rows"] == 3
    carrier = json.loads(done.stdout)
    assert carrier["uber-trace-id"] == f"{0xABC:032x}:{span.spanId & (1 << 64) - 1:016x}:1:3"
    assert ("traceparent" in carrier) is (propagator == "iox")


SAMPLED = """
    import time
    from opentelemetry import trace

    tracer = trace.get_tracer("plain")
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        with tracer.start_as_current_span("wanted") as span:
            with tracer.start_as_current_span("below"):
                pass
        if span.get_span_context().trace_flags.sampled:
            break
        time.sleep(0.01)
    with tracer.start_as_current_span("not wanted"):
        pass
"""


@pytest.mark.parametrize("sampler", ["jaeger_remote", "parentbased_jaeger_remote"])
def test_a_program_whose_sampler_opentelemetry_finds(agent: socket.socket, sampler: str) -> None:
    """It asks for the strategy of its service, by the argument that OpenTelemetry specifies."""
    asked: list[str] = []
    operations = [{"operation": "wanted", "probabilisticSampling": {"samplingRate": 1.0}}]
    answer = {"operationSampling": {"perOperationStrategies": operations}}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("OTEL_") and not name.lower().endswith("_proxy")
    }
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/sampling"
        environ |= {
            "OTEL_TRACES_EXPORTER": "iox_jaeger",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_SERVICE_NAME": "plain",
            "OTEL_TRACES_SAMPLER": sampler,
            "OTEL_TRACES_SAMPLER_ARG": f"endpoint={url},pollingIntervalMs=60000,"
            "initialSamplingRate=0",
            "TRACES_EXPORTER_JAEGER_AGENT_HOST": "127.0.0.1",
            "TRACES_EXPORTER_JAEGER_AGENT_PORT": str(agent.getsockname()[1]),
        }
        command = [str(INSTRUMENT), sys.executable, "-c", textwrap.dedent(SAMPLED)]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=50)
        server.shutdown()

    assert done.returncode == 0, done.stderr
    assert asked == ["/sampling?service=plain"]
    spans = {span.operationName: span for span in batch_at(agent).spans}
    # By itself it is asked about every span, and "below" is no operation that it knows.
    expected = {"wanted"} if sampler == "jaeger_remote" else {"wanted", "below"}
    assert set(spans) == expected
    tags = {tag.key: tag for tag in spans["wanted"].tags}
    assert tags["sampler.type"].vStr == "probabilistic"
    assert tags["sampler.param"].vDouble == 1.0


def test_each_resource_goes_by_itself(agent: socket.socket) -> None:
    """The service's name is that of the provider, and each provider has its own."""
    exporter = JaegerExporter(config_for(agent))
    for name in ("one", "other"):
        provider = TracerProvider(resource=Resource({"service.name": name}))
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        provider.get_tracer("test").start_span("work").end()

    assert [batch_at(agent).process.serviceName for _ in range(2)] == ["one", "other"]
    assert exporter.force_flush()
    exporter.shutdown()
    exporter.shutdown()


def test_a_lost_span_is_a_failure(agent: socket.socket, caplog: pytest.LogCaptureFixture) -> None:
    """Where nobody listens, and after the shutdown; said in one line, and in no time."""
    exporter = JaegerExporter(config_for(agent))
    agent.close()
    span = TracerProvider().get_tracer("test").start_span("work")
    began_s = time.monotonic()
    results = [exporter.export([span]) for _ in range(3)]  # type: ignore[list-item]
    exporter.shutdown()
    results.append(exporter.export([span]))  # type: ignore[list-item]

    assert results[-1] is SpanExportResult.FAILURE
    assert SpanExportResult.FAILURE in results[:-1]  # the system tells of the first by the second
    assert time.monotonic() - began_s < 5
    assert len(caplog.records) == 1
    assert "iox_jaeger: spans are lost: jaeger at 127.0.0.1" in caplog.text


def test_the_rate_limit_makes_it_wait(agent: socket.socket) -> None:
    """As many datagrams a second as the setting says, and none lost."""
    exporter = JaegerExporter(config_for(agent, jaeger_max_msgs_per_second=5))
    span = TracerProvider().get_tracer("test").start_span("work")
    results = [exporter.export([span]) for _ in range(8)]  # type: ignore[list-item]
    exporter.shutdown()

    assert results == [SpanExportResult.SUCCESS] * 8
    assert sorted(batch_at(agent).seq_no or 0 for _ in range(8)) == list(range(8))


def test_a_child_numbers_its_datagrams_by_itself(agent: socket.socket) -> None:
    """A fork takes the exporter along; the agent tells the two apart."""
    exporter = JaegerExporter(config_for(agent))
    span = TracerProvider().get_tracer("test").start_span("work")
    exporter.export([span])  # type: ignore[list-item]
    if (pid := os.fork()) == 0:
        exporter.export([span])  # type: ignore[list-item]
        os._exit(0)
    os.waitpid(pid, 0)

    of_parent, of_child = batch_at(agent), batch_at(agent)
    assert (of_parent.seq_no, of_child.seq_no) == (0, 0)
    of_both = [
        tag.vStr
        for batch in (of_parent, of_child)
        for tag in batch.process.tags
        if tag.key == "client-uuid"
    ]
    assert len(set(of_both)) == 2
    exporter.shutdown()
