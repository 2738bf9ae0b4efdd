"""OTLP over real connections: what arrives, and what the senders say became of it."""

from __future__ import annotations

import gc
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from iox_otel import Span
from iox_otel_bridge.exporters.otlp import OtlpSender
from iox_otel_bridge.exporters.otlp_grpc import OtlpGrpcSender
from iox_otel_bridge.exporters.otlp_http import OtlpHttpSender
from iox_otel_bridge.processor import BridgeProcessor
from iox_otel_bridge.sender import Batch, Outcome, Verdict

LONG_S = 20.0
DELIVERED = Outcome(Verdict.DELIVERED)


@pytest.fixture
def sender(receiver: Any) -> Iterator[OtlpSender]:
    sender: OtlpSender = receiver.sender()
    yield sender
    sender.close()


def spans_of(count: int, **metadata: object) -> list[Span]:
    """Return *count* finished spans, named by their number."""
    spans = []
    for number in range(count):
        span = Span.root(f"span {number}", None)
        span.start_ns = 1_700_000_000_000_000_000
        span.end_ns = span.start_ns + number
        for key, value in metadata.items():
            span.set_metadata(key, value)
        spans.append(span)
    return spans


def batch_of(sender: OtlpSender, count: int = 1) -> Batch:
    (batch,) = sender.encode(spans_of(count))
    return batch


def on_a_thread(call: Callable[[], Outcome]) -> tuple[threading.Thread, list[Outcome]]:
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(call()))
    thread.start()
    return thread, outcomes


def until(condition: Callable[[], bool], timeout_s: float = LONG_S) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "the condition never came true"
        time.sleep(0.005)


def test_spans_arrive(receiver: Any) -> None:
    """The spans of a batch arrive under their resource and scope, in one request."""
    sender = receiver.sender(resource=Resource({"service.name": "checkout"}))
    outcome = sender.send(batch_of(sender, 3), LONG_S)
    sender.close()

    assert outcome == DELIVERED
    (received,) = receiver.received
    assert [span.name for span in received.spans] == ["span 0", "span 1", "span 2"]
    (traced,) = received.request.resource_spans
    (attribute,) = traced.resource.attributes
    assert (attribute.key, attribute.value.string_value) == ("service.name", "checkout")
    assert traced.scope_spans[0].scope.name == "iox-trace"


def test_one_connection_serves_many_batches(receiver: Any, sender: OtlpSender) -> None:
    """Batches that are sent one after another all arrive, in their order."""
    for span in spans_of(20):
        (batch,) = sender.encode([span])
        assert sender.send(batch, LONG_S) == DELIVERED

    assert [span.name for span in receiver.spans] == [f"span {number}" for number in range(20)]


def test_partial_success_is_counted(receiver: Any, sender: OtlpSender) -> None:
    """Rejected spans are counted, with the receiver's message in the detail."""
    receiver.reject(2, "too old")
    outcome = sender.send(batch_of(sender, 3), LONG_S)

    assert outcome.verdict is Verdict.DELIVERED
    assert outcome.rejected == 2
    assert "too old" in outcome.detail


@pytest.mark.parametrize(("said", "counted"), [(99, 3), (-1, 0)])
def test_absurd_partial_success_is_bounded(
    receiver: Any, sender: OtlpSender, said: int, counted: int
) -> None:
    """A receiver cannot reject more spans than it was sent, nor fewer than none."""
    receiver.reject(said, "")

    assert sender.send(batch_of(sender, 3), LONG_S).rejected == counted


def test_warning_of_a_full_success(receiver: Any, sender: OtlpSender) -> None:
    """A message without rejected spans is a warning; everything counts as delivered."""
    receiver.reject(0, "please upgrade")

    outcome = sender.send(batch_of(sender), LONG_S)
    assert outcome == Outcome(Verdict.DELIVERED, detail=f"{sender.endpoint}: please upgrade")


def test_throttling(receiver: Any, sender: OtlpSender) -> None:
    """A receiver that asks for time is to be tried again after it."""
    receiver.throttle(7)
    outcome = sender.send(batch_of(sender), LONG_S)

    assert (outcome.verdict, outcome.retry_after_s) == (Verdict.RETRY, 7.0)
    assert "busy" in outcome.detail
    assert sender.send(batch_of(sender), LONG_S) == DELIVERED


def test_refusal_is_fatal(receiver: Any, sender: OtlpSender) -> None:
    """A request that will never be taken is not to be sent again."""
    receiver.refuse("no such tenant")
    outcome = sender.send(batch_of(sender), LONG_S)

    assert outcome.verdict is Verdict.FATAL
    assert "no such tenant" in outcome.detail
    assert len(receiver.received) == 1


def test_too_large_is_split(receiver: Any, sender: OtlpSender) -> None:
    """A batch that is too large arrives in halves, each span once."""
    batch = batch_of(sender, 5)
    receiver.too_large()
    assert sender.send(batch, LONG_S).verdict is Verdict.TOO_LARGE
    receiver.received.clear()

    pieces = sender.split(batch)
    assert [piece.span_count for piece in pieces] == [2, 3]
    assert [sender.send(piece, LONG_S) for piece in pieces] == [DELIVERED, DELIVERED]
    assert [span.name for span in receiver.spans] == [f"span {number}" for number in range(5)]


def test_a_single_span_is_not_split(sender: OtlpSender) -> None:
    """There is nothing smaller than a span."""
    batch = batch_of(sender, 1)

    assert sender.split(batch) == (batch,)


def test_batches_end_at_their_limit(receiver: Any) -> None:
    """Batches stay under the limit, as they are and in memory, and lose no span."""
    sender = receiver.sender(max_batch_bytes=2000)
    batches = list(sender.encode(spans_of(100, text="x" * 100)))
    for batch in batches:
        assert sender.send(batch, LONG_S) == DELIVERED
    sender.close()

    assert len(batches) > 1
    assert max(received.request.ByteSize() for received in receiver.received) <= 2000
    assert all(2000 < batch.byte_count + 500 < 2600 for batch in batches[:-1])
    assert [len(received.spans) for received in receiver.received] == [
        batch.span_count for batch in batches
    ]
    assert [span.name for span in receiver.spans] == [f"span {number}" for number in range(100)]


def test_a_span_larger_than_a_batch_is_sent_alone(receiver: Any) -> None:
    """One span over the limit does not drag others along."""
    sender = receiver.sender(max_batch_bytes=2000)
    spans = spans_of(3)
    spans[1].set_metadata("text", "x" * 5000)
    for batch in sender.encode(spans):
        assert sender.send(batch, LONG_S) == DELIVERED
    sender.close()

    assert [[span.name for span in received.spans] for received in receiver.received] == [
        ["span 0"],
        ["span 1"],
        ["span 2"],
    ]


def test_spans_of_other_libraries_ride_along(receiver: Any, sender: OtlpSender) -> None:
    """Spans of OpenTelemetry's SDK arrive in the same request, under their own resource."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "other"}))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    with provider.get_tracer("library").start_as_current_span("theirs"):
        pass
    provider.shutdown()
    (batch,) = sender.encode([*spans_of(1), *memory.get_finished_spans()])

    assert batch.span_count == 2
    assert sender.send(batch, LONG_S) == DELIVERED
    (received,) = receiver.received
    assert [span.name for span in received.spans] == ["span 0", "theirs"]
    theirs = received.request.resource_spans[1]
    assert theirs.resource.attributes[0].value.string_value == "other"
    assert theirs.scope_spans[0].scope.name == "library"


def test_a_span_that_cannot_be_encoded_costs_the_others_nothing(
    receiver: Any, sender: OtlpSender
) -> None:
    """It is a batch of its own whose sending is fatal, so that it is counted."""
    spans = spans_of(3)
    spans[1].ctx.trace_id = -1
    outcomes = {
        batch.span_count: sender.send(batch, LONG_S).verdict for batch in sender.encode(spans)
    }

    assert outcomes == {1: Verdict.FATAL, 2: Verdict.DELIVERED}
    assert [span.name for span in receiver.spans] == ["span 0", "span 2"]


def test_headers_and_identity(receiver: Any) -> None:
    """Given headers go along, their names in lower case; the agent is named."""
    sender = receiver.sender(headers={"X-Tenant": "blue"})
    assert sender.send(batch_of(sender), LONG_S) == DELIVERED
    sender.close()

    headers = receiver.received[0].headers
    assert headers["x-tenant"] == "blue"
    assert headers["user-agent"].startswith("OTel-OTLP-Exporter-Python/")


def test_environment(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an endpoint the sender is set up by OpenTelemetry's own variables."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{receiver.address}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abcdef,x-b=2")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    sender = receiver.sender(endpoint=None)
    assert sender.send(batch_of(sender), LONG_S) == DELIVERED
    sender.close()

    headers = receiver.received[0].headers
    assert headers["authorization"] == "Bearer abcdef"
    assert headers["x-b"] == "2"


def test_traces_endpoint_of_the_environment_wins(
    receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable for traces beats the one for all signals, and is used as it is."""
    path = "" if receiver.protocol == "grpc" else "/mine"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"http://{receiver.address}{path}")
    sender = receiver.sender(endpoint=None)
    assert sender.send(batch_of(sender), LONG_S) == DELIVERED
    sender.close()

    assert receiver.received[0].path == path


def test_timeout_of_the_environment(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """OTEL_EXPORTER_OTLP_TIMEOUT shortens an attempt."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    sender = receiver.sender()
    receiver.hang()
    started = time.monotonic()
    outcome = sender.send(batch_of(sender), LONG_S)
    sender.close()

    assert outcome.verdict is Verdict.RETRY
    assert time.monotonic() - started < LONG_S / 2


def test_ipv6(receiver_class: Any) -> None:
    """A receiver on the IPv6 loopback is reached by its bracketed address."""
    receiver = receiver_class("::1")
    sender = receiver.sender()
    try:
        assert receiver.address.startswith("[::1]:")
        assert sender.send(batch_of(sender), LONG_S) == DELIVERED
    finally:
        sender.close()
        receiver.stop()


def test_receiver_that_comes_late(receiver_class: Any) -> None:
    """Nobody there: to be tried again; once somebody is, an attempt succeeds within 2 s."""
    first = receiver_class()
    sender = first.sender()
    assert sender.send(batch_of(sender), LONG_S) == DELIVERED
    first.stop()
    down = [sender.send(batch_of(sender), LONG_S) for _ in range(5)]
    second = receiver_class(port=first.port)
    try:
        deadline = time.monotonic() + 2
        outcome = sender.send(batch_of(sender), 2)
        while outcome.verdict is Verdict.RETRY and time.monotonic() < deadline:
            outcome = sender.send(batch_of(sender), 2)
    finally:
        sender.close()
        second.stop()

    assert {outcome.verdict for outcome in down} == {Verdict.RETRY}
    assert "refused" in down[-1].detail
    assert outcome == DELIVERED


def test_spans_arrive_soon_after_a_long_outage(receiver_class: Any) -> None:
    """However long nobody was there: once somebody is, what waited arrives within 3 s."""
    first = receiver_class()
    processor = BridgeProcessor(first.sender(), schedule_delay_s=0, name="test")
    delivery = processor._worker.delivery
    try:
        processor.export(spans_of(1)[0])
        assert processor.force_flush(timeout_s=LONG_S)
        first.stop()
        delivery._retries = 20  # as after minutes
        processor.export(spans_of(1)[0])
        until(lambda: delivery._retries > 20)
        second = receiver_class(port=first.port)
        try:
            until(lambda: processor.stats().delivered == 2, timeout_s=3)
        finally:
            second.stop()
    finally:
        processor.shutdown(timeout_s=1)


def test_no_answer_in_time(receiver: Any, sender: OtlpSender) -> None:
    """A receiver that takes the request and is silent: to be tried again, at the timeout."""
    receiver.hang()
    started = time.monotonic()
    outcome = sender.send(batch_of(sender), 0.2)

    assert outcome.verdict is Verdict.RETRY
    assert 0.2 <= time.monotonic() - started < 5


def test_black_hole(black_hole: str, receiver_class: Any) -> None:
    """The same for something that accepts a connection and never speaks."""
    cls = OtlpGrpcSender if receiver_class.protocol == "grpc" else OtlpHttpSender
    sender = cls(endpoint=f"http://{black_hole}", resource=Resource({}))
    started = time.monotonic()
    outcomes = [sender.send(batch_of(sender), 0.2).verdict for _ in range(2)]
    sender.close()

    assert outcomes == [Verdict.RETRY, Verdict.RETRY]
    assert time.monotonic() - started < 10


def test_what_is_recorded_meanwhile_is_bounded_in_bytes(
    black_hole: str, receiver_class: Any
) -> None:
    """Large spans recorded while an attempt hangs are encoded, up to the bytes allowed."""
    cls = OtlpGrpcSender if receiver_class.protocol == "grpc" else OtlpHttpSender
    processor = BridgeProcessor(
        cls(endpoint=f"http://{black_hole}", resource=Resource({})),
        max_queue_bytes=1 << 20,
        max_batch_size=5,
        schedule_delay_s=0,
        name="test",
    )
    backlog, delivery = processor._backlog, processor._worker.delivery
    processor.export(spans_of(1)[0])
    until(lambda: delivery.sending)
    for _ in range(200):
        processor.export(spans_of(1, text="x" * 50_000)[0])
    until(lambda: backlog.bytes_full and len(backlog.inbox) <= 5)

    assert delivery.sending
    assert delivery._retries == 0
    assert 500_000 < backlog.ready_bytes <= 1 << 20
    stats = processor.stats()
    assert stats.dropped_queue_full == 201 - stats.queued > 150
    assert not processor.shutdown(timeout_s=0.1)


def test_interrupt(receiver: Any, sender: OtlpSender) -> None:
    """An attempt that is under way ends as soon as it is interrupted, and can be repeated."""
    receiver.hang()
    thread, outcomes = on_a_thread(lambda: sender.send(batch_of(sender), LONG_S))
    assert receiver.busy.wait(LONG_S)
    started = time.monotonic()
    sender.interrupt()
    thread.join(LONG_S)

    assert time.monotonic() - started < LONG_S / 4
    assert outcomes == [Outcome(Verdict.RETRY, detail=f"{sender.endpoint}: interrupted")]
    assert sender.send(batch_of(sender), LONG_S) == DELIVERED


def test_interrupt_while_a_call_is_being_made(
    grpc_receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt that comes before there is a call to cancel is not lost."""
    sender = grpc_receiver.sender()
    start = sender._exporter.start

    def interrupted_start(body: bytes, timeout_s: float) -> Any:
        sender.interrupt()
        return start(body, timeout_s)

    monkeypatch.setattr(sender._exporter, "start", interrupted_start)
    grpc_receiver.hang()
    outcome = sender.send(batch_of(sender), LONG_S)
    sender.close()

    assert outcome == Outcome(Verdict.RETRY, detail=f"{sender.endpoint}: interrupted")


def test_interrupt_without_an_attempt(receiver: Any, sender: OtlpSender) -> None:
    """Interrupting nothing does nothing, to later attempts neither."""
    sender.interrupt()

    assert sender.send(batch_of(sender), LONG_S) == DELIVERED


def test_no_time_left(receiver: Any, sender: OtlpSender) -> None:
    """Without time there is no attempt."""
    assert sender.send(batch_of(sender), 0).verdict is Verdict.RETRY
    assert receiver.received == []


def test_closed(receiver: Any, sender: OtlpSender) -> None:
    """A closed sender sends nothing; closing it twice is closing it once."""
    sender.close()
    sender.close()

    assert sender.send(batch_of(sender), LONG_S).verdict is Verdict.FATAL
    assert receiver.received == []


def test_interpreter_without_new_threads(
    receiver: Any, sender: OtlpSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interpreter that is exiting starts no threads; spans are delivered all the same."""
    assert sender.send(batch_of(sender), LONG_S) == DELIVERED
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if threading.current_thread() is not threading.main_thread():
            start(thread)  # the receiver's own
            return
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    outcomes = [sender.send(batch_of(sender), LONG_S) for _ in range(3)]
    monkeypatch.undo()

    assert outcomes == [DELIVERED] * 3
    assert len(receiver.received) == 4


def test_secrets_stay_out_of_sight(
    receiver: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver that repeats a header does not bring it into the log, nor does the sender."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "broken:hunter22")
    with pytest.raises(ValueError, match="OTEL_EXPORTER_OTLP_HEADERS is not") as caught:
        receiver.sender()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hunter22")
    sender = receiver.sender()
    receiver.refuse("bad token hunter22 in\n'Bearer hunter22'")
    outcome = sender.send(batch_of(sender), LONG_S)
    sender.close()

    assert outcome.verdict is Verdict.FATAL
    assert "bad token *** in '***'" in outcome.detail
    for text in (repr(sender), outcome.detail, caplog.text, str(caught.value)):
        assert "hunter22" not in text


@pytest.mark.parametrize(
    "headers",
    [{"authorization": "hunter22\r\nx: y"}, {"authorization": "hunter22é"}, {"": "hunter22"}],
)
def test_header_that_cannot_be_sent(receiver: Any, headers: dict[str, str]) -> None:
    """A bad header is an error when the sender is made; its value stays out of the text."""
    with pytest.raises(ValueError, match="header") as caught:
        receiver.sender(headers=headers)

    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize("endpoint", ["ftp://localhost:1", "http://", "http://host:99999"])
def test_endpoint_that_cannot_be_used(receiver: Any, endpoint: str) -> None:
    """A bad endpoint is an error when the sender is made."""
    with pytest.raises(ValueError, match="OTLP endpoint"):
        receiver.sender(endpoint=endpoint)


def test_name_that_does_not_resolve(receiver: Any) -> None:
    """A host that nobody knows may be known later: to be tried again, within the time given."""
    sender = receiver.sender(endpoint="http://nowhere.invalid:4317")
    started = time.monotonic()
    outcome = sender.send(batch_of(sender), 1)
    sender.close()

    assert outcome.verdict is Verdict.RETRY
    assert "nowhere.invalid:4317" in outcome.detail
    assert time.monotonic() - started < 5


def test_attempts_given_up_do_not_pile_up(http_receiver: Any) -> None:
    """While too many requests still hang, none is added."""
    sender = http_receiver.sender()
    slow = threading.Event()

    def drip(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not slow.wait(0.05):
            handler.wfile.write(b".")

    http_receiver.answers.extend([drip] * 10)
    try:
        outcomes = [sender.send(batch_of(sender), 0.3) for _ in range(6)]
        assert {outcome.verdict for outcome in outcomes} == {Verdict.RETRY}
        assert len(http_receiver.received) == 4
        assert "given up" in outcomes[-1].detail
    finally:
        slow.set()
        sender.close()


def test_byte_count_is_what_memory_holds(sender: OtlpSender) -> None:
    """A batch counts for at least the bytes it keeps."""
    batch = batch_of(sender, 10)
    assert isinstance(batch.payload, bytes)

    assert len(batch.payload) < batch.byte_count < len(batch.payload) + 100


def test_server_that_hangs_up(receiver_class: Any) -> None:
    """A connection that ends without an answer: to be tried again."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = "{}:{}".format(*listening.getsockname())
        cls = OtlpGrpcSender if receiver_class.protocol == "grpc" else OtlpHttpSender
        sender = cls(endpoint=f"http://{address}", resource=Resource({}))
        thread, outcomes = on_a_thread(lambda: sender.send(batch_of(sender), 5))
        listening.settimeout(LONG_S)
        connection, _ = listening.accept()
        connection.close()
        thread.join(LONG_S)
        sender.close()

    assert [outcome.verdict for outcome in outcomes] == [Verdict.RETRY]


def test_closing_http_ends_the_connection_that_came_after_a_broken_one() -> None:
    """At once, and not when garbage is collected, as the exception of the first might have it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        sender = OtlpHttpSender(resource=Resource.create(), endpoint=endpoint)
        batch = batch_of(sender)
        gc.disable()
        try:
            thread, outcomes = on_a_thread(lambda: sender.send(batch, LONG_S))
            server.accept()[0].close()
            thread.join(LONG_S)
            assert [outcome.verdict for outcome in outcomes] == [Verdict.RETRY]

            thread, outcomes = on_a_thread(lambda: sender.send(batch, LONG_S))
            connection, _ = server.accept()
            with connection:
                connection.settimeout(LONG_S)
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                thread.join(LONG_S)
                assert outcomes == [DELIVERED]
                sender.close()
                while connection.recv(65_536):  # the rest of the request, and then the end
                    pass
        finally:
            gc.enable()
