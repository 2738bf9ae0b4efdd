"""Spans for the viewer, as OTLP's messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from iox_otel.viewer.store import Store
from iox_otel.viewer.stored import Batch, Source

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000


class Make:
    """Makes spans and batches with small ids."""

    START_NS = START_NS
    MS = MS

    def resource(self, service: str = "shop", **tags: str) -> Resource:
        """Return a resource."""
        made = Resource()
        for key, value in {"service.name": service, **tags}.items():
            made.attributes.add(key=key).value.string_value = value
        return made

    def span(
        self,
        trace: int,
        number: int,
        *,
        parent: int = 0,
        name: str = "work",
        at_ms: float = 0,
        ms: float = 1,
        error: bool = False,
        **tags: str | bool | int | float,
    ) -> Span:
        """Return a span of the trace with that number."""
        start_ns = START_NS + int(at_ms * MS)
        made = Span(
            trace_id=self.trace_id(trace),
            span_id=number.to_bytes(8, "big"),
            parent_span_id=parent.to_bytes(8, "big") if parent else b"",
            name=name,
            start_time_unix_nano=start_ns,
            end_time_unix_nano=start_ns + int(ms * MS),
            status=Status(code=Status.STATUS_CODE_ERROR if error else Status.STATUS_CODE_UNSET),
        )
        for key, value in tags.items():
            held = made.attributes.add(key=key).value
            match value:
                case bool():
                    held.bool_value = value
                case int():
                    held.int_value = value
                case float():
                    held.double_value = value
                case _:
                    held.string_value = value
        return made

    def batch(
        self,
        spans: Sequence[Span],
        service: str = "shop",
        source: Source = Source.OTLP,
        **tags: str,
    ) -> Batch:
        """Return spans of one service."""
        scope = InstrumentationScope(name="lib", version="1")
        return Batch(self.resource(service, **tags), scope, spans, source)

    def trace_id(self, trace: int) -> bytes:
        """Return the id of the trace with that number."""
        return trace.to_bytes(16, "big")


@pytest.fixture
def make() -> Make:
    """Makes spans."""
    return Make()


@pytest.fixture
def store() -> Iterator[Store]:
    """A store in memory."""
    with Store() as opened:
        yield opened
