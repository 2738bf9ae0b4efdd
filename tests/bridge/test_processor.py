"""BridgeProcessor: both kinds of span, whatever the exporter, from anywhere, and in children."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

from iox_otel import Span, SpanContext, SpanRecorder, TraceCollector
from iox_otel_bridge import BridgedSpan, BridgeProcessor, Stats
from iox_otel_bridge.sender import AnySpan, Batch, Outcome, Sender, Verdict


class Counting(Sender):
    """Delivers everything, and knows what."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.process = os.getpid()

    def encode(self, spans: Sequence[AnySpan]) -> Iterable[Batch]:
        return [Batch([span.name for span in spans], len(spans), len(spans))]

    def send(self, batch: Batch, timeout_s: float) -> Outcome:
        assert isinstance(batch.payload, list)
        self.names += batch.payload
        return Outcome(Verdict.DELIVERED)


def finish(processor: BridgeProcessor) -> None:
    processor.shutdown(timeout_s=5)
    stats = processor.stats()
    assert stats.recorded == sum(stats[1:])
    assert stats.queued == 0


# What it takes


def test_it_is_a_trace_collector() -> None:
    """A native span recorded under it arrives as a ReadableSpan with the processor's resource."""
    exporter = InMemorySpanExporter()
    resource = Resource({"service.name": "checkout"})
    processor = BridgeProcessor(exporter, resource=resource)
    collector: TraceCollector = processor
    with SpanContext.new(collector).recorder("foo") as recorder:
        recorder.set_metadata("rows", 3)

    assert processor.force_flush(timeout_s=5)
    (span,) = exporter.get_finished_spans()
    assert isinstance(span, BridgedSpan)
    assert (span.name, dict(span.attributes or {})) == ("foo", {"rows": 3})
    assert span.resource is resource
    finish(processor)


def test_without_a_resource_it_is_opentelemetrys() -> None:
    """By default native spans come from where OpenTelemetry's own do."""
    exporter = InMemorySpanExporter()
    processor = BridgeProcessor(exporter)
    processor.export(Span.root("foo", None))
    assert processor.force_flush(timeout_s=5)

    assert (
        exporter.get_finished_spans()[0].resource.attributes["telemetry.sdk.language"] == "python"
    )
    finish(processor)


def test_opentelemetry_spans_join_the_trace_of_native_ones() -> None:
    """Spans of a TracerProvider go the same way, under the native parent, in the order recorded."""
    exporter = InMemorySpanExporter()
    processor = BridgeProcessor(exporter)
    provider = TracerProvider(sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("library")
    native = SpanContext.new(processor)
    parent = trace.SpanContext(
        native.trace_id, native.span_id, is_remote=False, trace_flags=trace.TraceFlags(1)
    )
    with (
        SpanRecorder(Span("outer", native)),
        tracer.start_as_current_span(
            "inner", context=trace.set_span_in_context(trace.NonRecordingSpan(parent))
        ),
    ):
        pass

    assert provider.force_flush(5000)
    inner, outer = exporter.get_finished_spans()
    assert (inner.name, outer.name) == ("inner", "outer")
    assert inner.parent is not None
    assert inner.context is not None and outer.context is not None
    assert inner.parent.span_id == outer.context.span_id
    assert inner.context.trace_id == outer.context.trace_id
    provider.shutdown()
    finish(processor)
    assert processor.stats() == Stats(2, 2, 0, 0, 0, 0)


def test_unsampled_opentelemetry_spans_are_not_recorded() -> None:
    """on_end leaves out what is only recorded, not sampled."""
    processor = BridgeProcessor(InMemorySpanExporter())
    unsampled = trace.SpanContext(1, 2, is_remote=False, trace_flags=trace.TraceFlags(0))
    processor.on_end(ReadableSpan("unsampled", context=unsampled))
    processor.on_end(ReadableSpan("nowhere"))

    assert processor.stats().recorded == 0
    finish(processor)


# What it sends to


def test_an_exporters_failure_is_counted() -> None:
    """FAILURE, or an exception, costs the batch, after one try."""

    class Failing(InMemorySpanExporter):
        tries = 0

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            self.tries += 1
            if self.tries == 1:
                raise RuntimeError("broken")
            if self.tries == 2:
                return SpanExportResult.FAILURE
            return super().export(spans)

    exporter = Failing()
    processor = BridgeProcessor(exporter)
    answers = []
    for name in ("raises", "fails", "works"):
        processor.export(Span.root(name, None))
        answers.append(processor.force_flush(timeout_s=5))

    assert answers == [False, False, True]
    assert [span.name for span in exporter.get_finished_spans()] == ["works"]
    assert processor.stats() == Stats(3, 1, 0, 2, 0, 0)
    finish(processor)


def test_an_exporter_is_flushed_and_shut_down_in_this_order() -> None:
    """force_flush reaches the exporter with the time left; shutdown flushes and then shuts down."""
    calls: list[str] = []

    class Noting(InMemorySpanExporter):
        def force_flush(self, timeout_millis: int = 30000) -> bool:
            calls.append(f"flush within {timeout_millis > 4000}")
            return False

        def shutdown(self) -> None:
            calls.append("shutdown")

    processor = BridgeProcessor(Noting())
    processor.export(Span.root("span", None))
    assert not processor.force_flush(timeout_s=5)  # as the exporter says
    assert not processor.shutdown(timeout_s=5)

    assert calls == ["flush within True", "flush within True", "shutdown"]


@pytest.mark.parametrize("factory", [InMemorySpanExporter, Counting, lambda: Counting()])
def test_a_factory_is_called_at_once(factory: Callable[[], SpanExporter | Sender]) -> None:
    """A class or a function makes the exporter when the processor is made."""
    made: list[object] = []

    def counted() -> SpanExporter | Sender:
        made.append(factory())
        return made[-1]  # type: ignore[return-value]

    processor = BridgeProcessor(counted)
    assert len(made) == 1
    processor.export(Span.root("span", None))
    assert processor.force_flush(timeout_s=5)
    assert len(made) == 1
    finish(processor)
    finish(BridgeProcessor(factory))


def test_what_a_factory_raises_is_seen_early() -> None:
    """A bad configuration shows when the processor is made."""

    def bad() -> Sender:
        raise ValueError("no such host")

    with pytest.raises(ValueError, match="no such host"):
        BridgeProcessor(bad)


@pytest.mark.parametrize("exporter", [None, "otlp", object()])
def test_what_is_no_exporter_is_refused(exporter: object) -> None:
    """Neither exporter, nor sender, nor factory."""
    with pytest.raises(TypeError, match="SpanExporter"):
        BridgeProcessor(exporter)  # type: ignore[arg-type]


def test_a_factory_that_makes_no_exporter_is_refused() -> None:
    """The product is checked as well."""
    with pytest.raises(TypeError, match="it made 3"):
        BridgeProcessor(lambda: 3)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    "option",
    [
        {"max_queue_size": 0},
        {"max_queue_bytes": 0},
        {"max_batch_size": 0},
        {"schedule_delay_s": -1},
        {"exit_quiet_s": -0.1},
        {"exit_timeout_s": float("nan")},
    ],
    ids=lambda option: next(iter(option)),
)
def test_numbers_out_of_range_are_refused(option: dict[str, float]) -> None:
    """The message names the parameter and the value."""
    ((name, value),) = option.items()
    with pytest.raises(ValueError, match=f"{name} must be at least .*, got {value}"):
        BridgeProcessor(InMemorySpanExporter(), **option)  # type: ignore[arg-type]


def test_timeouts_are_milliseconds_by_position_and_seconds_by_name() -> None:
    """The SDK passes positional milliseconds; endless and negative times are no error."""
    processor = BridgeProcessor(Counting(), schedule_delay_s=60)
    processor.export(Span.root("span", None))
    assert processor.force_flush(5000)
    processor.export(Span.root("span", None))
    assert processor.force_flush(timeout_s=float("inf"))
    assert processor.force_flush(None)
    processor.export(Span.root("span", None))
    for no_time in (-1.0, 0.0, float("nan")):
        assert not processor.force_flush(timeout_s=no_time)
    finish(processor)


# Where it may be called


def test_eight_threads_are_counted_exactly() -> None:
    """Nothing is lost or counted twice between threads."""
    sender = Counting()
    processor = BridgeProcessor(sender, max_batch_size=64)
    span = Span.root("span", None)

    def storm() -> None:
        for _ in range(10_000):
            processor.export(span)

    threads = [threading.Thread(target=storm) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert processor.stats().recorded == 80_000
    assert processor.force_flush(timeout_s=20)
    assert processor.stats() == Stats(80_000, 80_000, 0, 0, 0, 0)
    assert len(sender.names) == 80_000
    finish(processor)


@pytest.mark.parametrize("max_queue_size", [100_000, 50], ids=["roomy", "full"])
def test_signal_handlers_and_finalizers_record_in_the_middle_of_recording(
    max_queue_size: int,
) -> None:
    """A handler or `__del__` that records while its thread records neither deadlocks nor loses."""
    processor = BridgeProcessor(Counting(), max_queue_size=max_queue_size, max_batch_size=8)
    signals = finalized = 0

    def on_alarm(signum: int, frame: object) -> None:
        nonlocal signals
        signals += 1
        processor.export(Span.root("signal", None))
        processor.begin_flush()

    class Cyclic:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            nonlocal finalized
            finalized += 1
            processor.export(Span.root("finalizer", None))

    previous = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    recorded = 0
    try:
        while signals < 500 or recorded < 20_000:
            processor.export(Span.root("plain", None))
            Cyclic()
            recorded += 1
            if recorded % 500 == 0:
                processor.stats()
                gc.collect(0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    gc.collect()

    processor.force_flush(timeout_s=10)
    stats = processor.stats()
    assert stats.recorded == recorded + signals + finalized
    assert stats == Stats(stats.recorded, stats.delivered, stats.dropped_queue_full, 0, 0, 0)
    if max_queue_size > 50:
        assert stats.dropped_queue_full == 0
    finish(processor)


def test_an_exception_out_of_a_signal_handler_leaves_the_counters_exact() -> None:
    """A handler that raises may strike anywhere in `export`; the sum still holds afterwards."""
    processor = BridgeProcessor(Counting(), max_queue_size=20, max_batch_size=4)

    class Struck(Exception):
        pass

    def on_alarm(signum: int, frame: object) -> None:
        raise Struck

    previous = signal.signal(signal.SIGALRM, on_alarm)
    span, struck = Span.root("span", None), 0
    try:
        while struck < 300:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0003)
                while True:
                    processor.export(span)
            except Struck:
                struck += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)

    processor.force_flush(timeout_s=10)
    stats = processor.stats()
    assert stats.queued == 0
    assert stats.recorded == stats.delivered + stats.dropped_queue_full
    processor.export(span)
    processor.force_flush(timeout_s=10)
    assert processor.stats().delivered == stats.delivered + 1
    finish(processor)


# Forks


def in_child(act: Callable[[], bool]) -> None:
    """Fork, do *act* in the child, and assert that it returned True."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = 0 if act() else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


pytestmark = pytest.mark.filterwarnings(
    "ignore:.*multi-threaded, use of fork:DeprecationWarning"  # Python 3.12: the point of the test
)


class Blocked(Counting):
    """Stays in its first send until the gate opens, in the process that made it."""

    gate = threading.Event()

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()

    def send(self, batch: Batch, timeout_s: float) -> Outcome:
        self.entered.set()
        self.gate.wait(timeout_s)
        return super().send(batch, timeout_s)


def test_a_child_begins_afresh_while_the_parent_sends() -> None:
    """Empty queue, zero counters, own sender and worker; the parent's delivery goes on."""
    made: list[Blocked] = []

    def factory() -> Sender:
        made.append(Blocked())
        return made[-1]

    Blocked.gate.clear()
    processor = BridgeProcessor(factory, max_batch_size=2)
    for name in ("a", "b", "c"):
        processor.export(Span.root(name, None))
    assert made[0].entered.wait(5)

    def act() -> bool:
        Blocked.gate.set()
        empty = processor.stats() == Stats(0, 0, 0, 0, 0, 0)
        processor.export(Span.root("child", None))
        flushed = processor.force_flush(timeout_s=5)
        own = len(made) == 2 and made[1].process == os.getpid() and made[1].names == ["child"]
        counted = processor.stats() == Stats(1, 1, 0, 0, 0, 0)
        return empty and flushed and own and counted and processor.shutdown(timeout_s=5)

    in_child(act)
    assert processor.stats().queued == 3
    Blocked.gate.set()
    assert processor.force_flush(timeout_s=5)
    assert made[0].names == ["a", "b", "c"]
    assert len(made) == 1
    finish(processor)


def test_a_child_of_a_child_begins_afresh() -> None:
    """Fork again, from a child that has or has not recorded."""
    processor = BridgeProcessor(Counting, schedule_delay_s=0.01)

    def deliver_one() -> bool:
        processor.export(Span.root("span", None))
        flushed = processor.force_flush(timeout_s=5)
        return flushed and processor.stats() == Stats(1, 1, 0, 0, 0, 0)

    def silent_child() -> bool:
        in_child(deliver_one)
        return processor.stats().recorded == 0

    def busy_child() -> bool:
        deliver_one()
        in_child(deliver_one)
        return processor.stats().recorded == 1

    in_child(silent_child)
    in_child(busy_child)
    finish(processor)


def test_a_ready_made_exporter_is_used_on_in_the_child() -> None:
    """Without a factory the child has nothing else; it starts with an empty queue all the same."""
    exporter = InMemorySpanExporter()
    processor = BridgeProcessor(exporter, schedule_delay_s=60)
    processor.export(Span.root("parent", None))

    def act() -> bool:
        processor.export(Span.root("child", None))
        flushed = processor.force_flush(timeout_s=5)
        return flushed and [span.name for span in exporter.get_finished_spans()] == ["child"]

    in_child(act)
    finish(processor)
    assert [span.name for span in exporter.get_finished_spans()] == ["parent"]


@pytest.mark.parametrize("busy", [True, False], ids=["busy", "idle"])
def test_a_child_closes_nothing_of_its_parents(busy: bool) -> None:
    """Neither the fork nor the child's shutdown touches the sender that the parent still uses."""
    closed: list[int] = []

    class Closing(Counting):
        def close(self) -> None:
            closed.append(self.process)

        def __del__(self) -> None:
            if self.process != os.getpid():
                closed.append(self.process)

    processor = BridgeProcessor(Closing)
    if busy:
        processor.export(Span.root("parent", None))
        assert processor.force_flush(timeout_s=5)

    def act() -> bool:
        processor.export(Span.root("child", None))
        processor.shutdown(timeout_s=5)
        gc.collect()
        return closed == [os.getpid()]

    in_child(act)
    finish(processor)
    assert closed == [os.getpid()]


def test_a_processor_that_is_shut_down_stays_so_in_a_child() -> None:
    """What the child records is counted as dropped by the shutdown."""
    processor = BridgeProcessor(Counting)
    processor.shutdown(timeout_s=5)

    def act() -> bool:
        processor.export(Span.root("child", None))
        return processor.stats() == Stats(1, 0, 0, 0, 1, 0)

    in_child(act)


FORKING = """
import os
import signal
from iox_otel import Span
from iox_otel_bridge import BridgeProcessor
from iox_otel_bridge.sender import Batch, Outcome, Sender, Verdict

signal.alarm(20)
read_end, write_end = os.pipe()

class Forking(Sender):
    def encode(self, spans):
        return [Batch(spans, len(spans), len(spans))]

    def send(self, batch, timeout_s):
        if os.fork() == 0:
            pid = os.fork()  # so that this child's end waits for nobody
            if pid:
                os._exit(0)
            signal.alarm(20)  # later than the parent: its end does not look like a good one
            return Outcome(Verdict.DELIVERED)
        os.wait()
        os.write(write_end, b"x" * batch.span_count)
        return Outcome(Verdict.DELIVERED)

processor = BridgeProcessor(Forking, max_batch_size=1)
for name in ("a", "b"):
    processor.export(Span.root(name, None))
assert processor.force_flush(timeout_s=10)
processor.shutdown(timeout_s=5)
stats = processor.stats()
assert (stats.recorded, stats.delivered, stats.queued) == (2, 2, 0), stats
os.close(write_end)
sent = b""
while chunk := os.read(read_end, 100):  # ends when no child lives any more
    sent += chunk
assert sent == b"xx", sent
"""


def test_an_exporter_that_forks_does_not_send_twice() -> None:
    """The worker's own loop ends in the child: what the parent queued is the parent's.

    In a process of its own: where gRPC has been used, it keeps threads in every child alive.
    """
    subprocess.run([sys.executable, "-W", "error", "-c", FORKING], check=True)


def test_the_current_context_is_left_alone() -> None:
    """Draining on a caller's thread detaches what it attached."""
    before = otel_context.get_current()
    processor = BridgeProcessor(Counting)
    processor.shutdown(timeout_s=5)
    assert otel_context.get_current() == before
