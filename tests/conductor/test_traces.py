"""What a traced request leaves behind, and what an untraced one does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from iox_otel import Span, SpanStatus
from iox_otel.conductor.app import create_app


def shape(spans: list[Span]) -> str:
    """Return the tree of *spans*: names and statuses, one a line, siblings by their start."""
    children: dict[int | None, list[Span]] = {}
    ids = {span.ctx.span_id for span in spans}
    for span in spans:
        parent = span.ctx.parent_span_id
        children.setdefault(parent if parent in ids else None, []).append(span)

    def lines(parent: int | None, depth: int) -> Iterator[str]:
        for span in sorted(children.get(parent, []), key=lambda span: span.start_ns or 0):
            status = "" if span.status is not SpanStatus.ERR else " ERR"
            yield "  " * depth + span.name + status
            yield from lines(span.ctx.span_id, depth + 1)

    return "\n".join(lines(None, 0))


def test_a_query(conductor: Any) -> None:
    """A query has the reference's spans, down to each operator."""
    conductor.write("m,t=a f=1 1\nm,t=b f=2 2\nm,t=a f=3 3")

    response = conductor.query("select t, sum(f) from m group by t order by t", traced=True)

    assert response.headers["trace-id"] == f"{conductor.trace_id:032x}"
    top, _, operators = shape(conductor.collector.spans).partition("    execute_stream")
    assert top == (
        "IOx http\n"
        "  query_database_sql\n"
        "    query_planning\n"
        "      sql_to_logical_plan\n"
        "      create_physical_plan\n"
    )
    names = operators.split()[1:]
    assert names[0] == "SortPreservingMergeExec"
    assert {"SortExec", "AggregateExec"} <= set(names)


def test_all_spans_are_of_one_trace(conductor: Any) -> None:
    """Every span has the caller's trace id, a parent, and times inside of the request's."""
    conductor.write("m f=1 1")
    conductor.query("select * from m order by f", traced=True)

    spans = conductor.collector.spans
    request = conductor.collector.find("IOx http")
    assert {span.ctx.trace_id for span in spans} == {conductor.trace_id}
    assert request.ctx.parent_span_id == 0x00F067AA0BA902B7
    known = {span.ctx.span_id for span in spans}
    assert all(span.ctx.parent_span_id in known for span in spans if span is not request)
    microsecond = 1_000  # DataFusion's times are read in these
    for span in spans:
        assert request.start_ns - microsecond <= span.start_ns <= span.end_ns <= request.end_ns


def test_an_operator(conductor: Any) -> None:
    """An operator's span has its description, its rows and its compute time."""
    conductor.write("m f=1 1\nm f=2 2")
    conductor.query("select * from m order by f desc", traced=True)

    sort = conductor.collector.find("SortExec")
    assert sort.metadata["desc"].startswith("SortExec: expr=[f@0 DESC")
    assert sort.metadata["output_rows"] == 2
    assert sort.metadata["elapsed_compute_nanos"] > 0
    query = conductor.collector.find("query_database_sql")
    assert query.metadata == {"query": "select * from m order by f desc"}


@pytest.mark.parametrize("per_partition", [True, False])
def test_partitions(conductor: Any, per_partition: bool) -> None:
    """With per-partition tracing each partition of an operator has a span, without it has none."""
    from starlette.testclient import TestClient

    app = create_app(collector=conductor.collector, per_partition_tracing=per_partition)
    with TestClient(app) as client:
        client.post("/api/v3/configure/database", json={"db": "db"})
        client.get(
            "/api/v3/query_sql?db=db&q=select value from generate_series(1, 9) order by value",
            headers=conductor.sampled,
        )

    numbered = [s for s in conductor.collector.spans if re.fullmatch(r"\w+ \(\d+\)", s.name)]
    assert bool(numbered) is per_partition
    for span in numbered:
        (operator,) = [
            s for s in conductor.collector.spans if s.ctx.span_id == span.ctx.parent_span_id
        ]
        assert span.name.startswith(f"{operator.name} (")


def test_a_write(conductor: Any) -> None:
    """A write is parsed, then appended to each table."""
    conductor.client.post(
        "/api/v3/write_lp?db=db", content="a f=1\nb f=1\na f=2 5", headers=conductor.sampled
    )

    assert shape(conductor.collector.spans) == (
        "IOx http\n  write_lp\n    parse\n    append\n    append"
    )
    assert conductor.collector.find("write_lp").metadata == {"db": "db", "bytes": 19}
    assert conductor.collector.find("parse").metadata == {"lines": 3, "errors": 0}
    appends = conductor.collector.find_all("append")
    assert [span.metadata for span in appends] == [
        {"table": "a", "lines": 2},
        {"table": "b", "lines": 1},
    ]


def test_a_half_bad_write(conductor: Any) -> None:
    """The write is an error, its parts are not."""
    conductor.client.post(
        "/api/v3/write_lp?db=db", content="a f=1\nnonsense", headers=conductor.sampled
    )

    assert shape(conductor.collector.spans) == ("IOx http\n  write_lp ERR\n    parse\n    append")
    assert conductor.collector.find("parse").metadata == {"lines": 2, "errors": 1}


def test_a_query_that_does_not_parse(conductor: Any) -> None:
    """The planner's message is the status of the spans it kept from succeeding."""
    conductor.query("selec", traced=True)

    assert shape(conductor.collector.spans) == (
        "IOx http\n  query_database_sql ERR\n    query_planning ERR\n      sql_to_logical_plan ERR"
    )
    message = conductor.collector.find("query_database_sql").status_message
    assert "Expected: an SQL statement, found: selec" in message


def test_a_query_that_fails_while_it_runs(conductor: Any) -> None:
    """Its execution is the error, and the operators that ran are there."""
    conductor.write("m z=0i")
    conductor.query("select 1/z from m order by 1", traced=True)

    spans = shape(conductor.collector.spans)
    assert spans.startswith("IOx http\n  query_database_sql ERR\n    query_planning\n")
    assert "    execute_stream_partitioned ERR\n      SortExec" in spans
    executing = conductor.collector.find("execute_stream_partitioned")
    assert "Divide by zero" in executing.status_message


def test_a_query_that_cannot_start(conductor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails before the first batch closes its spans as well."""
    monkeypatch.setattr("iox_otel.conductor.query.Plan.start", lambda _: 1 / 0)

    assert conductor.query("select 1", traced=True).status_code == 500
    assert "    execute_stream_partitioned ERR" in shape(conductor.collector.spans)


def test_untraced_requests(conductor: Any) -> None:
    """Without a sampled context nothing is recorded, and no response names a trace."""
    unsampled = {"uber-trace-id": "4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0:0"}

    conductor.write("m f=1")
    plain = conductor.query("select * from m")
    refused = conductor.client.get("/api/v3/query_sql?db=db&q=select 1", headers=unsampled)
    for path in ("/health", "/ping", "/metrics"):
        conductor.client.get(path, headers=conductor.sampled)

    assert conductor.collector.spans == []
    assert "trace-id" not in plain.headers
    assert "trace-id" not in refused.headers


def test_a_long_query_is_kept_in_part(conductor: Any) -> None:
    """Of a query as long as a book its span keeps the beginning."""
    conductor.query(f"select '{'x' * 50_000}'", traced=True)

    query = conductor.collector.find("query_database_sql").metadata["query"]
    assert query == f"select '{'x' * 50_000}'"[:16_384]


def test_no_collector() -> None:
    """Without a collector a sampled request is served as any other."""
    from starlette.testclient import TestClient

    with TestClient(create_app(collector=None)) as client:
        client.post("/api/v3/configure/database", json={"db": "db"})
        response = client.get(
            "/api/v3/query_sql?db=db&q=select 1 as one",
            headers={"uber-trace-id": "4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0:1"},
        )

    assert response.json() == [{"one": 1}]
