"""What the documentation promises of a pipeline that nobody has tuned."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Sequence

import pytest
from opentelemetry.sdk.resources import Resource

from iox_otel import Span
from iox_otel_bridge import BridgeProcessor, TracingConfig
from iox_otel_bridge.backlog import Backlog
from iox_otel_bridge.delivery import Delivery
from iox_otel_bridge.exporters.otlp_grpc import OtlpGrpcSender
from iox_otel_bridge.exporters.otlp_http import OtlpHttpSender
from iox_otel_bridge.notices import Notices
from iox_otel_bridge.sender import AnySpan, Batch, Outcome, Sender, Verdict

MIB = 1 << 20


class Busy(Sender):
    """Asks to be left alone for *retry_after_s*; each span is a batch of *span_bytes*."""

    def __init__(self, span_bytes: int = 0, retry_after_s: float = 60) -> None:
        self.timeouts_s: list[float] = []
        self._span_bytes = span_bytes
        self._outcome = Outcome(Verdict.RETRY, retry_after_s=retry_after_s)

    def encode(self, spans: Sequence[AnySpan]) -> Sequence[Batch]:
        return [Batch(None, 1, self._span_bytes) for _ in spans]

    def send(self, batch: Batch, timeout_s: float) -> Outcome:
        self.timeouts_s.append(timeout_s)
        return self._outcome


def until(condition: Callable[[], bool]) -> None:
    """Wait until *condition* holds."""
    deadline_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


@pytest.mark.parametrize(("span_bytes", "fitting"), [(0, 100_000), (MIB, 128)])
def test_the_queue_holds_100000_spans_and_128_mib(span_bytes: int, fitting: int) -> None:
    """So much waits for a receiver that is away; what exceeds it is dropped and counted."""
    processor = BridgeProcessor(Busy(span_bytes))
    span = Span.root("work", None)

    for _ in range(fitting + 3):
        processor.export(span)
    processor.begin_flush()
    until(lambda: _dropped_and_queued(processor) == (3, fitting))
    processor.shutdown(timeout_s=0)


def _dropped_and_queued(processor: BridgeProcessor) -> tuple[int, int]:
    stats = processor.stats()
    return stats.dropped_queue_full, stats.queued


def test_settings_leave_the_queue_so_large() -> None:
    """What the settings say by default is what the processor does by itself."""
    config = TracingConfig()

    assert (config.queue_size, config.queue_bytes) == (100_000, 128 * MIB)


def test_an_exit_waits_for_800_ms_without_progress_and_5_s_in_all() -> None:
    """The deadlines of a pipeline that a configuration builds."""
    with TracingConfig(exporter="jaeger").build() as tracing:
        assert isinstance(tracing.collector, BridgeProcessor)
        ending = tracing.collector.ending

    assert (ending.exit_quiet_s, ending.exit_timeout_s) == (0.7, 5.0)


def test_a_span_waits_for_200_ms() -> None:
    """How long the batch may take to fill, which is what SIGKILL may cost."""
    parameters = inspect.signature(BridgeProcessor).parameters

    assert parameters["schedule_delay_s"].default == 0.2


@pytest.mark.parametrize("sender_class", [OtlpGrpcSender, OtlpHttpSender])
def test_otlp_batches_end_at_2_mib(
    sender_class: type[OtlpGrpcSender] | type[OtlpHttpSender],
) -> None:
    """Batches are nearly that large, and never larger."""
    spans = []
    for _ in range(50):
        span = Span.root("work", None)
        span.metadata["text"] = "x" * 100_000
        spans.append(span)
    sender = sender_class(resource=Resource({}), endpoint="http://127.0.0.1:1")

    *full, _ = [len(batch.payload) for batch in sender.encode(spans)]  # type: ignore[arg-type]

    sender.close()
    assert len(full) == 2
    assert all(1.8 * MIB < size <= 2 * MIB for size in full)


def attempted(sender: Busy) -> Delivery:
    """Return a delivery that has tried once, with all the time there is."""
    backlog = Backlog(10, 10)
    delivery = Delivery(lambda: sender, backlog, Notices("busy"), sender)
    backlog.inbox.append(Span.root("work", None))
    delivery.encode_next()
    delivery.send_next(math.inf)
    return delivery


def test_an_attempt_has_10_s() -> None:
    """No call of a sender may take longer."""
    sender = Busy()
    attempted(sender)

    assert sender.timeouts_s == [10.0]


def test_a_receiver_is_left_alone_for_300_s_at_most() -> None:
    """Whatever it asks for."""
    assert 200 < attempted(Busy(retry_after_s=1e6)).retry_in_s() <= 300
