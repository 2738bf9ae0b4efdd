"""OTLP over HTTP, as a Collector takes it on port 4318: protobuf and JSON, plain and gzip.

Agrees with the OTLP specification, "OTLP/HTTP": an answer, an error too, is in the encoding of its
request; 400 and 413 are for good, 503 asks to try again.
"""

from __future__ import annotations

from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import code_pb2
from google.rpc.status_pb2 import Status
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from iox_otel.viewer.bodies import BodyError, read_body
from iox_otel_bridge.wire.errors import DecodeError
from iox_otel_bridge.wire.otlp_decode import read_json_request

from .accepting import Accepting, Busy
from .otlp_grpc import response_of

NAME = "http"
PROTOBUF, JSON = "application/x-protobuf", "application/json"
_RETRY_AFTER_S = "1"


def create_intake(accepting: Accepting) -> Starlette:
    """Return the application: POST `/v1/traces`."""
    return Starlette(routes=[Route("/v1/traces", _Export(accepting).answer, methods=["POST"])])


class _Export:
    def __init__(self, accepting: Accepting) -> None:
        self._accepting = accepting

    async def answer(self, request: Request) -> Response:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in (PROTOBUF, JSON):
            self._accepting.counts.reject(NAME)
            expected = f"expected Content-Type {PROTOBUF} or {JSON}, got {media_type[:80]!r}"
            return _refused(415, expected, JSON)
        try:
            body = await read_body(request, self._accepting.max_message_bytes)
        except BodyError as exc:
            self._accepting.counts.reject(NAME)
            return _refused(exc.status, str(exc), media_type)
        return await run_in_threadpool(self._take, body, media_type)

    def _take(self, body: bytes, media_type: str) -> Response:
        try:
            if media_type == JSON:
                body = read_json_request(body).SerializeToString()
            refused = self._accepting.take(body, NAME)
        except DecodeError as exc:
            self._accepting.counts.reject(NAME)
            return _refused(400, str(exc), media_type)
        except Busy:
            return _refused(503, "the viewer is busy", media_type)
        return _answer(200, response_of(refused), media_type)


def _refused(status: int, reason: str, media_type: str) -> Response:
    code = code_pb2.UNAVAILABLE if status == 503 else code_pb2.INVALID_ARGUMENT
    response = _answer(status, Status(code=code, message=reason), media_type)
    if status == 503:
        response.headers["Retry-After"] = _RETRY_AFTER_S
    return response


def _answer(status: int, message: Message, media_type: str) -> Response:
    if media_type == JSON:
        content = json_format.MessageToJson(message, indent=None).encode()
    else:
        content = message.SerializeToString()
    return Response(content, status, media_type=media_type)
