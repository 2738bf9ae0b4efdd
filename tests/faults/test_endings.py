"""Every way to end a process, as often as `runs` says: nothing is lost, or it is known what."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from faultkit import programs
from faultkit.endings import ENDINGS, MAIN, PRELUDE, SDK, Ending
from faultkit.programs import Ended
from faultkit.report import Tables
from faultkit.sinks import Sinks

PROTOCOLS = ("grpc", "http/protobuf")
AT_ONCE = 2
MAX_LOST_S = 0.2
"""How old a span may be that a process takes with it that is killed: the worker's delay."""
SLACK_S = 0.3
"""For the export in flight, on a machine that has more to do."""


def many(runs: int, tmp_path: Path, one: Callable[[int, str, Path], Ended]) -> list[Ended]:
    """Run *one* so often, some at a time, with both protocols in turn, each in a folder."""

    def at(number: int) -> Ended:
        folder = tmp_path / str(number)
        folder.mkdir()
        return one(number, PROTOCOLS[number % 2], folder)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(at, range(runs)))


def row(tables: Tables, name: str, ended: list[Ended], recorded: int) -> None:
    otlp = sum(each.otlp.total() for each in ended)
    udp = sum(each.udp.total() for each in ended)
    lost = max(recorded - otlp, 0) + max(recorded - udp, 0)
    took_s = max(each.took_s for each in ended)
    tables.add("endings", name, len(ended), recorded, otlp, udp, lost, f"{took_s:.2f} s")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.name)
def test_nothing_is_lost(
    ending: Ending, runs: int, sinks: Sinks, tmp_path: Path, tables: Tables
) -> None:
    ended = many(
        runs,
        tmp_path,
        lambda number, protocol, folder: programs.end(
            ending, sinks, f"{ENDINGS.index(ending)}-{number}", protocol, folder
        ),
    )
    for each in ended:
        assert each.status == ending.status, each.stderr
        if ending.exact:
            assert "were lost" not in each.stderr
            assert each.otlp.keys() == each.udp.keys() == ending.expected.keys(), each
        if ending.server:  # a request that got no answer was sent again
            assert each.traces == (ending.requests, ending.requests), each
        elif ending.exact:
            assert each.otlp == each.udp == Counter(ending.expected), each
        for stats, arrived in zip(each.stats, (each.udp, each.otlp), strict=False):
            recorded, delivered, full, failed, shut, queued = stats
            assert recorded == delivered + full + failed + shut + queued
            assert queued == 0
            if not ending.exact:
                assert arrived.total() == delivered
                assert failed == full == 0
    row(tables, ending.name, ended, sum(recorded_by(ending, each) for each in ended))


def recorded_by(ending: Ending, ended: Ended) -> int:
    """Return how many spans a program has recorded: as many as were wanted, or as it says."""
    if ending.server:
        return ended.traces[0]
    return sum(ending.expected.values()) if ending.exact else ended.stats[0][1]


KILLED = """
    number = 0
    ready()
    while True:
        number += 1
        with SpanRecorder(Span.root(str(number), tracing.collector)):
            time.sleep(0.001)
        {end}
"""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("how", ["SIGKILL", "os._exit"])
def test_what_cannot_be_helped_is_the_last_of_it(
    how: str, runs: int, sinks: Sinks, tmp_path: Path, tables: Tables
) -> None:
    """Killed, a process takes with it what it recorded in the last 0.2 s, and what is in flight."""
    ending = "if number == 700: print('AT', time.time_ns(), flush=True); os._exit(1)"
    body = KILLED.replace("{end}", ending if how == "os._exit" else "")

    def one(number: int, protocol: str, folder: Path) -> Ended:
        path = folder / "program.py"
        path.write_text(PRELUDE + MAIN + body)
        return programs.run(
            [str(path)],
            sinks=sinks,
            service=f"{how}-{number}",
            protocol=protocol,
            folder=folder,
            by=signal.SIGKILL if how == "SIGKILL" else None,
            after_s=0.7,
        )

    ended = many(runs, tmp_path, one)
    late_s = []
    for number, each in enumerate(ended):
        for sink in (sinks.otlp(PROTOCOLS[number % 2]), sinks.udp.arrivals):
            arrived = sink.of(each.service)
            assert arrived == Counter(map(str, range(1, len(arrived) + 1)))
            late_s.append((each.signalled_ns - sink.last_ns(each.service)) / 1e9)
    assert max(late_s) < MAX_LOST_S + SLACK_S
    otlp, udp = (sum(getattr(each, kind).total() for each in ended) for kind in ("otlp", "udp"))
    oldest = f"the last {max(late_s) * 1000:.0f} ms at most"
    tables.add("endings", how, len(ended), "1 in 1 ms", otlp, udp, oldest, "–")


@pytest.mark.timeout(900)
def test_the_sdk_for_comparison(runs: int, sinks: Sinks, tmp_path: Path, tables: Tables) -> None:
    """OpenTelemetry's own pipeline, terminated with 20 spans in its queue."""

    def one(number: int, protocol: str, folder: Path) -> Ended:
        path = folder / "program.py"
        path.write_text(SDK.replace("{protocol}", protocol.partition("/")[0]))
        service = f"sdk-{number}"
        address = sinks.grpc.address if protocol == "grpc" else sinks.http.address
        endpoint = f"http://{address}"
        return programs.run(
            [str(path)],
            sinks=sinks,
            service=service,
            protocol=protocol,
            folder=folder,
            by=signal.SIGTERM,
            extra={"OTEL_SERVICE_NAME": service, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint},
        )

    ended = many(runs, tmp_path, one)
    otlp = sum(each.otlp.total() for each in ended)
    tables.add(
        "endings",
        "for comparison: OpenTelemetry's SDK, SIGTERM",
        len(ended),
        20 * len(ended),
        otlp,
        "–",
        20 * len(ended) - otlp,
        f"{max(each.took_s for each in ended):.2f} s",
    )
