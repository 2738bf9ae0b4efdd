"""Faults behind OTLP: what was acknowledged arrives, and what is lost is counted.

A Collector that is killed after it took spans, and before it said so, is sent them again, and so is
one whose exporters do not all take them: what stands behind a Collector gets spans at least once.
So these tests compare which spans arrived, and only print how many came more than once.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from peerkit.collector import Collector
from peerkit.flow import Flow, missing, repeated
from peerkit.jaeger import Jaeger
from peerkit.process import free_port, wait_for
from peerkit.unavailable import Unavailable

TO_JAEGER = ("otlp_grpc/jaeger", "file")
OUTAGE_S = 10.0
RECORDING_S = 1.0
"""Far less than an outage: recording that waits for the Collector takes longer."""


def otlp(endpoint: str, protocol: str = "grpc") -> dict[str, str]:
    """Return what makes an application send to the OTLP receiver at *endpoint*."""
    return {
        "TRACES_EXPORTER": "otlp",
        "TRACES_EXPORTER_OTLP_ENDPOINT": endpoint,
        "TRACES_EXPORTER_OTLP_PROTOCOL": protocol,
    }


@pytest.fixture
def collector(tmp_path: Path, jaeger: Jaeger) -> Iterator[Collector]:
    """A Collector as shipped, for one test, that sends to Jaeger and a file."""
    with Collector(tmp_path, exporters=TO_JAEGER, JAEGER_OTLP_ENDPOINT=jaeger.otlp_grpc) as running:
        yield running


def wait_until_sent(collector: Collector, timeout_s: float = 30) -> None:
    """Wait until the Collector has nothing left for Jaeger."""

    def empty() -> bool | None:
        queued = collector.metric("otelcol_exporter_queue_size", exporter="otlp_grpc/jaeger")
        return queued == 0 or None

    wait_for("empty queue", empty, timeout_s)


def found(flow: Flow, collector: Collector, jaeger: Jaeger) -> dict[str, Counter[int]]:
    """Return what of *flow* is where, once the Collector has sent all it has."""
    wait_until_sent(collector)
    return {"Jaeger": flow.in_jaeger(jaeger), "the file": flow.in_file(collector)}


def shown(arrived: dict[str, Counter[int]]) -> str:
    """Say how many spans are where, and how many times one was there already."""
    return ", ".join(
        f"{len(numbers)} in {where} ({repeated(numbers)} repeats)"
        for where, numbers in arrived.items()
    )


@pytest.mark.parametrize(
    ("protocol", "end"), [("grpc", "kill"), ("http/protobuf", "kill"), ("grpc", "stop")]
)
def test_a_collector_that_ends_under_load_loses_nothing(
    protocol: str,
    end: str,
    collector: Collector,
    jaeger: Jaeger,
    tmp_path: Path,
    compared: list[str],
) -> None:
    """Killed or stopped at random moments while 20,000 spans flow, it loses none of them."""
    count, ends = 20_000, 3
    endpoint = collector.otlp_grpc if protocol == "grpc" else collector.otlp_http
    sending = otlp(endpoint, protocol)
    with Flow(tmp_path, count=count, per_second=4_000, environment=sending) as flow:
        for nth in range(1, ends + 1):
            at = count // (ends + 1) * nth + random.randrange(1_000)
            flow.wait_until_delivered(at)
            getattr(collector, end)()
            collector.start()
        stats = flow.wait_for_end().stats
    assert (stats.recorded, stats.delivered) == (count, count)
    arrived = found(flow, collector, jaeger)
    assert [missing(numbers, range(count)) for numbers in arrived.values()] == [[], []]
    how = {"kill": "SIGKILL", "stop": "SIGTERM"}[end]
    compared.append(f"Collector, {ends} times {how}, {count} spans by {protocol}: {shown(arrived)}")


def test_a_collector_killed_at_its_answer_has_kept_the_spans(
    collector: Collector, jaeger: Jaeger, tmp_path: Path, compared: list[str]
) -> None:
    """Few spans, which fill no buffer and no batch, are on disk once they are acknowledged."""
    rounds = 4
    for each in range(rounds):
        sending = otlp(collector.otlp_grpc)
        with Flow(tmp_path, count=each + 1, per_second=1_000, environment=sending) as flow:
            flow.wait_until("answer", lambda told: told.stats.delivered == told.stats.recorded > 0)
            collector.kill()
            collector.start()
            stats = flow.wait_for_end().stats
        assert stats.delivered == stats.recorded == each + 1
        arrived = found(flow, collector, jaeger)
        assert [missing(numbers, range(each + 1)) for numbers in arrived.values()] == [[], []]
    compared.append(f"Collector, {rounds} times SIGKILL right after its answer: nothing lost")


def test_what_is_sent_while_jaeger_is_down_arrives(tmp_path: Path, compared: list[str]) -> None:
    """The Collector keeps for Jaeger what it takes while Jaeger is down for 10 s.

    What it had before died with Jaeger's memory.
    """
    count = 6_000
    with (
        Jaeger(tmp_path) as jaeger,
        Collector(
            tmp_path, exporters=TO_JAEGER, JAEGER_OTLP_ENDPOINT=jaeger.otlp_grpc
        ) as collector,
        Flow(tmp_path, count=count, per_second=500, environment=otlp(collector.otlp_grpc)) as flow,
    ):
        flow.wait_until_delivered(500)
        jaeger.kill()
        killed = flow.next_told().stats
        time.sleep(OUTAGE_S)
        before = flow.next_told().stats
        jaeger.start()
        stats = flow.wait_for_end().stats
        arrived = found(flow, collector, jaeger)
    assert stats.delivered == count
    assert before.delivered > killed.recorded  # the Collector went on taking spans
    assert missing(arrived["Jaeger"], range(killed.recorded, count)) == []
    assert missing(arrived["the file"], range(count)) == []
    compared.append(
        f"Jaeger {OUTAGE_S:g} s down, {count} spans, the last {count - killed.recorded} recorded "
        f"after its end: {shown(arrived)}"
    )


def test_spans_recorded_while_the_collector_is_down_arrive(
    collector: Collector, jaeger: Jaeger, tmp_path: Path, compared: list[str]
) -> None:
    """The application goes on for 10 s as if nothing were, and then delivers what it has queued."""
    count = 12_000
    sending = otlp(collector.otlp_grpc)
    with Flow(tmp_path, count=count, per_second=1_000, environment=sending) as flow:
        flow.wait_until_delivered(500)
        collector.kill()
        killed = flow.next_told().stats
        time.sleep(OUTAGE_S)
        down = flow.next_told().stats
        collector.start()
        end = flow.wait_for_end(10)
    assert down.delivered == killed.delivered
    assert down.queued == down.recorded - down.delivered > killed.queued
    assert (end.stats.recorded, end.stats.delivered) == (count, count)
    assert end.slowest_s < RECORDING_S
    arrived = found(flow, collector, jaeger)
    assert [missing(numbers, range(count)) for numbers in arrived.values()] == [[], []]
    compared.append(
        f"Collector {OUTAGE_S:g} s down, {down.queued} spans queued in the application, "
        f"{end.slowest_s * 1e3:.1f} ms for the slowest to record: {shown(arrived)}"
    )


def test_a_collector_unavailable_for_most_calls_gets_all_spans(
    collector: Collector, jaeger: Jaeger, tmp_path: Path, compared: list[str]
) -> None:
    """After 5 s in which 70 % of the calls are refused, everything is delivered within 10 s."""
    count = 5_000
    with (
        Unavailable(collector.otlp_grpc, for_s=5) as gate,
        Flow(tmp_path, count=count, per_second=1_000, environment=otlp(gate.endpoint)) as flow,
    ):
        end = flow.wait_for_end()
    assert gate.over_s is not None
    took_s = end.at_s - gate.over_s
    assert (end.stats.recorded, end.stats.delivered) == (count, count)
    assert took_s < 10
    assert gate.refused > gate.handed_on > 0
    arrived = found(flow, collector, jaeger)
    assert [missing(numbers, range(count)) for numbers in arrived.values()] == [[], []]
    compared.append(
        f"Collector UNAVAILABLE for {gate.refused} of {gate.refused + gate.handed_on} calls in "
        f"5 s, all delivered {took_s:.1f} s after them: {shown(arrived)}"
    )


def test_a_full_queue_for_a_dead_receiver_is_refused_and_counted(
    jaeger: Jaeger, tmp_path: Path, compared: list[str]
) -> None:
    """Where one exporter's queue is full the Collector refuses; what it took is everywhere else."""
    count = 6_000
    with (
        Collector(
            tmp_path,
            exporters=("otlp_grpc/jaeger", "zipkin", "file"),
            JAEGER_OTLP_ENDPOINT=jaeger.otlp_grpc,
            ZIPKIN_ENDPOINT=f"http://127.0.0.1:{free_port()}/api/v2/spans",
            QUEUE_SIZE="2000",
        ) as collector,
        Flow(
            tmp_path, count=count, per_second=3_000, environment=otlp(collector.otlp_grpc)
        ) as flow,
    ):
        flow.wait_until("end of recording", lambda told: told.stats.recorded == count)
        refused = "otelcol_exporter_enqueue_failed_spans"
        wait_for("refusal", lambda: collector.metric(refused, exporter="zipkin") > 0 or None)
        flow.stop()
        stats = flow.wait_for_end().stats
        arrived = found(flow, collector, jaeger)
    assert 0 < stats.delivered <= 2_000
    assert stats.dropped_shut_down == count - stats.delivered
    for numbers in arrived.values():
        assert missing(numbers, range(stats.delivered)) == []
    compared.append(
        f"Collector with a full queue for a dead Zipkin: {stats.delivered} of {count} spans "
        f"acknowledged, the others counted; {shown(arrived)}"
    )
