"""OTLP, what both protocols share: batches of encoded requests, and when to try.

One attempt a call, with a truthful outcome. `otlp_grpc` and `otlp_http` have the senders. Neither
imports what only the other needs: each protocol's libraries take tens of milliseconds.
"""

from __future__ import annotations

import math
import os
import sys
from abc import abstractmethod
from collections.abc import Iterable, Sequence

from opentelemetry.sdk.resources import Resource

from iox_otel_bridge.sender import AnySpan, Batch, Outcome, Pipeline, Sender, Verdict
from iox_otel_bridge.wire.otlp import Request, RequestEncoder, split_request

from .otlp_endpoint import Redactor

MAX_BATCH_BYTES = 2 << 20
"""Half of what a gRPC server takes in one message unless it is told otherwise."""


class _Unencodable(str):
    """The payload of a batch with one span that cannot be encoded: why."""


class OtlpSender(Sender):
    """What both protocols have in common: batches of encoded requests, and when to try."""

    endpoint: str
    """Where the spans go, as a log may have it."""
    _timeout_s: float
    _redact: Redactor

    def __init__(self, resource: Resource, max_batch_bytes: int) -> None:
        self._encoder = RequestEncoder(resource)
        self._max_batch_bytes = max_batch_bytes
        self._pid = os.getpid()
        self._closed = False
        self._pipeline: Pipeline | None = None

    def bind(self, pipeline: Pipeline) -> None:
        """Let *pipeline* go on while an attempt waits for its answer."""
        self._pipeline = pipeline

    def _meanwhile(self) -> float:
        return self._pipeline.meanwhile() if self._pipeline else math.inf

    def encode(self, spans: Sequence[AnySpan]) -> Iterable[Batch]:
        """Yield batches of `max_batch_bytes` at most, unless a single span is larger."""
        for request in self._encoder.encode(spans, self._max_batch_bytes):
            yield _batch(request)

    def split(self, batch: Batch) -> Sequence[Batch]:
        """Return *batch* in two halves, or as it is if it is a single span."""
        if not isinstance(batch.payload, bytes) or batch.span_count < 2:
            return (batch,)
        return tuple(_batch(request) for request in split_request(batch.payload))

    def send(self, batch: Batch, timeout_s: float) -> Outcome:
        """Try once to deliver *batch*; OTEL_EXPORTER_OTLP_TIMEOUT may shorten the time for it."""
        payload = batch.payload
        if not isinstance(payload, bytes):
            return Outcome(Verdict.FATAL, detail=str(payload))
        if self._closed:
            return Outcome(Verdict.FATAL, detail="the sender is closed")
        if self._timeout_s > 0:
            timeout_s = min(timeout_s, self._timeout_s)
        if timeout_s <= 0:
            return Outcome(Verdict.RETRY, detail="there is no time left")
        if self._pid != os.getpid():  # connections belong to the process that opened them
            self._forget_connections()
            self._pid = os.getpid()
        try:
            outcome = self._attempt(payload, batch.span_count, timeout_s)
        except Exception as error:  # its text may hold headers
            outcome = Outcome(Verdict.FATAL, detail=type(error).__name__)
        if not outcome.detail:
            return outcome
        return outcome._replace(detail=f"{self.endpoint}: {self._redact(outcome.detail)}")

    @abstractmethod
    def _attempt(self, body: bytes, span_count: int, timeout_s: float) -> Outcome: ...

    @abstractmethod
    def _forget_connections(self) -> None:
        """Drop the parent process's connections without closing them for the parent."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.endpoint!r})"


def _batch(request: Request) -> Batch:
    payload = _Unencodable(request.error) if request.error else request.body
    return Batch(payload, request.span_count, sys.getsizeof(payload))
