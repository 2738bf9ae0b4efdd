"""What is too much in a span is cut and counted, whichever way it came."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from iox_otel.viewer.app import Viewer
from iox_otel.viewer.intake.accepting import Accepting
from iox_otel.viewer.stored import Batch, Schemas
from iox_otel_bridge.wire.otlp_decode import Limits

Make = Any
MEMORY = Path("/proc/self/statm")
LIMITS = Limits(attributes=3, events=2, text=20)


def cut(batch: Batch) -> Batch:
    """Return what is left of a batch."""
    with Viewer() as viewer:
        accepting = Accepting(viewer.writer, viewer.counts, LIMITS)
        (kept,), refused = accepting.checked([batch])
    assert refused == 0
    return kept


def test_too_many_things(make: Make) -> None:
    """Attributes, events and links beyond the limits are counted as dropped, in each place."""
    span = make.span(1, 1, **{f"k{number}": 1 for number in range(5)})
    span.dropped_attributes_count = 1
    for _ in range(3):
        event, link = span.events.add(), span.links.add(trace_id=b"\1", span_id=b"\2")
        event.attributes.extend(span.attributes)
        link.attributes.extend(span.attributes)
    batch = make.batch([span], a="1", b="2", c="3")
    batch.scope.attributes.extend(span.attributes)
    kept = cut(batch)
    (span,) = kept.spans

    holders: tuple[Any, ...] = (*span.events, *span.links, kept.scope)
    assert (len(span.attributes), span.dropped_attributes_count) == (3, 1 + 2)
    assert (len(span.events), span.dropped_events_count) == (2, 1)
    assert (len(span.links), span.dropped_links_count) == (2, 1)
    assert {(len(each.attributes), each.dropped_attributes_count) for each in holders} == {(3, 2)}
    assert [each.key for each in kept.resource.attributes] == ["service.name", "a", "b"]
    assert kept.resource.dropped_attributes_count == 1


def test_too_long_texts(make: Make) -> None:
    """They end in an ellipsis; structures that are too large say so."""
    long = "é" * 21
    span: Span = make.span(1, 1, name=long)
    span.status.message = span.trace_state = long
    values = [span.attributes.add(key=long).value for _ in range(3)]
    values[0].string_value = long
    values[1].bytes_value = bytes(21)
    values[2].array_value.values.add().string_value = long
    span.events.add(name=long)
    span.links.add(trace_id=b"\1", span_id=b"\2", trace_state=long)
    batch = Batch(make.resource(long), make.batch([]).scope, [span], schemas=Schemas(long, long))
    batch.scope.name = batch.scope.version = long
    kept = cut(batch)

    short = "é" * 19 + "…"
    assert [span.name, span.status.message, span.trace_state] == [short] * 3
    assert [span.events[0].name, span.links[0].trace_state] == [short] * 2
    assert [kept.scope.name, kept.scope.version] == [short] * 2
    assert [each.key for each in span.attributes] == [short] * 3
    assert (values[0].string_value, values[1].bytes_value) == (short, bytes(20))
    assert values[2].string_value == "<48 bytes, too large to keep>"
    assert kept.resource.attributes[0].value.string_value == short
    assert kept.schemas == Schemas(long[:20], long[:20])


def test_what_is_within_the_limits(make: Make) -> None:
    """It stays as it was."""
    (of_resource,) = make.everything().resource_spans
    (of_scope,) = of_resource.scope_spans
    batch = Batch(of_resource.resource, of_scope.scope, of_scope.spans)
    with Viewer() as viewer:
        (kept,), _ = viewer.accepting.checked([batch])
    (wanted,) = make.everything().resource_spans
    assert [*kept.spans] == [*wanted.scope_spans[0].spans]
    assert (kept.resource, kept.scope) == (wanted.resource, wanted.scope_spans[0].scope)


@pytest.mark.skipif(not MEMORY.exists(), reason="only Linux says how much memory is used")
def test_what_waits_takes_no_more_than_is_counted(receiving: Any, make: Make) -> None:
    """However dense it is: a thousand events in two kilobytes are 66 as messages."""
    span = make.span(1, 1)
    for _ in range(1_000):
        span.events.add()
    body = make.request(*[span] * 200).SerializeToString()
    accepting = receiving.viewer.accepting
    with receiving.full_queue(left_bytes=100 * len(body)):
        accepting.take(body, "test")  # reading it leaves memory that can be used again
        before = used_bytes()
        for _ in range(20):
            accepting.take(bytes(bytearray(body)), "test")  # a copy, as each request is
        assert used_bytes() - before < 2 * 20 * len(body) + (10 << 20)


def used_bytes() -> int:
    """Return how much memory this process uses."""
    return int(MEMORY.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
