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
from iox_otel_bridge import Stats

PROTOCOLS = ("grpc", "http/protobuf")
AT_ONCE = 2
MAX_LOST_S = 0.2
"""How old a span may be that a process takes with it that is killed: the worker's delay."""
SLACK_S = 0.05
"""For the export in flight, and for what passes until the span that came last is looked at."""
MAX_EXIT_S = 5.0 + 0.5
"""How long a process may take to end, whatever it waits for, on a machine that has more to do."""


def many(runs: int, tmp_path: Path, one: Callable[[int, str, Path], Ended]) -> list[Ended]:
    """Run *one* so often, some at a time, with both protocols in turn, each in a folder."""

    def at(number: int) -> Ended:
        folder = tmp_path / str(number)
        folder.mkdir()
        return one(number, PROTOCOLS[number % 2], folder)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(at, range(runs)))


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
        assert each.took_s < MAX_EXIT_S, each
        assert_arrived(ending, each)
        assert_books(ending, each)
    recorded = sum(recorded_by(ending, each) for each in ended)
    otlp, udp = (sum(getattr(each, kind).total() for each in ended) for kind in ("otlp", "udp"))
    lost = f"{recorded - min(otlp, udp):,}"
    if not ending.exact:
        lost += " recorded after the end, counted as shut down"
    took_s = max(each.took_s for each in ended)
    tables.add("endings", ending.name, len(ended), recorded, otlp, udp, lost, f"{took_s:.2f} s")


def assert_arrived(ending: Ending, ended: Ended) -> None:
    """What was to arrive did, at both receivers."""
    if not ending.exact:
        for name, count in ending.expected.items():
            assert ended.otlp[name] == ended.udp[name] == count, ended
        return
    assert "were lost" not in ended.stderr
    if ending.server:  # a request that got no answer was sent again
        assert ended.otlp.keys() == ended.udp.keys() == ending.expected.keys(), ended
        assert ended.traces == (ending.requests, ending.requests), ended
    else:
        assert ended.otlp == ended.udp == Counter(ending.expected), ended


def assert_books(ending: Ending, ended: Ended) -> None:
    """Those of all its processes have together what was recorded, and what became of it: it
    arrived, or came when all was over. Without the books of one its spans are missing."""
    recorded = recorded_by(ending, ended)
    for kind, arrived in (("udp", ended.udp), ("otlp", ended.otlp)):
        books = [getattr(each, kind) for each in ended.books.values()]
        late = recorded - arrived.total()
        assert late == 0 or not ending.exact
        assert tuple(map(sum, zip(*books, strict=True))) == (
            Stats(recorded, arrived.total(), 0, 0, dropped_shut_down=late, queued=0)
        ), ended


def recorded_by(ending: Ending, ended: Ended) -> int:
    """Return how many spans a program has recorded: as many as were wanted, and as it says."""
    return ended.otlp.total() if ending.server else sum(ending.expected.values()) + ended.made


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
