"""BridgedSpan: every value of a native span, as every consumer of ReadableSpans sees it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind as OtelKind
from opentelemetry.trace.status import StatusCode

from iox_otel import Span, SpanContext, SpanEvent, SpanKind, SpanStatus
from iox_otel_bridge import BridgedSpan

RESOURCE = Resource({"service.name": "checkout", "rack": 7})
TRACE_ID = 0x0123456789ABCDEF_FEDCBA9876543210
SPAN_ID = 0xF000000000000001
PARENT_ID = 0x8000000000000002
START_NS = 1_700_000_000_000_000_123
END_NS = START_NS + 5_000


def native_span() -> Span:
    """Return a span with something in every place."""
    ctx = SpanContext(
        trace_id=TRACE_ID,
        span_id=SPAN_ID,
        parent_span_id=PARENT_ID,
        links=[(3, 4), (TRACE_ID, 5)],
        trace_state="vendor=value,other=1",
        debug=True,
        random_trace_id=True,
    )
    ctx.parent_is_remote = True
    span = Span("query", ctx, SpanKind.CLIENT, START_NS, END_NS)
    span.set_metadata("zone", "eu")
    span.set_metadata("rows", 3)
    span.set_metadata("ratio", 0.5)
    span.set_metadata("cached", True)
    span.set_metadata("tables", ["cpu", "mem"])
    span.set_metadata("huge", 1 << 70)
    span.set_metadata("least", -(1 << 63))
    span.set_metadata("took", timedelta(seconds=2))
    span.event(SpanEvent("planned", {"plan": "scan", "n": [1, 2]}, time_ns=START_NS + 1))
    span.event(SpanEvent("done", time_ns=START_NS + 2))
    span.set_status(SpanStatus.ERR, "no such table")
    return span


def bridged() -> BridgedSpan:
    return BridgedSpan(native_span(), RESOURCE)


ATTRIBUTES = {
    "zone": "eu",
    "rows": 3,
    "ratio": 0.5,
    "cached": True,
    "tables": ("cpu", "mem"),
    "huge": str(1 << 70),
    "least": -(1 << 63),
    "took": "2000ms",
}


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


# The values


def test_identity() -> None:
    """Ids, the sampling flag alone, and the trace state."""
    context = bridged().context
    assert context == bridged().get_span_context()
    assert (context.trace_id, context.span_id) == (TRACE_ID, SPAN_ID)
    assert context.is_valid
    assert not context.is_remote
    assert context.trace_flags == 1
    assert dict(context.trace_state) == {"vendor": "value", "other": "1"}


def test_parent() -> None:
    """The parent's id, in the same trace, and whether it is of another process."""
    parent = bridged().parent
    assert parent is not None
    assert (parent.trace_id, parent.span_id) == (TRACE_ID, PARENT_ID)
    assert parent.is_remote
    assert parent.trace_flags.sampled
    child = BridgedSpan(native_span().child("child"), RESOURCE).parent
    assert child is not None
    assert (child.span_id, child.is_remote) == (SPAN_ID, False)
    assert BridgedSpan(Span.root("root", None), RESOURCE).parent is None


def test_an_unsampled_context_is_not_flagged() -> None:
    """The flag says what the native context says."""
    ctx = SpanContext(trace_id=1, span_id=2, sampled=False)
    assert not BridgedSpan(Span("span", ctx), RESOURCE).context.trace_flags.sampled


def test_a_trace_state_of_level_2_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    """OpenTelemetry's own parser knows level 1 only: it drops the list and logs its text."""
    state = "1vendor=a,x@9sys=b=c"
    native = Span("span", SpanContext(trace_id=1, span_id=2, parent_span_id=3, trace_state=state))
    span = BridgedSpan(native, RESOURCE)

    assert span.context.trace_state.to_header() == state
    assert span.parent is not None and span.parent.trace_state.to_header() == state
    (scoped,) = encode_spans([span]).resource_spans[0].scope_spans
    assert scoped.spans[0].trace_state == state
    assert not caplog.records


def test_a_malformed_trace_state_is_left_out() -> None:
    """OpenTelemetry's TraceState holds none; the span is none the worse."""
    ctx = SpanContext(trace_id=1, span_id=2, trace_state="not a trace state")
    assert dict(BridgedSpan(Span("span", ctx), RESOURCE).context.trace_state) == {}


def test_name_kind_resource_and_scope() -> None:
    """What identifies the kind of work and where it was done."""
    span = bridged()
    assert (span.name, span.kind) == ("query", OtelKind.CLIENT)
    assert span.resource is RESOURCE
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "iox-trace"
    assert span.instrumentation_scope.version


@pytest.mark.parametrize("kind", SpanKind)
def test_every_kind(kind: SpanKind) -> None:
    """The kinds agree by name."""
    native = Span("span", SpanContext.new(None), kind)
    assert BridgedSpan(native, RESOURCE).kind is OtelKind[kind.name]


def test_times() -> None:
    """Nanoseconds, as they are."""
    assert (bridged().start_time, bridged().end_time) == (START_NS, END_NS)


def test_an_end_before_the_start_is_the_start() -> None:
    """A span that was filled in wrongly took no time, rather than less than none."""
    span = BridgedSpan(Span("span", SpanContext.new(None), start_ns=9, end_ns=5), RESOURCE)
    assert (span.start_time, span.end_time) == (9, 9)


@pytest.mark.parametrize("known", ["start_ns", "end_ns"])
def test_a_missing_time_is_the_other_one(known: str) -> None:
    """A span filled in by half has no duration."""
    native = Span("span", SpanContext.new(None))
    setattr(native, known, START_NS)
    span = BridgedSpan(native, RESOURCE)
    assert (span.start_time, span.end_time) == (START_NS, START_NS)


def test_without_any_time_it_is_now() -> None:
    """Both times are the moment they are first read, and stay so."""
    span = BridgedSpan(Span("span", SpanContext.new(None)), RESOURCE)
    before_ns = time.time_ns()
    start_ns = span.start_time
    assert start_ns is not None
    assert before_ns <= start_ns <= time.time_ns()
    assert span.end_time == start_ns == span.start_time


def test_status() -> None:
    """Err takes its message along; OpenTelemetry keeps none for the others."""
    assert bridged().status.status_code is StatusCode.ERROR
    assert bridged().status.description == "no such table"
    fine, unknown = Span.root("fine", None), Span.root("unknown", None)
    fine.ok("all well")
    assert BridgedSpan(fine, RESOURCE).status.status_code is StatusCode.OK
    assert BridgedSpan(fine, RESOURCE).status.description is None
    assert BridgedSpan(unknown, RESOURCE).status.status_code is StatusCode.UNSET


def test_attributes_in_the_order_they_were_set() -> None:
    """Text, numbers, booleans and tuples as they are, integers beyond 64 bits as text."""
    assert list(attributes_of(bridged()).items()) == list(ATTRIBUTES.items())
    assert bridged().dropped_attributes == 0


def test_events() -> None:
    """Names, times and attributes, in order."""
    planned, done = bridged().events
    assert (planned.name, planned.timestamp) == ("planned", START_NS + 1)
    assert dict(planned.attributes or {}) == {"plan": "scan", "n": (1, 2)}
    assert (done.name, done.timestamp, dict(done.attributes or {})) == ("done", START_NS + 2, {})
    assert bridged().dropped_events == 0


def test_links() -> None:
    """The ids of the spans that this one follows from."""
    links = [(link.context.trace_id, link.context.span_id) for link in bridged().links]
    assert links == [(3, 4), (TRACE_ID, 5)]
    assert all(not link.attributes for link in bridged().links)
    assert bridged().dropped_links == 0


def test_later_writes_do_not_show() -> None:
    """What has been read stays, although the application writes on."""
    native = native_span()
    span = BridgedSpan(native, RESOURCE)
    before = attributes_of(span)
    native.set_metadata("late", 1)
    assert attributes_of(span) == before


def test_what_no_attribute_may_hold_is_made_text() -> None:
    """Values put past `set_metadata`, lone surrogates and mixed lists: always something valid."""
    native = Span.root("na\ud800me", None)
    metadata: dict[Any, Any] = native.metadata
    metadata["object"] = object
    metadata["list"] = [1, 2]
    metadata["mixed"] = [1, "a", 1 << 64]
    metadata["wide"] = (1, 1 << 64)
    metadata["none"] = None
    metadata["sur\udfffrogate"] = "a\ud800b"
    metadata["texts"] = ("\ud800", "é")
    metadata[5] = "key"
    metadata["digits"] = 10**5000
    native.event("e\ud800", why="\ud800")
    native.error("m\ud800")
    span = BridgedSpan(native, RESOURCE)

    assert span.name == "na?me"
    assert attributes_of(span) == {
        "object": "<class 'object'>",
        "list": (1, 2),
        "mixed": ("1", "a", str(1 << 64)),
        "wide": ("1", str(1 << 64)),
        "none": "None",
        "sur?rogate": "a?b",
        "texts": ("?", "é"),
        "5": "key",
        "digits": hex(10**5000),
    }
    assert span.events[0].name == "e?"
    assert dict(span.events[0].attributes or {}) == {"why": "?"}
    assert span.status.description == "m?"
    encode_spans([span]).SerializeToString()
    span.to_json()


@pytest.mark.parametrize("time_ns", [-1, 1 << 64, 1 << 80])
def test_times_that_no_exporter_has_are_moved_into_range(time_ns: int) -> None:
    """An application may set anything; the batch must not fail for it."""
    native = Span("span", SpanContext.new(None), start_ns=time_ns, end_ns=time_ns)
    native.event(SpanEvent("event", time_ns=time_ns))
    encode_spans([BridgedSpan(native, RESOURCE)]).SerializeToString()


# The consumers


def assert_json(written: dict[str, Any]) -> None:
    assert written["name"] == "query"
    assert written["context"]["trace_id"] == f"0x{TRACE_ID:032x}"
    assert written["context"]["span_id"] == f"0x{SPAN_ID:016x}"
    assert written["kind"] == "SpanKind.CLIENT"
    assert written["parent_id"] == f"0x{PARENT_ID:016x}"
    assert written["start_time"] == "2023-11-14T22:13:20.000000Z"
    assert written["end_time"] == "2023-11-14T22:13:20.000005Z"
    assert written["status"] == {"status_code": "ERROR", "description": "no such table"}
    assert written["attributes"] == ATTRIBUTES | {"tables": ["cpu", "mem"]}
    assert [event["name"] for event in written["events"]] == ["planned", "done"]
    assert written["events"][0]["attributes"] == {"plan": "scan", "n": [1, 2]}
    assert [link["context"]["span_id"] for link in written["links"]] == [
        f"0x{4:016x}",
        f"0x{5:016x}",
    ]
    assert written["resource"]["attributes"] == {"service.name": "checkout", "rack": 7}


def test_the_console_exporter_prints_it() -> None:
    """Every value is in the JSON of the SDK's ConsoleSpanExporter."""
    out = io.StringIO()
    ConsoleSpanExporter(out=out).export([bridged()])
    assert_json(json.loads(out.getvalue()))


def test_the_in_memory_exporter_keeps_it() -> None:
    """The very object comes out again."""
    exporter, span = InMemorySpanExporter(), bridged()
    exporter.export([span])
    assert exporter.get_finished_spans() == (span,)


@pytest.mark.parametrize("processor_class", [SimpleSpanProcessor, BatchSpanProcessor])
def test_the_sdks_processors_take_it(
    processor_class: type[SimpleSpanProcessor] | type[BatchSpanProcessor],
) -> None:
    """A user's own processors of the SDK hand it on, as it is."""
    exporter, span = InMemorySpanExporter(), bridged()
    processor = processor_class(exporter)
    processor.on_end(span)
    processor.force_flush()
    processor.shutdown()
    assert exporter.get_finished_spans() == (span,)


def test_the_otlp_http_exporter_sends_it() -> None:
    """What a server gets from the official OTLP/HTTP exporter, decoded."""
    got: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        exporter = HttpExporter(f"http://127.0.0.1:{server.server_port}/v1/traces", timeout=5)
        assert exporter.export([bridged()]) is SpanExportResult.SUCCESS
        exporter.shutdown()  # type: ignore[no-untyped-call]
        thread.join()

    assert_otlp(ExportTraceServiceRequest.FromString(got[0]))


def test_the_otlp_grpc_exporter_sends_it() -> None:
    """What a server gets from the official OTLP/gRPC exporter, decoded."""
    got: list[ExportTraceServiceRequest] = []

    class Service(TraceServiceServicer):
        def Export(self, request: ExportTraceServiceRequest, context: object) -> Any:
            got.append(request)
            return ExportTraceServiceResponse()

    server = grpc.server(ThreadPoolExecutor(1))
    add_TraceServiceServicer_to_server(Service(), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        exporter = GrpcExporter(f"http://127.0.0.1:{port}", timeout=5)
        assert exporter.export([bridged()]) is SpanExportResult.SUCCESS
        exporter.shutdown()
    finally:
        server.stop(5).wait()

    assert_otlp(got[0])


def assert_otlp(request: ExportTraceServiceRequest) -> None:
    (resource_spans,) = request.resource_spans
    (scope_spans,) = resource_spans.scope_spans
    (span,) = scope_spans.spans

    assert {pair.key for pair in resource_spans.resource.attributes} == {"service.name", "rack"}
    assert scope_spans.scope.name == "iox-trace"
    assert span.trace_id == TRACE_ID.to_bytes(16, "big")
    assert span.span_id == SPAN_ID.to_bytes(8, "big")
    assert span.parent_span_id == PARENT_ID.to_bytes(8, "big")
    assert span.trace_state == "vendor=value,other=1"
    assert (span.name, span.kind) == ("query", span.SPAN_KIND_CLIENT)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (START_NS, END_NS)
    assert span.flags == 0x300  # known to be remote
    assert (span.status.code, span.status.message) == (2, "no such table")
    assert [plain(pair.value) for pair in span.attributes] == [
        "eu", 3, 0.5, True, ["cpu", "mem"], str(1 << 70), -(1 << 63), "2000ms",
    ]  # fmt: skip
    assert [pair.key for pair in span.attributes] == list(ATTRIBUTES)
    assert [event.name for event in span.events] == ["planned", "done"]
    assert [event.time_unix_nano for event in span.events] == [START_NS + 1, START_NS + 2]
    assert {pair.key: plain(pair.value) for pair in span.events[0].attributes} == {
        "plan": "scan",
        "n": [1, 2],
    }
    assert [link.span_id for link in span.links] == [number.to_bytes(8, "big") for number in (4, 5)]
    assert [link.trace_id for link in span.links] == [
        number.to_bytes(16, "big") for number in (3, TRACE_ID)
    ]


def plain(value: Any) -> object:
    which = value.WhichOneof("value")
    if which == "array_value":
        return [plain(item) for item in value.array_value.values]
    return getattr(value, which)


class _Reading(SpanExporter):
    """Reads every public property, as an exporter of somebody's might."""

    def __init__(self) -> None:
        self.read: dict[str, object] = {}

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            for name in dir(ReadableSpan):
                if not name.startswith("_") and name != "instrumentation_info":
                    value = getattr(span, name)
                    self.read[name] = value() if callable(value) else value
        return SpanExportResult.SUCCESS


def test_every_public_property_answers() -> None:
    """Nothing that ReadableSpan has is missing."""
    exporter = _Reading()
    exporter.export([bridged()])
    assert {"attributes", "context", "events", "links", "parent", "to_json"} <= set(exporter.read)


JAEGER = """
    import json, sys, types

    import opentelemetry.sdk.environment_variables as names

    # What the exporter imports and newer releases have no more.
    for name in ("AGENT_HOST", "AGENT_PORT", "AGENT_SPLIT_OVERSIZED_BATCHES", "ENDPOINT",
                 "PASSWORD", "TIMEOUT", "USER"):
        setattr(names, "OTEL_EXPORTER_JAEGER_" + name, "OTEL_EXPORTER_JAEGER_" + name)
    deprecated = types.ModuleType("deprecated")
    deprecated.deprecated = lambda **_: lambda wrapped: wrapped
    sys.modules["deprecated"] = deprecated

    import socket
    from opentelemetry.exporter.jaeger.thrift import JaegerExporter
    from opentelemetry.exporter.jaeger.thrift.gen.agent import Agent
    from opentelemetry.sdk.trace import export
    from thrift.protocol import TCompactProtocol
    from thrift.transport import TTransport

    sys.path.insert(0, sys.argv[1])
    from test_span import bridged

    agent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    agent.bind(("127.0.0.1", 0))
    agent.settimeout(5)
    exporter = JaegerExporter(agent_host_name="127.0.0.1", agent_port=agent.getsockname()[1])
    result = exporter.export([bridged()])
    packet = agent.recv(65536)

    class Handler:
        def emitBatch(self, batch):
            self.batch = batch

    handler = Handler()
    protocol = TCompactProtocol.TCompactProtocol(TTransport.TMemoryBuffer(packet))
    Agent.Processor(handler).process(protocol, protocol)
    (span,) = handler.batch.spans

    def tags(listed):
        return {tag.key: next(value for value in (tag.vStr, tag.vBool, tag.vLong, tag.vDouble)
                              if value is not None) for tag in listed}

    print(json.dumps({
        "result": result.name,
        "service": handler.batch.process.serviceName,
        "ids": [span.traceIdHigh, span.traceIdLow, span.spanId, span.parentSpanId],
        "name": span.operationName,
        "flags": span.flags,
        "times": [span.startTime, span.duration],
        "tags": tags(span.tags),
        "logs": [[log.timestamp, tags(log.fields)] for log in span.logs],
        "references": [[ref.refType, ref.traceIdHigh, ref.traceIdLow, ref.spanId]
                       for ref in span.references],
    }))
"""


def test_the_packaged_jaeger_exporter_sends_it() -> None:
    """What a Jaeger agent on UDP gets from it, decoded: every value is there.

    In a process of its own, since the package appends to sys.path and sys.modules.
    """
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(JAEGER), __file__.rpartition("/")[0]],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    sent = json.loads(process.stdout)

    def signed(number: int) -> int:
        return int.from_bytes(number.to_bytes(8, "big"), "big", signed=True)

    low = TRACE_ID & ((1 << 64) - 1)
    assert sent["result"] == "SUCCESS"
    assert sent["ids"] == [TRACE_ID >> 64, signed(low), signed(SPAN_ID), signed(PARENT_ID)]
    assert (sent["name"], sent["flags"]) == ("query", 1)
    assert sent["times"] == [(START_NS + 500) // 1000, 5]
    assert sent["tags"] == ATTRIBUTES | {
        "tables": "('cpu', 'mem')",
        "service.name": "checkout",
        "rack": 7,
        "otel.status_code": "ERROR",
        "otel.status_description": "no such table",
        "span.kind": "client",
        "otel.library.name": "iox-trace",
        "otel.library.version": sent["tags"]["otel.scope.version"],
        "otel.scope.name": "iox-trace",
        "otel.scope.version": sent["tags"]["otel.scope.version"],
        "error": True,
    }
    assert sent["logs"] == [
        [(START_NS + 500) // 1000, {"plan": "scan", "n": "(1, 2)", "message": "planned"}],
        [(START_NS + 500) // 1000, {"message": "done"}],
    ]
    assert sent["references"] == [[1, 0, 3, 4], [1, TRACE_ID >> 64, signed(low), 5]]
