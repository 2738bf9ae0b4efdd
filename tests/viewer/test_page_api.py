"""What the page asks for: traces, one trace, and its exports."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict

from iox_otel.viewer.stored import Batch, Schemas, Source
from iox_otel_bridge.wire.otlp_decode import read_json_request, request_to_json

Make = Any
Receiving = Any


def get(receiving: Receiving, path: str) -> httpx.Response:
    """Return an answer."""
    return httpx.get(f"{receiving.url}/api/viewer{path}", timeout=10)


def add(receiving: Receiving, *batches: Batch) -> None:
    """Store spans."""
    receiving.viewer.store.add(batches)


def ids(receiving: Receiving, query: str) -> list[int]:
    """Return the numbers of the traces that a search finds."""
    data = get(receiving, f"/traces?{query}").json()["data"]
    return [int(row["traceID"], 16) for row in data]


@pytest.fixture
def traces(receiving: Receiving, make: Make) -> Receiving:
    """A viewer with three traces: trace 3 is the newest, and each is longer than the one before."""
    for number, (service, name) in enumerate(
        [("shop", "get"), ("shop", "put"), ("db", "get")], start=1
    ):
        at_ms = 1_000 * number
        span = make.span(number, 1, name=name, at_ms=at_ms, ms=number, error=number == 2, n=number)
        add(receiving, make.batch([span], service))
    return receiving


def test_a_row(traces: Receiving, make: Make) -> None:
    """All that the list shows, in nanoseconds; the start as text, as it is too large a number."""
    (row,) = get(traces, "/traces?traceID=2").json()["data"]
    assert row == {
        "traceID": f"{2:032x}",
        "service": "shop",
        "name": "put",
        "startNs": str(make.START_NS + 2_000 * make.MS),
        "duration": 2 * make.MS,
        "spans": 1,
        "errors": 1,
        "services": {"shop": 1},
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [3, 2, 1]),
        ("service=shop", [2, 1]),
        ("service=none", []),
        ("operation=get", [3, 1]),
        ("tags=n%3D2", [2]),
        ("errors=1", [2]),
        ("errors=0", [3, 2, 1]),
        ("minDuration=2ms", [3, 2]),
        ("maxDuration=2ms", [2, 1]),
        ("limit=2", [3, 2]),
        ("start={at}", [3, 2]),
        ("end={at}", [2, 1]),
        ("start={at}&lookback=1h", [3, 2]),
        ("lookback=1h", []),
        ("lookback=99999d", [3, 2, 1]),
        ("traceID=1&traceID=3&traceID=9", [3, 1]),
        ("traceID=1&service=db", [1]),
    ],
)
def test_searching(traces: Receiving, make: Make, query: str, expected: list[int]) -> None:
    """Each parameter does what it says; the newest come first."""
    at_us = (make.START_NS + 2_000 * make.MS) // 1_000
    assert ids(traces, query.format(at=at_us)) == expected


def test_whether_there_may_be_more(traces: Receiving) -> None:
    """The list says so when it is as long as was asked for."""
    said = [get(traces, f"/traces?limit={limit}").json()["limited"] for limit in (2, 3, 4)]
    assert said == [True, True, False]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("limit=x", "limit"),
        ("limit=-1", "limit"),
        ("traceID=1&limit=x", "limit"),
        ("start=yesterday", "start"),
        ("end=-1", "end"),
        ("lookback=5", "lookback"),
        ("lookback=-5d", "lookback"),
        ("minDuration=5", "minDuration"),
        ("minDuration=-5ms", "minDuration"),
        ("maxDuration=5%0Ams", "maxDuration"),
        (f"maxDuration={'9' * 400}h", "maxDuration"),
        ("tags=a%3D%22", "tags"),
        ("traceID=xyz", "traceID"),
    ],
)
def test_bad_parameters(traces: Receiving, query: str, names: str) -> None:
    """They are 400, with one line that names them."""
    answer = get(traces, f"/traces?{query}")
    assert answer.status_code == 400
    assert names in answer.json()["error"] and "\n" not in answer.json()["error"]


def test_times_beyond_all(traces: Receiving) -> None:
    """Numbers that no clock shows find nothing, or everything; they break nothing."""
    nines = "9" * 18
    assert ids(traces, f"start={nines}") == []
    assert ids(traces, f"end={nines}") == [3, 2, 1]
    for query in (f"endTs={nines}&lookback=1", f"endTs=-{nines}", f"lookback={nines}"):
        answer = httpx.get(f"{traces.url}/api/dependencies?{query}")
        assert answer.status_code == 200


def test_an_upload_is_stored_in_turns(receiving: Receiving, make: Make) -> None:
    """What the page asks for meanwhile does not wait for the whole file."""
    statements: list[str] = []
    receiving.viewer.store._database.set_trace_callback(statements.append)
    spans = [make.span(1, number) for number in range(1, 2_502)]
    body = json.dumps(request_to_json(make.request(*spans)))
    headers = {"Content-Type": "application/json"}
    url = f"{receiving.url}/api/viewer/upload"
    assert httpx.post(url, content=body, headers=headers, timeout=20).status_code == 200
    receiving.viewer.store._database.set_trace_callback(None)
    assert statements.count("BEGIN IMMEDIATE") == 3
    assert receiving.viewer.store.kept().spans == 2_501


def test_services(traces: Receiving) -> None:
    """With the names of their spans."""
    assert get(traces, "/services").json()["data"] == [
        {"name": "db", "operations": ["get"]},
        {"name": "shop", "operations": ["get", "put"]},
    ]


@pytest.fixture
def everything(receiving: Receiving, make: Make) -> Receiving:
    """A viewer with one span that has all the fields there are, in trace 1."""
    (of_resource,) = make.everything().resource_spans
    (of_scope,) = of_resource.scope_spans
    schemas = Schemas(of_resource.schema_url, of_scope.schema_url)
    spans = list(of_scope.spans)
    add(receiving, Batch(of_resource.resource, of_scope.scope, spans, Source.OTLP, schemas))
    return receiving


def test_a_trace(everything: Receiving) -> None:
    """What JavaScript's numbers cannot hold is text; nothing else is changed."""
    said = get(everything, "/traces/1").json()
    (span,) = said["spans"]
    listed = [said["attributes"][number] for number in span["attributes"]]
    values = {key: (kind, value) for key, kind, value in listed}
    assert values == {
        "k0": ("string", "täxt"),
        "k1": ("bool", False),
        "k2": ("int", str(-(1 << 63))),
        "k3": ("double", "-Infinity"),
        "k4": ("bytes", "AP8="),
        "k5": ("array", [1, None, []]),
        "k6": ("map", {"k": 0.5}),
        "k7": ("null", None),
    }
    assert span["dropped"] == {"attributes": 3, "events": 4, "links": 5}
    assert (span["state"], span["flags"], span["kind"]) == ("a=b", 0x301, 4)
    assert span["status"] == {"code": 2, "message": "why"}
    (link,) = span["links"]
    assert (link["state"], link["flags"], link["dropped"]) == ("c=d", 0x100, 3)
    assert [event["dropped"] for event in span["events"]] == [3, 0]
    assert said["resources"][0]["dropped"] == 3


def test_a_trace_as_otlp(everything: Receiving, make: Make) -> None:
    """The file has all that was sent."""
    answer = get(everything, "/traces/1/export?format=otlp")
    assert MessageToDict(read_json_request(answer.content)) == MessageToDict(make.everything())


@pytest.mark.parametrize(
    ("wanted", "media_type", "ending", "begins"),
    [
        ("jaeger", "application/json", "jaeger.json", '{"data": [{"traceID": "'),
        ("otlp", "application/json", "otlp.json", '{"resourceSpans": ['),
        ("html", "text/html; charset=utf-8", "html", "<!doctype html>"),
        ("text", "text/plain; charset=utf-8", "txt", ""),
    ],
)
def test_exports(
    everything: Receiving, wanted: str, media_type: str, ending: str, begins: str
) -> None:
    """Each is a file of its kind, which a browser saves and does not show."""
    answer = get(everything, f"/traces/1/export?format={wanted}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    name = f"trace-{1:032x}.{ending}"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert answer.text.startswith(begins)
    assert "all" in answer.text and "why" in answer.text


def test_jaegers_export_is_what_its_api_says(traces: Receiving) -> None:
    """So that its own page takes the file."""
    said = httpx.get(f"{traces.url}/api/traces/{1:032x}").json()["data"]
    assert get(traces, "/traces/1/export?format=jaeger").json() == {"data": said}


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/traces/7", 404, "no such trace"),
        ("/traces/xyz", 400, "traceID"),
        ("/traces/7/export?format=text", 404, "no such trace"),
        ("/traces/7/export", 400, "format: expected one of jaeger, otlp, html, text"),
        ("/traces/7/export?format=pdf", 400, "format"),
        ("/nothing", 404, "Not Found"),
    ],
)
def test_what_is_not_there(receiving: Receiving, path: str, status: int, says: str) -> None:
    """One line says so, in JSON."""
    answer = get(receiving, path)
    assert answer.status_code == status
    assert says in json.loads(answer.content)["error"]
