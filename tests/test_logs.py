"""What log lines say of the trace they are written in."""

from __future__ import annotations

import io
import json
import logging

import structlog

from iox_otel import SpanContext, current
from iox_otel.logs import TraceContextFilter, add_trace_context
from iox_otel.testing import CapturingTraceCollector

FORMAT = "%(trace_id)s|%(span_id)s|%(sampled)s|%(message)s"


def lines_of(log: logging.Logger, stream: io.StringIO) -> list[str]:
    handler = logging.StreamHandler(stream)
    handler.addFilter(TraceContextFilter())
    handler.setFormatter(logging.Formatter(FORMAT))
    log.addHandler(handler)
    try:
        log.warning("hello")
    finally:
        log.removeHandler(handler)
    return stream.getvalue().splitlines()


def test_a_record_names_the_live_span(traces: CapturingTraceCollector) -> None:
    """Its own id, not that of the request's."""
    with traces.root() as root, root.child("inner") as inner:
        assert inner.span is not None
        ctx = inner.span.ctx
        (line,) = lines_of(logging.getLogger("test_logs"), io.StringIO())

    assert line == f"{ctx.trace_id:032x}|{ctx.span_id:016x}|True|hello"


def test_a_record_names_an_unsampled_request() -> None:
    """The caller's ids, with the decision."""
    token = current.set(SpanContext(trace_id=0xABC, span_id=0x1, sampled=False))
    try:
        (line,) = lines_of(logging.getLogger("test_logs"), io.StringIO())
    finally:
        current.reset(token)

    assert line == f"{0xABC:032x}|{1:016x}|False|hello"


def test_outside_of_a_trace_the_fields_are_empty() -> None:
    """So that one format serves all lines."""
    assert lines_of(logging.getLogger("test_logs"), io.StringIO()) == ["||False|hello"]


def test_structlog(traces: CapturingTraceCollector) -> None:
    """Its processor adds the same; what the caller says stays."""
    stream = io.StringIO()
    log = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=[add_trace_context, structlog.processors.JSONRenderer()],
    )
    log.info("outside")
    with traces.root() as root:
        log.info("inside", span_id="mine")
        assert root.span is not None
        trace_id = f"{root.span.ctx.trace_id:032x}"

    outside, inside = map(json.loads, stream.getvalue().splitlines())
    assert outside == {"event": "outside"}
    assert inside == {
        "event": "inside",
        "span_id": "mine",
        "trace_id": trace_id,
        "sampled": True,
    }
