"""TRACES_SAMPLER, from its text to the requests and the spans of OpenTelemetry's that it traces."""

from __future__ import annotations

import asyncio
import json
import math
import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from iox_otel import RingBufferTraceCollector, Span, SpanContext, current
from iox_otel.http import TraceLayer
from iox_otel_bridge import ConfigError, RequestSampler, TracingConfig
from iox_otel_bridge.sampler import StrategySampler, sampling_of
from iox_otel_bridge.strategies import Always

COUNT = 3_000
TRACE_STATE = (b"tracestate", b"vendor=one")


def header(trace_id: int, flags: int) -> tuple[bytes, bytes]:
    return (b"traceparent", f"00-{trace_id:032x}-00f067aa0ba902b7-{flags:02x}".encode())


LOW, HIGH = 1, (1 << 64) - 1
"""Trace ids that every ratio above 0 samples, and none below 1."""


def serve(
    sampler: RequestSampler | None, *headers: tuple[bytes, bytes], times: int = 1
) -> tuple[Sequence[Span], list[Any]]:
    """Return the spans of so many requests, and what was current within them."""
    collector = RingBufferTraceCollector(100_000)
    within: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        within.append(current.get())

    layer = TraceLayer(app, collector=collector, name="IOx http", sampler=sampler)
    scope = {"type": "http", "method": "GET", "path": "/a", "headers": list(headers)}

    async def main() -> None:
        for _ in range(times):
            await layer(dict(scope), None, None)  # type: ignore[arg-type]

    asyncio.run(main())
    return collector.spans(), within


def requests_of(setting: str | Sampler) -> RequestSampler | None:
    sampling = sampling_of(TracingConfig(sampler=setting).sampler, "test")
    return None if sampling is None else sampling.for_requests


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (" None ", "none"),
        ("ALWAYS", "always"),
        ("ratio:0.01", "ratio:0.01"),
        ("Ratio: 1", "ratio:1"),
        ("ratio:1e-05", "ratio:1e-05"),
        ("parent_ratio:0", "parent_ratio:0"),
        ("rate:10/s", "rate:10/s"),
        ("rate:0.5/s", "rate:0.5/s"),
        ("jaeger_remote", "jaeger_remote"),
        ("jaeger_remote:https://Jaeger:5778/Path", "jaeger_remote:https://Jaeger:5778/Path"),
    ],
)
def test_what_the_setting_may_be(setting: str, expected: str) -> None:
    """The same from the environment, a flag and in code; in any case, but for the URL."""
    assert TracingConfig(sampler=setting).sampler == expected
    assert TracingConfig.from_env(environ={"TRACES_SAMPLER": setting}).sampler == expected
    assert TracingConfig.from_env(environ={}, flags={"sampler": setting}).sampler == expected
    assert TracingConfig(sampler=expected).sampler == expected


@pytest.mark.parametrize(
    "setting",
    [
        "ratio", "ratio:", "ratio:1.1", "ratio:-1", "ratio:nan", "ratio:1_0", "ratio:1e9",
        "ratio:٠", "parent_ratio:2", "rate:10", "rate:0/s", "rate:-1/s", "rate:inf/s", "rate:/s",
        "rate:10/m", "rate:1e10/s", "none:1", "always:", "sometimes", "jaeger_remote:",
        "jaeger_remote:host", "jaeger_remote:host:5778", "jaeger_remote:ftp://host",
        "jaeger_remote:http://u:p@host/", "jaeger_remote:http://host/?a=b", "always_on",
    ],
)  # fmt: skip
def test_what_it_may_not_be(setting: str) -> None:
    """One line that names the variable and the value, and no password."""
    with pytest.raises(ConfigError) as caught:
        TracingConfig.from_env(environ={"TRACES_SAMPLER": setting})
    line = str(caught.value)
    assert line.startswith("Invalid value ")
    assert " for TRACES_SAMPLER: expected " in line
    assert len(line.splitlines()) == 1
    assert "u:p" not in line
    if not set("@?") & set(setting):
        assert repr(setting) in line


def test_a_class_is_no_sampler() -> None:
    with pytest.raises(ConfigError, match="for sampler: expected a Sampler of OpenTelemetry's"):
        TracingConfig(sampler=TraceIdRatioBased)  # type: ignore[arg-type]


def test_none_leaves_it_to_the_headers() -> None:
    """As IOx does, and as without the setting."""
    assert TracingConfig().sampler == "none"
    assert sampling_of("none", "test") is None
    spans, within = serve(requests_of("none"))
    assert (len(spans), within) == (0, [None])


def test_always_traces_every_request() -> None:
    """Also one whose caller was not sampled."""
    spans, _ = serve(requests_of("always"))
    assert spans[0].metadata["sampler.type"] == "const"
    assert spans[0].metadata["sampler.param"] is True
    assert spans[0].ctx.parent_span_id is None
    for flags in (0, 1):
        spans, _ = serve(requests_of("always"), header(7, flags))
        assert [span.ctx.trace_id for span in spans] == [7]


@pytest.mark.parametrize("setting", ["ratio:0.2", "parent_ratio:0.2"])
def test_a_ratio_of_the_requests_without_context(setting: str) -> None:
    """Beyond eight standard deviations the probability is below 1e-9."""
    spans, within = serve(requests_of(setting), times=COUNT)
    deviation = math.sqrt(COUNT * 0.2 * 0.8)

    assert abs(len(spans) - 0.2 * COUNT) < 8 * deviation
    assert len(within) == COUNT
    for span in spans:
        assert span.metadata["sampler.type"] == "probabilistic"
        assert span.metadata["sampler.param"] == 0.2
        assert span.ctx.trace_id & HIGH < 0.2 * (1 << 64)
    unsampled = [each for each in within if isinstance(each, SpanContext)]
    assert len(unsampled) + len(spans) == COUNT
    assert not any(each.sampled for each in unsampled)


@pytest.mark.parametrize(("flags", "trace_id"), [(f, t) for f in (0, 1) for t in (LOW, HIGH)])
def test_whom_a_ratio_follows(flags: int, trace_id: int) -> None:
    """`parent_ratio` follows the caller's flag, `ratio` the trace id alone, as OpenTelemetry's."""
    spans, within = serve(requests_of("parent_ratio:0.5"), header(trace_id, flags))
    assert len(spans) == flags
    spans, within = serve(requests_of("ratio:0.5"), header(trace_id, flags))
    assert len(spans) == (trace_id == LOW)
    assert within[0].trace_id == trace_id if isinstance(within[0], SpanContext) else spans


def test_a_rate_limits_what_begins_here() -> None:
    """Traces of others come on top, and are not counted."""
    sampler = requests_of("rate:0.01/s")
    assert len(serve(sampler, header(7, 1), times=5)[0]) == 5
    assert len(serve(sampler, header(7, 0), times=5)[0]) == 0
    spans, _ = serve(sampler, times=5)
    assert [span.metadata["sampler.type"] for span in spans] == ["ratelimiting"]
    assert spans[0].metadata["sampler.param"] == 0.01


class Recorded(Sampler):
    """A sampler of somebody's own."""

    def __init__(self, result: SamplingResult) -> None:
        self.result = result
        self.asked: list[tuple[Any, ...]] = []

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        parent = trace.get_current_span(parent_context).get_span_context()
        self.asked.append((parent, trace_id, name, kind, dict(attributes or {})))
        return self.result

    def get_description(self) -> str:
        return "Recorded"


def test_any_sampler_is_asked_as_the_sdk_asks() -> None:
    """Its attributes become metadata, and its trace state that of the trace."""
    sampler = Recorded(
        SamplingResult(
            Decision.RECORD_AND_SAMPLE, {"why": "because", "n": 3}, TraceState([("a", "b")])
        )
    )
    (span,), _ = serve(requests_of(sampler))
    spans, _ = serve(requests_of(sampler), header(7, 0), TRACE_STATE)

    assert (span.metadata["why"], span.metadata["n"]) == ("because", 3)
    assert [each.ctx.trace_state for each in (span, *spans)] == ["a=b", "a=b"]
    (root, trace_id, name, kind, attributes), (parent, its_id, *_) = sampler.asked
    assert not root.is_valid
    assert (trace_id, name, kind) == (span.ctx.trace_id, "IOx http", SpanKind.SERVER)
    assert attributes == {"http.request.method": "GET", "url.path": "/a", "url.scheme": "http"}
    assert (parent.trace_id, parent.is_remote, parent.trace_flags.sampled) == (7, True, False)
    assert its_id == 7
    assert parent.trace_state.to_header() == "vendor=one"


@pytest.mark.parametrize("decision", [Decision.DROP, Decision.RECORD_ONLY])
def test_what_is_not_sampled_has_the_samplers_trace_state_too(decision: Decision) -> None:
    """RECORD_ONLY has no counterpart here, and nothing to record for."""
    for state, expected in ((TraceState([("a", "b")]), "a=b"), (None, None)):
        sampler = Recorded(SamplingResult(decision, {"why": "not"}, state))
        for headers in ((), (header(7, 1), TRACE_STATE)):
            spans, (context,) = serve(requests_of(sampler), *headers)
            assert spans == []
            assert (context.sampled, context.trace_state) == (False, expected)


def test_a_trace_state_that_stays_is_passed_on_to_the_letter() -> None:
    state = "a=1,tenant@vendor=2"
    headers = header(7, 1), (b"tracestate", state.encode())
    for sampler in (ALWAYS_ON, ParentBased(ALWAYS_OFF), StrategySampler(Always())):
        (span,), _ = serve(RequestSampler(sampler), *headers)
        assert span.ctx.trace_state == state


def test_the_descriptions_say_what_they_are() -> None:
    sampling = sampling_of("rate:10/s", "test")
    assert sampling is not None
    assert "root:StrategySampler{RateLimiting(10.0)}" in sampling.sampler.get_description()


@pytest.mark.parametrize("setting", ["always", "ratio:1", "parent_ratio:1", "rate:10/s"])
def test_spans_of_opentelemetrys_follow_their_local_parents(setting: str) -> None:
    """A trace is whole: below an unsampled request there is nothing, below a debug one all."""
    sampling = sampling_of(setting, "test")
    nothing = sampling_of("ratio:0", "test")
    assert sampling is not None and nothing is not None
    for sampled, each in ((True, nothing), (False, sampling)):
        tracer = TracerProvider(sampler=each.sampler).get_tracer("test")
        flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if sampled else 0)
        parent = trace.NonRecordingSpan(trace.SpanContext(HIGH, 1, False, flags))
        span = tracer.start_span("work", trace.set_span_in_context(parent, Context()))
        assert span.is_recording() is sampled


PROGRAM = """
    import asyncio, json, sys
    from opentelemetry import trace
    from opentelemetry.sdk.trace.export import SpanExportResult
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
    from iox_otel_bridge import TracingConfig

    class Exporter:
        def export(self, spans):
            names.extend((span.name, span.attributes.get("sampler.type")) for span in spans)
            return SpanExportResult.SUCCESS
        def shutdown(self):
            pass

    names = []
    setting = ParentBased(ALWAYS_ON) if sys.argv[1] == "object" else sys.argv[1]
    tracing = TracingConfig(sampler=setting).build()
    assert tracing.sampler is None
    tracing.add_exporter("test", Exporter(), destination="here")
    tracing.install()
    tracer = trace.get_tracer("test")

    async def app(scope, receive, send):
        with tracer.start_as_current_span("below"):
            pass

    layer = tracing.middleware("request", exclude=["/no"])
    layer = layer.cls(app, *layer.args, **layer.kwargs)
    for path in ("/a", "/no"):
        scope = {"type": "http", "method": "GET", "path": path, "headers": []}
        asyncio.run(layer(scope, None, None))
    with tracer.start_as_current_span("outside"):
        with tracer.start_as_current_span("inside"):
            pass
    tracing.force_flush()
    print(json.dumps(names))
    tracing.shutdown()
"""


@pytest.mark.parametrize(
    ("setting", "traced", "tag"),
    [
        ("none", False, None),
        ("ratio:0", False, None),
        ("always", True, "const"),
        ("ratio:1", True, "probabilistic"),
        ("parent_ratio:1", True, "probabilistic"),
        ("rate:10/s", True, "ratelimiting"),
        ("object", True, None),
    ],
)
def test_the_whole_process_goes_by_it(setting: str, traced: bool, tag: str | None) -> None:
    """Requests, what is opened within them, and spans of OpenTelemetry's outside of any request."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), setting]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=50)

    assert done.returncode == 0, done.stderr
    spans = [["below", None], ["inside", None], ["outside", tag], ["request", tag]]
    assert sorted(json.loads(done.stdout)) == (spans if traced else [])
