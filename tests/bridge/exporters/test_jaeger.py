"""JaegerSender: what arrives on a real socket, how it is packed, and what is told of losses."""

from __future__ import annotations

import errno
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext as OtelSpanContext

from iox_otel import Span, SpanContext
from iox_otel_bridge.exporters.jaeger import JaegerSender
from iox_otel_bridge.exporters.rate_limiter import RateLimiter
from iox_otel_bridge.exporters.udp import UdpConnection
from iox_otel_bridge.sender import Batch, Outcome, Pipeline, Stats, Verdict
from iox_otel_bridge.wire import jaeger as wire

RESOURCE = Resource({"service.name": "checkout", "env": "prod"})
START_NS = 1_700_000_000_000_000_000
FAST = 1_000_000
NO_STATS = Stats(0, 0, 0, 0, 0, 0)


def has_ipv6() -> bool:
    """Return whether this machine has an IPv6 loopback address."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")


class Agent:
    """A UDP port that decodes what it gets."""

    def __init__(
        self, family: int = socket.AF_INET, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.settimeout(10)
        self.socket.bind((host, port))
        self.port: int = self.socket.getsockname()[1]

    def receive(self) -> tuple[wire.Batch, int]:
        """Return the next batch, and the length of its datagram."""
        datagram = self.socket.recv(70_000)
        return wire.decode_batch(datagram), len(datagram)

    def batch(self) -> wire.Batch:
        return self.receive()[0]


@contextmanager
def running_agent(*arguments: Any) -> Iterator[Agent]:
    agent = Agent(*arguments)
    with agent.socket:
        yield agent


@pytest.fixture(name="agent")
def _agent() -> Iterator[Agent]:
    with running_agent() as agent:
        yield agent


@pytest.fixture(name="make_sender")
def _make_sender(agent: Agent) -> Iterator[Callable[..., JaegerSender]]:
    """Make senders to the agent that are closed in the end."""
    made: list[JaegerSender] = []

    def make_sender(**options: Any) -> JaegerSender:
        defaults = {
            "host": "127.0.0.1",
            "port": agent.port,
            "resource": RESOURCE,
            "max_msgs_per_second": FAST,
        }
        made.append(JaegerSender(**{**defaults, **options}))
        return made[-1]

    yield make_sender
    for sender in made:
        sender.close()


def native(number: int = 1, **metadata: object) -> Span:
    """Return a span of 2 ms whose span id is *number*."""
    ctx = SpanContext(trace_id=0xABC, span_id=number)
    span = Span("work", ctx, start_ns=START_NS, end_ns=START_NS + 2_000_000)
    for key, value in metadata.items():
        span.set_metadata(key, value)
    return span


def foreign(number: int, resource: Resource) -> ReadableSpan:
    """Return a span of another OpenTelemetry library."""
    context = OtelSpanContext(0xABC, number, is_remote=False)
    return ReadableSpan("theirs", context=context, resource=resource)


def send_all(sender: JaegerSender, spans: Sequence[Span | ReadableSpan]) -> list[Outcome]:
    return [sender.send(batch, 5.0) for batch in sender.encode(spans)]


def verdicts(outcomes: Sequence[Outcome]) -> set[Verdict]:
    return {outcome.verdict for outcome in outcomes}


def ids(batch: wire.Batch) -> list[int]:
    return [span.spanId for span in batch.spans]


def tags_of(struct: Any) -> dict[str, str]:
    """Return tags that are text, but for the random one of a process."""
    return {tag.key: tag.vStr for tag in struct.tags or () if tag.key != "client-uuid"}


def client_uuid_of(batch: Any) -> str:
    (found,) = [str(tag.vStr) for tag in batch.process.tags if tag.key == "client-uuid"]
    return found


# What arrives


def test_spans_arrive_with_process_seq_no_and_stats(
    agent: Agent, make_sender: Callable[..., JaegerSender]
) -> None:
    """Two calls are two datagrams, numbered from 0, each with the process."""
    sender = make_sender()
    first = send_all(sender, [native(1, rows=3), native(2)])
    second = send_all(sender, [native(3)])
    one, two = agent.batch(), agent.batch()

    assert first == second == [Outcome(Verdict.DELIVERED)]
    assert (one.process.serviceName, tags_of(one.process)) == ("checkout", {"env": "prod"})
    assert one.process == two.process
    assert (ids(one), ids(two)) == ([1, 2], [3])
    assert (one.seq_no, two.seq_no) == (0, 1)
    assert one.stats == two.stats == (0, 0, 0)
    span = one.spans[0]
    assert (span.operationName, span.traceIdLow, span.flags) == ("work", 0xABC, 1)
    # microseconds not nanoseconds
    assert (span.startTime, span.duration) == (START_NS // 1000, 2_000)
    assert (span.tags[0].key, span.tags[0].vLong) == ("rows", 3)


def test_a_sender_is_told_from_any_other(
    agent: Agent, make_sender: Callable[..., JaegerSender]
) -> None:
    """By its `client-uuid`, of every resource's process, unless the resource has one: an agent
    takes the numbers of two senders for one otherwise."""
    sender = make_sender()
    spans: list[Span | ReadableSpan] = [
        native(1),
        foreign(2, Resource({"service.name": "library"})),
    ]
    assert verdicts(send_all(sender, spans)) == {Verdict.DELIVERED}
    first, theirs = agent.batch(), agent.batch()
    send_all(make_sender(), [native(3)])
    given = Resource({"service.name": "checkout", "client-uuid": "mine"})
    send_all(make_sender(resource=given), [native(4)])

    assert re.fullmatch("[0-9a-f]{16}", client_uuid_of(first))
    assert client_uuid_of(theirs) == client_uuid_of(first)
    assert client_uuid_of(agent.batch()) != client_uuid_of(first)
    assert client_uuid_of(agent.batch()) == "mine"


@needs_ipv6
@pytest.mark.parametrize("host", ["::1", "::"])
def test_spans_arrive_over_ipv6(host: str) -> None:
    """At an agent that listens on IPv6 only."""
    with running_agent(socket.AF_INET6, "::1") as agent:
        sender = JaegerSender(host=host, port=agent.port, resource=RESOURCE)
        assert verdicts(send_all(sender, [native()])) == {Verdict.DELIVERED}
        sender.close()

        assert ids(agent.batch()) == [1]


def test_any_address_is_this_host(agent: Agent) -> None:
    """0.0.0.0, the default, reaches an agent on 127.0.0.1."""
    sender = JaegerSender(port=agent.port, resource=RESOURCE)
    assert verdicts(send_all(sender, [native()])) == {Verdict.DELIVERED}
    sender.close()

    assert ids(agent.batch()) == [1]


def test_nothing_makes_no_datagram(make_sender: Callable[..., JaegerSender]) -> None:
    """No spans, no batches."""
    assert list(make_sender().encode([])) == []


class Counting(Pipeline):
    """A processor of which only the counters matter."""

    def __init__(self, read: Callable[[], Stats]) -> None:
        self.read = read

    def stats(self) -> Stats:
        return self.read()

    def settle(self, delivered: int, failed: int) -> None:
        raise NotImplementedError

    def meanwhile(self) -> float:
        return 1.0


def test_stats_are_totals(agent: Agent, make_sender: Callable[..., JaegerSender]) -> None:
    """What the processor's queue dropped is read anew for each datagram."""
    sender = make_sender()
    dropped = 7
    sender.bind(Counting(lambda: NO_STATS._replace(dropped_queue_full=dropped)))
    send_all(sender, [native()])
    dropped = 12
    send_all(sender, [native()])

    assert [agent.batch().stats, agent.batch().stats] == [(7, 0, 0), (12, 0, 0)]


# Other resources


def test_a_span_with_a_resource_of_its_own_has_its_own_process(
    agent: Agent, make_sender: Callable[..., JaegerSender]
) -> None:
    """Spans are grouped by resource, whether it is one object or two equal ones."""
    theirs = {"service.name": "library", "host.name": "h"}
    spans: list[Span | ReadableSpan] = [
        native(1),
        foreign(2, Resource(theirs)),
        foreign(3, Resource({"service.name": "checkout", "env": "prod"})),  # equal to ours
        foreign(4, Resource(theirs)),
        native(5),
    ]
    assert verdicts(send_all(make_sender(), spans)) == {Verdict.DELIVERED}
    got = {batch.process.serviceName: batch for batch in (agent.batch(), agent.batch())}

    assert ids(got["checkout"]) == [1, 3, 5]
    assert ids(got["library"]) == [2, 4]
    assert tags_of(got["library"].process) == {"hostname": "h"}
    assert {batch.seq_no for batch in got.values()} == {0, 1}


def test_resources_without_end_are_not_kept(make_sender: Callable[..., JaegerSender]) -> None:
    """A library that makes a resource a span costs time, not memory."""
    sender = make_sender()
    kept = Resource({"service.name": "kept"})
    before = sys.getrefcount(kept)
    assert len(list(sender.encode([foreign(1, kept)]))) == 1
    assert sys.getrefcount(kept) > before
    for number in range(200):
        list(sender.encode([foreign(1, Resource({"service.name": f"s{number}"}))]))

    assert sys.getrefcount(kept) == before


# Packing


def test_datagrams_are_filled_to_the_limit(
    agent: Agent, make_sender: Callable[..., JaegerSender]
) -> None:
    """Many spans need few datagrams, none larger than the limit, none with room for one more."""
    spans = [native(number, text="x" * (number % 300)) for number in range(1, 2001)]
    sender = make_sender(max_packet_bytes=9_000)
    batches = list(sender.encode(spans))
    got: list[int] = []
    for position, batch in enumerate(batches, 1):
        assert sender.send(batch, 5.0).verdict is Verdict.DELIVERED
        received, length = agent.receive()
        got += ids(received)
        assert len(received.spans) == batch.span_count
        assert length <= 9_000
        if position < len(batches):
            following = len(wire.encode_span(spans[len(got)]))
            # up to 36 bytes are kept for numbers that may grow
            assert length + following > 9_000 - 40

    assert got == list(range(1, 2001))


def test_the_limit_holds_when_numbers_have_grown(
    agent: Agent, make_sender: Callable[..., JaegerSender]
) -> None:
    """A datagram packed while all counters are 0 still fits when they are huge."""
    sender = make_sender(max_packet_bytes=1_000)
    batches = list(sender.encode([native(number) for number in range(1, 200)]))
    sender.bind(Counting(lambda: NO_STATS._replace(dropped_queue_full=(1 << 63) - 1)))
    for batch in batches:
        assert sender.send(batch, 5.0).verdict is Verdict.DELIVERED
        assert agent.receive()[1] <= 1_000


def test_byte_count_is_what_a_batch_costs(make_sender: Callable[..., JaegerSender]) -> None:
    """Hardly more than the encoded spans themselves: 4 bytes a span, and the objects' heads."""
    spans = [native(number, text="x" * 50) for number in range(1, 501)]
    (batch,) = make_sender().encode(spans)
    encoded = sum(len(wire.encode_span(span)) for span in spans)

    assert encoded + 4 * 500 <= batch.byte_count <= encoded + 4 * 500 + 500


@pytest.mark.usefixtures("wide_limits")
def test_a_span_too_large_is_cut_down_and_marked(
    agent: Agent, make_sender: Callable[..., JaegerSender]
) -> None:
    """The others are whole; the order stays."""
    large = native(2, sql="x" * 100_000)
    for number in range(5_000):
        large.event(f"event {number}", detail="y" * 50)
    outcomes = send_all(make_sender(), [native(1), large, native(3)])
    received = [agent.receive() for _ in outcomes]
    spans = [span for batch, _ in received for span in batch.spans]

    assert verdicts(outcomes) == {Verdict.DELIVERED}
    assert [span.spanId for span in spans] == [1, 2, 3]
    assert all(length <= 65_000 for _, length in received)
    assert [wire.MARK in tags_of(span) for span in spans] == [False, True, False]
    assert tags_of(spans[1])[wire.MARK] == "events dropped: 4999, values shortened: 1"
    assert len(spans[1].logs) == 1
    assert spans[1].logs[0].fields[0].vStr == "event 4999"
    assert {batch.stats for batch, _ in received} == {(0, 0, 0)}


def test_a_process_too_large_is_cut_down(
    agent: Agent, make_sender: Callable[..., JaegerSender]
) -> None:
    """Ours, and one of a library, leave half of the datagram to spans."""
    huge = {"command": "x" * 100_000, **{f"tag {number}": "y" * 60 for number in range(500)}}
    ours = Resource({"service.name": "checkout", **huge})
    theirs = Resource({"service.name": "library", **huge})
    sender = make_sender(resource=ours, max_packet_bytes=4_000)
    assert verdicts(send_all(sender, [native(), foreign(2, theirs)])) == {Verdict.DELIVERED}
    received = [agent.receive() for _ in range(2)]

    assert {batch.process.serviceName for batch, _ in received} == {"checkout", "library"}
    assert all(length <= 2_200 for _, length in received)
    assert all(wire.MARK in tags_of(batch.process) for batch, _ in received)


def test_a_span_that_cannot_be_encoded_is_counted(
    agent: Agent, make_sender: Callable[..., JaegerSender]
) -> None:
    """It is a batch of its own that is refused for good; the spans around it arrive."""
    broken = ReadableSpan("no context", resource=RESOURCE)
    sender = make_sender()
    batches = list(sender.encode([native(1), broken, native(2)]))
    outcomes = [sender.send(batch, 5.0) for batch in batches]

    assert sum(batch.span_count for batch in batches) == 3
    fatal = [outcome for outcome in outcomes if outcome.verdict is Verdict.FATAL]
    assert len(fatal) == 1
    assert "without a context" in fatal[0].detail
    assert ids(agent.batch()) == [1, 2]
    send_all(sender, [native(3)])
    batch = agent.batch()
    assert (batch.seq_no, batch.stats) == (1, (0, 0, 1))


# Losses, and what is told of them


def test_a_port_that_nobody_listens_on_is_retried(
    make_sender: Callable[..., JaegerSender],
) -> None:
    """Over loopback a refusal is known at once; the same batch arrives when there is an agent."""
    with running_agent() as gone:
        port = gone.port
    sender = make_sender(port=port)
    (batch,) = sender.encode([native()])
    for _ in range(3):
        outcome = sender.send(batch, 5.0)
        assert outcome.verdict is Verdict.RETRY
        assert outcome.detail == f"jaeger at 127.0.0.1:{port}: Connection refused"
    with running_agent(socket.AF_INET, "127.0.0.1", port) as back:
        assert sender.send(batch, 5.0).verdict is Verdict.DELIVERED
        got = back.batch()
    assert ids(got) == [1]
    assert (got.seq_no, got.stats) == (0, (0, 0, 0))  # nothing was lost, so no gap


def test_a_name_that_cannot_be_looked_up_is_retried(
    make_sender: Callable[..., JaegerSender],
) -> None:
    """The resolver is asked again a second later; the spans are kept until then."""
    sender = make_sender(host="agent.invalid")
    (outcome,) = send_all(sender, [native()])

    assert (outcome.verdict, outcome.retry_after_s) == (Verdict.RETRY, 1.0)
    assert outcome.detail.startswith("jaeger at agent.invalid:")


def failing(agent: Agent, fails: Callable[[bytes], OSError | None]) -> UdpConnection:
    """Return a connection whose socket's send raises what *fails* returns, if it does."""

    class Failing(socket.socket):
        def send(self, data: Any, *flags: int) -> int:
            if (error := fails(data)) is not None:
                raise error
            return super().send(data, *flags)

    return UdpConnection("127.0.0.1", agent.port, make_socket=Failing)


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOBUFS])
def test_a_full_send_buffer_costs_the_datagram(
    number: int, agent: Agent, make_sender: Callable[..., JaegerSender]
) -> None:
    """It is counted, the sequence has a gap, and the next datagram tells of the loss."""
    errors: list[OSError] = [OSError(number, "full")]
    connection = failing(agent, lambda _data: errors.pop() if errors else None)
    sender = make_sender(connection=connection)
    (lost,) = send_all(sender, [native(1), native(2)])
    send_all(sender, [native(3)])
    batch = agent.batch()

    assert (lost.verdict, lost.rejected) == (Verdict.FATAL, 0)
    assert "full" in lost.detail
    assert (ids(batch), batch.seq_no, batch.stats) == ([3], 1, (0, 0, 2))


def deliver(sender: JaegerSender, batches: Sequence[Batch]) -> list[Outcome]:
    """Send *batches*, splitting what is too large as the worker does; return the last words."""
    outcomes: list[Outcome] = []
    waiting = list(batches)
    for _ in range(10_000):
        if not waiting:
            return outcomes
        batch = waiting.pop(0)
        outcome = sender.send(batch, 5.0)
        if outcome.verdict is Verdict.TOO_LARGE:
            pieces = sender.split(batch)
            assert len(pieces) > 1
            assert sum(piece.span_count for piece in pieces) == batch.span_count
            waiting[:0] = pieces
        else:
            outcomes.append(outcome)
    raise AssertionError("it never ends")


def test_what_the_system_finds_too_large_is_split(
    agent: Agent, make_sender: Callable[..., JaegerSender]
) -> None:
    """As where a datagram is 9,216 bytes at most: split, cut, and from then on packed smaller."""
    largest = 9_216
    too_long = OSError(errno.EMSGSIZE, "Message too long")
    connection = failing(agent, lambda data: too_long if len(data) > largest else None)
    sender = make_sender(connection=connection)
    spans = [native(number, text="x" * 40) for number in range(1, 501)]
    spans[250] = native(251, text="x" * 20_000)
    outcomes = deliver(sender, list(sender.encode(spans)))
    received = [agent.batch() for _ in outcomes]
    again = list(sender.encode(spans))

    assert verdicts(outcomes) == {Verdict.DELIVERED}
    assert [number for batch in received for number in ids(batch)] == list(range(1, 501))
    assert [batch.seq_no for batch in received] == list(range(len(received)))
    cut = [span for batch in received for span in batch.spans if wire.MARK in tags_of(span)]
    assert [span.spanId for span in cut] == [251]
    assert verdicts([sender.send(batch, 5.0) for batch in again]) == {Verdict.DELIVERED}


def test_a_process_is_cut_when_the_limit_turns_out_lower(
    agent: Agent, make_sender: Callable[..., JaegerSender]
) -> None:
    """One that took a large part of the larger datagram leaves room in the smaller."""
    too_long = OSError(errno.EMSGSIZE, "Message too long")
    connection = failing(agent, lambda data: too_long if len(data) > 9_216 else None)
    large = Resource({"service.name": "checkout", "command": "x" * 30_000})
    sender = make_sender(connection=connection, resource=large)
    for _ in range(2):
        theirs = foreign(3, Resource({"command": "y" * 30_000}))
        outcomes = deliver(sender, list(sender.encode([native(1), native(2), theirs])))
        received = [agent.batch() for _ in outcomes]

        assert verdicts(outcomes) == {Verdict.DELIVERED}
        assert sorted(number for batch in received for number in ids(batch)) == [1, 2, 3]


def test_what_the_system_never_takes_is_counted(
    agent: Agent, make_sender: Callable[..., JaegerSender]
) -> None:
    """When even the smallest datagram is too long the spans are lost, and the loss is told."""
    is_open = False
    too_long = OSError(errno.EMSGSIZE, "Message too long")
    connection = failing(agent, lambda _data: None if is_open else too_long)
    sender = make_sender(connection=connection)
    spans = [native(number) for number in range(1, 101)]
    outcomes = deliver(sender, list(sender.encode(spans)))
    is_open = True
    send_all(sender, [native()])

    assert verdicts(outcomes) == {Verdict.FATAL}
    assert agent.batch().stats == (0, 100, 0)


def test_split_leaves_what_no_datagram_carries(
    make_sender: Callable[..., JaegerSender],
) -> None:
    """There are no smaller pieces of a span that could not be encoded."""
    sender = make_sender()
    (batch,) = sender.encode([ReadableSpan("no context", resource=RESOURCE)])

    assert list(sender.split(batch)) == [batch]


def test_send_never_raises(make_sender: Callable[..., JaegerSender]) -> None:
    """Neither for a foreign batch, nor for counters that fail."""
    sender = make_sender()
    (batch,) = sender.encode([native()])

    def no_stats() -> Stats:
        raise RuntimeError("no counters")

    assert sender.send(Batch(b"spans", 1, 5), 1.0).verdict is Verdict.FATAL
    sender.bind(Counting(no_stats))
    assert sender.send(batch, 1.0).verdict is Verdict.FATAL


def test_sending_imports_nothing() -> None:
    """A worker thread must not import: whatever a span and a send can meet is loaded before."""
    code = """
import socket, sys
from opentelemetry.sdk.resources import Resource
from iox_otel import Span
from iox_otel_bridge.exporters.jaeger import JaegerSender
resource = Resource({"service.name": "s"})
span = Span.root("\\ud800", None)
span.metadata = {"a": [1, "\\ud800"], "b": float("nan"), "c": 1 << 70, "d": "x" * 70_000}
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent:
    agent.bind(("127.0.0.1", 0))
    port = agent.getsockname()[1]
senders = [JaegerSender(host=host, port=port, resource=resource)
           for host in ("127.0.0.1", "::1", "localhost", "\u00fc.invalid")]
before = set(sys.modules)
for sender in senders:
    (batch,) = sender.encode([span])
    print(sender.send(batch, 1.0).verdict.name, len(sender.split(batch)))
    sender.close()
print(set(sys.modules) - before)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60
    )

    assert done.stderr == ""
    assert done.stdout.splitlines() == ["RETRY 1"] * 4 + ["set()"]


# The rate limit


def test_a_datagram_that_cannot_go_in_time_is_retried(
    agent: Agent, make_sender: Callable[..., JaegerSender]
) -> None:
    """The answer says when; nothing is sent, lost or counted meanwhile."""
    now_ns = 0
    limiter = RateLimiter(1, clock_ns=lambda: now_ns)
    sender = make_sender(limiter=limiter)
    one, two = [next(sender.encode([native(number)])) for number in (1, 2)]
    assert sender.send(one, 0.5) == Outcome(Verdict.DELIVERED)
    now_ns = 250_000_000
    early = sender.send(two, 0.5)
    now_ns = 1_000_000_000

    assert (early.verdict, early.retry_after_s) == (Verdict.RETRY, 0.75)
    assert sender.send(two, 0.5) == Outcome(Verdict.DELIVERED)
    assert [agent.batch().seq_no, agent.batch().seq_no] == [0, 1]


def test_interrupt_ends_the_wait(make_sender: Callable[..., JaegerSender]) -> None:
    """A send that waits ten minutes for the rate limit returns when interrupted, as RETRY."""
    sender = make_sender(max_msgs_per_second=1 / 600)
    one, two = [next(sender.encode([native()])) for _ in range(2)]
    sender.send(one, 5.0)
    outcomes: list[Outcome] = []
    sending = threading.Thread(target=lambda: outcomes.append(sender.send(two, 600.0)), daemon=True)
    sending.start()
    sender.interrupt()
    sending.join(10)

    assert not sending.is_alive()
    assert outcomes[0].verdict is Verdict.RETRY


# Arguments


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"host": ""}, "host must be"),
        ({"host": "a\0b"}, "host must be"),
        ({"port": 0}, "port must be from 1 to 65535, got 0"),
        ({"port": 65_536}, "port must be from 1 to 65535, got 65536"),
        ({"max_packet_bytes": 511}, "max_packet_bytes must be from 512 to 65507, got 511"),
        ({"max_packet_bytes": 65_508}, "max_packet_bytes must be from 512 to 65507, got 65508"),
        ({"max_msgs_per_second": 0}, "max_per_second must be more than 0"),
    ],
)
def test_arguments_out_of_range(options: dict[str, Any], message: str) -> None:
    """Each is named with its value and its range."""
    with pytest.raises(ValueError, match=message):
        JaegerSender(**{"resource": RESOURCE, **options})


@pytest.mark.parametrize("max_packet_bytes", [512, 65_507])
def test_the_ends_of_the_range_work(
    max_packet_bytes: int, agent: Agent, make_sender: Callable[..., JaegerSender]
) -> None:
    """In the smallest datagram there is room for a span with everything too long."""
    resource = Resource({"service.name": "s" * 1_000, "a": "b" * 100_000})
    sender = make_sender(max_packet_bytes=max_packet_bytes, resource=resource)
    span = native(7, text="x" * 100_000)
    span.name = "n" * 100_000
    span.error("e" * 100_000)
    assert verdicts(send_all(sender, [span])) == {Verdict.DELIVERED}
    batch, length = agent.receive()

    assert length <= max_packet_bytes
    assert ids(batch) == [7]
    assert wire.MARK in tags_of(batch.spans[0])


# Any spans


texts = st.text(st.characters(), max_size=300)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.tuples(texts, st.dictionaries(texts, texts | st.integers(), max_size=3))),
    st.integers(512, 3_000),
)
def test_every_span_is_in_exactly_one_datagram(
    agent: Agent, contents: list[tuple[str, dict[str, Any]]], max_packet_bytes: int
) -> None:
    """Whatever is in them and whatever the limit: all arrive, in order, in datagrams that fit."""
    spans = []
    for number, (name, metadata) in enumerate(contents, 1):
        span = native(number)
        span.name = name
        span.metadata = dict(metadata)
        span.event(name, about=metadata)
        spans.append(span)
    sender = JaegerSender(
        host="127.0.0.1",
        port=agent.port,
        resource=RESOURCE,
        max_packet_bytes=max_packet_bytes,
        max_msgs_per_second=FAST,
    )
    got: list[int] = []
    for batch in sender.encode(spans):
        assert sender.send(batch, 5.0).verdict is Verdict.DELIVERED
        received, length = agent.receive()
        assert length <= max_packet_bytes
        got += ids(received)
    sender.close()

    assert got == list(range(1, len(spans) + 1))
