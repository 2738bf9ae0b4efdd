"""What an agent and a gateway take on this machine: `make bench-collector`, a table in two minutes.

Each Collector runs as configured in collector/, with every queue on disk. Requests are those that
our OTLP exporter sends, encoded beforehand: 512 spans each, in traces of 8, every trace with a new
id. Receivers count the spans that come out. First as many as it takes, then half of that, paced:
CPU, memory and disk are those of the Collector's process (/proc) at that pace. Senders and
receivers share the machine's cores with it.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from opentelemetry.sdk.resources import Resource

from iox_otel import Span, SpanContext
from iox_otel_bridge import TracingConfig
from iox_otel_bridge.wire.otlp import RequestEncoder
from peerkit.collector import Collector
from peerkit.process import free_port, wait_for

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
MAGIC = b"\xf5\x9bb7\xe3\x12\x8d\xa6"
"""Begins every trace id; ROUND_BYTES after it tell one sending of a request from another."""
ROUND_BYTES = 3
SPANS_PER_TRACE = 8
SPANS_PER_REQUEST = 512
REQUESTS = 64
"""As many are encoded; each is sent again and again, with other trace ids."""
CONNECTIONS = 8
FAST_S = 8
PACED_S = 12
SETTLE_S = 60
APP_SPANS = 200_000


class Usage(NamedTuple):
    """What a process has used so far; the memory is that of the moment."""

    at_s: float
    cpu_s: float
    resident_bytes: int
    written_bytes: int


def usage(pid: int) -> Usage:
    """Return what a process has used."""
    proc = Path("/proc") / str(pid)
    fields = (proc / "stat").read_text().rpartition(")")[2].split()
    io = dict(line.split(": ") for line in (proc / "io").read_text().splitlines())
    pages = int((proc / "statm").read_text().split()[1])
    ticks = int(fields[11]) + int(fields[12])
    return Usage(
        time.monotonic(),
        ticks / os.sysconf("SC_CLK_TCK"),
        pages * os.sysconf("SC_PAGE_SIZE"),
        int(io["write_bytes"]),
    )


def spans(rng: random.Random) -> Iterator[Span]:
    """Yield traces like those of a web service: a request, and what it did."""
    while True:
        trace_id = int.from_bytes(MAGIC + bytes(ROUND_BYTES) + rng.randbytes(5), "big")
        ctx = SpanContext(trace_id=trace_id, span_id=rng.getrandbits(64))
        now_ns = time.time_ns()
        root = Span("checkout http", ctx, start_ns=now_ns, end_ns=now_ns + 40_000_000)
        root.metadata.update(
            {
                "http.request.method": "POST",
                "url.path": f"/checkout/c-{rng.randrange(10**6)}",
                "url.scheme": "https",
                "http.route": "/checkout/{cart}",
                "http.response.status_code": 200,
            }
        )
        root.event("request processed")
        root.event("returned body data and no trailers")
        yield root
        for step in range(1, SPANS_PER_TRACE):
            child = root.child(f"step {step}")
            child.start_ns, child.end_ns = now_ns + step * 10**6, now_ns + (step + 3) * 10**6
            child.metadata.update({"query": "select * from items where cart = $1", "rows": step})
            yield child


def requests() -> list[bytes]:
    """Return requests as our exporter makes them."""
    endless = spans(random.Random(7))
    encoder = RequestEncoder(
        Resource({"service.name": "checkout", "service.instance.id": "42", "host.name": "shop-7"})
    )
    return [
        request.body
        for _ in range(REQUESTS)
        for request in encoder.encode(list(itertools.islice(endless, SPANS_PER_REQUEST)), 2 << 20)
    ]


def receive(port: int, received: Synchronized[int], ready: Event) -> None:
    """Take OTLP over gRPC, count the spans by their trace ids and forget them."""

    def export(body: bytes, _: Any) -> bytes:
        count = body.count(MAGIC)
        with received.get_lock():
            received.value += count
        return b""

    server = grpc.server(
        ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", 16 << 20)]
    )
    service, method = METHOD.lstrip("/").split("/")
    handler = grpc.unary_unary_rpc_method_handler(export)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service, {method: handler})]
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    ready.set()
    server.wait_for_termination()


class Receivers:
    """Receivers in processes of their own.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.addresses = [f"127.0.0.1:{free_port()}" for _ in range(count)]
        self._received: list[Synchronized[int]] = [spawn.Value("q", 0) for _ in range(count)]
        self._ready = [spawn.Event() for _ in range(count)]
        self._processes = [
            spawn.Process(target=receive, args=(int(address.rpartition(":")[2]), value, ready))
            for address, value, ready in zip(
                self.addresses, self._received, self._ready, strict=True
            )
        ]

    @property
    def spans(self) -> int:
        """How many have come."""
        return sum(value.value for value in self._received)

    def __enter__(self) -> Receivers:
        for process in self._processes:
            process.start()
        assert all(ready.wait(30) for ready in self._ready)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.join()


class Load:
    """Sends requests over several connections, each until it is taken.

    Args:
        address: of a Collector.
        bodies: the requests.
    """

    def __init__(self, address: str, bodies: list[bytes]) -> None:
        self.again = 0
        self._address = address
        self._bodies = bodies
        self._rounds = itertools.count(1)
        self._lock = threading.Lock()

    def send(self, seconds: float, per_second: float = 0) -> int:
        """Send for so long, so many spans a second (0: all that is taken); return how many."""
        begin = time.monotonic()
        tickets = itertools.count()

        def connection() -> int:
            sent = 0
            with grpc.insecure_channel(self._address) as channel:
                export = channel.unary_unary(METHOD)
                while time.monotonic() < begin + seconds:
                    with self._lock:
                        ticket, number = next(tickets), next(self._rounds)
                    if per_second:
                        due_s = begin + ticket * SPANS_PER_REQUEST / per_second
                        time.sleep(max(0.0, due_s - time.monotonic()))
                    self._deliver(export, self._body(number))
                    sent += SPANS_PER_REQUEST
            return sent

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            return sum(pool.map(lambda _: connection(), range(CONNECTIONS)))

    def _body(self, number: int) -> bytes:
        return self._bodies[number % REQUESTS].replace(
            MAGIC + bytes(ROUND_BYTES), MAGIC + number.to_bytes(ROUND_BYTES, "big")
        )

    def _deliver(self, export: Callable[..., bytes], body: bytes) -> None:
        while True:
            try:
                export(body, timeout=30)
                return
            except grpc.RpcError:
                with self._lock:
                    self.again += 1
                time.sleep(0.1)


class Measured(NamedTuple):
    """One line of the table."""

    name: str
    most_per_s: float
    paced_per_s: float
    used: Usage
    """During the paced part; the memory is the most that was seen."""
    again: int
    came_out: str

    def line(self) -> str:
        """Return it as a line of a Markdown table."""
        spans = self.paced_per_s * self.used.at_s
        return (
            f"| {self.name} | {self.most_per_s:,.0f} | {self.paced_per_s:,.0f} "
            f"| {1000 * self.used.cpu_s / spans * 1000:.1f} "
            f"| {self.used.resident_bytes / 2**20:,.0f} "
            f"| {self.used.written_bytes / spans:,.0f} | {self.again} | {self.came_out} |"
        )


COLUMNS = (
    "what",
    "most spans/s",
    "paced spans/s",
    "millicores per 1,000 spans/s",
    "memory, MiB",
    "bytes to disk per span",
    "requests sent again",
    "came out",
)


def measure(
    name: str, collector: Collector, bodies: list[bytes], done: Callable[[int], str | None]
) -> Measured:
    """Load a Collector; *done* says what has come out once all of so many spans is through."""
    load = Load(collector.otlp_grpc.removeprefix("http://"), bodies)
    begin = time.monotonic()
    sent = load.send(FAST_S)
    wait_for("spans that came out", lambda: done(sent), SETTLE_S)
    most = sent / (time.monotonic() - begin)
    before = usage(collector.pid)
    peak = _Peak(collector.pid)
    paced = load.send(PACED_S, most / 2)
    sent += paced
    came_out = wait_for("spans that came out", lambda: done(sent), SETTLE_S)
    after = usage(collector.pid)
    used = Usage(
        after.at_s - before.at_s,
        after.cpu_s - before.cpu_s,
        peak.stop(),
        after.written_bytes - before.written_bytes,
    )
    return Measured(name, most, paced / used.at_s, used, load.again, came_out)


class _Peak:
    """The most memory that a process has resident, looked at ten times a second."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._most = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._end.wait(0.1):
            self._most = max(self._most, usage(self._pid).resident_bytes)

    def stop(self) -> int:
        """Return it."""
        self._end.set()
        self._thread.join()
        return self._most


@contextmanager
def running(folder: Path, name: str, **settings: Any) -> Iterator[Collector]:
    """A Collector in a folder of its own."""
    (folder / name).mkdir()
    with Collector(folder / name, name=name, **settings) as collector:
        yield collector


def agent(folder: Path, bodies: list[bytes]) -> Measured:
    """An agent that sends to one receiver."""
    with (
        Receivers(1) as receivers,
        running(
            folder,
            "agent",
            exporters=("otlp_grpc/jaeger",),
            JAEGER_OTLP_ENDPOINT=receivers.addresses[0],
        ) as collector,
    ):
        return measure("agent to one Jaeger", collector, bodies, _all_of(receivers))


def routing_agent(folder: Path, bodies: list[bytes]) -> Measured:
    """An agent that routes to two receivers."""
    with (
        Receivers(2) as receivers,
        running(
            folder,
            "routing-agent",
            exporters=("load_balancing",),
            GATEWAYS=f"[{', '.join(receivers.addresses)}]",
        ) as collector,
    ):
        return measure("agent to two gateways", collector, bodies, _all_of(receivers))


def _all_of(receivers: Receivers) -> Callable[[int], str | None]:
    def done(sent: int) -> str | None:
        return f"{receivers.spans:,} of {sent:,}" if receivers.spans >= sent else None

    return done


def gateway(folder: Path, bodies: list[bytes]) -> Measured:
    """A gateway that keeps a tenth and sends it to one receiver."""
    with (
        Receivers(1) as receivers,
        running(
            folder,
            "gateway",
            config="gateway-config.yaml",
            exporters=("otlp_grpc/jaeger",),
            JAEGER_OTLP_ENDPOINT=receivers.addresses[0],
        ) as collector,
    ):

        def done(sent: int) -> str | None:
            decided = "otelcol_processor_tail_sampling_global_count_traces_sampled"
            traces = collector.metric(decided)
            kept = collector.metric(decided, sampled="true") * SPANS_PER_TRACE
            if traces * SPANS_PER_TRACE < sent or receivers.spans < kept:
                return None
            return f"{receivers.spans:,} kept of {sent:,}"

        return measure("gateway that keeps a tenth", collector, bodies, done)


def application(folder: Path) -> str:
    """Return how fast one application process sends through our exporter to an agent."""
    with (
        Receivers(1) as receivers,
        running(
            folder,
            "agent-of-app",
            exporters=("otlp_grpc/jaeger",),
            JAEGER_OTLP_ENDPOINT=receivers.addresses[0],
        ) as collector,
    ):
        config = TracingConfig(
            exporter="otlp",
            otlp_endpoint=collector.otlp_grpc,
            service_name="checkout",
            queue_size=APP_SPANS,
        )
        with config.build() as tracing:
            made = list(itertools.islice(spans(random.Random(8)), APP_SPANS))
            begin = time.monotonic()
            for span in made:
                tracing.collector.export(span)  # type: ignore[union-attr]
            assert tracing.force_flush(SETTLE_S), tracing.stats()
            taken_s = time.monotonic() - begin
            wait_for("spans", lambda: receivers.spans >= APP_SPANS or None, SETTLE_S)
    return (
        f"One application through our exporter to an agent: {APP_SPANS / taken_s:,.0f} spans/s; "
        f"{receivers.spans:,} of {APP_SPANS:,} came out."
    )


def main() -> None:
    """Print the table."""
    bodies = requests()
    count = REQUESTS * SPANS_PER_REQUEST
    print(f"{os.cpu_count()} cores; {sum(map(len, bodies)) / count:.0f} bytes a span on the wire")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        print(application(folder), flush=True)
        print(f"\n| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}", flush=True)
        for tier in (agent, routing_agent, gateway):
            print(tier(folder, bodies).line(), flush=True)


if __name__ == "__main__":
    main()
