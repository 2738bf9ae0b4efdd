"""OTLP answers in JSON, which only HTTP has: protobuf's JSON takes its time to import."""

from __future__ import annotations

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from .otlp import PartialSuccess, partial_success


def decode_json_response(body: bytes) -> PartialSuccess:
    """Return what *body*, an ExportTraceServiceResponse in JSON, says.

    Raises protobuf's ParseError or UnicodeDecodeError.
    """
    response = ExportTraceServiceResponse()
    return partial_success(json_format.Parse(body, response, ignore_unknown_fields=True))
