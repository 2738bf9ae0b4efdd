"""Receivers of OTLP by gRPC and HTTP on loopback: real servers; a test chooses what they answer."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.sdk.resources import Resource

from iox_otel_bridge.exporters.otlp import OtlpSender
from iox_otel_bridge.exporters.otlp_grpc import OtlpGrpcSender
from iox_otel_bridge.exporters.otlp_http import OtlpHttpSender

LONG_S = 20.0


class Received(NamedTuple):
    """One request, as it came in."""

    request: ExportTraceServiceRequest
    headers: dict[str, str]
    path: str
    peer: str
    """The other end of the connection it came by."""

    @property
    def spans(self) -> list[SpanMessage]:
        return [
            span
            for traced in self.request.resource_spans
            for scoped in traced.scope_spans
            for span in scoped.spans
        ]


class Receiver(ABC):
    """What both receivers have: what came in, what to answer next, and an address."""

    protocol = ""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: deque[Any] = deque()
        self.busy = threading.Event()
        """Set as soon as a call hangs."""
        self.released = threading.Event()
        """Set to end the calls that hang."""
        self.late_s = 0.0
        """So long every caller waits for its answer."""
        self.address = ""

    @property
    def spans(self) -> list[SpanMessage]:
        return [span for received in self.received for span in received.spans]

    def sender(self, **options: Any) -> OtlpSender:
        given: dict[str, Any] = {"endpoint": f"http://{self.address}", "resource": Resource({})}
        given |= options
        return OtlpGrpcSender(**given) if self.protocol == "grpc" else OtlpHttpSender(**given)

    def hang(self) -> None:
        """Keep the next caller waiting until the test ends."""
        self.answers.append("hang")

    def wait(self, timeout_s: float = LONG_S) -> None:
        self.busy.set()
        self.released.wait(timeout_s)

    @abstractmethod
    def reject(self, count: int, message: str) -> None:
        """Answer the next call with a partial success."""

    @abstractmethod
    def throttle(self, seconds: int) -> None:
        """Answer the next call with "not now, try after *seconds*"."""

    @abstractmethod
    def refuse(self, message: str = "") -> None:
        """Answer the next call with "never"."""

    @abstractmethod
    def too_large(self) -> None:
        """Answer the next call with "too large"."""


class GrpcFailure(NamedTuple):
    code: grpc.StatusCode
    details: str
    trailers: tuple[tuple[str, bytes], ...]


class GrpcReceiver(Receiver, TraceServiceServicer):
    """A gRPC server for traces, as opentelemetry-proto defines it."""

    protocol = "grpc"

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        credentials: grpc.ServerCredentials | None = None,
        options: Sequence[tuple[str, int]] = (),
    ) -> None:
        super().__init__()
        # Without SO_REUSEPORT a test that takes the same port again would be told if it is in use.
        options = [("grpc.so_reuseport", 0), *options]
        self._server = grpc.server(ThreadPoolExecutor(8), options=options)
        add_TraceServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if credentials is None:
            self.port = self._server.add_insecure_port(at)
        else:
            self.port = self._server.add_secure_port(at, credentials)
        self.address = at.rpartition(":")[0] + f":{self.port}"
        self._server.start()

    def Export(self, request: Any, context: Any) -> ExportTraceServiceResponse:
        headers = dict(context.invocation_metadata())
        self.received.append(Received(request, headers, "", context.peer()))
        if self.late_s:
            self.wait(self.late_s)
        answer = self.answers.popleft() if self.answers else ExportTraceServiceResponse()
        if answer == "hang":
            self.wait()
            answer = ExportTraceServiceResponse()
        if isinstance(answer, GrpcFailure):
            context.set_trailing_metadata(answer.trailers)
            context.abort(answer.code, answer.details)
        assert isinstance(answer, ExportTraceServiceResponse)
        return answer

    def stop(self) -> None:
        self.released.set()
        self._server.stop(None).wait(LONG_S)

    def fail(
        self, code: grpc.StatusCode, details: str, trailers: tuple[tuple[str, bytes], ...] = ()
    ) -> None:
        """Answer the next call with a failure."""
        self.answers.append(GrpcFailure(code, details, trailers))

    def reject(self, count: int, message: str) -> None:
        answer = ExportTraceServiceResponse()
        answer.partial_success.rejected_spans = count
        answer.partial_success.error_message = message
        self.answers.append(answer)

    def throttle(self, seconds: int) -> None:
        info = RetryInfo()
        info.retry_delay.seconds = seconds
        trailers = (("google.rpc.retryinfo-bin", info.SerializeToString()),)
        self.fail(grpc.StatusCode.UNAVAILABLE, "busy", trailers)

    def refuse(self, message: str = "") -> None:
        self.fail(grpc.StatusCode.INVALID_ARGUMENT, message)

    def too_large(self) -> None:
        text = "grpc: received message larger than max (5 vs. 4)"
        self.fail(grpc.StatusCode.RESOURCE_EXHAUSTED, text)


class HttpReply(NamedTuple):
    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/x-protobuf"),)


class HttpReceiver(Receiver):
    """An HTTP server for traces. An answer may also be a function of the request's handler."""

    protocol = "http/protobuf"

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        wrap: Callable[[socket.socket], socket.socket] | None = None,
    ) -> None:
        super().__init__()
        self.connections: list[socket.socket] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver.post(self)

            def do_GET(self) -> None:
                receiver.received.append(
                    Received(ExportTraceServiceRequest(), {}, f"GET {self.path}", "")
                )
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
            daemon_threads = True

            def process_request(self, request: Any, client_address: Any) -> None:
                receiver.connections.append(request)
                super().process_request(request, client_address)

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # the client is gone, as the test wanted it

        self._server = Server((host, port), Handler)
        if wrap is not None:
            self._server.socket = wrap(self._server.socket)
        self.port = self._server.server_port
        self.address = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def post(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        match handler.headers.get("Content-Encoding"):
            case "gzip":
                body = gzip.decompress(body)
            case "deflate":
                body = zlib.decompress(body)
        headers = {key.lower(): value for key, value in handler.headers.items()}
        request = ExportTraceServiceRequest.FromString(body)
        self.received.append(Received(request, headers, handler.path, str(handler.client_address)))
        if self.late_s:
            self.wait(self.late_s)
        answer = self.answers.popleft() if self.answers else HttpReply()
        if answer == "hang":
            self.wait()
            answer = HttpReply()
        if not isinstance(answer, HttpReply):
            answer(handler)
            return
        handler.send_response(answer.status)
        for name, value in answer.headers:
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body)

    def stop(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(LONG_S)
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it was closed before

    def reply(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer the next request so."""
        self.answers.append(HttpReply(status, body, tuple((headers or {}).items())))

    def reject(self, count: int, message: str) -> None:
        answer = ExportTraceServiceResponse()
        answer.partial_success.rejected_spans = count
        answer.partial_success.error_message = message
        self.answers.append(HttpReply(body=answer.SerializeToString()))

    def throttle(self, seconds: int) -> None:
        self.reply(503, b"busy", {"Retry-After": str(seconds)})

    def refuse(self, message: str = "") -> None:
        self.reply(400, message.encode(), {"Content-Type": "text/plain"})

    def too_large(self) -> None:
        self.reply(413)


AnyReceiver = GrpcReceiver | HttpReceiver


def receiver_of(protocol: str) -> type[AnyReceiver]:
    """Return the class for "grpc", or for "http/protobuf"."""
    return GrpcReceiver if protocol == "grpc" else HttpReceiver
