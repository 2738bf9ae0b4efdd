"""The viewer behind a real Collector, and the commands for traces against a real Jaeger."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from iox_otel import Span, SpanRecorder
from iox_otel_bridge import TracingConfig
from iox_otel_bridge.wire.otlp_decode import read_json_request
from peerkit.collector import Collector
from peerkit.jaeger import Jaeger
from peerkit.process import clean_environment, wait_for
from peerkit.traces import TraceSet
from peerkit.viewer import Viewer

TIMEOUT_S = 60
LARGE = 1_000
SHARE = 7


def said(request: ExportTraceServiceRequest) -> list[bytes]:
    """Return all spans of a request, each with what it belongs to, sorted."""
    alone = []
    for traced in request.resource_spans:
        for scoped in traced.scope_spans:
            for span in scoped.spans:
                one = ExportTraceServiceRequest()
                around = one.resource_spans.add(
                    resource=traced.resource, schema_url=traced.schema_url
                )
                inner = around.scope_spans.add(scope=scoped.scope, schema_url=scoped.schema_url)
                span.status.SetInParent()  # one that says nothing is written by some, not by all
                inner.spans.append(span)
                alone.append(one.SerializeToString(deterministic=True))
    return sorted(alone)


def test_what_a_collector_sends_is_kept_as_it_was(tmp_path: Path) -> None:
    """Every field of every span in the viewer is what the Collector wrote into its own file."""
    viewer = Viewer()
    try:
        with Collector(
            tmp_path,
            exporters=("file", "otlp_grpc/jaeger"),
            JAEGER_OTLP_ENDPOINT=viewer.intake["grpc"],
        ) as collector:
            tracing = TracingConfig(
                exporter="otlp", otlp_endpoint=collector.otlp_grpc, service_name="shop"
            ).build()
            spans = list(TraceSet(tracing.collector, 5).small())[::SHARE]
            spans += list(TraceSet(tracing.collector, 6).large())[:LARGE]
            for span in spans:
                span.export()
            assert tracing.shutdown(TIMEOUT_S), tracing.stats()
            wait_for("all spans", lambda: _kept(viewer) == len(spans) or None, TIMEOUT_S)
            theirs = [
                each
                for line in collector.traces_file.read_bytes().splitlines()
                for each in said(read_json_request(line))
            ]
        found = httpx.get(f"{viewer.url}/api/viewer/traces?limit=5000", timeout=TIMEOUT_S).json()
        ours = [each for row in found["data"] for each in said(_exported(viewer, row["traceID"]))]
        assert len(theirs) == len(spans)
        assert sorted(ours) == sorted(theirs)
        assert viewer.status()["loss"] == {
            "datagrams": 0,
            "processes": [],
            "rejected": {"udp": 0, "grpc": 0, "http": 0},
            "postponed": {"grpc": 0, "http": 0},
            "notStored": 0,
        }
    finally:
        viewer.end()


def _kept(viewer: Viewer) -> int:
    spans = viewer.status()["spans"]
    assert isinstance(spans, dict)
    return int(spans["kept"])


def _exported(viewer: Viewer, trace_id: str) -> ExportTraceServiceRequest:
    answer = httpx.get(f"{viewer.url}/api/viewer/traces/{trace_id}/export?format=otlp")
    return read_json_request(answer.raise_for_status().content)


def test_the_commands_for_traces_ask_a_real_jaeger(jaeger: Jaeger) -> None:
    """They list its traces by service, tag and error, and draw one of them."""
    tracing = TracingConfig(
        exporter="otlp",
        otlp_endpoint=f"http://{jaeger.otlp_grpc}",
        service_name="terminal-shop",
    ).build()
    with SpanRecorder(Span.root("GET /orders", tracing.collector)) as root:
        root.set_metadata("user", "ada")
        with root.child("SELECT") as child:
            child.error("no such table")
    SpanRecorder(Span.root("GET /cart", tracing.collector)).finish()
    assert tracing.shutdown(TIMEOUT_S)

    def command(*arguments: str) -> str:
        run = subprocess.run(
            ["iox-otel", *arguments, "--url", jaeger.url],
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=True,
        )
        return run.stdout

    search = ("traces", "--json", "--service", "terminal-shop", "--since", "5m")
    wait_for("both", lambda: len(command(*search).splitlines()) == 2 or None, TIMEOUT_S)
    (failed,) = command(*search, "--errors").splitlines()
    assert command(*search, "--tag", "user=ada") == f"{failed}\n"
    row = json.loads(failed)
    assert (row["name"], row["spans"], row["errors"]) == ("GET /orders", 2, 1)
    assert row["services"] == ["terminal-shop"]
    everything = command("traces", "--limit", "1000")
    assert row["traceID"] in everything and "terminal-shop: GET /cart" in everything
    tree = command("trace", row["traceID"])
    assert "└╴✗ SELECT" in tree and "no such table" in tree and "user=ada" in tree
    raw = json.loads(command("trace", "--json", row["traceID"]))
    assert len(raw["data"][0]["spans"]) == 2
