"""What the HTTP API says when it cannot do what it was asked."""

from __future__ import annotations

import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_logger = logging.getLogger(__name__)


class ApiError(Exception):
    """A request that cannot be served, and why: the text is for whoever sent it.

    Args:
        message: one or a few lines, no traceback.
        data: details for programs, fit for JSON; None sends none.
    """

    status = 400
    """The HTTP status that says so; each class has its own."""

    def __init__(self, message: str, *, data: object = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data

    @property
    def explanation(self) -> str:
        """The message, for programs that get no data beside it."""
        return self.message


class BadRequestError(ApiError):
    """A parameter is missing or makes no sense, or the body does not."""


class NotAcceptableError(ApiError):
    """The client asks for a form that results do not come in."""

    status = 406


class BodyTooLargeError(ApiError):
    """The body is longer than the server takes."""

    status = 413


class UnsupportedMediaTypeError(ApiError):
    """The body has a form that this call does not read."""

    status = 415


_HTTP_ERRORS = {404: "not found", 405: "unsupported method"}
_V2_CODES = {404: "not found", 413: "request too large", 500: "internal error"}


async def answer_api_error(request: Request, error: Exception) -> Response:
    """Answer what `ApiError` says; a handler for Starlette."""
    assert isinstance(error, ApiError)  # noqa: S101  narrows the type
    return _error(request, error.status, error)


async def answer_http_error(request: Request, error: Exception) -> Response:
    """Answer what Starlette's router finds: no such path, no such method."""
    assert isinstance(error, HTTPException)  # noqa: S101  narrows the type
    known = ApiError(_HTTP_ERRORS.get(error.status_code, error.detail))
    response = _error(request, error.status_code, known)
    response.headers.update(error.headers or {})
    return response


async def answer_disconnect(request: Request, error: Exception) -> Response:
    """Answer a client that went away while it sent; nobody reads it, the log does."""
    return _error(request, 400, ApiError("client disconnected"))


def _error(request: Request, status: int, error: ApiError) -> Response:
    level = logging.ERROR if status >= 500 else logging.INFO
    _logger.log(level, "%s %s: %d %s", request.method, request.url.path, status, error.message)
    return _response(request.url.path, status, error)


def _response(path: str, status: int, error: ApiError) -> Response:
    """Return an error in the form InfluxDB 3 gives them, `{"error": …, "data": …}`.

    On v2 paths that of v2, `{"code": …, "message": …}`, which has no place for data, beside it.
    """
    body: dict[str, object] = {"error": error.message}
    if error.data is not None:
        body["data"] = error.data
    if path.startswith("/api/v2/"):
        code = _V2_CODES.get(status, "invalid")
        body = {"code": code, "message": error.explanation, **body}
    return JSONResponse(body, status_code=status)


class NotingSend:
    """The `send` of a request; knows whether the response has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_begun = False

    async def __call__(self, message: Message) -> None:
        """Pass *message* on."""
        self.has_begun = True
        await self._send(message)


class InternalErrors:
    """Keeps what *app* fails with from its clients: they get a 500, the log the traceback.

    Inside of TraceLayer, so that the line in the log has the trace id. Once the response has begun
    it can only be cut off: then the exception goes on to the server.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        noting = NotingSend(send)
        try:
            await self.app(scope, receive, noting)
        except Exception:
            if scope["type"] != "http":
                raise
            _logger.exception("%s %s failed", scope["method"], scope["path"])
            if noting.has_begun:
                raise
            response = _response(scope["path"], 500, ApiError("internal error"))
            await response(scope, receive, send)
