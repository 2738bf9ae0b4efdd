"""Traces from files: Jaeger's JSON or OTLP's, one document or one a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from iox_otel_bridge.wire.errors import DecodeError
from iox_otel_bridge.wire.otlp_decode import load_json

from . import jaeger_json, jaeger_upload, otlp_json
from .jaeger_warnings import take_warnings
from .stored import Batch, StoredSpan


def read_upload(body: bytes) -> list[Batch]:
    """Return the spans of a file.

    Raises:
        DecodeError: it is neither Jaeger's JSON nor OTLP's.
    """
    try:
        return [batch for said in _documents(body) for batch in _batches(said)]
    except RecursionError:
        raise DecodeError("the JSON is nested too deeply") from None


def without_known(
    batches: Sequence[Batch],
    trace_ids: Iterable[bytes],
    kept: Callable[[bytes], Sequence[StoredSpan]],
) -> list[Batch]:
    """Return *batches* without what Jaeger's JSON makes of the spans that are here already.

    That file has times in microseconds, no flags of OTLP and more that is not exact: brought back
    to where it came from, its spans would be there twice.

    Args:
        batches: what was uploaded, after its limits.
        trace_ids: those of its traces.
        kept: returns the spans of a trace that are here.
    """
    known = set()
    for trace_id in trace_ids:
        if spans := kept(trace_id):
            again = jaeger_upload.spans_of({"data": [jaeger_json.trace_of(spans)]})
            known |= {_key(batch, span) for batch in again for span in batch.spans}
    left = []
    for batch in batches:
        if new := [span for span in batch.spans if _key(batch, span) not in known]:
            left.append(replace(batch, spans=new))
    return left


def _key(batch: Batch, span: Span) -> tuple[str, bytes, bytes, bytes]:
    _, bare = take_warnings(span)  # which a Jaeger has of spans that have none here
    parts = (batch.resource, batch.scope, bare)
    resource, scope, said = (part.SerializeToString(deterministic=True) for part in parts)
    return batch.source.value, resource, scope, said


def _documents(body: bytes) -> Iterator[Any]:
    try:
        yield load_json(body)
    except ValueError as whole:
        lines = [line for line in body.splitlines() if line.strip()]
        if not lines:
            raise DecodeError("the file is empty") from None
        try:
            documents = [load_json(line) for line in lines]
        except ValueError:
            raise DecodeError(f"the file is not JSON: {_reason(whole)}") from None
        yield from documents


def _reason(error: ValueError) -> str:
    match error:
        case UnicodeDecodeError():
            return "it is no text"
        case json.JSONDecodeError():
            return str(error)
    return "a number has too many digits"  # for Python, which no other error says so far


def _batches(said: Any) -> Iterator[Batch]:
    if isinstance(said, list):
        for each in said:
            yield from _batches(each)
    elif isinstance(said, dict) and ("resourceSpans" in said or "resource_spans" in said):
        yield from otlp_json.spans_of(said)
    elif isinstance(said, dict) and ("data" in said or "spans" in said):
        yield from jaeger_upload.spans_of(said)
    else:
        raise DecodeError('expected Jaeger\'s JSON ("data") or OTLP\'s ("resourceSpans")')
