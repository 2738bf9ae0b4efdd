"""Damaged input by all the ways in: it is kept or refused, and the viewer goes on."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzzkit import jaeger_thrift, otlp_protobuf, trace_json
from fuzzkit.decoder import Decoder
from iox_otel import Span, SpanContext
from iox_otel_bridge.wire import jaeger

Receiving = Any
Post = Callable[..., httpx.Response]
PROTOBUF, JSON = "application/x-protobuf", "application/json"
ONE_VIEWER = settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def damaged(draw: st.DrawFn, decoder: Decoder) -> bytes:
    """Return what a client sends, with up to four changes."""
    body = bytearray(draw(st.sampled_from(decoder.seeds())))
    words = st.sampled_from([word.encode() for word in decoder.words] or [b""])
    for _ in range(draw(st.integers(1, 4))):
        at, taken = draw(st.integers(0, len(body))), draw(st.integers(0, 3))
        body[at : at + taken] = draw(st.binary(max_size=3) | words)
    return bytes(body)


@pytest.fixture
def post(receiving: Receiving) -> Iterator[Post]:
    """Post a body to a path of OTLP's port, or of the page's."""
    page = httpx.Client(base_url=receiving.url, timeout=20)
    intake = httpx.Client(base_url=f"http://{receiving.intake['http']}", timeout=20)
    with page, intake:

        def send(path: str, body: bytes, media_type: str) -> httpx.Response:
            client = intake if path == "/v1/traces" else page
            return client.post(path, content=body, headers={"Content-Type": media_type})

        yield send


@ONE_VIEWER
@given(damaged(otlp_protobuf.DECODER))
def test_protobuf(receiving: Receiving, post: Post, body: bytes) -> None:
    """A request is taken or 400; and what was taken can be stored."""
    assert post("/v1/traces", body, PROTOBUF).status_code in (200, 400)
    assert receiving.loss()["notStored"] == 0


@ONE_VIEWER
@given(damaged(trace_json.DECODER))
def test_json(receiving: Receiving, post: Post, body: bytes) -> None:
    """So is one in JSON, as a request and as a file for the page."""
    for path in ("/v1/traces", "/api/viewer/upload"):
        answer = post(path, body, JSON)
        assert answer.status_code in (200, 400)
        assert answer.status_code == 200 or "\n" not in answer.text
    assert receiving.loss()["notStored"] == 0


@ONE_VIEWER
@given(st.lists(damaged(jaeger_thrift.DECODER), max_size=5), st.integers(1, (1 << 64) - 1))
def test_datagrams(receiving: Receiving, datagrams: list[bytes], trace_id: int) -> None:
    """Whatever comes before it, the next datagram is kept."""
    process = jaeger.encode_process({"service.name": "shop"})
    span = jaeger.encode_span(Span("work", SpanContext(trace_id=trace_id, span_id=1)))
    good = jaeger.encode_batch(process, span, 1, seq_no=1, stats=jaeger.ClientStats(0, 0, 0))
    host, port = receiving.intake["udp"].split(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((host, int(port)))
        for datagram in [*datagrams, good]:
            sender.send(datagram)
    assert receiving.wait_for(trace_id)
    assert receiving.loss()["notStored"] == 0
