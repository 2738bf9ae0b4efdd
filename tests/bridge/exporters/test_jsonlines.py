"""Spans as JSON lines."""

from __future__ import annotations

import json
import math
from importlib.metadata import version
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, StatusCode
from opentelemetry.trace import SpanKind as OtelSpanKind

from iox_otel import Span, SpanEvent, SpanKind, SpanStatus
from iox_otel import SpanContext as NativeContext
from iox_otel_bridge.exporters.jsonlines import json_line, rfc3339

RESOURCE = Resource({"service.name": "shop", "host.name": "h1"})


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def parsed(span: Any) -> dict[str, Any]:
    line = json_line(span, RESOURCE)
    assert len(line.splitlines()) == 1
    fields: dict[str, Any] = json.loads(line, parse_constant=refuse)
    return fields


def native(name: str = "work") -> Span:
    return Span(name, NativeContext(trace_id=0xABC, span_id=0xDEF), start_ns=0, end_ns=1)


def test_native_span() -> None:
    """A line says everything about a span, under these keys in this order."""
    ctx = NativeContext(trace_id=0xABC, span_id=0xDEF, parent_span_id=0x123, links=[(5, 6)])
    span = Span("work", ctx, SpanKind.SERVER, 1_700_000_000_123_456_789, 1_700_000_001_000_000_000)
    span.set_metadata("rows", 3)
    span.event(SpanEvent("hit", {"table": "cpu"}, time_ns=1_700_000_000_500_000_001))
    span.set_status(SpanStatus.ERR, "boom")

    assert list(parsed(span).items()) == [
        ("trace_id", "00000000000000000000000000000abc"),
        ("span_id", "0000000000000def"),
        ("parent_span_id", "0000000000000123"),
        ("name", "work"),
        ("kind", "server"),
        ("start", "2023-11-14T22:13:20.123456789Z"),
        ("end", "2023-11-14T22:13:21.000000000Z"),
        ("start_unix_ns", 1_700_000_000_123_456_789),
        ("end_unix_ns", 1_700_000_001_000_000_000),
        ("duration_ns", 876_543_211),
        ("status", "error"),
        ("status_message", "boom"),
        ("attributes", {"rows": 3}),
        (
            "events",
            [
                {
                    "time": "2023-11-14T22:13:20.500000001Z",
                    "time_unix_ns": 1_700_000_000_500_000_001,
                    "name": "hit",
                    "attributes": {"table": "cpu"},
                }
            ],
        ),
        ("links", [{"trace_id": f"{5:032x}", "span_id": f"{6:016x}", "attributes": {}}]),
        ("service", "shop"),
        ("resource", {"service.name": "shop", "host.name": "h1"}),
        ("scope", {"name": "iox-trace", "version": version("iox-otel")}),
    ]


def test_span_of_another_library() -> None:
    """An OpenTelemetry span has the same keys, with its own resource, scope and links."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "store"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("lib", "2.0")
    link = Link(SpanContext(5, 6, is_remote=True), {"why": "retry"})
    with tracer.start_as_current_span("outer") as outer:
        inner = tracer.start_span(
            "inner", kind=OtelSpanKind.CLIENT, links=[link], attributes={"n": (1, 2)}, start_time=5
        )
        inner.add_event("sent", {"size": 7}, timestamp=6)
        inner.set_status(StatusCode.OK)
        inner.end(end_time=9)
    provider.shutdown()

    fields = parsed(exporter.get_finished_spans()[0])

    context = outer.get_span_context()
    assert list(fields) == list(parsed(native()))
    assert fields["trace_id"] == f"{context.trace_id:032x}"
    assert fields["parent_span_id"] == f"{context.span_id:016x}"
    assert (fields["kind"], fields["status"], fields["duration_ns"]) == ("client", "ok", 4)
    assert fields["attributes"] == {"n": [1, 2]}
    assert fields["events"][0]["attributes"] == {"size": 7}
    assert fields["links"][0]["attributes"] == {"why": "retry"}
    assert (fields["service"], fields["resource"]) == ("store", {"service.name": "store"})
    assert fields["scope"] == {"name": "lib", "version": "2.0"}


def test_unknown_times() -> None:
    """What is not known is null."""
    span = native()
    span.start_ns = span.end_ns = None

    fields = parsed(span)

    assert {fields[key] for key in ("start", "end", "start_unix_ns", "duration_ns")} == {None}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (0.5, 0.5),
        (True, True),
        (2**63, 2**63),
        (2**64, str(2**64)),
        (-(2**63) - 1, str(-(2**63) - 1)),
        (1 << 20_000, hex(1 << 20_000)),
        (["a", "b"], ["a", "b"]),
        ("größe 表", "größe 表"),
        ("caf\udce9", "caf\\udce9"),
        ('a"b\\c\n\x00', 'a"b\\c\n\x00'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values(value: object, expected: object) -> None:
    """Every value becomes strict JSON."""
    span = native()
    span.set_metadata("key", value)

    assert parsed(span)["attributes"] == {"key": expected}


def test_readable_and_safe() -> None:
    """Text stays readable, in UTF-8; no control character or mark of direction stays raw."""
    line = json_line(native("größe 表\x1b\x7f\x9b\u202e\u2028\ud800"), RESOURCE)

    assert "größe 表\\u001b\\u007f\\u009b\\u202e\\u2028\\\\ud800" in line
    line.encode()


TEXTS = st.text(st.characters(), max_size=20)


@settings(max_examples=100)
@given(TEXTS, st.dictionaries(TEXTS, TEXTS | st.integers() | st.floats(), max_size=3))
def test_any_span(name: str, metadata: dict[str, object]) -> None:
    """Whatever a span holds, its line is strict JSON in valid UTF-8."""
    span = native(name)
    for key, value in metadata.items():
        span.set_metadata(key, value)

    fields = parsed(span)

    assert len(fields["attributes"]) == len(metadata)
    json_line(span, RESOURCE).encode()


@pytest.mark.parametrize(
    ("time_ns", "expected"),
    [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (-62_135_596_800_000_000_000, "0001-01-01T00:00:00.000000000Z"),
        (2**64, "2554-07-21T23:34:33.709551616Z"),
        (10**30, None),
        (-(10**30), None),
        (None, None),
    ],
)
def test_rfc3339(time_ns: int | None, expected: str | None) -> None:
    """Times keep their nanoseconds, before 1970 and until 9999."""
    assert rfc3339(time_ns) == expected


@pytest.mark.parametrize("time_ns", [1.7e18, "soon", None, object()])
def test_event_time_that_is_no_number_of_nanoseconds(time_ns: object) -> None:
    """It costs neither the event nor its span."""
    span = native()
    event = SpanEvent("hit", {"n": 1})
    event.time_ns = time_ns  # type: ignore[assignment]
    span.event(event)

    (shown,) = parsed(span)["events"]
    assert (shown["name"], shown["attributes"]) == ("hit", {"n": 1})
