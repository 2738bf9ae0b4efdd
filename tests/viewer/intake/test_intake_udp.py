"""Jaeger's datagrams on a real socket: what arrives is kept, what does not is counted."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iox_otel import Span, SpanContext, SpanKind
from iox_otel.viewer.intake.accepting import Accepting
from iox_otel.viewer.intake.udp import UdpIntake
from iox_otel.viewer.listening import Port, listen_udp
from iox_otel.viewer.page_json import trace_of
from iox_otel.viewer.stored import Source
from iox_otel.viewer.writer import Load, Writer
from iox_otel_bridge import TracingConfig
from iox_otel_bridge.wire.jaeger import ClientStats, encode_batch, encode_process, encode_span
from iox_otel_bridge.wire.jaeger_decode import REF_TYPE, decode_datagram

Receiving = Any
Send = Callable[[bytes], None]


@pytest.fixture
def send(receiving: Receiving) -> Iterator[Send]:
    """Send a datagram to the viewer."""
    host, _, port = receiving.intake["udp"].rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((host, int(port)))
        yield lambda datagram: sender.sendall(datagram)


def span(trace: int, number: int = 1) -> Span:
    """Return a span that has ended."""
    context = SpanContext(trace_id=trace, span_id=number)
    return Span(
        "work", context, start_ns=1_700_000_000_000_000_000, end_ns=1_700_000_000_000_002_000
    )


def datagram(
    *spans: Span, seq_no: int = 1, client: str = "c1", stats: ClientStats | None = None
) -> bytes:
    """Return what a client sends."""
    process = encode_process({"service.name": "shop", "client-uuid": client})
    encoded = b"".join(map(encode_span, spans))
    return encode_batch(
        process, encoded, len(spans), seq_no=seq_no, stats=stats or ClientStats(0, 0, 0)
    )


def test_our_exporter(receiving: Receiving) -> None:
    """All that a native span says is what the store has, in Jaeger's units."""
    host, _, port = receiving.intake["udp"].rpartition(":")
    config = TracingConfig(
        exporter="jaeger",
        service_name="shop",
        jaeger_agent_host=host,
        jaeger_agent_port=int(port),
        resource_attributes={"env": "prod"},
    )
    with config.build() as tracing:
        root = SpanContext.new(tracing.collector).recorder("root")
        with root, root.child("child") as child:
            for key, value in {"s": "text", "b": True, "i": -(2**40), "f": 1.5}.items():
                child.set_metadata(key, value)
            child.event("retry", attempt=2)
            child.link(SpanContext(trace_id=7, span_id=8))
            child.error("broken")
            assert child.span is not None
            child.span.kind = SpanKind.CLIENT
            trace_id, native = child.span.ctx.trace_id, child.span
    spans = {each.span.name: each for each in receiving.wait_for(trace_id, 2)}
    said = trace_of([spans["child"]])
    (shown,) = said["spans"]

    assert spans["child"].source is Source.JAEGER
    assert shown["parent"] == spans["root"].span_id.hex()
    assert native.start_ns is not None and native.end_ns is not None
    assert said["startNs"] == str(native.start_ns // 1_000 * 1_000)
    listed = said["attributes"]
    tags = {key: (kind, value) for key, kind, value in map(listed.__getitem__, shown["attributes"])}
    assert tags["s"] == ("string", "text")
    assert tags["b"] == ("bool", True)
    assert tags["i"] == ("int", -(2**40))
    assert tags["f"] == ("double", 1.5)
    assert tags["span.kind"] == ("string", "client")
    assert tags["error"] == ("bool", True)
    assert [event["name"] for event in shown["events"]][:1] == ["retry"]
    assert listed.index(["attempt", "int", 2]) in shown["events"][0]["attributes"]
    (link,) = [each for each in shown["links"] if each["traceID"] == f"{7:032x}"]
    assert link["spanID"] == f"{8:016x}"
    assert listed.index([REF_TYPE, "string", "follows_from"]) in link["attributes"]
    resource = said["resources"][shown["resource"]]
    assert resource["service"] == "shop"
    assert listed.index(["env", "string", "prod"]) in resource["attributes"]
    assert shown["flags"] & 1
    assert receiving.loss()["datagrams"] == 0


def test_datagrams_that_are_missing(receiving: Receiving, send: Send) -> None:
    """A gap between the numbers of a client is told of, until what is late comes after all."""
    for number in (1, 2, 5, 6):
        send(datagram(span(number), seq_no=number))
    receiving.wait_for(6)
    assert receiving.loss()["datagrams"] == 2
    send(datagram(span(4), seq_no=4))
    receiving.wait_for(4)
    assert receiving.loss()["datagrams"] == 1


def test_what_a_client_lost(receiving: Receiving, send: Send) -> None:
    """It says so itself, in spans, and why."""
    send(datagram(span(1), stats=ClientStats(3, 2, 1)))
    receiving.wait_for(1)
    assert receiving.loss()["processes"] == [
        {
            "service": "shop",
            "client": "c1",
            "missing": 0,
            "queue_full": 3,
            "too_large": 2,
            "failed": 1,
        }
    ]


def test_what_is_malformed(receiving: Receiving, send: Send) -> None:
    """It is counted, an empty datagram too, and what comes after it is kept."""
    whole = datagram(span(1))
    for broken in (b"", b"\0" * 60_000, whole[:-9], b"GET / HTTP/1.1\r\n\r\n"):
        send(broken)
    send(whole)
    receiving.wait_for(1)
    assert receiving.loss()["rejected"] == {"udp": 4, "grpc": 0, "http": 0}


def test_spans_without_ids(receiving: Receiving, send: Send) -> None:
    """They are refused one by one, and counted; the others of their datagram are kept."""
    odd = span(1, 2)
    odd.ctx.trace_id = 0
    send(datagram(span(1), odd))
    assert len(receiving.wait_for(1)) == 1
    assert receiving.loss()["rejected"]["udp"] == 1


def test_no_room_in_the_queue(receiving: Receiving, send: Send) -> None:
    """What finds it full is counted: nobody will send it again."""
    counts = receiving.viewer.counts
    with receiving.full_queue():
        send(datagram(span(2)))
        receiving.wait_until(lambda: counts.loss()["rejected"]["udp"])
    assert receiving.loss()["rejected"]["udp"] == 1
    assert receiving.viewer.store.trace(span(2).ctx.trace_id.to_bytes(16, "big")) == []


_WHOLE = datagram(span(9))
_torn = st.builds(
    lambda at, put: _WHOLE[:at] + put + _WHOLE[at + len(put) :],
    st.integers(0, len(_WHOLE)),
    st.binary(max_size=20),
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | _torn)
def test_any_bytes_are_survived(receiving: Receiving, sent: bytes) -> None:
    """Whatever a datagram holds: its spans are kept, or it is counted."""
    counts = receiving.viewer.counts
    before = counts.loss()["rejected"]["udp"]
    kept = list(receiving.udp._batches([sent]))
    is_counted = counts.loss()["rejected"]["udp"] > before
    assert kept or is_counted or decode_datagram(sent).spans == []


class _Busy(Writer):
    """A writer that brings another datagram for each that is put."""

    send: Callable[[], object]

    def put(self, load: Load, byte_count: int) -> bool:
        """Queue something."""
        self.send()
        return super().put(load, byte_count)


def test_it_ends_while_a_sender_goes_on(receiving: Receiving) -> None:
    """However fast datagrams come, closing takes what was there and ends."""
    viewer = receiving.viewer
    bound = listen_udp("127.0.0.1", Port(0, "--udp-port"))
    writer = _Busy(viewer.store)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(bound.getsockname())
        writer.send = lambda: sender.send(b"x")
        intake = UdpIntake(bound, Accepting(writer, viewer.counts))
        writer.send()
        receiving.wait_until(lambda: viewer.counts.loss()["rejected"]["udp"] > 3)
        closing = threading.Thread(target=intake.close)
        closing.start()
        closing.join(10)
        has_ended = not closing.is_alive()
        writer.send = lambda: None
        closing.join(10)
    assert writer.close()
    assert has_ended
