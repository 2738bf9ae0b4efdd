"""OTLP over gRPC and over HTTP: one attempt a call, with a truthful outcome.

The connections are those that the official exporters set up, see `otlp_official`.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import grpc
from opentelemetry.sdk.resources import Resource

from iox_otel_bridge.sender import AnySpan, Batch, Outcome, Pipeline, Sender, Verdict
from iox_otel_bridge.wire.otlp import Request, RequestEncoder, split_request

from .attempt import Attempt, GivenUp
from .otlp_endpoint import Redactor, shown_url
from .otlp_official import GrpcExporter, grpc_exporter, http_exporter
from .otlp_outcome import HttpAnswer, grpc_failure, grpc_success, http_failure, http_outcome

MAX_BATCH_BYTES = 2 << 20
"""Half of what a gRPC server takes in one message unless it is told otherwise."""

_MAX_GIVEN_UP = 4
_GRACE_S = 0.5


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


class OtlpGrpcSender(OtlpSender):
    """Sends spans by OTLP/gRPC. No channel is open before the first span.

    Args:
        resource: what native spans come from.
        endpoint: URL, where `http://` means without TLS, or host:port. None: as the environment has
            it (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT), else
            http://localhost:4317.
        headers: sent along as metadata, instead of OTEL_EXPORTER_OTLP_HEADERS.
        max_batch_bytes: where a batch ends, before compression.

    Raises:
        ValueError: the endpoint, a header or an OTEL_EXPORTER_OTLP_* variable cannot be used.
    """

    def __init__(
        self,
        *,
        resource: Resource,
        endpoint: str | None = None,
        headers: Mapping[str, str] | None = None,
        max_batch_bytes: int = MAX_BATCH_BYTES,
    ) -> None:
        super().__init__(resource, max_batch_bytes)
        self._exporter = grpc_exporter(endpoint, headers)
        self.endpoint = self._exporter.url
        self._timeout_s = self._exporter.timeout_s
        self._redact = Redactor(self._exporter.sent_headers)
        self._call: _Call | None = None

    def _attempt(self, body: bytes, span_count: int, timeout_s: float) -> Outcome:
        call = self._call = _Call()
        try:
            return grpc_success(
                call.run(self._exporter, body, timeout_s, self._meanwhile), span_count
            )
        except (grpc.FutureCancelledError, grpc.FutureTimeoutError):
            return Outcome(Verdict.RETRY, detail="interrupted")
        except grpc.RpcError as error:
            trailers = error.trailing_metadata() or ()
            return grpc_failure(error.code(), error.details() or "", trailers)
        finally:
            self._call = None

    def interrupt(self) -> None:
        """Cancel the call that is under way, if there is one."""
        call = self._call
        if call is not None:
            call.interrupt()

    def close(self) -> None:
        """Close the channel; in a forked child, only the one that was opened there."""
        self._closed = True
        if self._pid == os.getpid():
            self._exporter.close()

    def _forget_connections(self) -> None:
        self._exporter.forget_channel()


class OtlpHttpSender(OtlpSender):
    """Sends spans by OTLP/HTTP, as protobuf.

    Args:
        resource: what native spans come from.
        endpoint: base URL; spans go to /v1/traces under it, unless it ends so. None: as the
            environment has it (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT),
            else http://localhost:4318.
        headers: sent along, over those of OTEL_EXPORTER_OTLP_HEADERS.
        max_batch_bytes: where a batch ends, before compression.

    Raises:
        ValueError: the endpoint, a header or an OTEL_EXPORTER_OTLP_* variable cannot be used.
    """

    def __init__(
        self,
        *,
        resource: Resource,
        endpoint: str | None = None,
        headers: Mapping[str, str] | None = None,
        max_batch_bytes: int = MAX_BATCH_BYTES,
    ) -> None:
        super().__init__(resource, max_batch_bytes)
        self._exporter = http_exporter(endpoint, headers)
        self.endpoint = shown_url(self._exporter.url)
        self._timeout_s = self._exporter.timeout_s
        self._redact = Redactor(self._exporter.sent_headers, self._exporter.url)
        self._under_way: Attempt[HttpAnswer] | None = None
        self._given_up: list[Attempt[HttpAnswer]] = []

    def _attempt(self, body: bytes, span_count: int, timeout_s: float) -> Outcome:
        self._given_up = [attempt for attempt in self._given_up if attempt.running()]
        if len(self._given_up) >= _MAX_GIVEN_UP:
            return Outcome(Verdict.RETRY, detail="too many attempts that were given up still run")
        attempt = self._under_way = Attempt(lambda: self._exporter.post(body, timeout_s))
        try:
            return http_outcome(attempt.result(timeout_s, self._meanwhile), span_count)
        except GivenUp as error:
            self._given_up.append(attempt)
            return Outcome(Verdict.RETRY, detail=str(error))
        except ValueError as error:  # an URL or header it cannot use, and some are OSErrors as well
            return Outcome(Verdict.FATAL, detail=type(error).__name__)
        except OSError as error:
            return http_failure(error)
        finally:
            self._under_way = None

    def interrupt(self) -> None:
        """Give up the attempt that is under way, if there is one."""
        attempt = self._under_way
        if attempt is not None:
            attempt.interrupt()

    def close(self) -> None:
        """Close the idle connections; in a forked child that leaves the parent's alone."""
        self._closed = True
        self._exporter.close()

    def _forget_connections(self) -> None:
        self._exporter.forget_connections()


class _Call:
    """A gRPC call that can be cancelled from another thread, even before it has begun."""

    def __init__(self) -> None:
        self._future: Any = None
        self._interrupted = False

    def run(
        self,
        exporter: GrpcExporter,
        body: bytes,
        timeout_s: float,
        meanwhile: Callable[[], float],
    ) -> bytes:
        if not _threads_start():
            return exporter.call(body, timeout_s)
        future = self._future = exporter.start(body, timeout_s)
        if self._interrupted:
            future.cancel()
        deadline_s = time.monotonic() + timeout_s + _GRACE_S
        while True:
            pause_s = meanwhile()
            left_s = max(0.0, deadline_s - time.monotonic())
            try:
                return bytes(future.result(min(left_s, pause_s)))
            except grpc.FutureTimeoutError:
                if left_s <= pause_s:
                    future.cancel()
                    raise

    def interrupt(self) -> None:
        self._interrupted = True
        if self._future is not None:
            self._future.cancel()


def _threads_start() -> bool:
    """Whether gRPC can have the thread that a call which can be cancelled needs.

    An interpreter that is exiting starts no threads (from Python 3.12 on), and gRPC, refused one in
    the middle of a call, never gets out of it. Only the main thread lives that long.
    """
    if threading.current_thread() is not threading.main_thread():
        return True
    try:
        threading.Thread(target=int, daemon=True).start()
    except RuntimeError:
        return False
    return True


def _batch(request: Request) -> Batch:
    payload = _Unencodable(request.error) if request.error else request.body
    return Batch(payload, request.span_count, sys.getsizeof(payload))
