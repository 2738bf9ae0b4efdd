"""What is used of the official exporters: their private names, their settings, TLS, forking."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

import certifi
import grpc
import pytest
from opentelemetry.sdk.resources import Resource

from iox_otel import Span
from iox_otel_bridge.exporters.otlp import OtlpSender
from iox_otel_bridge.exporters.otlp_grpc_official import GrpcExporter, grpc_exporter
from iox_otel_bridge.exporters.otlp_http import OtlpHttpSender
from iox_otel_bridge.exporters.otlp_http_official import HttpExporter, http_exporter
from iox_otel_bridge.sender import Outcome, Verdict

LONG_S = 20.0
DELIVERED = Outcome(Verdict.DELIVERED)
CERTIFICATE = Path(__file__).with_name("loopback.pem")


def send_one(sender: OtlpSender, size: int = 0) -> Outcome:
    """Send a span that is large, if *size* is, but can be compressed."""
    span = Span.root("name", None)
    span.set_metadata("text", "x" * size)
    (batch,) = sender.encode([span])
    return sender.send(batch, LONG_S)


def test_pinned_to_the_minor_version() -> None:
    """An upgrade of the exporters has to be a decision, since their private names are used."""
    installed = ".".join(version("opentelemetry-exporter-otlp-proto-grpc").split(".")[:2])
    (pin,) = [line for line in requires("iox-otel") or () if "exporter-otlp" in line]

    assert re.search(rf">={re.escape(installed)}(\.0)?\b", pin), pin
    assert "<" in pin


def test_private_names() -> None:
    """Each private name that is used still is what it was."""
    by_grpc = GrpcExporter.__mro__[1]
    by_http = HttpExporter.__mro__[1]
    assert callable(by_grpc._initialize_channel_and_stub)  # type: ignore[attr-defined]

    exporter = by_grpc(endpoint="http://127.0.0.1:1", headers={"a": "b"}, timeout=3)
    assert isinstance(exporter._channel, grpc.Channel)
    assert exporter._endpoint == "127.0.0.1:1"
    assert tuple(exporter._headers) == (("a", "b"),)
    assert exporter._timeout == 3
    exporter.shutdown()

    posting = by_http(endpoint="http://127.0.0.1:1/v1/traces", headers={"a": "b"}, timeout=3)
    assert posting._endpoint == "http://127.0.0.1:1/v1/traces"
    assert posting._client._headers["a"] == "b"
    assert posting._client._timeout == 3
    assert posting._client._compress(b"abc") == b"abc"
    assert callable(posting._client._transport._session.post)
    posting.shutdown()


def test_making_an_exporter_opens_nothing() -> None:
    """A channel made before a fork would not work after it."""
    exporter = grpc_exporter("http://127.0.0.1:1", None)

    assert exporter._channel is None
    exporter.close()


def test_reconnecting_is_soon_tried_again() -> None:
    """gRPC waits a second at most between its attempts; how long one may take is left to it."""
    options = dict(grpc_exporter(None, None)._channel_options)

    assert options["grpc.max_reconnect_backoff_ms"] == 1000  # type: ignore[comparison-overlap]
    assert "grpc.min_reconnect_backoff_ms" not in options
    assert "grpc.primary_user_agent" in options


def test_defaults() -> None:
    """Without any setting: OpenTelemetry's ports on localhost, gRPC without TLS."""
    by_grpc = grpc_exporter(None, None)
    by_http = http_exporter(None, None)

    assert (by_grpc.target, by_grpc._insecure) == ("localhost:4317", True)
    assert by_http.url == "http://localhost:4318/v1/traces"
    by_http.close()


@pytest.mark.parametrize(
    ("endpoint", "insecure", "expected"),
    [
        ("http://host:4317", None, ("host:4317", True)),
        ("http://host:4317/", "false", ("host:4317", True)),
        ("https://host:4317", "true", ("host:4317", False)),
        ("host:4317", None, ("host:4317", False)),
        ("host:4317", "true", ("host:4317", True)),
        ("http://[::1]:4317", None, ("[::1]:4317", True)),
    ],
)
def test_grpc_with_or_without_tls(
    endpoint: str,
    insecure: str | None,
    expected: tuple[str, bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The scheme decides; without one OTEL_EXPORTER_OTLP_INSECURE does, and TLS is the default."""
    if insecure is not None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_INSECURE", insecure)
    exporter = grpc_exporter(endpoint, None)

    assert (exporter.target, exporter._insecure) == expected
    assert exporter.url == f"{'http' if expected[1] else 'https'}://{expected[0]}"


def test_without_tls_for_traces_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """OTEL_EXPORTER_OTLP_TRACES_INSECURE goes before the one for all signals."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_INSECURE", "false")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "true")

    assert grpc_exporter("host:4317", None).url == "http://host:4317"


@pytest.mark.parametrize("make", [grpc_exporter, http_exporter])
def test_compression_none(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The specification's name for no compression is taken by both."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    make(None, None).close()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter22@host:4317"),
    ],
)
def test_variables_that_grpc_cannot_use(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are ValueErrors, of one line and without secrets, when the exporter is made."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match="OTLP") as caught:
        grpc_exporter(None, None)

    assert "\n" not in str(caught.value)
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize("make", [grpc_exporter, http_exporter])
@pytest.mark.parametrize("value", ["hunter22", "x-a=b,hunter22", "author ization=hunter22"])
def test_malformed_header_list(
    make: Any, value: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A header that would be left out is an error; it names the variable and shows no secret."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", value)
    with pytest.raises(ValueError, match="OTEL_EXPORTER_OTLP_HEADERS is not name=") as caught:
        make(None, None)
    assert "hunter22" not in str(caught.value) and not caplog.records
    assert ("x-a", "b") in make(None, {"x-a": "b"}).sent_headers

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-a=b, x-c = d=%20e ,,")
    assert {("x-a", "b"), ("x-c", "d= e")} <= set(make(None, None).sent_headers)


def test_endpoint_of_the_environment_that_http_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a scheme nothing could ever be posted there."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318")
    with pytest.raises(ValueError, match="OTLP endpoint"):
        http_exporter(None, None)


def test_credentials_in_the_url(http_receiver: Any) -> None:
    """Over HTTP they become basic authentication, and are shown nowhere."""
    url = f"http://user:hunter22@{http_receiver.address}/"
    sender = OtlpHttpSender(endpoint=url, resource=Resource({}))
    assert send_one(sender) == DELIVERED
    sender.close()

    assert http_receiver.received[0].headers["authorization"].startswith("Basic ")
    assert sender.endpoint == f"http://{http_receiver.address}/v1/traces"
    assert "hunter22" not in repr(sender)


@pytest.fixture
def relay(receiver: Any) -> Iterator[tuple[str, list[int]]]:
    """An address in front of *receiver*, and the sizes of what goes there."""
    sizes: list[int] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket, counted: bool) -> None:
        try:
            while data := source.recv(65536):
                if counted:
                    sizes.append(len(data))
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other side is gone

    def serve() -> None:
        host, _, port = receiver.address.rpartition(":")
        far = socket.create_connection((host, int(port)))
        with listening, listening.accept()[0] as near, far:
            back = threading.Thread(target=pump, args=(far, near, False))
            back.start()
            pump(near, far, True)
            back.join(LONG_S)

    thread = threading.Thread(target=serve)
    thread.start()
    yield "{}:{}".format(*listening.getsockname()), sizes
    thread.join(LONG_S)


@pytest.mark.usefixtures("wide_limits")
@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize(
    "variable", ["OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"]
)
def test_compression(
    receiver: Any,
    relay: tuple[str, list[int]],
    variable: str,
    compression: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With gzip a small part of the bytes goes over the wire, and all of them arrive."""
    monkeypatch.setenv(variable, compression)
    address, sizes = relay
    sender = receiver.sender(endpoint=f"http://{address}")
    assert send_one(sender, 1_000_000) == DELIVERED
    sender.close()

    assert len(receiver.spans[0].attributes[0].value.string_value) == 1_000_000
    assert (sum(sizes) < 100_000) == (compression == "gzip")


@pytest.fixture
def tls_receiver(receiver_class: Any) -> Iterator[Any]:
    if receiver_class.protocol == "grpc":
        pem = CERTIFICATE.read_bytes()
        start = pem.index(b"-----BEGIN PRIVATE")
        receiver = receiver_class(
            credentials=grpc.ssl_server_credentials([(pem[start:], pem[:start])])
        )
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        receiver = receiver_class(wrap=lambda sock: context.wrap_socket(sock, server_side=True))
    yield receiver
    receiver.stop()


def test_tls(tls_receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """https with the certificate that OTEL_EXPORTER_OTLP_CERTIFICATE names, and no other."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(CERTIFICATE))
    sender = tls_receiver.sender(endpoint=f"https://localhost:{tls_receiver.port}")
    outcome = send_one(sender)
    sender.close()

    assert outcome == DELIVERED


def test_tls_with_a_certificate_nobody_trusts(tls_receiver: Any) -> None:
    """The spans wait: certificates are renewed while a process runs."""
    sender = tls_receiver.sender(endpoint=f"https://localhost:{tls_receiver.port}")
    outcome = send_one(sender)
    sender.close()

    assert outcome.verdict is Verdict.RETRY
    assert "certificate" in outcome.detail.lower() or "ssl" in outcome.detail.lower()
    assert tls_receiver.received == []


SCRIPT = """
import os, sys, time
from iox_otel import Span
from opentelemetry.sdk.resources import Resource

protocol, endpoint = sys.argv[1:]
if protocol == "grpc":
    from iox_otel_bridge.exporters.otlp_grpc import OtlpGrpcSender as cls
else:
    from iox_otel_bridge.exporters.otlp_http import OtlpHttpSender as cls
make = lambda: cls(endpoint=endpoint, resource=Resource({}))

def send(sender, name):
    (batch,) = sender.encode([Span.root(name, None)])
    deadline = time.monotonic() + 10
    while True:
        outcome = sender.send(batch, 5)
        if outcome.verdict.name == "DELIVERED" or time.monotonic() > deadline:
            return outcome.verdict.name, outcome.detail

def fork(work):
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
"""


def run(script: str, *arguments: str) -> None:
    """Run *script* in a process of its own; what it prints is what is wrong."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + script, *arguments],
        capture_output=True,
        text=True,
        timeout=50,
    )

    assert (done.stdout, done.returncode) == ("", 0), done.stderr


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_first_request_imports_nothing(
    receiver: Any,
    tls_receiver: Any,
    scheme: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All modules are loaded when the sender is made: an import on a worker can wait for ever."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(CERTIFICATE))
    target = tls_receiver if scheme == "https" else receiver
    run(
        """
sender = make()
before = set(sys.modules)
outcome = send(sender, "first")
if outcome[0] != "DELIVERED":
    print(outcome)
if set(sys.modules) - before:
    print(sorted(set(sys.modules) - before))
""",
        target.protocol,
        f"{scheme}://localhost:{target.port}",
    )


def test_fork(receiver: Any) -> None:
    """A child sends by a sender of its own, or by its parent's; the parent's goes on working."""
    run(
        """
sender = make()
send(sender, "parent 1")
def child():
    send(make(), "child, own sender")
    send(sender, "child, parent's sender")
    sender.close()
fork(child)
send(sender, "parent 2")
def closing():
    sender.close()
fork(closing)
send(sender, "parent 3")
sender.close()
""",
        receiver.protocol,
        f"http://{receiver.address}",
    )

    assert sorted(span.name for span in receiver.spans) == [
        "child, own sender",
        "child, parent's sender",
        "parent 1",
        "parent 2",
        "parent 3",
    ]
    peers = {received.spans[0].name: received.peer for received in receiver.received}
    assert peers["parent 1"] == peers["parent 2"] == peers["parent 3"]
    assert peers["child, parent's sender"] != peers["parent 1"]


def test_fork_before_the_first_span(receiver: Any) -> None:
    """As with `gunicorn --preload`: made in the parent, used only in its children."""
    run(
        """
sender = make()
fork(lambda: send(make(), "child 1"))
fork(lambda: send(sender, "child 2"))
""",
        receiver.protocol,
        f"http://{receiver.address}",
    )

    assert sorted(span.name for span in receiver.spans) == ["child 1", "child 2"]


def test_a_hanging_request_does_not_hold_up_the_end_of_the_process(receiver: Any) -> None:
    """The process ends while an attempt waits for its answer."""
    receiver.hang()
    script = """
import threading
sender = make()
(batch,) = sender.encode([Span.root("name", None)])
threading.Thread(target=sender.send, args=(batch, 40), daemon=True).start()
input()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT + script, receiver.protocol, f"http://{receiver.address}"],
        stdin=subprocess.PIPE,
    )
    try:
        assert receiver.busy.wait(LONG_S)
        process.communicate(b"\n", timeout=10)
    finally:
        process.kill()
        process.wait()

    assert process.returncode == 0
