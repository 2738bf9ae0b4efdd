"""OTLP over gRPC: what real senders send is kept, and each refusal has its status."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from iox_otel.viewer.intake.otlp_grpc import GrpcIntake

Make = Any
Receiving = Any
Call = Callable[..., bytes]
METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture
def call(receiving: Receiving) -> Iterator[Call]:
    """Call the method with bytes."""
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(receiving.intake["grpc"], options=options) as channel:
        method = channel.unary_unary(METHOD)
        yield lambda body, **how: method(body, timeout=10, **how)


def status_of(call: Call, body: bytes, **how: Any) -> tuple[grpc.StatusCode, str]:
    """Return the status and the details of a call that is refused."""
    with pytest.raises(grpc.RpcError) as caught:
        call(body, **how)
    return caught.value.code(), caught.value.details()


@pytest.mark.parametrize("packed", [None, grpc.Compression.Gzip])
def test_the_official_exporter(
    receiving: Receiving, send_with_sdk: Any, as_request: Any, packed: grpc.Compression | None
) -> None:
    """What the OpenTelemetry SDK sends, plain or packed, is kept in all its fields."""
    exporter = OTLPSpanExporter(
        endpoint=receiving.intake["grpc"], insecure=True, compression=packed
    )
    sent = send_with_sdk(exporter)
    assert as_request(0xABC) == encode_spans([sent])


def test_everything_is_kept(make: Make, call: Call, as_request: Any) -> None:
    """Each field of OTLP comes out of the store as it was sent."""
    sent = make.everything()
    body = sent.SerializeToString(deterministic=True)
    assert call(body, compression=grpc.Compression.Gzip) == b""
    assert as_request(1) == sent


def test_an_empty_request(call: Call) -> None:
    """It is fine."""
    assert call(b"") == b""


def test_invalid_spans(receiving: Receiving, make: Make, call: Call) -> None:
    """They are refused in a partial success, which says how many; the others are kept."""
    nameless, long, short_link = make.span(1, 2), make.span(1, 3), make.span(1, 4)
    nameless.trace_id = b"\0" * 16
    long.span_id = b"\1" * 9
    short_link.links.add(trace_id=b"\1" * 17, span_id=b"\2")
    answer = call(make.request(make.span(1, 1), nameless, long, short_link).SerializeToString())
    partial = ExportTraceServiceResponse.FromString(answer).partial_success
    assert partial.rejected_spans == 3
    assert "trace id and span id" in partial.error_message
    assert len(receiving.wait_for(1)) == 1
    assert receiving.loss()["rejected"]["grpc"] == 3


def test_malformed_requests(receiving: Receiving, call: Call) -> None:
    """They are INVALID_ARGUMENT, counted, and end nothing."""
    code, details = status_of(call, b"\x0a\xff")
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "not an ExportTraceServiceRequest" in details
    assert receiving.loss()["rejected"]["grpc"] == 1
    assert call(b"") == b""


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=100))
def test_any_bytes_are_answered(receiving: Receiving, call: Call, body: bytes) -> None:
    """Taken, or refused as malformed and counted; never an error of the viewer."""
    before = receiving.viewer.counts.loss()["rejected"]["grpc"]
    try:
        call(body)
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert receiving.viewer.counts.loss()["rejected"]["grpc"] == before + 1


@pytest.mark.parametrize("packed", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_too_large(receiving: Receiving, call: Call, packed: grpc.Compression) -> None:
    """More than 32 MiB, unpacked, are RESOURCE_EXHAUSTED, and counted."""
    code, details = status_of(call, bytes((32 << 20) + 1), compression=packed)
    assert (code, "33554432 bytes" in details) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)
    assert receiving.loss()["rejected"]["grpc"] == 1


def test_a_bomb(call: Call) -> None:
    """What would unpack to far more than a request may be is not unpacked."""
    code, details = status_of(call, bytes(100 << 20), compression=grpc.Compression.Gzip)
    assert (code, "33554432" in details) == (grpc.StatusCode.RESOURCE_EXHAUSTED, False)
    assert call(b"") == b""


def test_no_room_in_the_queue(receiving: Receiving, make: Make, call: Call) -> None:
    """It is UNAVAILABLE, which senders try again; nothing is lost by that."""
    body = make.request(make.span(1, 1)).SerializeToString()
    with receiving.full_queue():
        code, details = status_of(call, body)
        assert (code, details) == (grpc.StatusCode.UNAVAILABLE, "the viewer is busy")
    loss = receiving.loss()
    assert (loss["postponed"]["grpc"], loss["rejected"]["grpc"]) == (1, 0)
    assert call(body) == b""
    assert len(receiving.wait_for(1)) == 1


def test_another_method(receiving: Receiving) -> None:
    """It is not implemented."""
    with grpc.insecure_channel(receiving.intake["grpc"]) as channel:
        method = channel.unary_unary(METHOD.replace("trace", "metrics").replace("Trace", "Metrics"))
        code, _ = status_of(method, b"", timeout=10)
    assert code is grpc.StatusCode.UNIMPLEMENTED


def test_a_port_in_use(receiving: Receiving) -> None:
    """No two share one, which would share the spans among them."""
    port = int(receiving.intake["grpc"].rpartition(":")[2])
    with pytest.raises(OSError, match=str(port)):
        GrpcIntake("127.0.0.1", port, receiving.viewer.accepting)


def test_closing_ends_its_threads(receiving: Receiving) -> None:
    """Nothing of it is left."""
    intake = GrpcIntake("127.0.0.1", 0, receiving.viewer.accepting)
    with grpc.insecure_channel(f"127.0.0.1:{intake.port}") as channel:
        channel.unary_unary(METHOD)(b"", timeout=10)
    assert any(each.name.startswith("iox-otel grpc") for each in threading.enumerate())
    intake.close()
    receiving.wait_until(
        lambda: not any(each.name.startswith("iox-otel grpc") for each in threading.enumerate())
    )
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", intake.port), 5).close()
