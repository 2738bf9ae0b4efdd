"""`iox-otel check`: what an operator is told of settings, receivers and a test span."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator

import pytest

from peerkit.process import free_port
from peerkit.viewer import Viewer

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def viewer() -> Iterator[Viewer]:
    """A receiver of both kinds that can be asked."""
    viewer = Viewer()
    yield viewer
    viewer.end()


def jaeger_flags(address: str) -> list[str]:
    host, _, port = address.rpartition(":")
    return [
        f"--traces-exporter-jaeger-agent-host={host}",
        f"--traces-exporter-jaeger-agent-port={port}",
    ]


def test_all_is_well(cli: Cli, viewer: Viewer) -> None:
    """A line each; the address of the trace is a page that has it."""
    ran = cli(
        "check",
        "--traces-exporter=otlp,jaeger",
        f"--traces-exporter-otlp-endpoint=http://{viewer.intake['grpc']}",
        *jaeger_flags(viewer.intake["udp"]),
        "--traces-exporter-jaeger-service-name=shop",
        "--url",
        viewer.url,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    settings, otlp, jaeger, arrived = ran.stdout.splitlines()
    assert settings == "ok    settings: service 'shop', exporters otlp, jaeger"
    assert otlp.startswith(f"ok    otlp: http://{viewer.intake['grpc']} by grpc accepted a test")
    assert jaeger.startswith(f"ok    jaeger: udp://{viewer.intake['udp']} was sent a test span")
    head, _, place = arrived.rpartition(" ")
    assert head == "ok    arrived:"
    found = cli("trace", place.rpartition("/")[2], "--url", viewer.url)
    assert "iox-otel check" in found.stdout


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ["--traces-exporter=otlp", "--traces-exporter-otlp-endpoint=http://127.0.0.1:{port}"],
            "FAIL  otlp: http://127.0.0.1:{port} by grpc: http://127.0.0.1:{port}: UNAVAILABLE:",
        ),
        (
            [
                "--traces-exporter=otlp",
                "--traces-exporter-otlp-protocol=http/protobuf",
                "--traces-exporter-otlp-endpoint=http://127.0.0.1:{port}",
            ],
            "FAIL  otlp: http://127.0.0.1:{port}/v1/traces by http/protobuf: ",
        ),
        (
            [
                "--traces-exporter=jaeger",
                "--traces-exporter-jaeger-agent-host=127.0.0.1",
                "--traces-exporter-jaeger-agent-port={port}",
            ],
            "FAIL  jaeger: udp://127.0.0.1:{port}: jaeger at 127.0.0.1:{port}: Connection refused",
        ),
    ],
)
def test_nobody_is_there(cli: Cli, flags: list[str], said: str) -> None:
    """Of each exporter: its line says where and why, and the status is 1."""
    port = str(free_port())
    ran = cli("check", *[flag.format(port=port) for flag in flags])

    assert (ran.returncode, ran.stderr) == (1, "")
    first, second = ran.stdout.splitlines()
    assert first.startswith("ok    settings: service 'unknown_service' (OTEL_SERVICE_NAME is not")
    assert second.startswith(said.format(port=port))


def test_one_that_takes_what_never_arrives(cli: Cli, viewer: Viewer) -> None:
    """A port of UDP that somebody listens on, but not the one that is asked."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{other.getsockname()[1]}"
        ran = cli("check", "--traces-exporter=jaeger", *jaeger_flags(address), "--url", viewer.url)

    assert ran.returncode == 1
    *_, jaeger, arrived = ran.stdout.splitlines()
    assert jaeger.startswith("ok    jaeger: ")
    assert arrived.startswith(f"FAIL  arrived: nothing within 5 s at {viewer.url}/trace/")


def test_nobody_to_ask(cli: Cli) -> None:
    """The span was written, but where it should be found there is nothing."""
    ran = cli("check", "--traces-exporter=console", f"--url=http://127.0.0.1:{free_port()}")

    assert ran.returncode == 1
    *_, console, arrived = ran.stdout.splitlines()
    assert console.startswith("ok    console: stdout accepted a test span in ")
    assert arrived.startswith("FAIL  arrived: cannot reach http://127.0.0.1:")


def test_settings_that_send_nowhere_or_cannot_be(cli: Cli) -> None:
    """Said in one line; status 1 and 2."""
    nowhere = cli("check")
    assert (nowhere.returncode, nowhere.stderr) == (1, "")
    assert nowhere.stdout == (
        "FAIL  settings: valid, but spans go nowhere: set TRACES_EXPORTER (otlp, jaeger, console)\n"
    )

    off = cli("check", "--traces-exporter=otlp", OTEL_SDK_DISABLED="true")
    assert off.returncode == 1
    assert off.stdout == (
        "FAIL  settings: valid, but OTEL_SDK_DISABLED=true turns every exporter off\n"
    )

    wrong = cli("check", "--traces-exporter=otpl")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("Invalid traces exporter 'otpl'. Valid options: ")
