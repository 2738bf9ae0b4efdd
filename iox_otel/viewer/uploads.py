"""Traces from files: Jaeger's JSON or OTLP's, one document or one a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from iox_otel_bridge.wire.errors import DecodeError
from iox_otel_bridge.wire.otlp_decode import load_json

from . import jaeger_upload, otlp_json
from .stored import Batch


def read_upload(body: bytes) -> list[Batch]:
    """Return the spans of a file.

    Raises:
        DecodeError: it is neither Jaeger's JSON nor OTLP's.
    """
    try:
        return [batch for said in _documents(body) for batch in _batches(said)]
    except RecursionError:
        raise DecodeError("the JSON is nested too deeply") from None


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
            why = "it is no text" if isinstance(whole, UnicodeDecodeError) else str(whole)
            raise DecodeError(f"the file is not JSON: {why}") from None
        yield from documents


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
