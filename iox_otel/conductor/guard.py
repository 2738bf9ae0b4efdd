"""Guard: who may use the server at all."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from iox_otel._access import Hosts, Token

from .errors import ApiError, answer_api_error

SCHEMES = ("bearer", "token")
"""Of the Authorization header: InfluxDB's clients of version 3 send the one, of 2 the other."""


class UnauthorizedError(ApiError):
    """The request does not bring the token."""

    status = 401


class ForbiddenError(ApiError):
    """A browser was led here by a page of somebody else's."""

    status = 403


class Guard:
    """Stands before an ASGI application and turns away who may not use it.

    Where a token is wanted, that is who does not bring it. Where none is, only this machine can
    connect; but pages in its browsers do, too, so the names by which a request calls the server,
    and the page that it comes from, have to be this machine's.

    Args:
        app: is called for the others.
        token: what everybody has to bring, as `Authorization: Bearer …` or `Token …`; None for
            none.
        hosts: further names of this machine.
        exempt: paths that everybody may ask for.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str | None,
        hosts: Iterable[str] = (),
        exempt: tuple[str, ...] = (),
    ) -> None:
        self._app = app
        self._token = None if token is None else Token(token)
        self._hosts = Hosts(hosts)
        self._exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        if scope["type"] != "http" or scope["path"] in self._exempt:
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Headers(scope=scope))
        if refusal is None:
            await self._app(scope, receive, send)
            return
        response = await answer_api_error(Request(scope), refusal)
        if refusal.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer, Token"
        await response(scope, receive, send)

    def _refusal(self, headers: Headers) -> ApiError | None:
        if self._token is not None:
            return self._unless_authorized(self._token, headers.get("authorization", ""))
        page = headers.get("origin", "http://localhost").partition("://")[2]
        if self._hosts.know(headers.get("host", "")) and self._hosts.know(page, any_address=False):
            return None
        return ForbiddenError("the Host or Origin header is not this machine's; see --token")

    @staticmethod
    def _unless_authorized(token: Token, authorization: str) -> ApiError | None:
        if token.is_in(authorization, schemes=SCHEMES):
            return None
        if authorization:
            return UnauthorizedError("that is not the token of this server")
        return UnauthorizedError("this server wants its token: Authorization: Bearer TOKEN")
