"""Spans with all that a span can have, to begin with; and some that are like what people send."""

from __future__ import annotations

from iox_otel import Span, SpanContext, SpanEvent, SpanKind, SpanStatus

START_NS = 1_700_000_000_123_456_000


def spans() -> list[Span]:
    """Return a plain span, one with everything, and a child of it that failed."""
    trace_id, span_id = 0xF << 124 | 7, 1 << 63
    full = SpanContext(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=5,
        links=((9, 2), (7, 5)),
        debug=True,
        trace_state="a=b",
    )
    failed = SpanContext(trace_id=trace_id, span_id=3, parent_span_id=span_id)
    made = [
        Span("plain", SpanContext(trace_id=7, span_id=1)),
        Span("everything", full, kind=SpanKind.CLIENT),
        Span("failed", failed, kind=SpanKind.SERVER),
    ]
    for span in made:
        span.start_ns, span.end_ns = START_NS, START_NS + 2_500_000
    values = ("täxt", True, -(2**63), -0.0, ["a", "b"], [1, 2], "event")
    for number, value in enumerate(values):
        made[1].set_metadata(f"key{number}", value)
    made[1].event(SpanEvent("started", {"event": "again", "n": 1}, time_ns=START_NS + 1_000))
    made[1].event(SpanEvent("", {"only": 0.5}, time_ns=START_NS))
    made[1].set_status(SpanStatus.OK)
    made[2].error("it broke")
    return made
