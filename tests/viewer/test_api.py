"""Jaeger's query API over the store. Its answers are compared with Jaeger's own in tests/peers."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest
from starlette.applications import Starlette

from iox_otel.viewer.api import routes
from iox_otel.viewer.store import Store
from iox_otel.viewer.stored import Source

Make = Any


def get(store: Store, path: str) -> tuple[int, Any]:
    """Return the status and the body of an answer."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(Starlette(routes=routes(store)))
        async with httpx.AsyncClient(transport=transport, base_url="http://viewer") as client:
            return await client.get(path)

    answer = asyncio.run(ask())
    return answer.status_code, answer.json()


def test_a_trace(store: Store, make: Make) -> None:
    """Every field in its place and unit, tags sorted, integers as JavaScript can hold them."""
    span = make.span(1, 2, parent=1, name="get", ms=2.5, error=True, n=2**53, nan=float("nan"))
    span.kind, span.trace_state = 3, "a=b"
    span.links.add(trace_id=b"\1" * 16, span_id=b"\2" * 8)
    event = span.events.add(name="retry", time_unix_nano=make.START_NS + 1_999)
    event.attributes.add(key="b").value.bool_value = True
    event.attributes.add(key="raw").value.bytes_value = b"\0\xff"
    store.add([make.batch([span], env="prod")])
    status, body = get(store, "/api/traces/1")

    text = {"type": "string"}
    assert (status, body["errors"], body["total"]) == (200, None, 0)
    assert body["data"] == [
        {
            "traceID": "0000000000000001",
            "spans": [
                {
                    "traceID": "0000000000000001",
                    "spanID": "0000000000000002",
                    "operationName": "get",
                    "references": [
                        {
                            "refType": "CHILD_OF",
                            "traceID": "0000000000000001",
                            "spanID": "0000000000000001",
                        },
                        {"refType": "FOLLOWS_FROM", "traceID": "01" * 16, "spanID": "02" * 8},
                    ],
                    "startTime": make.START_NS // 1_000,
                    "duration": 2_500,
                    "tags": [
                        {"key": "error", "type": "bool", "value": True},
                        {"key": "internal.span.format", **text, "value": "otlp"},
                        {"key": "n", "type": "int64", "value": str(2**53)},
                        {"key": "nan", "type": "float64", "value": "NaN"},
                        {"key": "otel.scope.name", **text, "value": "lib"},
                        {"key": "otel.scope.version", **text, "value": "1"},
                        {"key": "otel.status_code", **text, "value": "ERROR"},
                        {"key": "span.kind", **text, "value": "client"},
                        {"key": "w3c.tracestate", **text, "value": "a=b"},
                    ],
                    "logs": [
                        {
                            "timestamp": make.START_NS // 1_000 + 1,
                            "fields": [
                                {"key": "event", **text, "value": "retry"},
                                {"key": "b", "type": "bool", "value": True},
                                {"key": "raw", "type": "binary", "value": "AP8="},
                            ],
                        }
                    ],
                    "processID": "p1",
                    "warnings": None,
                }
            ],
            "processes": {
                "p1": {
                    "serviceName": "shop",
                    "tags": [{"key": "env", **text, "value": "prod"}],
                }
            },
            "warnings": None,
        }
    ]


def test_an_unfinished_span_has_no_duration(store: Store, make: Make) -> None:
    """One without an end, or with one before its start."""
    unfinished, early = make.span(1, 1), make.span(1, 2, ms=-5)
    unfinished.end_time_unix_nano = 0
    store.add([make.batch([unfinished, early])])
    _, body = get(store, "/api/traces/1")
    assert [span["duration"] for span in body["data"][0]["spans"]] == [0, 0]


def test_flags_are_jaegers(store: Store, make: Make) -> None:
    """Of its own spans; OTLP's are none of them."""
    for number, source in enumerate(Source, 1):
        span = make.span(number, 1)
        span.flags = 0x103
        store.add([make.batch([span], source=source)])
    flags = [get(store, f"/api/traces/{n}")[1]["data"][0]["spans"][0].get("flags") for n in (1, 2)]
    assert flags == [3, None]


@pytest.mark.parametrize("service", ["a+b", "a b", "a%20b", "100%", "a%2Fb", "a/b", "ü?#", "%2B"])
def test_a_service_of_any_name_has_its_operations(store: Store, make: Make, service: str) -> None:
    """Its name is decoded once, in the path and in the query, whichever way a blank is said."""
    store.add([make.batch([make.span(1, 1)], service)])
    for name in (quote(service, safe=""), quote_plus(service)):
        assert get(store, f"/api/services/{name}/operations")[1]["data"] == ["work"]
        assert len(get(store, f"/api/operations?service={name}")[1]["data"]) == 1


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/api/traces", 400, "parameter 'service' is required"),
        (
            "/api/traces?service=s&limit=x",
            400,
            "unable to parse param 'limit': 'x' is not a number",
        ),
        ("/api/traces/7", 404, "trace not found"),
        ("/api/operations", 400, "parameter 'service' is required"),
    ],
)
def test_what_cannot_be_answered(store: Store, path: str, status: int, message: str) -> None:
    """One line says why."""
    assert get(store, path) == (
        status,
        {
            "data": None,
            "total": 0,
            "limit": 0,
            "offset": 0,
            "errors": [{"code": status, "msg": message}],
        },
    )


def test_an_empty_store(store: Store) -> None:
    """It has nothing of anything."""
    for path in ("services", "services/x/operations", "dependencies", "traces?service=x"):
        assert get(store, f"/api/{path}") == (
            200,
            {"data": [], "total": 0, "limit": 0, "offset": 0, "errors": None},
        )
