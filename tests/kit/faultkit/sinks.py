"""Where the programs send to: OTLP by gRPC and by HTTP, and Jaeger by UDP, counted by service."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter, defaultdict
from typing import Any, Self

from iox_otel_bridge.wire.errors import DecodeError
from iox_otel_bridge.wire.jaeger import decode_batch

from .receivers import GrpcReceiver, HttpReceiver, Received

SLOW = "slow-"
"""A service with this in front of its name has to wait `SLOW_S` for every answer."""
SLOW_S = 0.3

Arrived = Counter[str]
"""How many spans of each name."""


class Arrivals(list[Received]):
    """Takes the place of a receiver's list of requests: counts what is in them, keeps none."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._of: defaultdict[str, Arrived] = defaultdict(Counter)
        self._traces: defaultdict[str, set[int]] = defaultdict(set)
        self._ended_ns: defaultdict[str, int] = defaultdict(int)

    def append(self, received: Received) -> None:
        for traced in received.request.resource_spans:
            names = {each.key: each.value.string_value for each in traced.resource.attributes}
            service = names.get("service.name", "")
            if service.startswith(SLOW):
                time.sleep(SLOW_S)
            for scoped in traced.scope_spans:
                for span in scoped.spans:
                    trace_id = int.from_bytes(span.trace_id, "big")
                    self.add(service, span.name, trace_id, span.end_time_unix_nano)

    def add(self, service: str, name: str, trace_id: int, ended_ns: int) -> None:
        """Count a span."""
        with self._lock:
            self._of[service][name] += 1
            self._traces[service].add(trace_id)
            self._ended_ns[service] = max(self._ended_ns[service], ended_ns)

    def of(self, service: str) -> Arrived:
        """Return what came of *service* so far."""
        with self._lock:
            return Counter(self._of[service])

    def traces(self, service: str) -> int:
        """Return how many traces they are of."""
        return len(self._traces[service])

    def last_ns(self, service: str) -> int:
        """Return the end of the last span of *service* that came."""
        return self._ended_ns[service]


class UdpSink:
    """Takes Jaeger's datagrams."""

    def __init__(self) -> None:
        self.arrivals = Arrivals()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.port: int = self._socket.getsockname()[1]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                batch = decode_batch(self._socket.recv(65_535))
            except (TimeoutError, DecodeError):
                continue
            for span in batch.spans:
                trace_id = (span.traceIdHigh % (1 << 64)) << 64 | span.traceIdLow % (1 << 64)
                ended_ns = (span.startTime + span.duration) * 1000
                self.arrivals.add(batch.process.serviceName, span.operationName, trace_id, ended_ns)

    def stop(self) -> None:
        """End it."""
        self._ended.set()
        self._thread.join()
        self._socket.close()


class Sinks:
    """All three of them."""

    def __init__(self) -> None:
        self.grpc, self.http, self.udp = GrpcReceiver(), HttpReceiver(), UdpSink()
        self.grpc.received = Arrivals()
        self.http.received = Arrivals()

    def environment(self, service: str, protocol: str) -> dict[str, str]:
        """Return what makes a program send to both, as *service*, by OTLP's *protocol*."""
        address = self.grpc.address if protocol == "grpc" else self.http.address
        return {
            "TRACES_EXPORTER": "jaeger,otlp",
            "TRACES_EXPORTER_JAEGER_AGENT_HOST": "127.0.0.1",
            "TRACES_EXPORTER_JAEGER_AGENT_PORT": str(self.udp.port),
            "TRACES_EXPORTER_JAEGER_SERVICE_NAME": service,
            "TRACES_EXPORTER_OTLP_ENDPOINT": f"http://{address}",
            "TRACES_EXPORTER_OTLP_PROTOCOL": protocol,
        }

    def otlp(self, protocol: str) -> Arrivals:
        """Return what came by *protocol*."""
        arrivals: Any = (self.grpc if protocol == "grpc" else self.http).received
        assert isinstance(arrivals, Arrivals)
        return arrivals

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.grpc.stop()
        self.http.stop()
        self.udp.stop()
