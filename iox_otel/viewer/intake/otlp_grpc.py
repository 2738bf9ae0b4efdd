"""GrpcIntake: OTLP over gRPC, as a Collector takes it on port 4317.

Agrees with the OTLP specification, "OTLP/gRPC": what is malformed is INVALID_ARGUMENT, a full queue
UNAVAILABLE, which a sender tries again, and refused spans are a partial success.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from iox_otel_bridge.wire.errors import DecodeError

from .accepting import INVALID, Accepting, Busy

NAME = "grpc"
_METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_THREADS = 4


class GrpcIntake:
    """Takes requests on threads of its own.

    Args:
        host: a name or an address.
        port: 0 for any that is free.

    Raises:
        OSError: it cannot listen there.
    """

    def __init__(self, host: str, port: int, accepting: Accepting) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="iox-otel grpc")
        self._server = grpc.server(
            self._threads,
            handlers=(_Handler(_Export(accepting)),),
            # gRPC itself refuses what is far too large, uncounted; see `_Export`.
            options=(
                ("grpc.max_receive_message_length", 2 * accepting.max_message_bytes),
                ("grpc.so_reuseport", 0),
            ),
        )
        try:
            self.port: int = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as exc:
            raise OSError(str(exc)) from None
        self._server.start()

    def close(self, grace_s: float = 0.5) -> None:
        """Take no more requests; those under way have *grace_s* seconds."""
        self._server.stop(grace_s).wait()
        self._threads.shutdown(wait=False)


class _Export:
    """Answers a request of the one method there is."""

    def __init__(self, accepting: Accepting) -> None:
        self._accepting = accepting

    def __call__(self, body: bytes, context: Any) -> bytes:
        if len(body) > self._accepting.max_message_bytes:
            self._accepting.counts.reject(NAME)
            limit = self._accepting.max_message_bytes
            context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"a request is larger than {limit} bytes"
            )
        try:
            refused = self._accepting.take(body, NAME)
        except DecodeError as exc:
            self._accepting.counts.reject(NAME)
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(exc))
        except Busy:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the viewer is busy")
        return response_of(refused).SerializeToString()


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Finds the method."""

    def __init__(self, export: Callable[[bytes, Any], bytes]) -> None:
        self._export = grpc.unary_unary_rpc_method_handler(export)

    def service(self, handler_call_details: Any) -> Any:
        """Return what answers a call, or None."""
        return self._export if handler_call_details.method == _METHOD else None


def response_of(refused: int) -> ExportTraceServiceResponse:
    """Return the answer to a request of which so many spans were refused."""
    response = ExportTraceServiceResponse()
    if refused:
        response.partial_success.rejected_spans = refused
        response.partial_success.error_message = INVALID
    return response
