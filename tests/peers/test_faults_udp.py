"""Faults behind UDP, which acknowledges nothing: what is lost is what a kernel had taken.

`jaeger` counts a datagram as delivered once the kernel has taken it. What the receiver has not
read yet when it is killed dies with its socket, and that is all that may be missing: a closed port
of this host refuses, and what it refuses stays queued.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from peerkit.collector import Collector
from peerkit.flow import Flow, missing
from peerkit.jaeger import Jaeger
from peerkit.process import free_port, wait_for

BATCH_SPANS = 512
"""The most that one datagram of a flow holds: so many are encoded at a time, and they fit."""


def jaeger_udp(port: int) -> dict[str, str]:
    """Return what makes an application send to the compact Thrift receiver at *port*."""
    return {
        "TRACES_EXPORTER": "jaeger",
        "TRACES_EXPORTER_JAEGER_AGENT_HOST": "127.0.0.1",
        "TRACES_EXPORTER_JAEGER_AGENT_PORT": str(port),
    }


def test_jaeger_restarted_gets_all_that_it_was_not_there_to_take(
    tmp_path: Path, compared: list[str]
) -> None:
    """All that was taken before it was killed is lost with its memory; all else is in the next."""
    count = 6_000
    with (
        Jaeger(tmp_path) as jaeger,
        Flow(
            tmp_path, count=count, per_second=1_500, environment=jaeger_udp(jaeger.compact_port)
        ) as flow,
    ):
        flow.wait_until_delivered(1_000)
        jaeger.kill()
        taken = flow.next_told().stats.delivered
        down = flow.wait_until("queue", lambda told: told.stats.queued > 1_000).stats
        jaeger.start()
        stats = flow.wait_for_end().stats
        wait_for("arrival", lambda: len(flow.in_jaeger(jaeger)) >= count - taken or None)
        arrived = flow.in_jaeger(jaeger)
        sent, received = _batches(jaeger)
    assert down.delivered == taken  # the port refused, and nothing counts as delivered then
    assert stats.delivered == stats.recorded == count
    assert missing(arrived, range(count)) == list(range(taken))
    assert arrived.total() == count - taken
    assert received > sent > 0  # none is missing; Jaeger counts from the first it has handled
    compared.append(
        f"Jaeger killed and restarted under UDP: the {taken} of {count} spans it had taken died "
        f"with its memory, the other {count - taken} are in the next, each once"
    )


def test_the_collector_restarted_misses_only_what_waited_to_be_read(
    tmp_path: Path, compared: list[str]
) -> None:
    """Only what the kernel held for a Collector that had stopped reading dies with it."""
    count = 6_000
    with (
        Collector(tmp_path, exporters=("file",)) as collector,
        Flow(
            tmp_path, count=count, per_second=1_500, environment=jaeger_udp(collector.compact_port)
        ) as flow,
    ):
        flow.wait_until_delivered(1_000)
        os.kill(collector.pid, signal.SIGSTOP)
        stopped = flow.next_told().stats.delivered
        written = set(flow.in_file(collector))
        flow.wait_until_delivered(stopped + 500)
        collector.kill()
        taken = flow.next_told().stats.delivered
        flow.wait_until("queue", lambda told: told.stats.queued > 1_000)
        collector.start()
        stats = flow.wait_for_end().stats
        lost = range(len(written), taken)
        wait_for("arrival", lambda: len(flow.in_file(collector)) >= count - len(lost) or None)
        arrived = flow.in_file(collector)
    assert stats.delivered == stats.recorded == count
    assert written == set(range(len(written)))
    assert stopped - BATCH_SPANS <= len(written) <= stopped
    assert missing(arrived, range(count)) == list(lost)
    assert arrived.total() == len(arrived)
    compared.append(
        f"Collector stopped, killed and restarted under UDP: of {count} spans {len(lost)} died "
        f"unread, all of which the kernel had taken ({taken - stopped} while it was stopped)"
    )


def test_what_a_stalled_jaeger_misses_shows_in_its_count_of_batches(
    tmp_path: Path, compared: list[str]
) -> None:
    """What overflows the buffer of a receiver that does not read is missing in its numbers."""
    count = 20_000
    with (
        Jaeger(tmp_path) as jaeger,
        Flow(
            tmp_path, count=count, per_second=5_000, environment=jaeger_udp(jaeger.compact_port)
        ) as flow,
    ):
        flow.wait_until_delivered(2_000)
        os.kill(jaeger.pid, signal.SIGSTOP)
        flow.wait_until_delivered(14_000)
        os.kill(jaeger.pid, signal.SIGCONT)
        stats = flow.wait_for_end().stats
        wait_for("the last", lambda: flow.in_jaeger(jaeger)[count - 1] or None)
        sent, received = _batches(jaeger)
        lost = missing(flow.in_jaeger(jaeger), range(count))
    gap = sent + 2 - received  # the first, with number 0, and the second tell it where to begin
    assert stats.delivered == stats.recorded == count
    assert 0 < gap <= len(lost) <= gap * BATCH_SPANS
    compared.append(
        f"Jaeger stalled under UDP: {len(lost)} of {count} spans overflowed its buffer, in the "
        f"{gap:g} batches that it counts as missing"
    )


def test_what_a_full_collector_cannot_queue_is_lost_over_udp(
    tmp_path: Path, compared: list[str]
) -> None:
    """Nobody can be told; the Collector counts what one exporter misses, the others have it all."""
    count = 6_000
    zipkin = "zipkin"
    with (
        Collector(
            tmp_path,
            exporters=(zipkin, "file"),
            ZIPKIN_ENDPOINT=f"http://127.0.0.1:{free_port()}/api/v2/spans",
            QUEUE_SIZE="2000",
        ) as collector,
        Flow(
            tmp_path, count=count, per_second=3_000, environment=jaeger_udp(collector.compact_port)
        ) as flow,
    ):
        stats = flow.wait_for_end().stats
        wait_for("all in the file", lambda: len(flow.in_file(collector)) == count or None)
        queued = collector.metric("otelcol_exporter_queue_size", exporter=zipkin)
        refused = collector.metric("otelcol_exporter_enqueue_failed_spans", exporter=zipkin)
    assert stats.delivered == stats.recorded == count
    assert refused > 0 and queued + refused == count
    compared.append(
        f"Collector with a full queue under UDP: {refused:.0f} of {count} spans lost for a dead "
        "Zipkin, all in the file"
    )


def _batches(jaeger: Jaeger) -> tuple[float, float]:
    """Return how many batches Jaeger knows to have been sent, and how many it has received."""
    name = "jaeger_agent_client_stats_batches"
    return jaeger.metric(f"{name}_sent"), jaeger.metric(f"{name}_received")
