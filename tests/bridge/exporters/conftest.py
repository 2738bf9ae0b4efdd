"""Real receivers of OTLP on loopback, see `faultkit.receivers`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from faultkit import broken
from faultkit.receivers import AnyReceiver, GrpcReceiver, HttpReceiver, receiver_of


@pytest.fixture(autouse=True)
def own_settings_only(no_otlp_environment: None) -> None:
    """Keep the machine's own settings out of all tests here."""


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
def receiver_class(request: pytest.FixtureRequest) -> type[AnyReceiver]:
    return receiver_of(request.param)


@pytest.fixture
def receiver(receiver_class: type[AnyReceiver]) -> Iterator[AnyReceiver]:
    receiver = receiver_class()
    yield receiver
    receiver.stop()


@pytest.fixture
def black_hole() -> Iterator[str]:
    """The address of something that accepts connections and never says a word."""
    with broken.silent() as address:
        yield address
