"""OTLP over gRPC. The channel is set up by the official exporter, see `otlp_official`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

import grpc
from opentelemetry.sdk.resources import Resource

from iox_otel_bridge.clock import monotonic_s
from iox_otel_bridge.sender import Outcome, Verdict

from .otlp import MAX_BATCH_BYTES, OtlpSender
from .otlp_endpoint import Redactor
from .otlp_grpc_official import GrpcExporter, grpc_exporter
from .otlp_grpc_outcome import grpc_failure, grpc_success

_GRACE_S = 0.5


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
        deadline_s = monotonic_s() + timeout_s + _GRACE_S
        while True:
            pause_s = meanwhile()
            left_s = max(0.0, deadline_s - monotonic_s())
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

    An interpreter that is exiting starts no threads (Python 3.12), and gRPC, refused one in the
    middle of a call, never gets out of it. The main thread and the worker live that long; while the
    main one is not yet done, the worker need not ask.
    """
    main = threading.main_thread()
    if main.is_alive() and threading.current_thread() is not main:
        return True
    try:
        threading.Thread(target=int, daemon=True).start()
    except RuntimeError:
        return False
    return True
