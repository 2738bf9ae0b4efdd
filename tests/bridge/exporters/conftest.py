"""Real receivers of OTLP on loopback, see `faultkit.receivers`."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from faultkit.receivers import GrpcReceiver, HttpReceiver


@pytest.fixture(autouse=True)
def no_otlp_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the machine's own settings out of the tests."""
    for name in list(os.environ):
        if name.startswith("OTEL_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def grpc_receiver() -> Iterator[GrpcReceiver]:
    receiver = GrpcReceiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def limited_grpc_receiver() -> Iterator[GrpcReceiver]:
    """One that takes messages of 1,000 bytes at most."""
    receiver = GrpcReceiver(options=[("grpc.max_receive_message_length", 1000)])
    yield receiver
    receiver.stop()


@pytest.fixture
def http_receiver() -> Iterator[HttpReceiver]:
    receiver = HttpReceiver()
    yield receiver
    receiver.stop()


@pytest.fixture(params=["grpc", "http/protobuf"])
def receiver_class(request: pytest.FixtureRequest) -> type[GrpcReceiver] | type[HttpReceiver]:
    return GrpcReceiver if request.param == "grpc" else HttpReceiver


@pytest.fixture
def receiver(
    receiver_class: type[GrpcReceiver] | type[HttpReceiver],
) -> Iterator[GrpcReceiver | HttpReceiver]:
    receiver = receiver_class()
    yield receiver
    receiver.stop()


@pytest.fixture
def black_hole() -> Iterator[str]:
    """The address of something that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield "{}:{}".format(*listening.getsockname())
