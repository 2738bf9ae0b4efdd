"""Spans for the viewer, as OTLP's messages, and a viewer that takes them on real sockets."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from iox_otel.viewer import otlp_json
from iox_otel.viewer.app import Viewer, create_app
from iox_otel.viewer.intake.otlp_grpc import GrpcIntake
from iox_otel.viewer.intake.otlp_http import create_intake
from iox_otel.viewer.intake.udp import UdpIntake
from iox_otel.viewer.listening import Port, listen_tcp, listen_udp
from iox_otel.viewer.security import Guard
from iox_otel.viewer.store import Store
from iox_otel.viewer.stored import Batch, Source, StoredSpan

DEADLINE_S = 10
START_NS = 1_700_000_000_000_000_000
MS = 1_000_000


class Make:
    """Makes spans and batches with small ids."""

    START_NS = START_NS
    MS = MS

    def resource(self, service: str = "shop", **tags: str) -> Resource:
        """Return a resource."""
        said = {"service.name": service, **tags}.items()
        return Resource(
            attributes=[KeyValue(key=k, value=AnyValue(string_value=v)) for k, v in said]
        )

    def span(
        self,
        trace: int,
        number: int,
        *,
        parent: int = 0,
        name: str = "work",
        at_ms: float = 0,
        ms: float = 1,
        error: bool = False,
        **tags: str | bool | int | float,
    ) -> Span:
        """Return a span of the trace with that number."""
        start_ns = START_NS + int(at_ms * MS)
        made = Span(
            trace_id=self.trace_id(trace),
            span_id=number.to_bytes(8, "big"),
            parent_span_id=parent.to_bytes(8, "big") if parent else b"",
            name=name,
            start_time_unix_nano=start_ns,
            end_time_unix_nano=start_ns + int(ms * MS),
            status=Status(code=Status.STATUS_CODE_ERROR if error else Status.STATUS_CODE_UNSET),
        )
        for key, value in tags.items():
            held = made.attributes.add(key=key).value
            match value:
                case bool():
                    held.bool_value = value
                case int():
                    held.int_value = value
                case float():
                    held.double_value = value
                case _:
                    held.string_value = value
        return made

    def batch(
        self,
        spans: Sequence[Span],
        service: str = "shop",
        source: Source = Source.OTLP,
        **tags: str,
    ) -> Batch:
        """Return spans of one service."""
        scope = InstrumentationScope(name="lib", version="1")
        return Batch(self.resource(service, **tags), scope, spans, source)

    def trace_id(self, trace: int) -> bytes:
        """Return the id of the trace with that number."""
        return trace.to_bytes(16, "big")

    def request(self, *spans: Span) -> ExportTraceServiceRequest:
        """Return a request of OTLP with spans of one service."""
        made = ExportTraceServiceRequest()
        made.resource_spans.add(resource=self.resource()).scope_spans.add(spans=spans)
        return made

    def everything(self) -> ExportTraceServiceRequest:
        """Return a request in which one span of trace 1 has all the fields there are."""
        said = {"traceId": "AAAAAAAAAAAAAAAAAAAAAQ==", "spanId": "AAAAAAAAAAI="}
        values = [
            {"stringValue": "t\u00e4xt"},
            {"boolValue": False},
            {"intValue": str(-(1 << 63))},
            {"doubleValue": "-Infinity"},
            {"bytesValue": "AP8="},
            {"arrayValue": {"values": [{"intValue": "1"}, {}, {"arrayValue": {}}]}},
            {"kvlistValue": {"values": [{"key": "k", "value": {"doubleValue": 0.5}}]}},
            {},
        ]
        attributes = [{"key": f"k{n}", "value": value} for n, value in enumerate(values)]
        dropped = {"attributes": attributes, "droppedAttributesCount": 3}
        span = said | {
            **dropped,
            "parentSpanId": "AAAAAAAAAAE=",
            "traceState": "a=b",
            "flags": 0x301,
            "name": "all",
            "kind": 4,
            "startTimeUnixNano": str(START_NS),
            "endTimeUnixNano": str(START_NS + 1),
            "events": [{"timeUnixNano": str(START_NS), "name": "e", **dropped}, {}],
            "droppedEventsCount": 4,
            "links": [{**said, "traceState": "c=d", "flags": 0x100, **dropped}],
            "droppedLinksCount": 5,
            "status": {"message": "why", "code": 2},
        }
        scope = {"scope": {"name": "lib", "version": "1", **dropped}}
        of_scope = scope | {"spans": [span], "schemaUrl": "https://scope"}
        of_resource = {"resource": dropped, "scopeSpans": [of_scope], "schemaUrl": "https://res"}
        return ParseDict({"resourceSpans": [of_resource]}, ExportTraceServiceRequest())


@pytest.fixture
def make() -> Make:
    """Makes spans."""
    return Make()


@pytest.fixture
def store() -> Iterator[Store]:
    """A store in memory."""
    with Store() as opened:
        yield opened


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until something is true."""
    end_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end_s
        threading.Event().wait(0.01)


class Server:
    """A server on a thread, at `address`; it serves the ASGI application `app`."""

    def __init__(self) -> None:
        listener = listen_tcp("127.0.0.1", Port(0, "--port"))
        self.address = f"127.0.0.1:{listener.getsockname()[1]}"
        self.app: Any = None
        options: Any = {"interface": "asgi3", "log_config": None, "lifespan": "off"}
        self._server = server = uvicorn.Server(uvicorn.Config(self._answer, **options))
        self._thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
        self._thread.start()
        wait_until(lambda: server.started)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    def close(self) -> None:
        """End it."""
        self._server.should_exit = True
        self._thread.join(DEADLINE_S)


class Receiving:
    """A viewer in this process, which listens on real sockets of its own.

    Attributes:
        intake: addresses such as 127.0.0.1:6831 by `udp`, `grpc` and `http`.
        url: of the page and its API, without a slash at the end.
    """

    def __init__(self, viewer: Viewer, servers: Sequence[Server], stack: ExitStack) -> None:
        accepting = viewer.accepting
        bound = listen_udp("127.0.0.1", Port(0, "--udp-port"))
        self.viewer = viewer
        self.intake = {"udp": f"127.0.0.1:{bound.getsockname()[1]}"}
        self.udp = UdpIntake(bound, accepting)
        stack.callback(self.udp.close)
        by_grpc = GrpcIntake("127.0.0.1", 0, accepting)
        stack.callback(by_grpc.close)
        self.intake["grpc"] = f"127.0.0.1:{by_grpc.port}"
        by_http, page = servers
        by_http.app = Guard(create_intake(accepting), any_sender=True)
        page.app = Guard(create_app(viewer))
        self.intake["http"] = by_http.address
        viewer.listen(self.intake)
        self.url = f"http://{page.address}"
        stack.callback(viewer.live.close)

    wait_until = staticmethod(wait_until)

    def wait_for(self, trace_id: int, spans: int = 1) -> list[StoredSpan]:
        """Return the spans of a trace once there are so many."""
        key = trace_id.to_bytes(16, "big")
        wait_until(lambda: len(self.viewer.store.trace(key)) >= spans)
        return self.viewer.store.trace(key)

    def add(self, *batches: Batch) -> None:
        """Keep these spans, as the page uploads them; they are stored when this returns."""
        url, said = f"{self.url}/api/viewer/upload", otlp_json.json_of(batches)
        # There is no certificate to verify, and to load those of all the authorities takes longest.
        httpx.post(url, json=said, timeout=DEADLINE_S, verify=False).raise_for_status()

    @contextmanager
    def full_queue(self, *, left_bytes: int = 0) -> Iterator[None]:
        """Have the writer wait, and room for so much beside what it has."""
        taken, go_on = threading.Event(), threading.Event()

        def load() -> list[Batch]:
            taken.set()
            go_on.wait(DEADLINE_S)
            return []

        assert self.viewer.writer.put(load, 1) and taken.wait(DEADLINE_S)
        assert self.viewer.writer.put(list, (64 << 20) - left_bytes)
        yield
        go_on.set()

    def loss(self) -> dict[str, Any]:
        """Return what the page is told of losses, once all that came is stored."""
        assert self.viewer.writer.flush(DEADLINE_S)
        return self.viewer.counts.loss()


@pytest.fixture(scope="session")
def servers() -> Iterator[Sequence[Server]]:
    """Two servers, which all tests share."""
    yield (opened := (Server(), Server()))
    for each in opened:
        each.close()


@pytest.fixture
def receiving(servers: Sequence[Server]) -> Iterator[Receiving]:
    """A viewer that takes spans, in memory."""
    with Viewer() as viewer, ExitStack() as stack:
        yield Receiving(viewer, servers, stack)
