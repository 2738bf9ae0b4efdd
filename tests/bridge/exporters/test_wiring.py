"""Every setting, from its environment variable to where its effect shows.

One test a setting, by the name of it; `test_every_setting_has_a_test` counts them.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from typing import Any

import pytest

from iox_otel import Span, SpanRecorder
from iox_otel_bridge import Tracing, TracingConfig
from iox_otel_bridge.settings import SETTINGS
from iox_otel_bridge.wire import jaeger as wire

VARIABLES = {setting.name: setting.variable for setting in SETTINGS}
TRACE_ID = 0xABC


class Agent:
    """A Jaeger agent's UDP socket at *host*."""

    def __init__(self, host: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((host, 0))
        self.socket.settimeout(10)
        self.port = str(self.socket.getsockname()[1])

    def receive(self) -> tuple[wire.Batch, int]:
        """Return the next batch, and the length of its datagram."""
        datagram = self.socket.recv(65536)
        return wire.decode_batch(datagram), len(datagram)


@pytest.fixture
def agent() -> Iterator[Agent]:
    agent = Agent("127.0.0.1")
    with agent.socket:
        yield agent


@pytest.fixture
def dead_endpoint() -> Iterator[str]:
    """The URL of a port that is taken, and refuses connections."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def variables(**values: str) -> dict[str, str]:
    """Return the environment that sets *values*, by the names of the settings."""
    return {VARIABLES[name]: value for name, value in values.items()}


def build(**values: str) -> Tracing:
    """Return what is built in an environment that sets *values*."""
    return TracingConfig.from_env(environ=variables(**values)).build()


def record(tracing: Tracing, **metadata: object) -> None:
    """Record one span."""
    with SpanRecorder(Span.root("work", tracing.collector)) as recorder:
        for key, value in metadata.items():
            recorder.set_metadata(key, value)


def send_one(**values: str) -> None:
    """Deliver one span with *values*."""
    with build(**values) as tracing:
        record(tracing)
        assert tracing.force_flush()


def only_batch(agent: Agent, **values: str) -> wire.Batch:
    """Return the batch that one span makes with *values*."""
    send_one(exporter="jaeger", jaeger_agent_port=agent.port, **values)
    return agent.receive()[0]


def test_every_setting_has_a_test() -> None:
    """A row of the table that no test below is named after would be a setting without effect."""
    assert [name for name in VARIABLES if f"test_{name}" not in globals()] == []


def test_exporter(agent: Agent, grpc_receiver: Any) -> None:
    """Each exporter that is named gets the span."""
    send_one(
        exporter="otlp,jaeger",
        jaeger_agent_port=agent.port,
        otlp_endpoint=f"http://{grpc_receiver.address}",
    )

    assert [span.name for span in grpc_receiver.spans] == ["work"]
    assert [span.operationName for span in agent.receive()[0].spans] == ["work"]


def test_jaeger_agent_host() -> None:
    """Datagrams go to the address that was set."""
    agent = Agent("127.0.0.2")
    with agent.socket:
        only_batch(agent, jaeger_agent_host="127.0.0.2")


def test_jaeger_agent_port(agent: Agent) -> None:
    """Datagrams go to the port that was set."""
    assert only_batch(agent).spans


def test_service_name(agent: Agent) -> None:
    """The Process has the name that was set."""
    assert only_batch(agent, service_name="check out").process.serviceName == "check out"


def test_jaeger_tags(agent: Agent) -> None:
    """The Process has the tags that were set."""
    process = only_batch(agent, jaeger_tags="env=odd,region=eu-1").process

    tags = {tag.key: tag.vStr for tag in process.tags}
    assert (tags["env"], tags["region"]) == ("odd", "eu-1")


def test_jaeger_trace_context_header_name() -> None:
    """The header is read by the parser and by the propagator, and is the one written."""
    tracing = build(jaeger_trace_context_header_name="x-odd-trace")
    context = "abc:1:0:1"

    found = tracing.header_parser.parse([(b"x-odd-trace", context.encode())])
    assert found is not None and found.context is not None
    assert found.context.trace_id == TRACE_ID
    assert tracing.header_parser.parse([(b"uber-trace-id", context.encode())]) is None
    carrier: dict[str, str] = {}
    tracing.propagator.inject(carrier, tracing.propagator.extract({"x-odd-trace": context}))
    assert carrier["x-odd-trace"].startswith(f"{TRACE_ID:032x}:")
    assert "uber-trace-id" not in carrier


def test_jaeger_debug_name() -> None:
    """The header that asks for a trace has the name that was set, and no other."""
    tracing = build(jaeger_debug_name="x-odd-debug")

    found = tracing.header_parser.parse([(b"x-odd-debug", b"why")])
    assert found is not None and found.debug_id == "why"
    assert tracing.header_parser.parse([(b"jaeger-debug-id", b"why")]) is None


def test_jaeger_max_msgs_per_second(agent: Agent) -> None:
    """Five a second: the third datagram comes when two fifths of one have passed."""
    values = {"jaeger_agent_port": agent.port, "jaeger_max_msgs_per_second": "5"}
    with build(exporter="jaeger", **values) as tracing:
        began_s = time.monotonic()
        for _ in range(3):
            record(tracing)
            assert tracing.force_flush()
            agent.receive()
        assert time.monotonic() - began_s >= 0.4


def test_jaeger_max_packet_bytes(agent: Agent) -> None:
    """No datagram is longer, and all but the last are nearly so long."""
    values = {"jaeger_agent_port": agent.port, "jaeger_max_packet_bytes": "777"}
    with build(exporter="jaeger", **values) as tracing:
        for _ in range(50):
            record(tracing)
        assert tracing.force_flush()

    received: list[tuple[wire.Batch, int]] = []
    while sum(len(batch.spans) for batch, _ in received) < 50:
        received.append(agent.receive())
    assert len(received) > 1
    assert all(600 < size <= 777 for _, size in received[:-1])


def test_otlp_endpoint(grpc_receiver: Any) -> None:
    """Spans go to the receiver that was set, by gRPC unless something else is asked for."""
    send_one(exporter="otlp", otlp_endpoint=f"http://{grpc_receiver.address}")

    assert [span.name for span in grpc_receiver.spans] == ["work"]


def test_otlp_protocol(http_receiver: Any) -> None:
    """Spans are posted under the base URL."""
    endpoint = f"http://{http_receiver.address}/odd"
    send_one(exporter="otlp", otlp_protocol="http/protobuf", otlp_endpoint=endpoint)

    assert [received.path for received in http_receiver.received] == ["/odd/v1/traces"]
    assert [span.name for span in http_receiver.spans] == ["work"]


def printed(console_format: str) -> str:
    """Return what a process writes that records one span, on a standard output that is a pipe."""
    code = """
        from iox_otel import Span, SpanRecorder
        from iox_otel_bridge import TracingConfig
        with TracingConfig.from_env().build() as tracing:
            with SpanRecorder(Span.root("work", tracing.collector)):
                pass
    """
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        env=os.environ | variables(exporter="console", console_format=console_format),
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_console_format() -> None:
    """Trees are written even to a pipe if they are asked for, and lines of JSON if those are."""
    tree = printed("tree")
    (line,) = printed("json").splitlines()

    assert "work" in tree and not tree.startswith("{")
    assert json.loads(line)["name"] == "work"


def is_sampled(tracing: Tracing, *headers: tuple[bytes, bytes], peer: str) -> bool:
    found = tracing.header_parser.parse(headers, peer=peer)
    return found is not None and found.context is not None and found.context.sampled


def test_trust_headers() -> None:
    """The flags of a client in that network count, and of no other."""
    header = (b"uber-trace-id", b"1:2:0:1")
    with build(exporter="none", trust_headers="10.0.0.0/8") as tracing:
        assert is_sampled(tracing, header, peer="10.0.0.1")
        assert not is_sampled(tracing, header, peer="192.0.2.1")


def test_max_debug_per_second() -> None:
    """Of many at once, so many are traced."""
    header = (b"uber-trace-id", b"1:2:0:3")
    with build(exporter="none", max_debug_per_second="2") as tracing:
        sampled = [is_sampled(tracing, header, peer="") for _ in range(20)]
    assert 2 <= sum(sampled) <= 4  # the second may have ended meanwhile


@pytest.mark.parametrize(("value", "wanted"), [("always", True), ("ratio:0", False)])
def test_sampler(agent: Agent, value: str, wanted: bool) -> None:
    """It decides about a request that nobody asked to trace."""
    with build(exporter="jaeger", jaeger_agent_port=agent.port, sampler=value) as tracing:
        assert tracing.sampler is not None
        assert tracing.sampler.sample(Span.root("work", tracing.collector), None) is wanted


def test_queue_size(dead_endpoint: str) -> None:
    """Of ten spans three wait, and the others are counted as dropped."""
    with build(exporter="otlp", otlp_endpoint=dead_endpoint, queue_size="3") as tracing:
        for _ in range(10):
            record(tracing)
        tracing.shutdown(0.1)

    stats = tracing.stats()["otlp"]
    assert (stats.dropped_queue_full, stats.dropped_shut_down) == (7, 3)


def test_queue_bytes(dead_endpoint: str) -> None:
    """A span that alone has more bytes is counted as dropped; a smaller one waits."""
    with build(exporter="otlp", otlp_endpoint=dead_endpoint, queue_bytes="5000") as tracing:
        record(tracing, text="large" * 1000)
        assert not tracing.force_flush()
        record(tracing, text="small")
        tracing.shutdown(0.1)

    stats = tracing.stats()["otlp"]
    assert (stats.dropped_queue_full, stats.dropped_shut_down) == (1, 1)
