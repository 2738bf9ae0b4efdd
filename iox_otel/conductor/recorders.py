"""Recorders for the work of a request."""

from __future__ import annotations

from starlette.requests import Request

from iox_otel import SpanRecorder
from iox_otel.http import span_context


def request_recorder(request: Request, name: str) -> SpanRecorder:
    """Return the recorder of a new span under that of *request*; the no-op if it is not traced."""
    context = span_context(request)
    return SpanRecorder(None) if context is None else context.recorder(name)
