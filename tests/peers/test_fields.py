"""Every field of every span: what was recorded against what Jaeger, Zipkin and the file hold."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from iox_otel import Span
from iox_otel_bridge import TracingConfig
from peerkit import jaeger_form, otlp_form, zipkin_form
from peerkit.collector import Collector
from peerkit.compare import compare
from peerkit.jaeger import Jaeger
from peerkit.otlp_form import Form
from peerkit.process import wait_for
from peerkit.traces import TraceSet
from peerkit.zipkin import Zipkin

ARRIVAL_S = 120
QUIET_S = 10
"""Nothing that was sent over UDP takes so long to come."""
RESENT = 5
RESOURCE = {
    "service.name": "Field-Test",
    "service.instance.id": "7",
    "deployment": "täst",
    "client-uuid": "field-test",  # random over UDP, unless it is given
    "telemetry.sdk.language": "python",
    "telemetry.sdk.name": "opentelemetry",
    "telemetry.sdk.version": version("opentelemetry-sdk"),
    "telemetry.distro.name": "iox-otel",
    "telemetry.distro.version": version("iox-otel"),
}


pytestmark = pytest.mark.usefixtures("wide_limits")  # its spans hold more than usual


@pytest.fixture(scope="module")
def collector(
    jaeger: Jaeger, zipkin: Zipkin, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Collector]:
    """A Collector under the configuration as shipped, all of its exporters on."""
    running = Collector(
        tmp_path_factory.mktemp("collector"),
        exporters=("otlp_grpc/jaeger", "zipkin", "file", "debug"),
        JAEGER_OTLP_ENDPOINT=jaeger.otlp_grpc,
        ZIPKIN_ENDPOINT=zipkin.endpoint,
    )
    with running:
        yield running


def send(spans: Callable[[TraceSet], Iterable[Span]], seed: int, **environ: str) -> list[Span]:
    """Record spans and send them as *environ* says; return them once all are sent."""
    recorded = list(spans(TraceSet(None, seed)))
    export(recorded, **environ)
    return recorded


def export(spans: Iterable[Span], **environ: str) -> None:
    """Send spans as *environ* says, and nothing else."""
    tags = {"TRACES_EXPORTER_JAEGER_TAGS": "deployment=täst,client-uuid=field-test"}
    config = TracingConfig.from_env(
        service_name="Field-Test", server_id=7, environ={**tags, **environ}
    )
    tracing = config.build()
    assert tracing.collector is not None
    for span in spans:
        tracing.collector.export(span)
    assert tracing.shutdown(60), tracing.stats()


def over_udp(port: int) -> dict[str, str]:
    """Return the settings for Jaeger over UDP, easy on the kernel's buffer: this is of the wire."""
    return {
        "TRACES_EXPORTER": "jaeger",
        "TRACES_EXPORTER_JAEGER_AGENT_HOST": "127.0.0.1",
        "TRACES_EXPORTER_JAEGER_AGENT_PORT": str(port),
        "TRACES_EXPORTER_JAEGER_MAX_PACKET_BYTES": "8000",
        "TRACES_JAEGER_MAX_MSGS_PER_SECOND": "300",
    }


def every(traces: TraceSet) -> Iterator[Span]:
    """Give all spans that every wire can carry whole."""
    return itertools.chain(traces.small(), traces.large(), traces.edges())


def every_and_huge(traces: TraceSet) -> Iterator[Span]:
    """Give also those that are too large for a datagram."""
    return itertools.chain(every(traces), traces.huge())


def arrived(
    spans: list[Span], get: Callable[[set[int]], list[Form]], timeout_s: float = ARRIVAL_S
) -> list[Form]:
    """Return what a peer holds of the traces of *spans*, once it is as many as they are."""
    trace_ids = {span.ctx.trace_id for span in spans}
    held: list[Form] = []

    def all_there() -> bool | None:
        held[:] = get(trace_ids)
        return len(held) >= len(spans) or None

    try:
        wait_for("whole set of spans", all_there, timeout_s)
    except TimeoutError:
        pass  # the comparison tells which are missing
    return held


def arrived_over_udp(
    spans: list[Span], get: Callable[[set[int]], list[Form]], port: int
) -> list[Form]:
    """Return what a peer holds of spans sent over UDP.

    What a busy machine's kernel has dropped is sent again: what UDP loses is for others to test.
    """
    for _ in range(RESENT):
        held = arrived(spans, get, QUIET_S)
        there = {int(form["span id"], 16) for form in held}
        lost = [span for span in spans if span.ctx.span_id not in there]
        if not lost:
            break
        export(lost, **over_udp(port))
    return arrived(spans, get)


def in_jaeger(jaeger: Jaeger) -> Callable[[set[int]], list[Form]]:
    """Return what gives Jaeger's spans of some traces."""
    return lambda ids: [jaeger_form.received(span) for span in jaeger.spans(ids)]


def in_zipkin(zipkin: Zipkin) -> Callable[[set[int]], list[Form]]:
    """Return what gives Zipkin's spans of some traces."""
    return lambda ids: [zipkin_form.received(span) for span in zipkin.spans(ids)]


def in_file(collector: Collector) -> Callable[[set[int]], list[Form]]:
    """Return what gives the file's spans of some traces."""

    def get(ids: set[int]) -> list[Form]:
        forms = map(otlp_form.received, collector.file_spans())
        return [form for form in forms if int(form["trace id"], 16) in ids]

    return get


def test_jaeger_takes_every_field_over_udp(jaeger: Jaeger, compared: list[str]) -> None:
    """TRACES_EXPORTER=jaeger → Jaeger's UDP port → its query API."""
    spans = send(every, 1, **over_udp(jaeger.compact_port))
    expected = [jaeger_form.of_udp(span, RESOURCE) for span in spans]
    held = arrived_over_udp(spans, in_jaeger(jaeger), jaeger.compact_port)
    compared.append(f"UDP → Jaeger: {compare(expected, held)}")


def test_jaeger_takes_what_a_datagram_cannot_hold_cut_down(
    jaeger: Jaeger, compared: list[str]
) -> None:
    """A huge value, name and number of events are cut as documented, and all else is as it was."""
    spans = send(TraceSet.huge, 5, **over_udp(jaeger.compact_port))
    forms = arrived_over_udp(spans, in_jaeger(jaeger), jaeger.compact_port)
    held = {form["name"][:11]: form for form in forms}
    value, name, events = (held[span.name[:11]] for span in spans)

    tags = {key: said for key, _, said in value["tags"]}
    huge = tags["huge"]
    assert set(huge[:-1]) == {"é"} and huge[-1] == "…" and len(huge.encode()) > 7_000
    assert tags["iox.truncated"] == "values shortened: 1"
    assert name["name"].startswith("a huge name a huge name ") and name["name"][-1] == "…"
    assert ("iox.truncated", "string", "values shortened: 1") in name["tags"]
    (lost,) = [said for key, _, said in events["tags"] if key == "iox.truncated"]
    whole = jaeger_form.of_udp(spans[2], RESOURCE)
    assert events["logs"] == whole["logs"][-len(events["logs"]) :]
    assert lost == f"events dropped: {5_000 - len(events['logs'])}"
    cut = {"name", "tags", "logs"}
    for form, span in zip((value, name, events), spans, strict=True):
        expected = jaeger_form.of_udp(span, RESOURCE)
        assert {k: form[k] for k in form.keys() - cut} == {
            k: expected[k] for k in expected.keys() - cut
        }
    compared.append(f"UDP → Jaeger, cut: 3 spans, e.g. {len(huge)} letters of 100,000, {lost}")


def test_numbers_that_are_none_in_json(
    jaeger: Jaeger, zipkin: Zipkin, tmp_path: Path, compared: list[str]
) -> None:
    """NaN and the infinities are text in Jaeger, which could not answer otherwise; else doubles."""
    (span,) = spans = send(TraceSet.not_finite, 6, **over_udp(jaeger.compact_port))
    (form,) = arrived_over_udp(spans, in_jaeger(jaeger), jaeger.compact_port)
    said = {key: (kind, value) for key, kind, value in form["tags"]}
    assert said["nan"] == ("string", "NaN")
    assert (said["inf"], said["-inf"]) == (("string", "+Inf"), ("string", "-Inf"))

    exporters = ("file", "zipkin")
    with Collector(tmp_path, exporters=exporters, ZIPKIN_ENDPOINT=zipkin.endpoint) as collector:
        spans = send(
            TraceSet.not_finite,
            7,
            TRACES_EXPORTER="otlp",
            TRACES_EXPORTER_OTLP_ENDPOINT=collector.otlp_grpc,
        )
        forms = [otlp_form.sent(span, RESOURCE) for span in spans]
        compared.append(f"NaN → file: {compare(forms, arrived(spans, in_file(collector)))}")
        forms = [zipkin_form.of_otlp(form) for form in forms]
        compared.append(f"NaN → Zipkin: {compare(forms, arrived(spans, in_zipkin(zipkin)))}")


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_the_collector_fans_out_every_field_of_otlp(
    protocol: str, collector: Collector, jaeger: Jaeger, zipkin: Zipkin, compared: list[str]
) -> None:
    """TRACES_EXPORTER=otlp → the Collector → Jaeger, Zipkin and the file."""
    endpoint = collector.otlp_grpc if protocol == "grpc" else collector.otlp_http
    spans = send(
        every_and_huge,
        2 if protocol == "grpc" else 3,
        TRACES_EXPORTER="otlp",
        TRACES_EXPORTER_OTLP_PROTOCOL=protocol,
        TRACES_EXPORTER_OTLP_ENDPOINT=endpoint,
        **({"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"} if protocol != "grpc" else {}),
    )
    forms = [otlp_form.sent(span, RESOURCE) for span in spans]
    compared += fan_out(f"OTLP {protocol}", spans, forms, collector, jaeger, zipkin)


def test_the_collector_fans_out_every_field_of_jaeger(
    collector: Collector, jaeger: Jaeger, zipkin: Zipkin, compared: list[str]
) -> None:
    """TRACES_EXPORTER=jaeger → the Collector's Jaeger receiver → Jaeger, Zipkin and the file."""
    spans = send(every, 4, **over_udp(collector.compact_port))
    arrived_over_udp(spans, in_file(collector), collector.compact_port)
    forms = [otlp_form.of_jaeger(span, RESOURCE) for span in spans]
    compared += fan_out("UDP", spans, forms, collector, jaeger, zipkin)


def fan_out(
    sent: str,
    spans: list[Span],
    forms: list[Form],
    collector: Collector,
    jaeger: Jaeger,
    zipkin: Zipkin,
) -> Iterator[str]:
    """Compare what all three hold with the form that the Collector has given each span."""
    alike = compare(forms, arrived(spans, in_file(collector)))
    yield f"{sent} → Collector → file: {alike}"
    alike = compare(map(jaeger_form.of_otlp, forms), arrived(spans, in_jaeger(jaeger)))
    yield f"{sent} → Collector → Jaeger: {alike}"
    alike = compare(map(zipkin_form.of_otlp, forms), arrived(spans, in_zipkin(zipkin)))
    yield f"{sent} → Collector → Zipkin: {alike}"
