"""The tree of a trace, whatever its spans' ids and times say."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iox_otel import Span, SpanContext, SpanEvent, SpanKind, SpanStatus
from iox_otel.tree import MAX_DEPTH, Node, Place, SpanRecord, build_tree, draw_rows, trace_text


def span(
    span_id: int,
    parent: int | None = None,
    start_ns: int | None = 0,
    end_ns: int | None = 10,
    *,
    name: str | None = None,
    trace_id: int = 1,
) -> SpanRecord:
    return SpanRecord(trace_id, span_id, parent, name or f"s{span_id}", start_ns, end_ns)


def shape(roots: list[Node[SpanRecord]]) -> str:
    """Write a tree as `s1(s2 s3(s4))`."""
    return " ".join(
        node.span.name + (f"({shape(node.children)})" if node.children else "") for node in roots
    )


def test_children_by_start_then_arrival() -> None:
    """Children stand in the order they started; those that started together, as they came."""
    roots = build_tree([span(5, 1, 3), span(4, 1, 3), span(3, 1, 1), span(2, 1, 2), span(1)])

    assert shape(roots) == "s1(s3 s2 s5 s4)"


def test_arrival_order_is_irrelevant() -> None:
    """Spans that come in any order make the same tree."""
    spans = [span(n, n // 2 or None, start_ns=n) for n in range(1, 200)]
    expected = shape(build_tree(spans))

    random.Random(1).shuffle(spans)

    assert expected == shape(build_tree(spans))


def test_several_roots_and_orphans() -> None:
    """A span whose parent is absent stands at the top, marked."""
    roots = build_tree([span(1, None, 2), span(2, 99, 1), span(3, 2), span(4, None, 3)])

    assert shape(roots) == "s2(s3) s1 s4"
    assert [node.place for node in roots] == [Place.ORPHAN, Place.ROOT, Place.ROOT]
    assert Place.CHILD is roots[0].children[0].place


def test_traces_are_kept_apart() -> None:
    """The same span id in two traces is two spans."""
    roots = build_tree([span(1, trace_id=1), span(2, 1, trace_id=2), span(2, 1, trace_id=1)])

    assert shape(roots) == "s1(s2) s2"
    assert not any(node.is_duplicate for node in roots)


def test_duplicate_ids() -> None:
    """A span id that comes again stands beside the first, which keeps the children."""
    roots = build_tree([span(1), span(2, 1, name="a"), span(2, 1, name="b"), span(3, 2)])

    assert shape(roots) == "s1(a(s3) b)"
    assert [node.is_duplicate for node in roots[0].children] == [False, True]


def test_cycles() -> None:
    """Spans in a ring, with all that hangs on it, stand under the first of them to start."""
    roots = build_tree([span(1, 3, 5), span(2, 1, 4), span(3, 2, 6), span(4, 1, 9), span(9, 9, 7)])

    assert shape(roots) == "s2(s3(s1(s4))) s9"
    assert [node.place for node in roots] == [Place.CYCLE, Place.CYCLE]


def test_unknown_times() -> None:
    """A span without a start is placed by its end, one without times comes last."""
    roots = build_tree(
        [
            span(1, None, None, None),
            span(2, None, None, 5),
            span(3, None, 6, None),
            span(4, None, 4),
        ]
    )

    assert shape(roots) == "s4 s2 s3 s1"


IDS = st.integers(1, 12)


@given(st.lists(st.tuples(IDS, st.none() | IDS, st.none() | st.integers(0, 9))))
def test_every_span_once(pairs: list[tuple[int, int | None, int | None]]) -> None:
    """Whatever the ids are, every span is drawn exactly once, below its parent if it has one."""
    spans = [span(one, parent, start, name=f"n{n}") for n, (one, parent, start) in enumerate(pairs)]

    rows = list(draw_rows(build_tree(spans)))

    assert Counter(s.name for s in spans) == Counter(row.node.span.name for row in rows)
    for row in rows:
        for child in row.node.children:
            assert child.span.parent_span_id == row.node.span.span_id
            assert Place.CHILD is child.place


@pytest.mark.parametrize("ring", [False, True])
def test_deep_chain(ring: bool) -> None:
    """A chain of 100,000 spans, or a ring of them, is built and written without recursion."""
    count = 100_000
    spans = [span(n, n - 1 or (count if ring else None), n) for n in range(1, count + 1)]

    text = trace_text(spans)

    lines = text.splitlines()
    assert count == len(lines)
    assert lines[2] == "    s3"
    assert lines[-1] == "  " * MAX_DEPTH + f"[depth {count - 1}] s{count}"


def test_wide_tree() -> None:
    """100,000 children of one span are all there, in order."""
    roots = build_tree([span(n, 1, n) for n in range(2, 100_002)] + [span(1)])

    assert list(range(2, 100_002)) == [node.span.start_ns for node in roots[0].children]


SMALL = [span(1), span(2, 1, 1), span(3, 2, 2), span(4, 1, 3), span(5, None, 9)]


def drawn(ascii_only: bool = False, max_depth: int = 9) -> list[str]:
    rows = draw_rows(build_tree(SMALL), ascii_only=ascii_only, max_depth=max_depth)
    return [f"{row.guide}{row.node.span.name}|{row.guide_below}" for row in rows]


def test_guides() -> None:
    """Lines lead from each parent to its children, past the lines about the span itself."""
    assert drawn() == ["s1|│ ", "├╴s2|│ │ ", "│ └╴s3|│     ", "└╴s4|    ", "s5|  "]
    assert drawn(ascii_only=True) == ["s1|| ", "|-s2|| | ", "| `-s3||     ", "`-s4|    ", "s5|  "]


def test_guides_stop_at_a_depth() -> None:
    """Below the depth given, spans are indented no further and say how deep they are."""
    assert drawn(max_depth=1) == ["s1|│ ", "├╴s2|│   ", "│ ⋯2 s3|│   ", "└╴s4|    ", "s5|  "]


def test_record_of_a_native_span() -> None:
    """A record has all of the span, and what is written to the span later is not in it."""
    ctx = SpanContext(trace_id=7, span_id=8, parent_span_id=9, links=[(1, 2)])
    ctx.parent_is_remote = True
    native = Span("work", ctx, SpanKind.SERVER, 10, 30)
    native.set_metadata("rows", 3)
    native.error("boom")

    record = SpanRecord.of(native, service="shop")
    native.set_metadata("late", 1)

    assert (*record[:6], record.duration_ns) == (7, 8, 9, "work", 10, 30, 20)
    assert record[6:9] == (SpanKind.SERVER, SpanStatus.ERR, "boom")
    assert record.metadata == {"rows": 3}
    assert [event.msg for event in record.events] == ["boom"]
    assert record[11:] == (((1, 2),), True, "shop")


def test_text() -> None:
    """The text says everything about a trace but its times and ids."""
    stack = {"exception.type": "ValueError", "exception.stacktrace": "File …"}
    spans = [
        span(1, name="GET /\n")._replace(status=SpanStatus.OK, metadata={"size": 3, "path": "/"}),
        span(2, 1, 1, None)._replace(
            status=SpanStatus.ERR,
            status_message="no such table",
            events=(SpanEvent("exception", stack, time_ns=4), SpanEvent("retry", time_ns=5)),
        ),
        span(2, 1, 2, 3)._replace(status=SpanStatus.ERR),
        span(5, 50, 20),
        span(6, 60, 30)._replace(parent_is_remote=True),
        span(7, 7, 40),
    ]

    text = trace_text(spans)

    assert text.splitlines() == [
        "GET /\\n [ok] size=3 path=/",
        "  s2 [error: no such table]",
        "    * exception exception.type=ValueError",
        "    * retry",
        "  s2 [error] (span id seen before)",
        "s5 (parent missing)",
        "s6",
        "s7 (its own ancestor)",
    ]


def test_text_with_times() -> None:
    """Asked for times, the text has each duration, and each start within its trace."""
    event = SpanEvent("hit", time_ns=1_500)
    spans = [
        span(1, None, 1_000, 2_000_000),
        span(2, 1, 3_500, 4_000)._replace(events=(event,)),
        span(3, 1, 5_000, None),
        span(4, None, None, None, trace_id=2),
    ]

    assert trace_text(spans, times=True).splitlines() == [
        "s1 (2 ms)",
        "  s2 (500 ns at +2.5 µs)",
        "    * +500 ns hit",
        "  s3 (unfinished at +4 µs)",
        "s4 (unfinished)",
    ]


def test_text_of_nothing() -> None:
    """No spans, no text."""
    assert trace_text([]) == ""
