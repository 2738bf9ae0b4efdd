"""What an exporter itself does over the network is not traced, or it would never end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
import requests
from opentelemetry.context import (
    _SUPPRESS_INSTRUMENTATION_KEY,
    get_value,
)
from opentelemetry.sdk.trace import TracerProvider

from faultkit.receivers import receiver_of
from iox_otel import Span, SpanContext, SpanRecorder, current
from iox_otel_bridge import BridgeProcessor


class Instrumentation:
    """Opens a native and an OpenTelemetry span for every call, as libraries do that trace clients:
    under what is current, or else as a trace of its own."""

    def __init__(self, processor: BridgeProcessor, heeds: str) -> None:
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(processor)
        self.tracer = self.provider.get_tracer("instrumentation")
        self.processor = processor
        self.heeds = heeds
        self.calls = 0

    @contextmanager
    def call(self) -> Iterator[None]:
        self.calls += 1
        if self.heeds == "the key" and get_value(_SUPPRESS_INSTRUMENTATION_KEY):
            yield
            return
        parent = current.get()
        if self.heeds == "the key":
            parent = None
        context = parent.ctx if isinstance(parent, Span) else parent
        if context is None:
            context = SpanContext.new(self.processor)
        assert isinstance(context, SpanContext)
        child = context.child("native call") if context.sampled else None
        with SpanRecorder(child), self.tracer.start_as_current_span("call"):
            yield


class GrpcInterceptor(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]
    def __init__(self, instrumentation: Instrumentation) -> None:
        self.instrumentation = instrumentation

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        with self.instrumentation.call():
            return continuation(details, request)


def instrument(made: Instrumentation, monkeypatch: pytest.MonkeyPatch) -> None:
    send = requests.Session.send
    insecure_channel = grpc.insecure_channel

    def traced_send(self: Any, *args: Any, **kwargs: Any) -> Any:
        with made.call():
            return send(self, *args, **kwargs)

    def traced_channel(*args: Any, **kwargs: Any) -> Any:
        return grpc.intercept_channel(insecure_channel(*args, **kwargs), GrpcInterceptor(made))

    monkeypatch.setattr(requests.Session, "send", traced_send)
    monkeypatch.setattr(grpc, "insecure_channel", traced_channel)
    # The official exporter has the function by its name.
    monkeypatch.setattr(
        "opentelemetry.exporter.otlp.proto.grpc.exporter.insecure_channel", traced_channel
    )


@pytest.mark.parametrize("heeds", ["the key", "what is current"])
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_the_calls_of_an_exporter_are_not_traced_into_a_loop(
    protocol: str, heeds: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application's calls are traced by its instrumentation, those of the exporter are not."""
    receiver = receiver_of(protocol)()
    processor = BridgeProcessor(receiver.sender, schedule_delay_s=0.01)
    made = Instrumentation(processor, heeds)
    instrument(made, monkeypatch)
    with made.call():
        pass
    assert processor.force_flush(timeout_s=10)
    time.sleep(0.5)  # in which a loop would go round many times
    assert processor.force_flush(timeout_s=10)

    assert sorted(span.name for span in receiver.spans) == ["call", "native call"]
    assert made.calls >= 2  # it does see the exporter's
    assert processor.stats().recorded == 2
    processor.shutdown(timeout_s=5)
    receiver.stop()
