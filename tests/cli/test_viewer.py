"""`iox-otel viewer` as its user sees it, in a process of its own."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from iox_otel import Span, SpanContext, SpanRecorder
from iox_otel_bridge import TracingConfig

Cli = Callable[..., subprocess.CompletedProcess[str]]
PORTS = ("--port", "--udp-port", "--otlp-grpc-port", "--otlp-http-port")
LONG_S = 20


class Viewer:
    """A running viewer, on free ports unless told otherwise."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stderr is not None
        self.ready_line = process.stderr.readline()
        assert self.ready_line.startswith("iox-otel viewer on "), self.ready_line
        self.url = self.ready_line.split()[3].rstrip(";").rpartition("/")[0]
        self.client = httpx.Client(timeout=LONG_S)
        self.intake: dict[str, str] = self.get("/status")["intake"]

    def get(self, path: str) -> Any:
        """Return what the page is told."""
        return self.client.get(f"{self.url}/api/viewer{path}").json()

    def send(self, *trace_ids: int) -> None:
        """Send traces by OTLP; they are acknowledged when this returns."""
        spans = [{"traceId": f"{each:032x}", "spanId": "1".zfill(16)} for each in trace_ids]
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
        url = f"http://{self.intake['http']}/v1/traces"
        headers = {"Content-Type": "application/json"}
        self.client.post(url, content=body, headers=headers).raise_for_status()

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, float]:
        """End it; return its status, what else it said, and how long it took."""
        asked_s = time.monotonic()
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=LONG_S)
        return self.process.returncode, err, time.monotonic() - asked_s


Start = Callable[..., Viewer]


@pytest.fixture
def start(start_cli: Callable[..., Any], tmp_path: Path) -> Iterator[Start]:
    """Start viewers with the flags given; they end with the test."""

    started: list[Viewer] = []

    def start_one(*flags: str) -> Viewer:
        free = [text for flag in PORTS if flag not in flags for text in (flag, "0")]
        options = {"stderr": subprocess.PIPE, "text": True, "cwd": tmp_path}
        started.append(Viewer(start_cli("viewer", *free, *flags, **options)))
        return started[-1]

    yield start_one
    for each in started:
        each.client.close()


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until something is true."""
    end_s = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < end_s
        threading.Event().wait(0.02)


def test_what_it_says(start: Start) -> None:
    """Where its page is, what it takes on which addresses, and that all is in memory."""
    viewer = start()
    intake = viewer.intake
    begins, takes, keeps = viewer.ready_line.rstrip("\n").split("; ")
    assert begins == f"iox-otel viewer on {viewer.url}/search"
    assert sorted(takes.removeprefix("takes ").split(", ")) == [
        f"Jaeger UDP {intake['udp']}",
        f"OTLP HTTP {intake['http']}",
        f"OTLP gRPC {intake['grpc']}",
    ]
    assert keeps == "keeps traces in memory only"
    assert all(where.startswith("127.0.0.1:") for where in intake.values())
    assert viewer.url.startswith("http://127.0.0.1:")


def test_without_intakes(start: Start) -> None:
    """Each can be off."""
    viewer = start(*(text for flag in PORTS[1:] for text in (flag, "off")))
    assert "; takes nothing but uploads; " in viewer.ready_line
    assert viewer.intake == {"udp": None, "grpc": None, "http": None}


@pytest.mark.parametrize("exporter", ["jaeger", "grpc", "http/protobuf"])
def test_all_three_ways_in(start: Start, exporter: str) -> None:
    """What our exporters send is there."""
    viewer = start()
    intake = viewer.intake
    host, _, port = intake["udp"].rpartition(":")
    if exporter == "jaeger":
        how: dict[str, Any] = {"jaeger_agent_host": host, "jaeger_agent_port": int(port)}
    else:
        endpoint = f"http://{intake['grpc' if exporter == 'grpc' else 'http']}"
        how = {"otlp_endpoint": endpoint, "otlp_protocol": exporter}
    kind = "jaeger" if exporter == "jaeger" else "otlp"
    with TracingConfig(exporter=kind, service_name="shop", **how).build() as tracing:
        SpanContext.new(tracing.collector).recorder("work").finish()
    wait_until(lambda: viewer.get("/traces")["data"])
    (row,) = viewer.get("/traces")["data"]
    assert (row["service"], row["name"]) == ("shop", "work")


def test_a_database_outlives_the_viewer(start: Start, tmp_path: Path) -> None:
    """What was acknowledged is in the file when the viewer was asked to end."""
    for number in (1, 2):
        viewer = start("--db", "traces.db")
        assert viewer.ready_line.endswith("; keeps traces in traces.db\n")
        viewer.send(*range(500 * number, 500 * number + 500))
        assert viewer.end()[0] == 0
    assert start("--db", "traces.db").get("/status")["traces"]["kept"] == 1_000


def test_a_viewer_that_is_killed(start: Start) -> None:
    """What was stored is still in the file."""
    viewer = start("--db", "traces.db")
    viewer.send(*range(1, 101))
    wait_until(lambda: viewer.get("/status")["traces"]["kept"] == 100)
    viewer.process.kill()
    viewer.process.communicate(timeout=LONG_S)
    assert start("--db", "traces.db").get("/status")["traces"]["kept"] == 100


def test_limits(start: Start) -> None:
    """The oldest traces make room."""
    viewer = start("--db", "traces.db", "--max-spans", "10", "--max-mb", "7")
    for trace in range(1, 31):
        viewer.send(trace)
    wait_until(lambda: viewer.get("/status")["traces"]["seen"] == 30)
    status = viewer.get("/status")
    assert (status["spans"]["max"], status["bytes"]["max"]) == (10, 7 << 20)
    wait_until(lambda: viewer.get("/status")["spans"]["kept"] <= 10)
    newest = viewer.get(f"/traces/{30:032x}")
    assert newest["traceID"] == f"{30:032x}"


def test_memory_stays_within_its_limit(start: Start) -> None:
    """All of the process's, however much comes in, and as fast as it can."""
    viewer = start("--max-mb", "192")
    endpoint = f"http://{viewer.intake['grpc']}"
    tracing = TracingConfig(exporter="otlp", otlp_endpoint=endpoint).build()
    for _ in range(80_000):
        with SpanRecorder(Span.root("wide", tracing.collector)) as recorder:
            for at in range(30):
                recorder.set_metadata(f"key.{at}", f"some text {at}")
    assert tracing.shutdown(LONG_S)
    wait_until(lambda: viewer.get("/status")["traces"]["seen"] == 80_000)
    assert viewer.get("/status")["traces"]["kept"] < 80_000
    said = Path(f"/proc/{viewer.process.pid}/status").read_text()
    assert int(said.partition("VmHWM:")[2].split()[0]) < 192 << 10, said  # KiB


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_asked_to(start: Start, number: int) -> None:
    """Soon, with status 0 and without a word: also while a page is open and senders send."""
    viewer = start("--db", "traces.db")
    is_over = threading.Event()
    acknowledged: list[int] = []
    host, _, port = viewer.intake["udp"].rpartition(":")

    def send_on() -> None:
        for trace in range(1, 100_000):
            try:
                viewer.send(trace)
            except (httpx.HTTPError, ValueError):
                return
            acknowledged.append(trace)

    def send_datagrams() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while not is_over.wait(0.001):
                sender.sendto(b"x" * 100, (host, int(port)))

    threads = [threading.Thread(target=target) for target in (send_on, send_datagrams)]
    with httpx.stream("GET", f"{viewer.url}/api/viewer/stream", timeout=LONG_S) as stream:
        lines = stream.iter_lines()
        next(lines)
        for thread in threads:
            thread.start()
        wait_until(lambda: len(acknowledged) > 20)
        status, err, took_s = viewer.end(number)
        is_over.set()
        assert list(lines)[-1] == ""  # an event that is whole; and the stream was open until now
    for thread in threads:
        thread.join(LONG_S)
    assert (status, err) == (0, "")
    assert took_s < 5
    assert start("--db", "traces.db").get("/status")["traces"]["kept"] >= len(acknowledged)
