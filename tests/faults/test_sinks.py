"""Receivers that are dead, slow or lying: what arrives, what is counted, and how long it takes."""

from __future__ import annotations

import logging
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest

from faultkit import broken
from faultkit.endings import MAIN, PRELUDE, SDK
from faultkit.receivers import AnyReceiver, GrpcReceiver, HttpReceiver, receiver_of
from faultkit.report import Tables
from iox_otel import Span, SpanRecorder
from iox_otel_bridge import Tracing, TracingConfig
from iox_otel_bridge.delivery import LAST_RETRY_S
from iox_otel_bridge.sender import Stats
from peerkit.process import clean_environment

COUNT = 1_000
SLACK_S = 0.1
"""By how much a call may outlast the time it is given."""
EXIT_S = 1.0
ALL_LOST = f"{COUNT} of {COUNT} spans were lost: 0 queue full, 0 export failed, {COUNT} not"

pytestmark = pytest.mark.usefixtures("no_otlp_environment")


@pytest.fixture(params=["grpc", "http/protobuf"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def receiver(protocol: str) -> Iterator[AnyReceiver]:
    receiver = receiver_of(protocol)()
    yield receiver
    receiver.stop()


def pipeline(address: str, protocol: str, scheme: str = "http") -> Tracing:
    return TracingConfig(
        exporter="otlp",
        otlp_endpoint=f"{scheme}://{address}",
        otlp_protocol=protocol,
        service_name="faults",
    ).build()


def record(tracing: Tracing, count: int = COUNT, name: str = "work") -> None:
    for number in range(count):
        with SpanRecorder(Span.root(f"{name} {number}", tracing.collector)) as recorder:
            recorder.set_metadata("rows", number)


def stats_of(tracing: Tracing) -> Stats:
    """Return the counters, which add up at any time."""
    stats = tracing.stats()["otlp"]
    assert stats.recorded == sum(stats[1:])
    return stats


def names(receiver: AnyReceiver) -> set[str]:
    return {span.name for span in receiver.spans}


def took(call: Callable[[], object]) -> tuple[object, float]:
    """Return what *call* returns, and how long it took, in seconds."""
    began_s = time.monotonic()
    answer = call()
    return answer, time.monotonic() - began_s


DEAD: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "refuses connections": broken.refusing,
    "answers no SYN": broken.deaf,
    "accepts and stays silent": broken.silent,
}


@pytest.mark.parametrize("fault", DEAD)
def test_a_dead_receiver_costs_no_more_than_the_time_given(
    fault: str, protocol: str, tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    longest_s = 0.0
    with DEAD[fault]() as address:
        tracing = pipeline(address, protocol)
        record(tracing)
        for given_s in (0.0, 0.05, 0.3, 1.0):
            answer, took_s = took(lambda given_s=given_s: tracing.force_flush(given_s))  # type: ignore[misc]
            assert answer is False
            assert took_s < given_s + SLACK_S
            longest_s = max(longest_s, took_s - given_s)
        assert stats_of(tracing).queued == COUNT
        answer, took_s = took(lambda: tracing.shutdown(0.3))
    assert answer is False
    assert took_s < 0.3 + SLACK_S
    assert stats_of(tracing) == Stats(COUNT, 0, 0, 0, COUNT, 0)
    assert sum(ALL_LOST in each.getMessage() for each in caplog.records) == 1
    late = f"flush and shutdown in the time given, {longest_s * 1000:+.0f} ms at most"
    tables.add("sinks", fault, protocol, COUNT, 0, COUNT, late)


class Lateness(NamedTuple):
    """How late the answers of a receiver are."""

    attempt_s: float
    """After which time an attempt is given up."""
    late_s: float

    def __str__(self) -> str:
        return (
            f"answers each request after {self.late_s:g} s, attempts end after {self.attempt_s:g} s"
        )


@pytest.fixture
def lateness(load_s: float, monkeypatch: pytest.MonkeyPatch) -> Lateness:
    """At full size with the default timeout, else with a short one."""
    if load_s >= 600:
        return Lateness(attempt_s=10, late_s=30)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
    return Lateness(attempt_s=0.5, late_s=1.5)


def test_answers_that_come_too_late(
    receiver: AnyReceiver,
    protocol: str,
    lateness: Lateness,
    tables: Tables,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each attempt is given up and made again. All count as lost in the end, even what was taken:
    nobody has said so; and the receiver has it several times."""
    receiver.late_s = lateness.late_s
    tracing = pipeline(receiver.address, protocol)
    record(tracing)
    given_s = 4 * lateness.attempt_s
    answer, took_s = took(lambda: tracing.force_flush(given_s))
    assert answer is False
    assert given_s - SLACK_S < took_s < given_s + SLACK_S
    attempts = len(receiver.received)
    assert 3 <= attempts <= 4  # none lasts longer, and there are pauses between them
    assert stats_of(tracing) == Stats(COUNT, 0, 0, 0, 0, queued=COUNT)
    answer, took_s = took(tracing.shutdown)
    assert answer is False
    assert took_s < EXIT_S
    assert stats_of(tracing) == Stats(COUNT, 0, 0, 0, dropped_shut_down=COUNT, queued=0)
    assert sum(ALL_LOST in each.getMessage() for each in caplog.records) == 1
    taken = len(names(receiver))
    assert 0 < taken < len(receiver.spans)
    took_text = f"{attempts} attempts in {given_s:g} s; shutdown {took_s:.2f} s"
    tables.add(
        "sinks",
        str(lateness),
        protocol,
        COUNT,
        arrivals(receiver),
        f"{COUNT} (given up)",
        took_text,
    )


def test_answers_that_come_in_time_again(
    receiver: AnyReceiver, protocol: str, lateness: Lateness, tables: Tables
) -> None:
    """What was given up is sent again until an answer comes: delivered once, taken more often."""
    receiver.late_s = lateness.late_s
    tracing = pipeline(receiver.address, protocol)
    record(tracing)
    assert tracing.force_flush(2 * lateness.attempt_s) is False
    receiver.late_s = 0.0
    took_s = delivered(tracing, 2 * lateness.attempt_s + LAST_RETRY_S)
    assert len(names(receiver)) == COUNT < len(receiver.spans)
    fault = f"{lateness}; at once after {2 * lateness.attempt_s:g} s"
    tables.add("sinks", fault, protocol, COUNT, arrivals(receiver), 0, f"{took_s:.2f} s after that")


def arrivals(receiver: AnyReceiver) -> str:
    """Return how many spans came, for a table."""
    different, several = len(names(receiver)), len(receiver.spans)
    return f"{different} (and {several - different} duplicates)"


def delivered(tracing: Tracing, timeout_s: float) -> float:
    """Wait until all is delivered; return how long that took."""
    answer, took_s = took(lambda: tracing.force_flush(timeout_s))
    assert answer is True, stats_of(tracing)
    assert stats_of(tracing) == Stats(COUNT, COUNT, 0, 0, 0, 0)
    assert tracing.shutdown()
    return took_s


def test_resets_in_the_middle_of_a_request(
    receiver: AnyReceiver, protocol: str, tables: Tables
) -> None:
    with broken.resetting(receiver.address, times=3) as address:
        tracing = pipeline(address, protocol)
        record(tracing)
        took_s = delivered(tracing, 15)
        assert len(names(receiver)) == COUNT
    tables.add("sinks", "resets 3 connections", protocol, COUNT, COUNT, 0, f"{took_s:.1f} s")


def assert_patient(receiver: AnyReceiver, fault: str, tables: Tables) -> None:
    """The receiver's next answer asks for a second: it is given that, and then gets all."""
    tracing = pipeline(receiver.address, receiver.protocol)
    record(tracing)
    time.sleep(0.3)  # a flush does not hurry one who asked for patience
    took_s = delivered(tracing, 10) + 0.3
    assert took_s > 0.9
    assert len(names(receiver)) == COUNT
    receiver.stop()
    tables.add("sinks", fault, receiver.protocol, COUNT, COUNT, 0, f"{took_s:.1f} s")


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_asks_for_patience(status: int, tables: Tables) -> None:
    receiver = HttpReceiver()
    receiver.reply(status, b"later", {"Retry-After": "1"})
    assert_patient(receiver, f"{status} with Retry-After: 1", tables)


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
def test_a_grpc_receiver_that_asks_for_patience(code: str, tables: Tables) -> None:
    receiver = GrpcReceiver()
    receiver.throttle(1)
    failure = receiver.answers.pop()
    receiver.answers.append(failure._replace(code=grpc.StatusCode[code]))
    assert_patient(receiver, f"{code} with a retry delay of 1 s", tables)


def test_a_permanent_refusal_costs_what_it_refuses(
    receiver: AnyReceiver, protocol: str, tables: Tables
) -> None:
    tracing = pipeline(receiver.address, protocol)
    receiver.refuse("no such tenant")
    record(tracing, 100, "refused")
    assert tracing.force_flush(5) is False
    record(tracing, COUNT - 100)
    answer, took_s = took(lambda: tracing.force_flush(5))
    assert answer is True
    assert stats_of(tracing) == Stats(COUNT, COUNT - 100, 0, 100, 0, 0)
    assert len({name for name in names(receiver) if "work" in name}) == COUNT - 100
    assert tracing.shutdown() is False
    fault = "INVALID_ARGUMENT once" if protocol == "grpc" else "400 once"
    tables.add("sinks", fault, protocol, COUNT, COUNT - 100, 100, f"{took_s:.2f} s")


def test_partial_success_is_taken_at_its_word(
    receiver: AnyReceiver, protocol: str, tables: Tables
) -> None:
    tracing = pipeline(receiver.address, protocol)
    receiver.reject(7, "too old")
    record(tracing)
    answer, took_s = took(lambda: tracing.force_flush(5))
    assert answer is False
    assert stats_of(tracing) == Stats(COUNT, COUNT - 7, 0, 7, 0, 0)
    assert tracing.shutdown() is False
    tables.add("sinks", "rejects 7 of a request", protocol, COUNT, COUNT - 7, 7, f"{took_s:.2f} s")


def test_a_receiver_that_is_mostly_busy_gets_all_in_the_end(
    receiver: AnyReceiver, protocol: str, tables: Tables
) -> None:
    """Seven of ten attempts fail for five seconds; ten seconds after the start all is there."""
    chance = random.Random(7)
    until_s = time.monotonic() + 5

    class Busy:
        """The answers of the next calls, made up as they come."""

        def __bool__(self) -> bool:
            return time.monotonic() < until_s and chance.random() < 0.7

        def popleft(self) -> object:
            return busy

    if isinstance(receiver, GrpcReceiver):
        receiver.fail(grpc.StatusCode.UNAVAILABLE, "busy")
    else:
        receiver.reply(503, b"busy")
    busy = receiver.answers.pop()
    receiver.answers = Busy()  # type: ignore[assignment]
    tracing = pipeline(receiver.address, protocol)
    began_s = time.monotonic()
    for part in range(10):
        record(tracing, COUNT // 10, f"part {part}")
        time.sleep(0.3)
    assert tracing.force_flush(began_s + 10 - time.monotonic()) is True
    took_s = time.monotonic() - began_s
    assert stats_of(tracing) == Stats(COUNT, COUNT, 0, 0, 0, 0)
    assert len(names(receiver)) == COUNT
    tracing.shutdown()
    fault = "UNAVAILABLE" if protocol == "grpc" else "503"
    tables.add(
        "sinks", f"70 % {fault} for 5 s", protocol, COUNT, COUNT, 0, f"{took_s:.1f} s in all"
    )


NAME = "collector.test"
RESOLVED = """
    record(1000)
    assert tracing.force_flush(1) is False
    ready()
    began_s = time.monotonic()
    assert tracing.force_flush(20) is True
    print("TOOK", time.monotonic() - began_s)
"""


def test_a_name_that_resolves_only_later(
    receiver: AnyReceiver, protocol: str, tmp_path: Path, tables: Tables
) -> None:
    """In a mount namespace of its own, whose /etc/hosts gets the name after a while."""
    fault = "its name does not resolve, then it does"
    hosts, program = tmp_path / "hosts", tmp_path / "program.py"
    hosts.write_text("127.0.0.1 localhost\n")
    program.write_text(PRELUDE + MAIN + RESOLVED)
    mounted = f'mount --bind {hosts} /etc/hosts && exec "$0" "$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounted]
    if subprocess.run([*command[:-2], "-c", f"mount --bind {hosts} /etc/hosts"]).returncode:
        why = "this machine gives no mount namespace to its users"
        tables.add("sinks", fault, protocol, "–", "–", "–", f"skipped: {why}")
        pytest.skip(why)
    variables = clean_environment(
        TRACES_EXPORTER="otlp",
        TRACES_EXPORTER_OTLP_ENDPOINT=f"http://{NAME}:{receiver.port}",
        TRACES_EXPORTER_OTLP_PROTOCOL=protocol,
    )
    with subprocess.Popen(
        [*command, sys.executable, str(program)], env=variables, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "READY\n"
        hosts.write_text(f"127.0.0.1 localhost {NAME}\n")
        said = process.communicate(timeout=40)[0]
    assert process.returncode == 0
    took_s = float(said.split("TOOK ")[1].split()[0])
    assert len(receiver.spans) == COUNT
    tables.add("sinks", fault, protocol, COUNT, COUNT, 0, f"{took_s:.1f} s after that")


def test_a_certificate_that_is_not_trusted(
    protocol: str, tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = broken.with_untrusted_certificate(protocol)
    tracing = pipeline(receiver.address.replace("127.0.0.1", "localhost"), protocol, "https")
    with caplog.at_level(logging.WARNING, "iox_otel"):
        record(tracing)
        assert tracing.force_flush(0.5) is False
        answer, took_s = took(tracing.shutdown)
    receiver.stop()
    assert answer is False
    assert took_s < EXIT_S
    stats = stats_of(tracing)
    assert stats.delivered == 0
    assert stats.dropped_export_failed + stats.dropped_shut_down == COUNT
    said = " ".join(each.getMessage() for each in caplog.records)
    assert "certificate" in said.lower() or "ssl" in said.lower()
    fault = "has a certificate that is not trusted"
    tables.add("sinks", fault, protocol, COUNT, 0, COUNT, f"shutdown {took_s:.2f} s")


def test_a_request_too_large_is_split(protocol: str, tables: Tables) -> None:
    """The receiver takes 10,000 bytes; a request of a thousand spans has some ten times that."""
    receiver: AnyReceiver
    if protocol == "grpc":
        receiver = GrpcReceiver(options=[("grpc.max_receive_message_length", 10_000)])
    else:
        receiver = broken.TakingLittle(10_000)
    tracing = pipeline(receiver.address, protocol)
    record(tracing)
    took_s = delivered(tracing, 10)
    assert len(names(receiver)) == COUNT
    receiver.stop()
    fault = "takes 10,000 bytes a request"
    tables.add("sinks", fault, protocol, COUNT, COUNT, 0, f"{took_s:.2f} s")


@pytest.mark.parametrize("fault", DEAD)
@pytest.mark.parametrize("by", [None, signal.SIGTERM], ids=["end of main", "SIGTERM"])
def test_the_process_ends_soon(
    fault: str, by: int | None, protocol: str, tmp_path: Path, tables: Tables
) -> None:
    """With a dead receiver: within a second of the end of main, and one line says what was lost."""
    program = tmp_path / "program.py"
    waits = "; wait()" if by else ""
    program.write_text(PRELUDE + MAIN + "    record(1000)\n    ready()" + waits)
    with DEAD[fault]() as address:
        variables = clean_environment(
            TRACES_EXPORTER="otlp",
            TRACES_EXPORTER_OTLP_ENDPOINT=f"http://{address}",
            TRACES_EXPORTER_OTLP_PROTOCOL=protocol,
        )
        took_s, stderr = _end_of(program, variables, by)
    assert stderr.count(ALL_LOST) == 1, stderr
    assert took_s < EXIT_S + SLACK_S
    how = "end of main" if by is None else "SIGTERM"
    tables.add("sinks", f"{fault}; {how}", protocol, 1000, 0, 1000, f"process {took_s:.2f} s")


def _end_of(program: Path, variables: dict[str, str], by: int | None) -> tuple[float, str]:
    """Run *program* until it says READY; return how long it then lasts, and its stderr."""
    with subprocess.Popen(
        [sys.executable, str(program)],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "READY\n"
        began_s = time.monotonic()
        if by is not None:
            process.send_signal(by)
        stderr = process.communicate(timeout=60)[1]
    return time.monotonic() - began_s, stderr


def test_the_sdk_for_comparison(load_s: float, tmp_path: Path, tables: Tables) -> None:
    """OpenTelemetry's own pipeline, at the end of main, with a receiver that refuses."""
    if load_s < 600:
        pytest.skip("it takes half a minute; make soak has it")
    program = tmp_path / "program.py"
    program.write_text(SDK.replace("{protocol}", "grpc").replace("time.sleep(20)", ""))
    with broken.refusing() as address:
        variables = clean_environment(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{address}")
        took_s, stderr = _end_of(program, variables, None)
    fault = "for comparison: OpenTelemetry's SDK, refused, end of main"
    counted = "none" if "lost" not in stderr else "some"
    tables.add("sinks", fault, "grpc", 20, 0, counted, f"process {took_s:.1f} s")
