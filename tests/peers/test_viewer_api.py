"""The viewer's query API against a real Jaeger's: the same bytes to both, the same questions."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from starlette.applications import Starlette

from iox_otel import Span, SpanContext, SpanKind
from iox_otel.viewer.api import routes
from iox_otel.viewer.store import Store
from iox_otel.viewer.stored import Batch, Source, batches_of
from iox_otel_bridge import TracingConfig
from iox_otel_bridge.wire.jaeger_decode import decode_datagram
from iox_otel_bridge.wire.otlp_decode import read_request
from peerkit.jaeger import Jaeger
from peerkit.process import wait_for
from peerkit.tee import http_tee, udp_tee
from peerkit.traces import TraceSet

HOUR_US = 3_600 * 10**6
UDP, OTLP, OTHER, PLUS = "by-udp", "by otlp/ü", "other", "1+1 is 100%"


class Both:
    """A Jaeger and the viewer's API, with the same traces in them."""

    def __init__(self, jaeger: Jaeger) -> None:
        self.jaeger = jaeger
        self.store = Store()
        self.traces: dict[str, list[Span]] = {}
        self._app = Starlette(routes=routes(self.store))

    def send(self, service: str, spans: list[Span], **environ: str) -> None:
        """Send spans to both, as *environ* says."""
        environ["TRACES_EXPORTER_JAEGER_TAGS"] = "deployment=täst"
        tracing = TracingConfig.from_env(service_name=service, environ=environ).build()
        assert tracing.collector is not None
        for span in spans:
            tracing.collector.export(span)
        assert tracing.shutdown(60), tracing.stats()
        self.traces[service] = spans

    def send_udp(self, service: str, spans: list[Span]) -> None:
        """Send spans as Jaeger's datagrams."""
        with udp_tee(self.jaeger.compact_port, self._take_datagram) as port:
            self.send(
                service,
                spans,
                TRACES_EXPORTER="jaeger",
                TRACES_EXPORTER_JAEGER_AGENT_HOST="127.0.0.1",
                TRACES_EXPORTER_JAEGER_AGENT_PORT=str(port),
                TRACES_EXPORTER_JAEGER_MAX_PACKET_BYTES="8000",
                TRACES_JAEGER_MAX_MSGS_PER_SECOND="100",
            )

    def send_otlp(self, service: str, spans: list[Span]) -> None:
        """Send spans as OTLP over HTTP."""
        url = f"http://127.0.0.1:{self.jaeger.otlp_http_port}"
        with http_tee(url, self._take_request) as endpoint:
            self.send(
                service,
                spans,
                TRACES_EXPORTER="otlp",
                TRACES_EXPORTER_OTLP_PROTOCOL="http/protobuf",
                TRACES_EXPORTER_OTLP_ENDPOINT=endpoint,
            )

    def ask(self, path: str, **parameters: Any) -> tuple[httpx.Response, httpx.Response]:
        """Return the answers of both, the viewer's first."""
        return asyncio.run(self._ask(path, parameters))

    async def _ask(self, path: str, parameters: Any) -> tuple[httpx.Response, httpx.Response]:
        transport = httpx.ASGITransport(self._app)
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://viewer") as ours,
            httpx.AsyncClient(base_url=self.jaeger.url) as theirs,
        ):
            return (
                await ours.get(f"/api/{path}", params=parameters, timeout=60),
                await theirs.get(f"/api/{path}", params=parameters, timeout=60),
            )

    def _take_datagram(self, datagram: bytes) -> None:
        emitted = decode_datagram(datagram)
        scope = InstrumentationScope()
        self.store.add([Batch(emitted.resource, scope, emitted.spans, Source.JAEGER)])

    def _take_request(self, body: bytes) -> None:
        self.store.add(batches_of(read_request(body)))


def calls() -> list[Span]:
    """Return a trace whose first span is of one service and whose others belong to another."""
    root = SpanContext(trace_id=0xABCD, span_id=1)
    at_ns = time.time_ns() - 60 * 10**9
    made = [Span("call", root, kind=SpanKind.CLIENT, start_ns=at_ns, end_ns=at_ns + 10**7)]
    for number in (2, 3):
        ctx = SpanContext(trace_id=0xABCD, span_id=number, parent_span_id=1)
        made.append(Span("serve", ctx, kind=SpanKind.SERVER, start_ns=at_ns, end_ns=at_ns + 10**6))
    return made


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Both, with every combination of what a span can hold, by either wire."""
    with Jaeger(tmp_path_factory.mktemp("api")) as jaeger:
        made = Both(jaeger)
        few = [*itertools.islice(TraceSet(None, 11).small(), 0, None, 7)]
        made.send_udp(UDP, [*few, *TraceSet(None, 12).edges()])
        few = [*itertools.islice(TraceSet(None, 13).small(), 0, None, 7)]
        made.send_otlp(OTLP, [*few, *TraceSet(None, 14).edges(), *TraceSet(None, 15).large()])
        first, *rest = calls()
        made.send_otlp(OTHER, [first])
        made.send_otlp(PLUS, [*itertools.islice(TraceSet(None, 16).small(), 3)])
        made.send_udp("served", rest)
        ids = {span.ctx.trace_id for spans in made.traces.values() for span in spans}
        count = sum(map(len, made.traces.values()))
        wait_for("all spans", lambda: len(jaeger.spans(ids)) == count or None, 60)
        yield made
        made.store.close()


def normal(body: Any) -> Any:
    """Return an answer without what Jaeger gives no order for, nor its notes on clocks."""
    data = body["data"]
    if isinstance(data, list) and data and isinstance(data[0], dict) and "spans" in data[0]:
        data = sorted(map(normal_trace, data), key=lambda trace: trace["traceID"])
    elif isinstance(data, list):
        data = sorted(data, key=lambda item: json.dumps(item, sort_keys=True))
    return body | {"data": data}


def normal_trace(trace: dict[str, Any]) -> dict[str, Any]:
    """Return a trace with each span's process in it, and in the order of their ids."""
    spans = []
    for span in trace["spans"]:
        warnings = [text for text in span["warnings"] or () if "clock skew" not in text] or None
        process = trace["processes"][span["processID"]]
        spans.append(span | {"warnings": warnings, "processID": process})
    processes = sorted(map(json.dumps, trace["processes"].values()))
    spans.sort(key=lambda span: span["spanID"])
    return trace | {"spans": spans, "processes": processes}


def shape(value: Any) -> Any:
    """Return a value's type, and those of what is in it."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value)


def assert_same(both: Both, path: str, **parameters: Any) -> Any:
    """Ask both and compare the whole answers; return the data."""
    ours, theirs = both.ask(path, **parameters)
    assert (ours.status_code, ours.headers["Content-Type"]) == (200, "application/json")
    assert theirs.status_code == 200
    mine, real = normal(ours.json()), normal(theirs.json())
    if mine != real:
        pairs = zip(mine["data"] or (), real["data"] or (), strict=False)
        one, other = next(((a, b) for a, b in pairs if a != b), (mine, real))
        assert one == other
        assert mine == real
    return mine["data"]


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("services", {}),
        (f"services/{UDP}/operations", {}),
        ("services/by%20otlp%2F%C3%BC/operations", {}),
        ("services/1%2B1%20is%20100%25/operations", {}),
        ("services/1%2B1+is+100%25/operations", {}),
        ("services/1+1%20is%20100%2525/operations", {}),
        ("services/nobody/operations", {}),
        ("operations", {"service": UDP}),
        ("operations", {"service": OTLP, "spanKind": "server"}),
        ("operations", {"service": OTLP, "spanKind": "unspecified"}),
        ("operations", {"service": PLUS}),
        ("operations", {"service": "nobody"}),
        ("dependencies", {"endTs": int(time.time() * 1e3) + 60_000, "lookback": 7_200_000}),
        ("dependencies", {"endTs": int(time.time() * 1e3) + 60_000, "lookback": 1}),
        ("dependencies", {"endTs": int(time.time() * 1e3) + 60_000, "service": "served"}),
    ],
)
def test_lists(both: Both, path: str, parameters: dict[str, Any]) -> None:
    """Services, their operations and who calls whom; what there is none of is empty, not null."""
    ours, theirs = both.ask(path, **parameters)
    mine, real = normal(ours.json()), normal(theirs.json())
    assert ours.status_code == theirs.status_code == 200
    assert mine | {"data": mine["data"] or []} == real | {"data": real["data"] or []}


@pytest.mark.parametrize("service", [UDP, OTLP])
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"operation": "root many one text"},
        {"operation": "no such"},
        {"tag": "span.kind:client"},
        {"tag": ["int:42", "error:true"]},
        {"tag": "int.beyond-double:9007199254740993"},
        {"tag": "float:0.1"},
        {"tag": "float.largest:1.797693135e+308"},
        {"tag": "bool.true:true"},
        {"tag": "text.non-ascii:Grüße ☃ 🜚 \u2028"},
        {"tag": "text.empty:"},
        {"tag": "a:b:c"},
        {"tag": "deployment:täst"},
        {"tag": "event:Event 0"},
        {"tag": "texts.none:[]"},
        {"tag": "internal.span.format:otlp"},
        {"tags": '{"int":"42","ok":"true"}'},
        {"tags": '{"otel.status_code":"ERROR","text":"GET /orders"}'},
        {"minDuration": "12ms"},
        {"maxDuration": "1us"},
        {"minDuration": "1.5us", "maxDuration": "1s"},
        {"minDuration": "10s"},
        {"operation": "root no no none", "minDuration": "1ms", "tag": "span.kind:server"},
    ],
    ids=str,
)
def test_searches(both: Both, service: str, asked: dict[str, Any], compared: list[str]) -> None:
    """The same traces, every field of every span of them."""
    found = assert_same(both, "traces", service=service, limit=5_000, **asked)
    compared.append(f"viewer and Jaeger, {service} {asked}: {len(found)} traces alike")


def test_times_and_limits(both: Both) -> None:
    """The newest so many, and those in a time."""
    starts = sorted(
        span.start_ns // 1_000 for span in both.traces[UDP] if span.start_ns is not None
    )
    middle, end = starts[len(starts) // 2], starts[-1]
    for asked in (
        {"limit": 7},
        {"start": middle, "end": end, "limit": 5_000},
        {"start": middle + 1, "end": end - 1, "limit": 5_000},
        {"end": starts[0] - 1},
        {"start": end + HOUR_US},
    ):
        assert_same(both, "traces", service=UDP, **asked)


def test_traces_by_id(both: Both) -> None:
    """One or several, of 64 and of 128 bits, in any case, padded or not; what is not there."""
    large = f"{both.traces[OTLP][-1].ctx.trace_id:032x}"
    assert len(assert_same(both, f"traces/{large}")[0]["spans"]) == 5_000
    for text in ("abcd", "ABCD", f"{0xABCD:016x}", f"{0xABCD:032x}"):
        assert len(assert_same(both, f"traces/{text}")[0]["spans"]) == 3
    assert_same(both, "traces", traceID=["abcd", large])
    ours, theirs = both.ask("traces", traceID=["abcd", "beef", f"{1 << 127:032x}"])
    assert normal(ours.json()) == normal(theirs.json())
    assert ours.status_code == theirs.status_code == 200


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("traces", {}),
        ("traces/beef", {}),
        ("traces/xyz", {}),
        (f"traces/{'1' * 33}", {}),
        ("traces", {"traceID": "xyz"}),
        ("traces", {"service": UDP, "minDuration": "5"}),
        ("traces", {"service": UDP, "maxDuration": "ms"}),
        ("traces", {"service": UDP, "minDuration": "5ms", "maxDuration": "1ms"}),
        ("traces", {"service": UDP, "start": "yesterday"}),
        ("traces", {"service": UDP, "limit": "many"}),
        ("traces", {"service": UDP, "tag": "nocolon"}),
        ("traces", {"service": UDP, "tags": "{"}),
        ("traces", {"service": UDP, "tags": '{"a":1}'}),
        ("operations", {}),
        ("dependencies", {"endTs": "now"}),
        ("dependencies", {"lookback": "1h"}),
    ],
)
def test_what_cannot_be_answered(both: Both, path: str, parameters: dict[str, Any]) -> None:
    """The same status and the same shape; the words are Jaeger's where they are not Go's."""
    ours, theirs = both.ask(path, **parameters)
    assert ours.status_code == theirs.status_code >= 400
    mine, real = ours.json(), json.loads(theirs.text)
    assert shape(mine) == shape(real)
    assert mine["errors"][0]["code"] == real["errors"][0]["code"]
