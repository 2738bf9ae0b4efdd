"""The README's four steps, as they are written there, with a socket of ours for the Jaeger."""

from __future__ import annotations

import json
import re
import socket

from iox_otel_bridge.wire.jaeger import Batch, decode_batch
from peerkit.process import wait_for
from peerkit.readme import TIMEOUT_S, commands, serve_and_query, shell
from peerkit.viewer import Viewer

SPANS = {
    "IOx http",
    "query_database_sql",
    "query_planning",
    "sql_to_logical_plan",
    "create_physical_plan",
    "execute_stream_partitioned",
}
"""Of the query; the operators of `show tables` have no times, so they have no spans."""


def test_the_four_steps() -> None:
    """With the viewer of step 1, the trace of the query is where step 4 says."""
    assert commands(1) == ["iox-otel viewer"]
    viewer = Viewer()  # the same, on ports of its own
    try:
        done = serve_and_query(
            agent_port=int(viewer.intake["udp"].rpartition(":")[2]), bind="127.0.0.1:0"
        )
        search = (
            f"iox-otel traces --url {viewer.url} --service iox-conductor "
            "--tag jaeger-debug-id=tracing-is-a-great-idea --json"
        )
        row = json.loads(wait_for("the trace", lambda: shell(search) or None))
        tree = shell(f"iox-otel trace {row['traceID']} --url {viewer.url}")
    finally:
        viewer.end()
    assert done.status == 0
    assert (row["name"], row["spans"]) == ("IOx http", len(SPANS))
    assert all(name in tree for name in SPANS)


def test_the_servers_datagrams() -> None:
    """Steps 2 and 3 give the answers that the README promises, and any Jaeger the trace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as jaeger:
        jaeger.bind(("127.0.0.1", 0))
        jaeger.settimeout(TIMEOUT_S)
        # The ports are the machine's; all else is the README's.
        done = serve_and_query(agent_port=jaeger.getsockname()[1], bind="127.0.0.1:0")
        spans: dict[str, dict[str, object]] = {}
        while len(spans) < len(SPANS):  # in one datagram or more, as the clock has it
            batch = decode_batch(jaeger.recv(65_535))
            spans |= {s.operationName: {t.key: t.vStr for t in s.tags or ()} for s in batch.spans}

    assert done.status == 0
    assert "Spans: jaeger: 6 recorded, 6 delivered" in done.log
    assert (done.create, done.write) == ("Created database my_db\n", "1000 Lines OK\n")
    assert re.search(r"\| public +\| iox +\| cpu +\| BASE TABLE \|", done.query)
    assert service_of(batch) == ("iox-conductor", "42")
    assert set(spans) == SPANS
    assert spans["IOx http"]["jaeger-debug-id"] == "tracing-is-a-great-idea"
    assert spans["query_database_sql"]["query"] == "show tables"


def service_of(batch: Batch) -> tuple[str, str]:
    """Return the service's name and instance in *batch*."""
    (instance,) = [tag.vStr for tag in batch.process.tags if tag.key == "service.instance.id"]
    return batch.process.serviceName, instance
