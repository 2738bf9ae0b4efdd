"""Guard: who may talk to the viewer, and what a browser may do with its answers.

Against other pages in the user's browser: the Host header must be one that only this machine
answers to, so that no name which resolves to it gets at the traces (DNS rebinding), and the policy
lets the page load nothing but its own files and run nothing that is written into it.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'"
)
COOKIE = "iox_otel_viewer"
HOSTS = ("localhost", "host.docker.internal", "host.containers.internal")
"""Beside addresses in numbers, names under .localhost and the one that is listened on."""

_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_POLICY_OF_REFUSALS = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>iox-otel viewer</title>'
    '<meta name="color-scheme" content="light dark">'
    '<meta name="viewport" content="width=device-width"><main><h1>iox-otel viewer</h1><p>{}</p>'
    "</main></html>"
)
"""What a browser shows to who is turned away, instead of JSON."""
_WAY_IN = "open the URL it printed when it started, or add ?token=TOKEN to this one"
_OF_PROXIES = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
_HOST = re.compile(r"(?:\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<name>[^:\[\]]+))(?::[0-9]{1,5})?")


class Guard:
    """Stands before an ASGI application and turns away who may not use it.

    Args:
        app: is called for the others.
        hosts: names that the Host header may have, beside those that are always right; None for
            any, which is safe where a token is asked for or the application has its own check.
        token: what everybody has to bring: as `Authorization: Bearer …`, or as a cookie, which
            `?token=…` sets once; None asks for none.
        local_only: turn away what comes from another machine, whatever it brings.
        any_sender: *hosts* are for browsers only, which say whose page asks: programs may call
            this machine by other names.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Iterable[str] | None = (),
        token: str | None = None,
        local_only: bool = False,
        any_sender: bool = False,
    ) -> None:
        self._app = app
        self._any_sender = any_sender
        self._local_only = local_only
        self._hosts = None if hosts is None else frozenset((*HOSTS, *map(str.lower, hosts)))
        self._token = None if token is None else _digest(token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        answer = self._refusal(scope) or self._app
        await answer(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return what to answer instead of the application."""
        headers = Headers(scope=scope)
        if self._local_only and not _is_local(scope, headers):
            reason = "this viewer answers its own machine only, unless it has a token"
            return _refused(headers, 403, reason)
        is_asked = "origin" in headers or not self._any_sender
        if is_asked and not self._knows(headers.get("host", "")):
            reason = "the Host header is not one of this viewer's; see --host"
            return _refused(headers, 403, reason)
        if self._token is None:
            return None
        if brought := _token_in_query(scope):
            return self._set_cookie(scope, headers, brought)
        if any(hmac.compare_digest(self._token, each) for each in self._brought(headers)):
            return None
        return _refused(headers, 401, f"this viewer wants its token: {_WAY_IN}")

    def _knows(self, host: str) -> bool:
        if self._hosts is None:
            return True
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        if match["ipv6"]:
            return True
        name: str = match["name"].lower().rstrip(".")
        return name in self._hosts or name.endswith(".localhost") or _is_address(name)

    def _brought(self, headers: Headers) -> Iterator[str]:
        """Give the digests of what a request brings."""
        assert self._token is not None  # noqa: S101  narrows the type
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            yield _digest(bearer.strip().encode("latin-1").decode("utf-8", "replace"))
        # SimpleCookie would read none of them if another server on this host has set an odd one.
        cookie = cookie_parser(headers.get("cookie", "")).get(_cookie_of(self._token), "")
        if cookie.isascii():
            yield cookie

    def _set_cookie(self, scope: Scope, headers: Headers, brought: str) -> Response:
        assert self._token is not None  # noqa: S101  narrows the type
        if not hmac.compare_digest(self._token, _digest(brought)):
            return _refused(headers, 401, f"that is not the token of this viewer: {_WAY_IN}")
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        rest = urlencode([(name, value) for name, value in query if name != "token"])
        path = "/" + quote(scope["path"].lstrip("/"))  # `//host` would lead elsewhere
        response = RedirectResponse(f"{path}?{rest}" if rest else path, 303)
        response.set_cookie(_cookie_of(self._token), self._token, httponly=True, samesite="lax")
        return response


def _is_local(scope: Scope, headers: Headers) -> bool:
    """Tell whether a request comes from this machine.

    Over a Unix socket nothing says so, and what a proxy here passes on may come from anywhere: if
    it says that it is one.
    """
    if any(name in headers for name in _OF_PROXIES):
        return False
    host = (scope.get("client") or ("",))[0]
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def _token_in_query(scope: Scope) -> str:
    """Return the token that a page is opened with."""
    if scope["method"] != "GET" or b"token=" not in scope["query_string"]:
        return ""
    given: dict[str, str] = dict(parse_qsl(scope["query_string"].decode("latin-1")))
    return given.get("token", "")


def _cookie_of(digest: str) -> str:
    """Return the cookie's name: viewers on other ports of this host have others."""
    return f"{COOKIE}_{digest[:8]}"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _refused(asked: Headers, status: int, reason: str) -> Response:
    response: Response
    if "text/html" in asked.get("accept", ""):
        response = HTMLResponse(_PAGE.format(f"{reason[0].upper()}{reason[1:]}."), status)
        response.headers["Content-Security-Policy"] = _POLICY_OF_REFUSALS
    else:
        response = JSONResponse({"error": reason}, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response
