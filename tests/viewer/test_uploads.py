"""Traces from files: what was exported comes back as it was, and what is no trace is refused."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from iox_otel.viewer import jaeger_json
from iox_otel.viewer.app import Viewer
from iox_otel.viewer.stored import Batch, Source, StoredSpan
from iox_otel.viewer.uploads import read_upload, without_known
from iox_otel_bridge.wire.errors import DecodeError
from iox_otel_bridge.wire.otlp_decode import request_to_json

Make = Any
Receiving = Any
JSON = {"Content-Type": "application/json"}
PROCESSES = {"p": {"serviceName": "s"}}
SPAN = {
    "traceID": "1",
    "spanID": "2",
    "operationName": "x",
    "startTime": 1,
    "duration": 1,
    "processID": "p",
}


def of_span(**fields: Any) -> dict[str, Any]:
    """Return a trace of a span with these fields."""
    return {"processes": PROCESSES, "spans": [SPAN | fields]}


def upload(receiving: Receiving, body: Any, **headers: str) -> httpx.Response:
    """Upload a file."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    url = f"{receiving.url}/api/viewer/upload"
    said = JSON | {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(url, content=content, headers=said, timeout=20)


def exported(receiving: Receiving, kind: str, trace: int = 1) -> bytes:
    """Return the file of a trace."""
    url = f"{receiving.url}/api/viewer/traces/{trace:x}/export?format={kind}"
    return httpx.get(url).raise_for_status().content


def upload_again(receiving: Receiving, body: bytes) -> None:
    """Upload the file of a trace: it must be the same to the last byte, so there is no more."""
    answer = upload(receiving, body)
    assert (answer.status_code, answer.json()) == (200, {"traceIDs": [f"{1:032x}"]})


def jaeger_span(make: Make) -> Any:
    """Return a span of trace 1 as it comes from a Jaeger client."""
    span = make.span(1, 2, parent=3, s="text", b=True, i=1 << 60, f=0.5, nan=float("nan"))
    span.attributes.add(key="raw").value.bytes_value = b"\0\xff"
    span.flags = 3
    event = span.events.add(name="retry", time_unix_nano=make.START_NS)
    event.attributes.add(key="n").value.int_value = 2
    for number, kind in ((3, "child_of"), (9, "follows_from")):
        link = span.links.add(trace_id=make.trace_id(1), span_id=number.to_bytes(8, "big"))
        link.attributes.add(key="opentracing.ref_type").value.string_value = kind
    return span


def test_otlp_there_and_back(receiving: Receiving, make: Make) -> None:
    """Nothing is lost, whatever a span has."""
    sent = request_to_json(make.everything())
    assert upload(receiving, sent).json() == {"traceIDs": [f"{1:032x}"]}
    first = exported(receiving, "otlp")
    assert json.loads(first) == sent
    upload_again(receiving, first)
    assert receiving.viewer.store.kept().spans == 1


def test_a_jaeger_clients_trace_as_otlp(receiving: Receiving, make: Make) -> None:
    """The file knows that it came from one."""
    batch = make.batch([jaeger_span(make)], source=Source.JAEGER)
    receiving.viewer.store.add(
        [Batch(batch.resource, type(batch.scope)(), batch.spans, Source.JAEGER)]
    )
    first = exported(receiving, "otlp")
    upload_again(receiving, first)
    assert receiving.viewer.store.kept().spans == 1
    assert exported(receiving, "otlp") == first


@pytest.mark.parametrize("source", Source)
def test_jaeger_there_and_back(receiving: Receiving, make: Make, source: Source) -> None:
    """A file that Jaeger or this viewer saved says the same again after it was uploaded."""
    others = make.batch([jaeger_span(make)], source=source)
    wanted = make.batch([make.span(1, 3, at_ms=1, error=True)], "db", source=source, env="prod")
    receiving.viewer.store.add([others, wanted])
    first = json.loads(exported(receiving, "jaeger"))
    moved = json.dumps(first).replace(f'"{1:016x}", "spans"', f'"{5:016x}", "spans"')
    moved = moved.replace(f'"traceID": "{1:016x}"', f'"traceID": "{5:016x}"')
    assert upload(receiving, moved.encode()).json() == {"traceIDs": [f"{5:032x}"]}
    assert json.loads(exported(receiving, "jaeger", 5)) == json.loads(moved)


@pytest.mark.parametrize("tags", [[], [{"key": "internal.span.format", "value": "otlp"}]])
def test_warnings_of_a_jaeger(receiving: Receiving, make: Make, tags: Any) -> None:
    """They are in the file again, and shown; a span that is here without them is here once."""
    warned = SPAN | {"tags": tags, "warnings": ["clock skew", "é"]}
    for span in (warned, SPAN | {"tags": tags}):
        assert upload(receiving, {"processes": PROCESSES, "spans": [span]}).status_code == 200
    (again,) = json.loads(exported(receiving, "jaeger"))["data"][0]["spans"]
    assert again["warnings"] == ["clock skew", "é"]
    assert "@jaeger@warnings" not in str(again["tags"])
    (stored,) = receiving.viewer.store.trace(make.trace_id(1))
    assert [each.key for each in stored.span.attributes] == ["@jaeger@warnings"]


_keys = st.sampled_from(
    ["a", "event", "error", "span.kind", "otel.scope.name", "otel.scope.version"]
    + ["otel.status_code", "otel.status_description", "w3c.tracestate", "internal.span.format"]
)
_texts = st.sampled_from(["", "x", "true", "client", "server", "OK", "ERROR", "otlp", "proto"])
_pairs = st.lists(st.tuples(_keys, _texts | st.booleans()), max_size=5)


@given(st.sampled_from(Source), _pairs, st.text(max_size=3), _pairs, st.integers(0, 5))
def test_tags_that_look_like_those_of_jaeger_are_kept(
    source: Source, tags: Any, name: str, fields: Any, kind: int
) -> None:
    """A span's own tags of such names are as many after there and back as they were before."""
    span = Span(trace_id=b"\1" * 16, span_id=b"\2" * 8, start_time_unix_nano=10**18)
    if source is Source.OTLP:
        span.kind = kind  # type: ignore[assignment]  # a number is as good
    event = span.events.add(name=name, time_unix_nano=10**18)
    for holder, pairs in ((span.attributes, tags), (event.attributes, fields)):
        for key, value in pairs:
            held = holder.add(key=key).value
            if isinstance(value, bool):
                held.bool_value = value
            else:
                held.string_value = value
    file = jaeger_json.trace_of([StoredSpan(span, Resource(), InstrumentationScope(), source)])
    (batch,) = read_upload(json.dumps({"data": [file]}).encode())
    again = StoredSpan(batch.spans[0], batch.resource, batch.scope, batch.source)
    assert jaeger_json.trace_of([again])["spans"] == file["spans"]


@pytest.mark.parametrize("kind", ["jaeger", "otlp"])
def test_a_trace_brought_back_to_where_it_came_from(
    receiving: Receiving, make: Make, kind: str
) -> None:
    """It is there once, though Jaeger's JSON is not exact; what has gone comes back."""
    span = make.span(1, 1, kind="x")
    span.start_time_unix_nano += 123
    span.flags = 0x101
    receiving.viewer.store.add(
        [make.batch([span]), make.batch([jaeger_span(make)], "db", Source.JAEGER)]
    )
    file = exported(receiving, kind)
    upload_again(receiving, file)
    assert receiving.viewer.store.kept().spans == 2
    with Viewer() as other:
        batches = without_known(read_upload(file), [make.trace_id(1)], other.store.trace)
        other.store.add(batches)
        assert other.store.kept().spans == 2


def test_uploading_twice(receiving: Receiving, make: Make) -> None:
    """A trace is there once."""
    for _ in range(2):
        assert upload(receiving, request_to_json(make.everything())).status_code == 200
    assert receiving.viewer.store.kept().spans == 1


def test_json_lines(receiving: Receiving, make: Make) -> None:
    """One document a line, of either kind, as the Collector's file exporter writes them."""
    jaeger = {"data": [{"processes": PROCESSES, "spans": [SPAN | {"traceID": "7"}]}]}
    otlp = request_to_json(make.request(make.span(8, 1)))
    body = f"{json.dumps(jaeger)}\n\n{json.dumps(otlp)}\r\n".encode()
    assert upload(receiving, body).json()["traceIDs"] == [f"{7:032x}", f"{8:032x}"]


def test_a_packed_file(receiving: Receiving, make: Make) -> None:
    """It is unpacked."""
    body = gzip.compress(json.dumps(request_to_json(make.everything())).encode())
    assert upload(receiving, body, Content_Encoding="gzip").status_code == 200


def test_a_large_file(receiving: Receiving) -> None:
    """It is stored in turns, so that the page can be used meanwhile; all of it."""
    spans = [SPAN | {"spanID": f"{number:x}"} for number in range(1, 2_502)]
    assert upload(receiving, {"processes": PROCESSES, "spans": spans}).status_code == 200
    assert receiving.viewer.store.kept().spans == 2_501


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"{", "not JSON"),
        (b"\xff\xfe\xfd", "not JSON"),
        (b"<html>", "not JSON"),
        (b"1", "expected Jaeger's JSON"),
        (b"{}", "expected Jaeger's JSON"),
        (b"[" + b"9" * 5_000 + b"]", "not JSON: a number has too many digits"),
        (b'{"data": 1}', "not a trace in Jaeger's JSON: 'data' cannot be 1"),
        (b'{"data": null}', "'data' cannot be null"),
        (b'{"data": [{}]}', "'processes' is missing"),
        (b'{"data": [null]}', "expected an object with 'processes', not null"),
        ({"processes": {}, "spans": [SPAN]}, "'process' is missing"),
        ({"processes": PROCESSES, "spans": 1}, "'spans' cannot be 1"),
        ({"processes": {"p": {}}, "spans": [SPAN]}, "'serviceName' is missing"),
        (of_span(spanID="xyz"), "'spanID' cannot be \"xyz\""),
        (of_span(traceID=5), "'traceID' cannot be 5"),
        (of_span(operationName=5), "'operationName' cannot be 5"),
        (of_span(tags=[{"value": "x"}]), "'key' is missing"),
        (of_span(tags=[{"key": "k", "type": "int64", "value": 1 << 63}]), "'value' cannot be"),
        (of_span(tags=[{"key": "k", "type": "binary", "value": "!"}]), "'value' cannot be \"!\""),
        (of_span(tags="x" * 99), f"'tags' cannot be \"{'x' * 58}…"),
        (of_span(logs=[{}]), "'timestamp' is missing"),
        (of_span(references=[None]), "expected an object with 'refType', not null"),
        (of_span(references=[{"traceID": "1", "spanID": "2"}]), "'refType' is missing"),
        (of_span(flags=-1), "'flags' cannot be -1"),
        (of_span(warnings=[5]), "'warnings' cannot be [5]"),
        (of_span(spanID="1" * 17), "16 hexadecimal"),
        (of_span(spanID="0"), "1 spans have no valid"),
        (of_span(startTime=-1), "'startTime' cannot be -1"),
        (of_span(duration=1e400), "'duration' cannot be Infinity"),
        (of_span(operationName="\ud800"), "'operationName' cannot be \"\\ud800\""),
        (b'{"resourceSpans": 7}', "not an ExportTraceServiceRequest"),
        (b'{"resourceSpans": "x"}', "expected resourceSpans with scopeSpans with spans"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "x"}]}]}]}', "hexadecimal"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{}]}]}]}', "1 spans have no valid"),
        (
            b'{"resourceSpans": [{"\\ud800": 1}]}',
            "expected resourceSpans with scopeSpans with spans",
        ),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" * 950 + b"]" * 950, None),
        (b'{"resourceSpans":' + b"[" * 960 + b"]" * 960 + b"}", None),
    ],
)
def test_what_is_no_trace(receiving: Receiving, body: Any, says: str | None) -> None:
    """It is 400 with one line that says why, and nothing of it is kept."""
    answer = upload(receiving, body)
    assert answer.status_code == 400 or (says is None and answer.status_code == 200)
    error = answer.json().get("error", "")
    assert (says or "") in error and "\n" not in error
    assert receiving.viewer.store.kept().spans == 0


def test_part_of_a_file(receiving: Receiving) -> None:
    """One span that is none: nothing of the file is kept."""
    spans = [SPAN, SPAN | {"spanID": "0"}]
    assert upload(receiving, {"processes": PROCESSES, "spans": spans}).status_code == 400
    assert receiving.viewer.store.kept().traces == 0


@pytest.mark.parametrize(
    ("media_type", "status"),
    [("Application/JSON; charset=utf-8", 200), ("application/x-protobuf", 415), ("text/json", 415)],
)
def test_types(receiving: Receiving, media_type: str, status: int) -> None:
    """JSON is taken, however it is spelt, and nothing else."""
    answer = upload(receiving, b'{"data": []}', Content_Type=media_type)
    assert answer.status_code == status


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["data", "spans", "processes", "resourceSpans", "scopeSpans", "tags", "traceID"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.binary(max_size=60) | _json.map(json.dumps).map(str.encode))
def test_any_file_is_read_or_refused(body: bytes) -> None:
    """There is no other error."""
    try:
        assert isinstance(read_upload(body), list)
    except DecodeError as error:
        assert str(error)
