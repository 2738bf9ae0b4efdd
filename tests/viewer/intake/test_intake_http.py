"""OTLP over HTTP: what real senders send is kept, and each refusal has its status."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import Parse
from google.rpc.status_pb2 import Status
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from iox_otel import SpanContext
from iox_otel_bridge import TracingConfig
from iox_otel_bridge.wire.otlp_decode import request_to_json

Make = Any
Receiving = Any
Post = Callable[..., httpx.Response]
PROTOBUF, JSON = "application/x-protobuf", "application/json"


@pytest.fixture
def post(receiving: Receiving) -> Iterator[Post]:
    """Post a body of a type."""
    with httpx.Client(base_url=f"http://{receiving.intake['http']}", timeout=20) as client:

        def send(body: Any, media_type: str = PROTOBUF, **headers: str) -> httpx.Response:
            said = {"Content-Type": media_type} | {
                name.replace("_", "-"): value for name, value in headers.items()
            }
            return client.post("/v1/traces", content=body, headers=said)

        yield send


def encoded(request: ExportTraceServiceRequest, media_type: str) -> bytes:
    """Return a request in an encoding."""
    if media_type == JSON:
        return json.dumps(request_to_json(request)).encode()
    return request.SerializeToString()


def reason_of(answer: httpx.Response) -> str:
    """Return what a refusal says, as a google.rpc.Status in the encoding of the request."""
    if answer.headers["content-type"] == JSON:
        return str(Parse(answer.content, Status()).message)
    assert answer.headers["content-type"] == PROTOBUF
    return str(Status.FromString(answer.content).message)


@pytest.mark.parametrize("packed", list(Compression))
def test_the_official_exporter(
    receiving: Receiving, send_with_sdk: Any, as_request: Any, packed: Compression
) -> None:
    """What the OpenTelemetry SDK sends, plain or packed, is kept in all its fields."""
    url = f"http://{receiving.intake['http']}/v1/traces"
    sent = send_with_sdk(OTLPSpanExporter(endpoint=url, compression=packed))
    assert as_request(0xABC) == encode_spans([sent])


@pytest.mark.parametrize(("protocol", "intake"), [("http/protobuf", "http"), ("grpc", "grpc")])
def test_our_exporter(receiving: Receiving, protocol: str, intake: str) -> None:
    """What TracingConfig sends, over gRPC as well."""
    config = TracingConfig(
        exporter="otlp",
        otlp_endpoint=f"http://{receiving.intake[intake]}",
        otlp_protocol=protocol,
        service_name="shop",
    )
    with config.build() as tracing:
        with SpanContext.new(tracing.collector).recorder("ours") as recorder:
            ours = recorder.span
        assert ours is not None
        assert tracing.force_flush(10)
    (stored,) = receiving.wait_for(ours.ctx.trace_id)
    assert (stored.span.name, stored.service) == ("ours", "shop")
    assert stored.span.end_time_unix_nano == ours.end_ns


@pytest.mark.parametrize("media_type", [PROTOBUF, JSON, "Application/JSON; charset=utf-8"])
@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("identity", bytes), ("gzip", gzip.compress), ("deflate", zlib.compress)],
)
def test_everything_is_kept(
    make: Make, post: Post, as_request: Any, media_type: str, encoding: str, pack: Any
) -> None:
    """Each field of OTLP comes out of the store as it was sent, however it is encoded."""
    sent = make.everything()
    kind = JSON if "JSON" in media_type else media_type
    answer = post(pack(encoded(sent, kind)), media_type, Content_Encoding=encoding)
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    assert as_request(1) == sent


@pytest.mark.parametrize(("media_type", "body"), [(PROTOBUF, b""), (JSON, b"{}")])
def test_an_empty_request(post: Post, media_type: str, body: bytes) -> None:
    """It is fine, and so is the answer, in the same encoding."""
    answer = post(body, media_type)
    assert (answer.status_code, answer.content) == (200, body)


def test_null_in_json(receiving: Receiving, post: Post) -> None:
    """It stands for a field that is not there, as some senders write a root's parent."""
    span = {"traceId": "0" * 31 + "1", "spanId": "0" * 15 + "2", "parentSpanId": None}
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [span | {"links": None}]}]}]}
    assert post(json.dumps(body), JSON).status_code == 200
    assert receiving.wait_for(1)[0].parent_id == b""


@pytest.mark.parametrize("media_type", [PROTOBUF, JSON])
def test_invalid_spans(receiving: Receiving, make: Make, post: Post, media_type: str) -> None:
    """They are refused in a partial success, which says how many; the others are kept."""
    nameless = make.span(1, 2)
    nameless.span_id = b""
    answer = post(encoded(make.request(make.span(1, 1), nameless), media_type), media_type)
    response = ExportTraceServiceResponse()
    if media_type == JSON:
        Parse(answer.content, response)
    else:
        response.ParseFromString(answer.content)
    assert (answer.status_code, response.partial_success.rejected_spans) == (200, 1)
    assert "span id" in response.partial_success.error_message
    assert len(receiving.wait_for(1)) == 1
    assert receiving.loss()["rejected"]["http"] == 1


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (PROTOBUF, b"\x0a\xff"),
        (JSON, b"{"),
        (JSON, b"[]"),
        (JSON, b'{"resourceSpans": 1}'),
        (JSON, b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}'),
        (JSON, b"[" * 100_000),
        (JSON, b'{"resourceSpans":' + b"[" * 900 + b"]" * 900 + b"}"),
    ],
)
def test_malformed_requests(receiving: Receiving, post: Post, media_type: str, body: bytes) -> None:
    """They are 400 for good, with a reason in the request's encoding, and counted."""
    answer = post(body, media_type)
    assert (answer.status_code, answer.headers["content-type"]) == (400, media_type)
    assert reason_of(answer)
    assert receiving.loss()["rejected"]["http"] == 1


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=100) | st.text(max_size=100).map(str.encode),
    st.sampled_from([PROTOBUF, JSON]),
    st.sampled_from(["identity", "gzip"]),
)
def test_any_bytes_are_answered(
    receiving: Receiving, post: Post, body: bytes, media_type: str, encoding: str
) -> None:
    """Taken, or refused as malformed and counted; never an error of the viewer."""
    before = receiving.viewer.counts.loss()["rejected"]["http"]
    answer = post(body, media_type, Content_Encoding=encoding)
    refused = receiving.viewer.counts.loss()["rejected"]["http"] - before
    assert (answer.status_code, refused) in [(200, 0), (400, 1)]


@pytest.mark.parametrize("media_type", ["text/plain", "", "application/x-www-form-urlencoded"])
def test_another_type(receiving: Receiving, post: Post, media_type: str) -> None:
    """It is 415, and counted; among them are all that a page of another site may send unasked."""
    answer = post(b"{}", media_type)
    assert answer.status_code == 415
    assert JSON in reason_of(answer)
    assert receiving.loss()["rejected"]["http"] == 1


@pytest.mark.parametrize("media_type", [PROTOBUF, JSON])
def test_no_room_in_the_queue(
    receiving: Receiving, make: Make, post: Post, media_type: str
) -> None:
    """It is 503 with Retry-After, so that the sender tries again; nothing is lost by that."""
    body = encoded(make.request(make.span(1, 1)), media_type)
    with receiving.full_queue():
        answer = post(body, media_type)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "busy" in reason_of(answer)
    loss = receiving.loss()
    assert (loss["postponed"]["http"], loss["rejected"]["http"]) == (1, 0)
    assert post(body, media_type).status_code == 200
    assert len(receiving.wait_for(1)) == 1


def test_other_paths_and_methods(receiving: Receiving) -> None:
    """They are not there, or not allowed."""
    url = f"http://{receiving.intake['http']}"
    headers = {"Content-Type": PROTOBUF}
    assert httpx.post(f"{url}/v1/metrics", content=b"", headers=headers).status_code == 404
    assert httpx.get(f"{url}/v1/traces").status_code == 405


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example:4318", "Origin": "http://evil.example:4318"}, 403),
        ({"Host": "host.docker.internal:4318"}, 200),
        ({"Origin": "http://localhost:8080"}, 200),
    ],
)
def test_a_page_whose_name_leads_here(
    receiving: Receiving, make: Make, headers: dict[str, str], status: int
) -> None:
    """It sends nothing; programs may call this machine as they like (DNS rebinding)."""
    body = make.request(make.span(1, 1)).SerializeToString()
    url = f"http://{receiving.intake['http']}/v1/traces"
    answer = httpx.post(url, content=body, headers={"Content-Type": PROTOBUF, **headers})
    assert answer.status_code == status
    assert receiving.viewer.writer.flush(10)
    assert receiving.viewer.store.kept().spans == (status == 200)


def test_a_page_of_another_site(receiving: Receiving) -> None:
    """A browser asks first whether it may send what is taken here, and is not told that it may."""
    answer = httpx.options(
        f"http://{receiving.intake['http']}/v1/traces",
        headers={
            "Origin": "https://evil.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        },
    )
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control-")]
