"""Traces as OTLP's JSON, there and back: nothing is lost.

Beside what OTLP says, a batch tells by `source` that it came from a Jaeger client; who reads OTLP
passes over fields that it does not know.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from iox_otel_bridge.wire.errors import DecodeError
from iox_otel_bridge.wire.otlp_decode import read_json_request, request_to_json

from .stored import Batch, Source, StoredSpan, batches_of

_NOT_OF_THE_FILE = (ValueError, TypeError, AttributeError, SystemError)
"""Python's errors: what they say is of the program and not of the file."""


def trace_of(spans: Iterable[StoredSpan]) -> dict[str, Any]:
    """Return *spans* as an ExportTraceServiceRequest in JSON."""
    grouped: dict[object, list[StoredSpan]] = {}
    for stored in spans:
        key = (
            stored.resource.SerializeToString(deterministic=True),
            stored.scope.SerializeToString(deterministic=True),
            stored.schemas,
            stored.source,
        )
        grouped.setdefault(key, []).append(stored)
    return json_of(
        Batch(
            group[0].resource,
            group[0].scope,
            [stored.span for stored in group],
            group[0].source,
            group[0].schemas,
        )
        for group in grouped.values()
    )


def json_of(batches: Iterable[Batch]) -> dict[str, Any]:
    """Return *batches* as an ExportTraceServiceRequest in JSON."""
    request = ExportTraceServiceRequest()
    sources = []
    for batch in batches:
        schemas = batch.schemas
        of_resource = request.resource_spans.add(
            resource=batch.resource, schema_url=schemas.resource
        )
        of_scope = of_resource.scope_spans.add(scope=batch.scope, schema_url=schemas.scope)
        of_scope.spans.extend(batch.spans)
        sources.append(batch.source)
    said = request_to_json(request)
    for of_resource_said, source in zip(said.get("resourceSpans", ()), sources, strict=True):
        if source is not Source.OTLP:
            of_resource_said["source"] = source.value
    return said


def spans_of(said: dict[str, Any]) -> Iterator[Batch]:
    """Give what is in a request in JSON; raises DecodeError."""
    listed = said.get("resourceSpans") or said.get("resource_spans") or []
    for batch in listed if isinstance(listed, list) else [listed]:
        request = _read(json.dumps({"resourceSpans": [batch]}).encode())
        is_jaeger = isinstance(batch, dict) and batch.get("source") == Source.JAEGER
        for each in batches_of(request):
            source = Source.JAEGER if is_jaeger else Source.OTLP
            yield Batch(each.resource, each.scope, each.spans, source, each.schemas)


def _read(body: bytes) -> ExportTraceServiceRequest:
    try:
        return read_json_request(body)
    except DecodeError as exc:
        if not isinstance(exc.__cause__, _NOT_OF_THE_FILE):
            raise
        expected = "expected resourceSpans with scopeSpans with spans, and ids in hexadecimal"
        raise DecodeError(f"not an ExportTraceServiceRequest in JSON: {expected}") from None
