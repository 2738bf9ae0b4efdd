"""Recorders of requests, and their loan to other threads."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from iox_otel import SpanContext, SpanRecorder, SpanStatus, current
from iox_otel.conductor.recorders import lend, request_recorder
from iox_otel.http import TraceLayer
from iox_otel.testing import CapturingTraceCollector


@pytest.fixture
def collector() -> CapturingTraceCollector:
    return CapturingTraceCollector()


@pytest.fixture
def context(collector: CapturingTraceCollector) -> SpanContext:
    return SpanContext(trace_id=1, span_id=1, collector=collector)


def test_a_loan(collector: CapturingTraceCollector, context: SpanContext) -> None:
    """Another thread records under a lent recorder as under any."""
    with context.recorder("whole") as whole, lend(whole) as lent:

        def work() -> None:
            with lent.child("part") as part:
                part.set_metadata("rows", 3)
                assert current.get() is not None
                with pytest.raises(ValueError), part.child("broken"):
                    raise ValueError("no")

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(10)
        assert not lent.taken_back

    assert [span.name for span in collector.spans] == ["broken", "part", "whole"]
    broken, part, whole_span = collector.spans
    assert part.metadata == {"rows": 3}
    assert part.ctx.parent_span_id == whole_span.ctx.span_id
    assert (broken.status, broken.status_message) == (SpanStatus.ERR, "no")
    assert part.status is SpanStatus.UNKNOWN and not part.events


def test_a_loan_taken_back(collector: CapturingTraceCollector, context: SpanContext) -> None:
    """What a thread has not finished ends as cancelled, inner parts first; no more is recorded."""
    inside, taken_back = threading.Event(), threading.Event()
    with context.recorder("whole") as whole:
        with lend(whole) as lent:

            def work() -> None:
                with lent.child("outer") as outer, outer.child("inner") as inner:
                    inside.set()
                    assert taken_back.wait(10)
                    inner.set_metadata("late", 1)
                    with inner.child("later"), lent.child("latest"):
                        pass

            thread = threading.Thread(target=work)
            thread.start()
            assert inside.wait(10)
        exported = [span.name for span in collector.spans]
        assert lent.taken_back
        taken_back.set()
        thread.join(10)

    assert exported == ["inner", "outer"]
    assert [span.name for span in collector.spans] == ["inner", "outer", "whole"]
    for span in collector.spans[:2]:
        assert [event.msg for event in span.events] == ["cancelled"]
        assert span.status is SpanStatus.UNKNOWN
        assert span.metadata == {}


def test_a_loan_of_nothing() -> None:
    """Of a request that is not traced nothing is recorded."""
    with lend(SpanRecorder(None)) as lent, lent.child("part") as part:
        part.set_metadata("rows", 3)
        assert current.get() is None


def test_a_client_that_goes_away(collector: CapturingTraceCollector) -> None:
    """It cancels its request, which is no error of the work."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(ClientDisconnect), request_recorder(Request(scope), "work"):
            raise ClientDisconnect

    async def gone(message: Any = None) -> Any:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"jaeger-debug-id", b"x")]}
    asyncio.run(TraceLayer(app, collector=collector, name="IOx http")(scope, gone, gone))

    work = collector.find("work")
    assert [event.msg for event in work.events] == ["cancelled"]
    assert work.status is SpanStatus.UNKNOWN
