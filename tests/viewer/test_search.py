"""Finding traces, as Jaeger's search does."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iox_otel.viewer import candidates, search, wanted
from iox_otel.viewer.blocks import SIZE
from iox_otel.viewer.query import Query, fits
from iox_otel.viewer.search import find, rows_of
from iox_otel.viewer.store import Store
from iox_otel.viewer.stored import Source

from .conftest import MS, START_NS, Make


@pytest.fixture
def shop(store: Store, make: Make) -> Store:
    """A store with three traces of two services."""
    pay = make.span(2, 3, parent=2, name="pay", at_ms=101, ms=40, error=True, amount=1.5)
    event = pay.events.add(time_unix_nano=make.START_NS, name="declined")
    event.attributes.add(key="reason").value.string_value = "no money"
    store.add(
        [
            make.batch([make.span(1, 1, name="list", at_ms=0, ms=5, user="ann", cached=True)]),
            make.batch([make.span(2, 2, name="buy", at_ms=100, ms=50, user="ann")]),
            make.batch([pay], "bank", region="eu"),
            make.batch([make.span(3, 1, name="list", at_ms=200, ms=20, user="bob", n=7)]),
        ]
    )
    return store


def found(store: Store, **conditions: Any) -> list[int]:
    """Return the numbers of the traces that a search finds, in its order."""
    return [row.trace_id[-1] for row in find(store, Query(**conditions)).rows]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, [3, 2, 1]),
        ({"limit": 2}, [3, 2]),
        ({"service": "shop"}, [3, 2, 1]),
        ({"service": "bank"}, [2]),
        ({"service": "nobody"}, []),
        ({"operation": "list"}, [3, 1]),
        ({"service": "bank", "operation": "list"}, []),
        ({"errors_only": True}, [2]),
        ({"errors_only": True, "service": "shop"}, []),
        ({"tags": (("user", "ann"),)}, [2, 1]),
        ({"tags": (("user", "ann"), ("cached", "true"))}, [1]),
        ({"tags": (("user", "an"),)}, []),
        ({"tags": (("n", "7"),)}, [3]),
        ({"tags": (("amount", "1.5"),)}, [2]),
        ({"tags": (("region", "eu"),)}, [2]),
        ({"tags": (("reason", "no money"),)}, [2]),
        ({"tags": (("event", "declined"),)}, [2]),
        ({"tags": (("error", "true"),)}, [2]),
        ({"tags": (("otel.scope.name", "lib"),)}, [3, 2, 1]),
        # on one span, not on several of the trace
        ({"service": "bank", "tags": (("user", "ann"),)}, []),
        ({"tags": (("user", "ann"), ("reason", "no money"))}, []),
    ],
)
def test_what_is_asked_for(shop: Store, conditions: dict[str, Any], expected: list[int]) -> None:
    """All of it on one span, the newest traces first."""
    assert found(shop, **conditions) == expected


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"min_duration_ns": 20}, [3, 2]),
        ({"min_duration_ns": 20, "max_duration_ns": 45}, [3, 2]),
        ({"min_duration_ns": 21, "max_duration_ns": 39}, []),
        ({"max_duration_ns": 5}, [1]),
        ({"service": "shop", "max_duration_ns": 45}, [3, 1]),
        ({"start_ns": 101}, [3, 2]),
        ({"start_ns": 102}, [3]),
        ({"end_ns": 0}, [1]),
        ({"start_ns": 101, "end_ns": 101}, [2]),
        ({"service": "shop", "start_ns": 101, "end_ns": 150}, []),
    ],
)
def test_times(shop: Store, make: Make, conditions: dict[str, Any], expected: list[int]) -> None:
    """A span's own duration, and when it starts; both ends count. (In milliseconds here.)"""
    for key, value in conditions.items():
        if isinstance(value, int):
            offset_ns = 0 if "duration" in key else make.START_NS
            conditions = conditions | {key: offset_ns + value * make.MS}
    assert found(shop, **conditions) == expected


def test_a_jaeger_span_is_searched_as_it_was_sent(store: Store, make: Make) -> None:
    """Its own tags, and none that belong to OTLP."""
    tags: Any = {"span.kind": "server", "ok": True}
    span = make.span(1, 1, **tags)
    store.add([make.batch([span], source=Source.JAEGER)])
    assert found(store, tags=(("span.kind", "server"), ("ok", "true"))) == [1]
    assert found(store, tags=(("internal.span.format", "proto"),)) == [1]
    assert found(store, tags=(("otel.scope.name", "lib"),)) == []


def test_a_common_term_and_a_rare_one_find_the_same(
    store: Store, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether there are few or many traces with it, in pages of any number."""
    for trace in range(1, 251):
        kind = "odd" if trace % 2 else "even"
        store.add([make.batch([make.span(trace, 1, at_ms=trace, kind=kind, user="ann")])])
    asked = {"tags": (("kind", "odd"), ("user", "ann")), "limit": 0}
    rare = found(store, **asked)
    monkeypatch.setattr(candidates, "_FEW", 10)
    assert found(store, **asked) == rare == list(range(249, 0, -2))


def test_what_several_services_say_is_found_of_all(
    store: Store, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of those that say it of few traces, far apart, where others say it of the same ones."""
    monkeypatch.setattr(candidates, "_FEW", 10)
    common, lone = range(1, 6 * SIZE, SIZE), range(6 * SIZE + 1, 10 * SIZE, SIZE)
    for service, tagged in (("a", common), ("b", common), ("c", common), ("d", lone), ("e", ())):
        spans = [
            make.span(trace, ord(service), user="ann" if trace in tagged else "bob")
            for trace in range(1, 10 * SIZE)
        ]
        store.add([make.batch(spans, service)])
    assert len(find(store, Query(tags=(("user", "ann"),))).rows) == 10


@pytest.mark.parametrize(
    ("held", "asked"),
    [(("a", "b\0c"), ("a\0b", "c")), (("a", "?"), ("a", "\ud800")), (("ab", "c"), ("a", "bc"))],
)
def test_what_is_nearly_the_same_is_not_found(
    store: Store, make: Make, held: tuple[str, str], asked: tuple[str, str]
) -> None:
    """Keys and values are what they are, to the letter."""
    tags: Any = dict([held])
    store.add([make.batch([make.span(1, 1, **tags)])])
    assert found(store, tags=(held,)) == [1]
    assert found(store, tags=(asked,)) == []


def test_a_search_that_looks_at_too_much_says_so(
    store: Store, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where terms are on all traces, never on one span of them, and no signature tells that."""
    monkeypatch.setattr(wanted, "condition_of", lambda _: "true")
    for trace in range(1, 31):
        spans = [make.span(trace, 1, a="1"), make.span(trace, 2, b="1")]
        store.add([make.batch(spans)])
    both = Query(tags=(("a", "1"), ("b", "1")))
    assert find(store, both) == ([], False)
    monkeypatch.setattr(search, "_MAX_CHECKED_SPANS", 40)
    assert find(store, both) == ([], True)


def test_traces_by_their_ids(shop: Store, make: Make) -> None:
    """Those that are there, newest first, each once."""
    ids = [make.trace_id(number) for number in (1, 9, 3, 1)]
    assert [row.trace_id[-1] for row in rows_of(shop, ids)] == [3, 1]


@pytest.mark.parametrize("conditions", [{}, {"tags": (("k", "1"),)}, {"operation": "get"}])
def test_nothing_is_found_where_there_is_nothing(store: Store, conditions: dict[str, Any]) -> None:
    """No service yet, either."""
    assert found(store, **conditions) == []


QUERIES = st.builds(
    Query,
    service=st.sampled_from(["", "a", "b", "nobody"]),
    operation=st.sampled_from(["", "get", "put", "nothing"]),
    tags=st.lists(
        st.sampled_from([("k", "0"), ("k", "1"), ("l", "0"), ("l", "1"), ("k", "9")]), max_size=2
    ).map(tuple),
    start_ns=st.integers(0, 12).map(lambda ms: START_NS + ms * MS if ms else 0),
    end_ns=st.integers(0, 12).map(lambda ms: START_NS + ms * MS if ms else Query().end_ns),
    min_duration_ns=st.integers(0, 4).map(lambda ms: ms * MS),
    max_duration_ns=st.none() | st.integers(0, 4).map(lambda ms: ms * MS),
    errors_only=st.booleans(),
    limit=st.just(0),
)


@pytest.fixture(scope="module")
def many() -> Iterator[Store]:
    """A store with two hundred traces of a few spans each, of two services."""
    made, chance = Make(), random.Random(5)
    with Store() as opened:
        for trace in range(1, 201):
            for number in range(1, chance.randrange(2, 6)):
                span = made.span(
                    trace,
                    number,
                    name=chance.choice(("get", "put")),
                    at_ms=chance.randrange(12),
                    ms=chance.randrange(5),
                    error=chance.random() < 0.2,
                    k=chance.randrange(2),
                    l=chance.randrange(2),
                )
                opened.add([made.batch([span], chance.choice("ab"))])
        yield opened


@pytest.mark.parametrize(("few", "newest"), [(2_000, 4_000), (5, 4_000), (5, 10)])
@given(QUERIES)
def test_what_is_found_is_what_fits(many: Store, few: int, newest: int, query: Query) -> None:
    """All traces of which one span has all that is asked for, and no others.

    Whichever way it is found: few have it, all are looked at, or all spans are gone through.
    """
    ids = [trace.to_bytes(16, "big") for trace in range(1, 201)]
    fitting = {
        trace_id
        for trace_id, spans in zip(ids, many.traces(ids), strict=True)
        if any(fits(span, query) for span in spans)
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "_FEW", few)
        patch.setattr(candidates, "_NEWEST", newest)
        rows = find(many, query).rows
    assert {row.trace_id for row in rows} == fitting
    assert [row.start_ns for row in rows] == sorted((row.start_ns for row in rows), reverse=True)
