"""JaegerRemoteSampler, with real servers on loopback."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import TraceState

from iox_otel import RingBufferTraceCollector, Span
from iox_otel_bridge import JaegerRemoteSampler, TracingConfig, jaeger_remote
from iox_otel_bridge.jaeger_remote import from_argument, parent_based_from_argument

ALL = {"strategyType": "PROBABILISTIC", "probabilisticSampling": {"samplingRate": 1.0}}
NONE = {"strategyType": "PROBABILISTIC", "probabilisticSampling": {"samplingRate": 0.0}}
FOUR = {"strategyType": "RATE_LIMITING", "rateLimitingSampling": {"maxTracesPerSecond": 4}}
HIGH = (1 << 64) - 1
SOON_S = 0.02

pytestmark = pytest.mark.usefixtures("no_otlp_environment")


class Server:
    """A sampling server that answers what it is told to, and notes what it was asked."""

    def __init__(self) -> None:
        self.answer: bytes | object = ALL
        self.status = 200
        self.hold = threading.Event()
        self.hold.set()
        self.drip_s = 0.0
        self.asked: list[tuple[str, dict[str, str]]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append((self.path, dict(self.headers.items())))
                server.hold.wait(30)
                answer = server.answer
                body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                try:
                    self.send_response(server.status)
                    if server.status == 302:
                        self.send_header("Location", "/elsewhere")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    for at in range(0, len(body), 1 if server.drip_s else len(body)):
                        self.wfile.write(body[at : at + (1 if server.drip_s else len(body))])
                        time.sleep(server.drip_s)
                except OSError:
                    pass  # it has gone

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.hold.set()
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    """A sampling server that wants all."""
    running = Server()
    yield running
    running.close()


@pytest.fixture
def remote(server: Server) -> Iterator[Callable[..., JaegerRemoteSampler]]:
    """Makes samplers that ask *server* all the time, and stops them."""
    made: list[JaegerRemoteSampler] = []

    def make(**options: Any) -> JaegerRemoteSampler:
        defaults: dict[str, Any] = {"endpoint": server.url, "polling_interval_s": SOON_S}
        made.append(JaegerRemoteSampler("checkout", **defaults | options))
        return made[-1]

    yield make
    for sampler in made:
        sampler.shutdown()


def until(condition: Callable[[], object]) -> None:
    """Wait until *condition* holds."""
    deadline_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.002)


def sampled(sampler: JaegerRemoteSampler, name: str = "op", trace_id: int = HIGH) -> bool:
    decision = sampler.should_sample(Context(), trace_id, name).decision
    return decision is Decision.RECORD_AND_SAMPLE


def pollers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "iox-otel sampling"]


def test_it_asks_for_its_service(server: Server, remote: Any) -> None:
    """At once, at /sampling if the URL has no path, and takes the answer."""
    sampler = remote(polling_interval_s=60.0)
    until(lambda: sampled(sampler))

    ((path, headers),) = server.asked
    assert path == "/sampling?service=checkout"
    assert headers["Accept-Encoding"] == "identity"
    assert "Authorization" not in headers


@pytest.mark.parametrize("path", ["/", "/api/sampling"])
def test_a_path_is_taken_as_it_is(server: Server, remote: Any, path: str) -> None:
    remote(endpoint=server.url + path)
    until(lambda: server.asked)
    assert server.asked[0][0] == f"{path}?service=checkout"


def test_it_goes_with_the_answers(server: Server, remote: Any) -> None:
    """From one kind of strategy to another, in both directions."""
    sampler = remote()
    until(lambda: sampled(sampler))
    server.answer = NONE
    until(lambda: not sampled(sampler))
    server.answer = FOUR
    until(lambda: "RateLimiting(4)" in sampler.get_description())
    assert [sampled(sampler) for _ in range(100)].count(True) >= 4
    operation = {"operation": "a", "probabilisticSampling": {"samplingRate": 1.0}}
    server.answer = {"operationSampling": {"perOperationStrategies": [operation]}}
    until(lambda: "PerOperation" in sampler.get_description())
    assert sampled(sampler, "a") and not sampled(sampler, "b")
    server.answer = ALL
    until(lambda: sampled(sampler, "b"))


def test_polls_do_not_fill_the_bucket(server: Server, remote: Any) -> None:
    """With a hundred answers a second there are no more traces than the rate allows."""
    server.answer = FOUR
    sampler = remote()
    until(lambda: "RateLimiting" in sampler.get_description())
    began_s, count, polls = time.monotonic(), 0, len(server.asked)
    while len(server.asked) < polls + 20:
        count += sampled(sampler)
        time.sleep(0.001)
    assert count <= 4 + 4 * (time.monotonic() - began_s)


def test_until_there_is_an_answer_it_samples_one_of_a_thousand(server: Server, remote: Any) -> None:
    """As Jaeger's clients do, or as it is told; and deciding does not wait for the server."""
    server.hold.clear()
    sampler, other = remote(), remote(initial_sampling_rate=1.0)
    began_s = time.monotonic()
    bound = round(0.001 * (1 << 64))
    assert sampled(sampler, trace_id=bound - 1)
    assert not sampled(sampler, trace_id=bound)
    assert sampled(other)
    assert time.monotonic() - began_s < 5
    server.answer = NONE
    server.hold.set()
    until(lambda: not sampled(other))


def test_the_pauses_differ(remote: Any) -> None:
    """By a tenth to either side, and not by a seed of the application's."""
    sampler = remote(polling_interval_s=60.0)
    pauses = {sampler._pause_s() for _ in range(1_000)}
    assert len(pauses) > 900
    # Each of a thousand in the same half: 2 ** -1000.
    assert 54 <= min(pauses) < 60 < max(pauses) <= 66


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (500, b"no", "it answers 500"),
        (404, b"no", "it answers 404"),
        (302, b"no", "it answers 302"),
        (200, b"nonsense", "what it answers is no strategy: it is no JSON object"),
        (200, {"strategyType": 7}, "what it answers is no strategy: its strategyType is neither"),
        (200, b" " * (jaeger_remote.MAX_ANSWER_BYTES + 1), "its answer has more than 4194304"),
    ],
)
def test_the_last_strategy_stays_when_the_server_fails(
    server: Server,
    remote: Any,
    caplog: pytest.LogCaptureFixture,
    status: int,
    answer: object,
    kind: str,
) -> None:
    """With one line, however often that happens, until it is over; then with one again."""
    sampler = remote()
    until(lambda: sampled(sampler))
    with caplog.at_level(logging.WARNING, "iox_otel"):
        for times in (1, 2):
            server.status, server.answer = status, answer
            until(lambda: len(caplog.records) == times)  # noqa: B023
            polls = len(server.asked)
            until(lambda: len(server.asked) > polls + 3)  # noqa: B023
            assert sampled(sampler)
            assert len(caplog.records) == times
            server.status, server.answer = 200, NONE
            until(lambda: not sampled(sampler))
            server.answer = ALL
            until(lambda: sampled(sampler))
    line = caplog.records[0].getMessage()
    assert line.startswith(f"no sampling strategy from {server.url}/sampling: {kind}")
    assert not any("elsewhere" in path for path, _ in server.asked)


def test_where_nobody_answers(
    server: Server, remote: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The application goes on with the initial rate, and the log says so once."""
    server.close()
    with caplog.at_level(logging.WARNING, "iox_otel"):
        sampler = remote()
        until(lambda: caplog.records)
        assert not sampled(sampler)
        for _ in range(5):
            sampler._update()
    (record,) = caplog.records
    assert "it cannot be asked (ConnectionError)" in record.getMessage()


def test_an_answer_byte_by_byte_is_given_up(
    server: Server, remote: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time is that of the whole answer, not of each piece."""
    monkeypatch.setattr(jaeger_remote, "TIMEOUT_S", 0.3)
    server.answer, server.drip_s = b" " * 2_000, 0.05
    with caplog.at_level(logging.WARNING, "iox_otel"):
        remote()
        until(lambda: caplog.records)
    assert "its answer takes more than 0.3 s" in caplog.text
    server.drip_s = 0


def test_a_shutdown_does_not_wait(server: Server, remote: Any) -> None:
    """Not even for an answer that is being waited for; the last strategy stays."""
    sampler = remote(initial_sampling_rate=1.0)
    until(lambda: len(server.asked) > 2)
    server.hold.clear()
    polls = len(server.asked)
    until(lambda: len(server.asked) > polls)
    began_s = time.monotonic()
    sampler.shutdown()
    sampler.shutdown()
    assert time.monotonic() - began_s < 1
    server.hold.set()
    until(lambda: not pollers())
    polls = len(server.asked)
    assert sampled(sampler)
    assert pollers() == []
    assert len(server.asked) == polls


def test_one_that_nobody_has_any_more_stops(server: Server) -> None:
    """Also in the middle of its pause."""
    sampler = JaegerRemoteSampler("checkout", endpoint=server.url, polling_interval_s=600)
    until(lambda: server.asked)
    assert len(pollers()) == 1
    assert sampler.strategy is not None
    del sampler
    gc.collect()
    until(lambda: not pollers())


def test_its_own_requests_are_not_traced(server: Server, remote: Any) -> None:
    """Not by the instrumentation of what it asks with, either."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = RequestsInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        sampler = remote()
        until(lambda: len(server.asked) > 3)
        sampler.shutdown()
        until(lambda: not pollers())
    finally:
        instrumentor.uninstrument()
    assert exporter.get_finished_spans() == ()
    assert not any("traceparent" in headers for _, headers in server.asked)


def test_the_trace_state_and_the_attributes_stay(server: Server, remote: Any) -> None:
    """What is asked along with the span is kept, with the tags of the strategy."""
    sampler = remote()
    until(lambda: sampled(sampler))
    parent = trace.NonRecordingSpan(
        trace.SpanContext(HIGH, 1, True, trace_state=TraceState([("a", "b")]))
    )
    context = trace.set_span_in_context(parent, Context())
    result = sampler.should_sample(context, HIGH, "op", attributes={"n": 3})
    assert result.trace_state is not None
    assert result.trace_state.to_header() == "a=b"
    assert dict(result.attributes) == {
        "n": 3,
        "sampler.type": "probabilistic",
        "sampler.param": 1.0,
    }


def test_a_child_asks_by_itself(server: Server, remote: Any) -> None:
    """From its first decision on; until there is an answer it has its parent's strategy."""
    sampler = remote(polling_interval_s=600.0)
    until(lambda: sampled(sampler))
    server.answer = NONE
    if (pid := os.fork()) == 0:
        try:
            assert pollers() == []
            assert sampled(sampler)
            until(lambda: not sampled(sampler))
            assert len(pollers()) == 1
        except BaseException:
            os._exit(1)
        os._exit(0)
    deadline_s = time.monotonic() + 30
    while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0 and time.monotonic() < deadline_s:
        time.sleep(0.01)
    if ended[0] == 0:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert ended == (pid, 0)
    assert len(server.asked) == 2
    assert sampled(sampler)


def test_a_child_of_one_that_is_shut_down_asks_nothing(server: Server, remote: Any) -> None:
    sampler = remote()
    until(lambda: sampled(sampler))
    sampler.shutdown()
    sampler.after_fork()
    assert sampled(sampler)
    until(lambda: not pollers())


PROGRAM = """
    import sys
    from iox_otel_bridge import JaegerRemoteSampler

    sampler = JaegerRemoteSampler("x", endpoint=sys.argv[1])
    sys.stdin.readline()
"""


def test_the_exit_does_not_wait(server: Server) -> None:
    """With an answer outstanding."""
    server.hold.clear()
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), server.url]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        until(lambda: server.asked)
        began_s = time.monotonic()
        _, errors = running.communicate("\n", timeout=30)
    assert time.monotonic() - began_s < 3
    assert (running.returncode, errors) == (0, "")


def test_without_a_thread_it_goes_on(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As late in the interpreter's exit, or with too many threads."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING, "iox_otel"):
        patched.setattr(threading.Thread, "start", refuse)
        sampler = JaegerRemoteSampler("checkout", endpoint=server.url, initial_sampling_rate=1)
        assert sampled(sampler)
    assert "no thread can be started" in caplog.text


@pytest.mark.parametrize(
    "options",
    [
        {"endpoint": "localhost:5778"},
        {"endpoint": "ftp://localhost"},
        {"endpoint": "http://user:secret@localhost/"},
        {"initial_sampling_rate": 1.5},
        {"initial_sampling_rate": float("nan")},
        {"polling_interval_s": 0},
        {"polling_interval_s": float("inf")},
        {"max_operations": 0},
    ],
)
def test_what_it_cannot_be_told(options: dict[str, Any]) -> None:
    """And no password in the error."""
    before = len(pollers())
    with pytest.raises(ValueError) as caught:
        JaegerRemoteSampler("checkout", **options)
    assert "secret" not in str(caught.value)
    assert len(pollers()) == before


def test_it_is_the_setting_jaeger_remote(server: Server) -> None:
    """The service's name is the tracing's, it begins traces only, and ends with it."""
    server.answer = ALL
    config = TracingConfig(
        exporter="jaeger", service_name="shop", sampler=f"jaeger_remote:{server.url}"
    )
    tracing = config.build()
    until(lambda: server.asked)
    assert server.asked[0][0] == "/sampling?service=shop"
    sampler = tracing.sampler
    assert sampler is not None

    def wanted() -> Span | None:
        span = Span.root("op", RingBufferTraceCollector(1))
        return span if sampler.sample(span, None) else None

    until(wanted)
    span = wanted()
    assert span is not None
    assert span.metadata["sampler.type"] == "probabilistic"
    parent = Span.root("parent", None).ctx
    parent.sampled = False
    assert not sampler.sample(parent.child("op"), parent)
    tracing.shutdown()
    until(lambda: not pollers())


def test_without_exporters_nobody_is_asked(server: Server) -> None:
    """There is nothing to decide; OTEL_SDK_DISABLED makes it so."""
    environ = {
        "TRACES_EXPORTER": "jaeger",
        "TRACES_SAMPLER": f"jaeger_remote:{server.url}",
        "OTEL_SDK_DISABLED": "true",
    }
    with TracingConfig.from_env(environ=environ).build() as tracing:
        assert tracing.sampler is None
        assert pollers() == []
    assert server.asked == []


def test_opentelemetrys_argument(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """OTEL_TRACES_SAMPLER_ARG as it is specified, and the service of OTEL_SERVICE_NAME."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    server.answer = b"nonsense"
    sampler = from_argument(
        f" endpoint={server.url}/sampling, pollingIntervalMs=5000 ,initialSamplingRate=0.25"
    )
    until(lambda: server.asked)
    assert server.asked[0][0] == "/sampling?service=shop"
    assert 4.5 <= sampler._pause_s() <= 5.5
    assert sampled(sampler, trace_id=(1 << 62) - 1)
    assert not sampled(sampler, trace_id=1 << 62)
    sampler.shutdown()
    parent_based = parent_based_from_argument(f"endpoint={server.url}")
    assert isinstance(parent_based._root, JaegerRemoteSampler)
    parent_based._root.shutdown()


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("endpoint=localhost", "Invalid value 'localhost' for endpoint: expected a URL such as"),
        ("pollingIntervalMs=soon", "Invalid value 'soon' for pollingIntervalMs"),
        ("pollingIntervalMs=0", "polling_interval_s is no time"),
        ("initialSamplingRate=2", "Invalid value '2' for initialSamplingRate"),
        ("poolingIntervalMs=5", "there is no 'poolingIntervalMs'"),
        ("0.25", "there is no '0.25'"),
    ],
)
def test_an_argument_that_is_none_counts_as_not_set(
    argument: str, reason: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As OpenTelemetry specifies; an error here would have the SDK sample everything."""
    monkeypatch.setattr(jaeger_remote, "DEFAULT_ENDPOINT", "http://127.0.0.1:9/sampling")
    with caplog.at_level(logging.WARNING, "iox_otel"):
        sampler = from_argument(f"initialSamplingRate=1,{argument}")
        sampler.shutdown()
    assert f"OTEL_TRACES_SAMPLER_ARG is ignored: {reason}" in caplog.text
    assert not sampled(sampler)


@pytest.mark.parametrize("argument", [None, "", " , "])
def test_no_argument_is_fine(argument: str | None, caplog: pytest.LogCaptureFixture) -> None:
    sampler = from_argument(argument)
    sampler.shutdown()
    assert sampler._endpoint == "http://localhost:5778/sampling"
    assert sampler._interval_s == 60
    assert "ignored" not in caplog.text
