"""SpanContext: identity, inheritance and the sampled fast path."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from iox_otel import RingBufferTraceCollector, SpanContext, SpanRecorder
from iox_otel.http._decode import remote_context

TRACE_ID = 0x4BF92F3577B34DA6A3CE929D0E0E4736
SPAN_ID = 0x00F067AA0BA902B7


@pytest.mark.parametrize("trace_id", [0, -1, 1 << 128, "1", None, 1.0])
def test_trace_id_out_of_range_is_refused(trace_id: object) -> None:
    """The public constructor names the bad trace id."""
    with pytest.raises(ValueError, match=r"^trace_id must be an integer from 1 to 0xf+, got "):
        SpanContext(trace_id=trace_id, span_id=SPAN_ID)  # type: ignore[arg-type]


@pytest.mark.parametrize("span_id", [0, -1, 1 << 64])
def test_span_ids_out_of_range_are_refused(span_id: int) -> None:
    """Span, parent and linked ids are 64-bit and never zero."""
    with pytest.raises(ValueError, match="^span_id must"):
        SpanContext(trace_id=TRACE_ID, span_id=span_id)
    with pytest.raises(ValueError, match="^parent_span_id must"):
        SpanContext(trace_id=TRACE_ID, span_id=SPAN_ID, parent_span_id=span_id)
    with pytest.raises(ValueError, match="^linked span_id must"):
        SpanContext(trace_id=TRACE_ID, span_id=SPAN_ID, links=[(TRACE_ID, span_id)])


@pytest.mark.parametrize("ids", [(0, 0), (0, 1), (1, 0), (1, 1 << 64), (1 << 128, 1), ("1", 1)])
def test_a_link_to_no_span_is_refused(ids: Any) -> None:
    """`add_link` checks ids as the constructor does."""
    ctx = SpanContext.new(None)

    with pytest.raises(ValueError, match="^linked (trace|span)_id must"):
        ctx.add_link(*ids)

    assert ctx.links == ()


def test_every_way_to_make_a_context_sets_every_slot() -> None:
    """The fast ways write the slots out one by one; none may be forgotten."""
    made = SpanContext(trace_id=TRACE_ID, span_id=SPAN_ID)
    remote = remote_context(TRACE_ID, SPAN_ID, None, True, False)

    for ctx in (made, made.child("foo").ctx, remote):
        assert [slot for slot in SpanContext.__slots__ if not hasattr(ctx, slot)] == []


def test_largest_ids_are_taken() -> None:
    """The ends of both ranges are valid ids."""
    ctx = SpanContext(trace_id=(1 << 128) - 1, span_id=(1 << 64) - 1, parent_span_id=1)

    assert (ctx.trace_id, ctx.span_id, ctx.parent_span_id) == ((1 << 128) - 1, (1 << 64) - 1, 1)


def test_new_is_a_sampled_root() -> None:
    """`new` starts a trace: sampled, without a parent, not remote."""
    collector = RingBufferTraceCollector(1)

    ctx = SpanContext.new(collector)

    assert ctx.sampled
    assert ctx.parent_span_id is None
    assert ctx.collector is collector
    assert not ctx.debug and not ctx.is_remote and ctx.trace_state is None and ctx.links == ()


def test_child_inherits_all_but_ids_and_links() -> None:
    """A child keeps trace, collector, sampling, debug and trace state; links stay behind."""
    collector = RingBufferTraceCollector(1)
    parent = SpanContext(
        trace_id=TRACE_ID,
        span_id=SPAN_ID,
        parent_span_id=7,
        links=[(1, 2)],
        collector=collector,
        debug=True,
        trace_state="vendor=x",
        random_trace_id=True,
    )

    child = parent.child("foo").ctx

    assert child.trace_id == TRACE_ID
    assert child.parent_span_id == SPAN_ID
    assert child.span_id not in (0, SPAN_ID)
    assert child.links == ()
    assert child.collector is collector
    assert child.sampled and child.debug and child.random_trace_id
    assert child.trace_state == "vendor=x"


def test_parent_is_remote_only_right_under_the_incoming_context() -> None:
    """The first span here has a remote parent, the spans under it have not."""
    incoming = SpanContext(trace_id=TRACE_ID, span_id=SPAN_ID)
    incoming.is_remote = True

    first = incoming.child("first").ctx
    second = first.child("second").ctx

    assert first.parent_is_remote and not first.is_remote
    assert not second.parent_is_remote


@pytest.mark.parametrize("sampled", [True, False])
def test_recorder_of_what_nobody_collects_is_the_shared_noop(sampled: bool) -> None:
    """Unsampled or without a collector, no span is built."""
    collector = RingBufferTraceCollector(1) if not sampled else None
    ctx = SpanContext(trace_id=TRACE_ID, span_id=SPAN_ID, sampled=sampled, collector=collector)

    assert ctx.recorder("foo") is SpanRecorder(None)


def test_recorder_records_a_child() -> None:
    """`recorder` times and exports one child span."""
    collector = RingBufferTraceCollector(1)
    ctx = SpanContext.new(collector)

    with ctx.recorder("foo"):
        pass

    (span,) = collector.spans()
    assert (span.name, span.ctx.parent_span_id) == ("foo", ctx.span_id)


def test_equality_is_by_value() -> None:
    """Two contexts that say the same are equal; anything else is not."""
    make = {"trace_id": TRACE_ID, "span_id": SPAN_ID}
    assert SpanContext(**make) == SpanContext(**make)  # type: ignore[arg-type]
    assert SpanContext(**make) != SpanContext(**make, debug=True)  # type: ignore[arg-type]
    assert SpanContext(**make) != "a context"  # type: ignore[arg-type]


def test_seeding_random_changes_no_id() -> None:
    """An application that seeds `random` does not make ids repeat."""
    random.seed(42)
    first = SpanContext.new(None)
    random.seed(42)
    second = SpanContext.new(None)

    assert first.trace_id != second.trace_id
    assert first.span_id != second.span_id


def test_a_forked_child_makes_other_ids() -> None:
    """The generator is seeded anew after fork: parent and child never agree."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write_end, str(SpanContext.new(None).trace_id).encode())
        os._exit(0)
    os.close(write_end)
    with open(read_end, "rb") as pipe:
        in_child = int(pipe.read())
    assert os.waitpid(pid, 0)[1] == 0

    assert SpanContext.new(None).trace_id != in_child


def test_a_hundred_thousand_ids_do_not_collide() -> None:
    """Ids are spread over their whole range."""
    ctx = SpanContext.new(None)
    ids = {ctx.child("x").ctx.span_id for _ in range(100_000)}

    assert len(ids) == 100_000
    assert max(ids).bit_length() > 60
