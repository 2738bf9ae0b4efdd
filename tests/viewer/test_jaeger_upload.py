"""Jaeger's JSON back into spans: what Jaeger made tags of becomes again what it was."""

from __future__ import annotations

from typing import Any

from iox_otel.viewer import jaeger_json, jaeger_upload
from iox_otel.viewer.stored import Source, StoredSpan

Make = Any


def test_a_span_that_had_come_as_otlp(make: Make) -> None:
    """It is the same span again, in microseconds: kind, status, scope, state and links."""
    span = make.span(1, 2, parent=3, error=True, text="t", n=1 << 60)
    span.status.message, span.kind, span.trace_state = "why", 3, "a=b"
    span.links.add(trace_id=b"\1" * 16, span_id=b"\2" * 8)
    batch = make.batch([span], env="prod")
    stored = StoredSpan(span, batch.resource, batch.scope, Source.OTLP)
    (read,) = jaeger_upload.spans_of({"data": [jaeger_json.trace_of([stored])]})
    (again,) = read.spans

    assert (read.resource, read.scope, read.source) == (batch.resource, batch.scope, Source.OTLP)
    assert (again.kind, again.status, again.trace_state) == (3, span.status, "a=b")
    values = {each.key: each.value for each in span.attributes}
    assert {each.key: each.value for each in again.attributes} == values
    assert again.parent_span_id == span.parent_span_id
    assert [(link.trace_id, link.span_id) for link in again.links] == [(b"\1" * 16, b"\2" * 8)]
