"""What the store keeps, and what it forgets."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from iox_otel.viewer.query import Query
from iox_otel.viewer.schema import StoreError
from iox_otel.viewer.search import find
from iox_otel.viewer.store import Store
from iox_otel.viewer.stored import Schemas, Source, batches_of

Make = Any


def test_a_span_comes_back_as_it_came(store: Store, make: Make) -> None:
    """Span, resource, scope and source, byte for byte, fields that nobody knows included."""
    span = make.span(1, 2, parent=1, n=2**40, x=-0.0, ok=True)
    span.MergeFromString(b"\xba\x3e\x03abc")  # field 999
    batch = make.batch([span], env="prod", source=Source.JAEGER)
    assert store.add([batch]) == [make.trace_id(1)]
    (stored,) = store.trace(make.trace_id(1))

    assert stored.span.SerializeToString() == span.SerializeToString()
    assert (stored.resource, stored.scope, stored.source) == (
        batch.resource,
        batch.scope,
        Source.JAEGER,
    )
    assert (stored.trace_id, stored.span_id[-1], stored.parent_id[-1]) == (make.trace_id(1), 2, 1)


def test_a_request_comes_back_with_its_schemas(store: Store, make: Make) -> None:
    """The URLs of resource and scope too; the same ones but for that are others."""
    request = ExportTraceServiceRequest()
    for number, schema in enumerate(("", "https://schema/1"), 1):
        of_resource = request.resource_spans.add(resource=make.resource(), schema_url=schema)
        of_scope = of_resource.scope_spans.add(schema_url=f"{schema}/scope")
        of_scope.spans.append(make.span(1, number))
    store.add(batches_of(request))

    assert sorted(stored.schemas for stored in store.trace(make.trace_id(1))) == [
        Schemas("", "/scope"),
        Schemas("https://schema/1", "https://schema/1/scope"),
    ]


def test_a_trace_grows_in_any_order(store: Store, make: Make) -> None:
    """Its row tells of the root wherever that comes, of all services, and from first to last."""
    store.add([make.batch([make.span(1, 3, parent=2, at_ms=5, ms=10)], "stock")])
    (row,) = find(store, Query()).rows
    assert (row.service, row.name) == ("stock", "work")
    store.add([make.batch([make.span(1, 2, name="root", at_ms=1, ms=3)])])
    store.add([make.batch([make.span(1, 4, parent=2, at_ms=0, error=True)])])
    (row,) = find(store, Query()).rows

    assert (row.service, row.name) == ("shop", "root")
    assert (row.start_ns, row.duration_ns) == (make.START_NS, 15 * make.MS)
    assert (row.spans, row.errors, row.services) == (3, 1, {"shop": 2, "stock": 1})


def test_what_comes_again_is_stored_once(store: Store, make: Make) -> None:
    """The same span of the same process; one that differs in anything is another."""
    spans = [make.span(1, 1), make.span(1, 2)]
    assert store.add([make.batch(spans)]) == [make.trace_id(1)]
    assert store.add([make.batch(spans)]) == []
    store.add([make.batch([make.span(1, 2, name="other")]), make.batch(spans[:1], "stock")])

    assert store.kept()[:4] == (1, 1, 4, 4)
    assert len(store.trace(make.trace_id(1))) == 4
    assert find(store, Query()).rows[0].spans == 4


def test_the_oldest_traces_go_first_and_whole(make: Make) -> None:
    """Beyond max_spans; with them goes all that could be found of them."""
    with Store(max_spans=10) as store:
        for trace in range(1, 8):
            names = [make.span(trace, n, name=f"op {trace}", n=n) for n in (1, 2, 3)]
            store.add([make.batch(names, f"service {trace}")])

        assert store.kept()[:4] == (3, 7, 9, 21)
        assert store.trace(make.trace_id(4)) == []
        assert [len(store.trace(make.trace_id(n))) for n in (5, 6, 7)] == [3, 3, 3]
        assert store.services() == ["service 5", "service 6", "service 7"]
        assert store.operations("service 4") == []
        assert store.operations("service 5") == [("op 5", "unspecified")]
        assert find(store, Query(service="service 4")).rows == []
        assert len(find(store, Query(tags=(("n", "2"),))).rows) == 3
        with store.reading() as reader:
            for table in ("span", "service_of"):
                of = reader.rows(f"SELECT DISTINCT trace FROM {table} ORDER BY trace")
                assert of == [(5,), (6,), (7,)]


def test_the_database_stays_within_its_megabytes(make: Make) -> None:
    """Indexes included, however many spans come."""
    with Store(max_mb=2) as store:
        for trace in range(1, 400):
            spans = [make.span(trace, n, text=f"{trace} {n} " + "x" * 300) for n in range(1, 21)]
            store.add([make.batch(spans)])
            assert store.kept().bytes <= 2 << 20
        kept = store.kept()
        assert 0 < kept.traces < 399 == kept.traces_seen
        assert kept.spans == 20 * kept.traces


def test_a_file_becomes_smaller_again(tmp_path: Path, make: Make) -> None:
    """Not at once: a little each time that spans come."""
    path = tmp_path / "traces.db"
    with Store(path) as store:
        for trace in range(1, 9):
            spans = [make.span(trace, n, text=f"{n}" * 500) for n in range(1, 501)]
            store.add([make.batch(spans)])
    before = path.stat().st_size
    with Store(path, max_mb=1) as store:
        for trace in range(100, 140):
            store.add([make.batch([make.span(trace, 1)])])
    assert path.stat().st_size < 4 << 20 < before


def test_a_trace_larger_than_the_limit_is_cut_off(make: Make) -> None:
    """What does not fit is counted; the next trace drives it out."""
    with Store(max_spans=10) as store:
        store.add([make.batch([make.span(1, n) for n in range(1, 31)])])
        kept = store.kept()
        assert (kept.traces, kept.spans, kept.spans_cut) == (1, 10, 20)
        store.add([make.batch([make.span(1, n) for n in range(1, 33)])])
        assert (store.kept().spans, store.kept().spans_cut) == (10, 42)
        store.add([make.batch([make.span(2, 1)])])
        assert store.kept()[:3] == (1, 2, 1)
        assert store.trace(make.trace_id(1)) == []


def test_a_trace_larger_than_the_megabytes_is_cut_off(make: Make) -> None:
    """As by the number of spans: what is there stays, though only spans come that do not fit."""
    with Store(max_mb=1) as store:
        for number in range(1, 2_001):
            store.add([make.batch([make.span(1, number, text=f"{number} " + "x" * 1_000)])])
        kept = store.kept()
        assert kept.traces == 1
        assert kept.spans + kept.spans_cut == 2_000
        assert 100 < kept.spans == len(store.trace(make.trace_id(1)))
        store.add([make.batch([make.span(2, 1)])])
        assert store.kept()[:3] == (1, 2, 1)


def test_a_file_outlives_the_process(tmp_path: Path, make: Make) -> None:
    """With all that was in it, and goes on counting."""
    path = tmp_path / "traces.db"
    with Store(path) as store:
        store.add([make.batch([make.span(1, 1), make.span(1, 2, parent=1)])])
    with Store(path) as store:
        store.add([make.batch([make.span(1, 2, parent=1), make.span(2, 1)])])
        assert store.kept()[:4] == (2, 2, 3, 3)
        assert len(store.trace(make.trace_id(1))) == 2


def other_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE t (x)")


@pytest.mark.parametrize(
    "spoil",
    [other_version, lambda path: path.write_text("not a database " * 100), Path.mkdir],
    ids=["of something else", "no database", "a folder"],
)
def test_a_file_that_is_not_ours(spoil: Callable[[Path], object], tmp_path: Path) -> None:
    """It is refused in one line that names it, and left as it is."""
    path = tmp_path / "x.db"
    spoil(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StoreError, match="x.db") as caught:
        Store(path)
    assert "\n" not in str(caught.value)
    assert before is None or path.read_bytes() == before


def test_threads_may_add_and_read_at_the_same_time(store: Store, make: Make) -> None:
    """Nothing is lost and nothing fails."""
    failed: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for trace in range(first, first + 50):
                store.add([make.batch([make.span(trace, n) for n in (1, 2)])])
                find(store, Query(service="shop"))
                store.kept()
        except BaseException as exc:
            failed.append(exc)

    threads = [threading.Thread(target=work, args=(1 + 50 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert store.kept()[:3] == (200, 200, 400)


def test_operations_have_kinds_of_either_wire(store: Store, make: Make) -> None:
    """A name of two kinds is two operations."""
    server = make.span(1, 1, name="get")
    server.kind = 2
    client = make.span(1, 2, name="get", **{"span.kind": "client"})
    odd = make.span(1, 3, name="odd", **{"span.kind": "no such"})
    store.add([make.batch([server]), make.batch([client, odd], source=Source.JAEGER)])
    assert store.operations("shop") == [
        ("get", "client"),
        ("get", "server"),
        ("odd", "unspecified"),
    ]


@pytest.mark.parametrize("odd_first", [False, True])
def test_the_first_tag_of_a_kind_counts(store: Store, make: Make, *, odd_first: bool) -> None:
    """As Jaeger has it, even where it says none; whatever spans were there before."""
    odd, known = make.span(1, 1, name="get"), make.span(1, 2, name="get")
    for kind in ("no such", "server"):
        odd.attributes.add(key="span.kind").value.string_value = kind
    known.attributes.add(key="span.kind").value.string_value = "server"
    spans = [odd, known] if odd_first else [known, odd]
    store.add([make.batch(spans, source=Source.JAEGER)])
    assert store.operations("shop") == [("get", "server"), ("get", "unspecified")]


def test_dependencies(store: Store, make: Make) -> None:
    """Calls between services, of the traces in a time, counted; none within one service."""
    for trace in (1, 2):
        at_ms = trace * 1_000
        root, inner = make.span(trace, 1, at_ms=at_ms), make.span(trace, 2, parent=1, at_ms=at_ms)
        calls = [make.span(trace, n, parent=2, at_ms=at_ms) for n in (3, 4)]
        orphan = make.span(trace, 5, parent=99, at_ms=at_ms)
        store.add([make.batch([root, inner]), make.batch([*calls, orphan], "bank")])

    at_ns = make.START_NS
    assert store.dependencies(0, 2 * at_ns) == [("shop", "bank", 4)]
    assert store.dependencies(at_ns + 1_500 * make.MS, 2 * at_ns) == [("shop", "bank", 2)]
    assert store.dependencies(0, at_ns) == []


def test_a_late_span_does_not_bring_a_forgotten_trace_back(make: Make) -> None:
    """Half a trace would look like a whole one; who uploads it may have it back."""
    with Store(max_spans=10) as store:
        store.add([make.batch([make.span(1, n) for n in range(1, 11)])])
        store.add([make.batch([make.span(2, 1)])])
        assert store.trace(make.trace_id(1)) == []
        before = store.kept()
        assert store.add([make.batch([make.span(1, 11)])]) == []
        kept = store.kept()
        assert (kept.traces, kept.traces_seen, kept.spans) == (1, before.traces_seen, 1)
        assert kept.spans_seen == before.spans_seen + 1
        assert store.add([make.batch([make.span(1, 11)])], again=[make.trace_id(1)])
        assert len(store.trace(make.trace_id(1))) == 1
