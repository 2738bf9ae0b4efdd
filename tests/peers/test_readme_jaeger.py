"""What the README tells to do brings the traces that it promises into a real Jaeger."""

from __future__ import annotations

import os
import re
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from peerkit.build import VERSIONS
from peerkit.jaeger import Jaeger
from peerkit.outline import Seen, fetch, find, outline, root
from peerkit.process import free_port
from peerkit.readme import ROOT, section, serve_and_query
from peerkit.service import Service, settings

EXAMPLES = ROOT / "examples"
JAEGER_VERSION = f"Jaeger {VERSIONS['jaeger']['version']}"
TIMEOUT_S = 30

FOUR_STEPS = """\
iox-conductor: IOx http (server)
  iox-conductor: query_database_sql
    iox-conductor: query_planning
      iox-conductor: sql_to_logical_plan
      iox-conductor: create_physical_plan
    iox-conductor: execute_stream_partitioned"""
"""The operators of `show tables` have no times, so they have no spans."""


class Form(NamedTuple):
    """What Jaeger makes of what it is sent."""

    every: dict[str, object]
    """Tags of every span."""
    ok: dict[str, object]
    """Tags of a span whose status is Ok."""
    internal: dict[str, object]
    """Tags of a span that is internal."""
    flags: int
    """Of a debug trace."""
    host: str
    """The process tag with the name of the host, where the environment has that."""


FORMS = {
    "jaeger": Form({"internal.span.format": "proto"}, {"ok": True}, {}, 3, "hostname"),
    "otlp": Form(  # Jaeger's receiver of OTLP takes no flags over
        {
            "internal.span.format": "otlp",
            "otel.scope.name": "iox-trace",
            "otel.scope.version": version("iox-otel"),
        },
        {"otel.status_code": "OK"},
        {"span.kind": "internal"},
        0,
        "host.name",
    ),
}


def test_the_four_steps(tmp_path: Path, compared: list[str]) -> None:
    """On the ports of the README, so far as they are free, they lead to the trace of the query."""
    agent, ui, server = (free_port(port) for port in (6831, 16686, 8080))
    with Jaeger(tmp_path, compact_port=agent, query_port=ui) as jaeger:
        done = serve_and_query(
            agent_port=agent, bind=None if server == 8080 else f"127.0.0.1:{server}"
        )
        page, service = step_4()
        shown = httpx.get(page.replace("16686", str(ui)), timeout=TIMEOUT_S)
        tags = {"jaeger-debug-id": "tracing-is-a-great-idea"}
        trace_id, spans = find(jaeger, service, tags, spans=6)
        services, same = jaeger.api("services"), jaeger.api("traces", service=service)

    assert (done.create, done.write) == ("Created database my_db\n", "1000 Lines OK\n")
    assert re.search(r"\| public +\| iox +\| cpu +\| BASE TABLE \|", done.query)
    assert (done.status, f"trace={trace_id} query to my_db: 'show tables'" in done.log) == (0, True)
    assert (shown.status_code, services) == (200, [service])
    assert [trace["traceID"] for trace in same] == [trace_id]  # the other requests are not traced

    assert outline(spans) == FOUR_STEPS
    form = FORMS["jaeger"]
    size = len(done.query.encode()) - 1  # the client ends its last line
    assert root(spans).parent_id is None
    for span in spans:
        assert process_of(span, form) == process_tags(form) | {"service.instance.id": "42"}
        assert span.flags == form.flags
        match span.name:
            case "IOx http":
                assert span.tags == form.every | form.ok | tags | {
                    "http.request.method": "POST",
                    "http.response.status_code": 200,
                    "http.route": "/api/v3/query_sql",
                    "span.kind": "server",
                    "url.path": "/api/v3/query_sql",
                    "url.scheme": "http",
                }
                assert span.events == [
                    {"event": "request processed"},
                    {"event": "returned body data", "size": size},
                    {
                        "event": "returned body data and no trailers",
                        "chunks": 1,
                        "size": 0,
                        "total_size": size,
                    },
                ]
            case "query_database_sql":
                assert (span.tags, span.events) == (form.every | {"query": "show tables"}, [])
            case _:
                assert (span.tags, span.events) == (form.every, [])
    compared.append(
        f"README's four steps against {JAEGER_VERSION} (UDP {agent}, UI {ui}, server {server}): "
        f"{len(spans)} spans: tree, kinds, flags, tags, events, process"
    )


def step_4() -> tuple[str, str]:
    """Return the page that the README's last step opens, and the service chosen there."""
    steps = section("The four steps")
    step = re.search(r'# 4 (http://\S+) → choose the service "(\S+)" → the trace of', steps)
    assert step is not None
    return step[1], step[2]


def process_of(span: Seen, form: Form) -> dict[str, object]:
    """Return the tags of a span's process but the random one that tells senders over UDP apart."""
    tags = dict(span.process)
    if form is FORMS["jaeger"]:
        assert re.fullmatch("[0-9a-f]{16}", tags.pop("client-uuid"))
    return tags


def process_tags(form: Form) -> dict[str, str]:
    """Return what every process says of itself."""
    name = os.environ.get("HOSTNAME")
    return {
        "telemetry.distro.name": "iox-otel",
        "telemetry.distro.version": version("iox-otel"),
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": version("opentelemetry-sdk"),
    } | ({form.host: name} if name else {})


@pytest.mark.parametrize("exporter", ["jaeger", "otlp"])
@pytest.mark.parametrize(
    ("module", "route", "path", "metadata"),
    [
        ("fastapi_app", "/checkout/{cart}", "/checkout/c-1", {"cart": "c-1"}),
        ("starlette_app", "/checkout", "/checkout", {"items": 3}),
    ],
)
def test_an_example(
    module: str,
    route: str,
    path: str,
    metadata: dict[str, object],
    exporter: str,
    jaeger: Jaeger,
    tmp_path: Path,
    compared: list[str],
) -> None:
    """Served and asked as the README says, a service's request and what it did are in Jaeger."""
    serve, debug_id = how_to_serve(module), how_to_ask()
    service = Service(
        serve,
        source=EXAMPLES,
        folder=tmp_path,
        ready=path,
        environment=settings(exporter, jaeger),
        wanted_port=8000,
    )
    with service:
        found = httpx.get(service.url + path, headers=debug_id, timeout=TIMEOUT_S)
        missing = httpx.get(service.url + "/no/such", headers=debug_id, timeout=TIMEOUT_S)
        spans = fetch(jaeger, found.headers["trace-id"], spans=2)
        (not_found,) = fetch(jaeger, missing.headers["trace-id"], spans=1)

    assert (found.json(), missing.status_code) == ({"items": 3}, 404)
    form = FORMS[exporter]
    assert outline([*spans, not_found]).splitlines() == [
        "checkout: checkout http (server)",
        "  checkout: load cart" + (" (internal)" if form.internal else ""),
        "checkout: checkout http (server)",
    ]
    common = form.every | debug_id
    common |= {"http.request.method": "GET", "url.scheme": "http", "span.kind": "server"}
    request, child = root(spans), spans[-1]
    assert request.parent_id is None
    assert request.tags == common | form.ok | {
        "http.response.status_code": 200,
        "http.route": route,
        "url.path": path,
    }
    assert request.events == [
        {"event": "request processed"},
        {"event": "returned body data and no trailers", "size": len(found.content)},
    ]
    assert (child.tags, child.events) == (form.every | form.internal | metadata, [])
    assert not_found.tags == common | {"http.response.status_code": 404, "url.path": "/no/such"}
    assert not_found.events == [
        {"event": "not found"},
        {"event": "returned body data and no trailers", "size": len(missing.content)},
    ]
    for span in (request, child, not_found):
        assert (process_of(span, form), span.flags) == (process_tags(form), form.flags)
    compared.append(
        f"examples/{module}.py against {JAEGER_VERSION} by {exporter}: "
        "3 spans: tree, route, status codes, tags, events, process"
    )


def how_to_serve(module: str) -> str:
    """Return the command in the first line of the example, which is the README's for FastAPI."""
    first = (EXAMPLES / f"{module}.py").read_text().splitlines()[0]
    command = first.partition("TRACES_EXPORTER=console ")[2].removesuffix('"""')
    assert command == f"uvicorn {module}:app"
    if module == "fastapi_app":
        assert f"    TRACES_EXPORTER=console {command}\n" in section("In your own service")
    return command


def how_to_ask() -> dict[str, str]:
    """Return the headers that the README's curl sends."""
    curl = re.search(
        r"    curl -H '([^:]+): (.+)' http://127.0.0.1:8000/checkout/c-1 ",
        section("In your own service"),
    )
    assert curl is not None
    return {curl[1]: curl[2]}
