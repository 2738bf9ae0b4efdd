"""Who may use the server: with a token, and without one."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from iox_otel.conductor.app import create_app, guarded
from iox_otel.testing import CapturingTraceCollector

TOKEN = "s3cret-ü"
LIST = "/api/v3/configure/database?format=json"
DEBUG = {"jaeger-debug-id": "why"}


def ask(
    path: str = LIST,
    *,
    token: str | None = TOKEN,
    hosts: tuple[str, ...] = (),
    url: str = "http://127.0.0.1:8080",
    collector: CapturingTraceCollector | None = None,
    **how: Any,
) -> httpx.Response:
    """Return the answer to a request."""
    app = guarded(create_app(collector=collector), token=token, hosts=hosts)

    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=url) as client:
            return await client.request(how.pop("method", "GET"), path, **how)

    return asyncio.run(answer())


def bringing(value: str) -> dict[str, Any]:
    return {"headers": {"authorization": value.encode()}}


@pytest.mark.parametrize("value", [f"Bearer {TOKEN}", f"Token {TOKEN}", f"bearer  {TOKEN} "])
def test_the_token_lets_in(value: str) -> None:
    """In the form of InfluxDB's clients of version 3, and of version 2; from any name."""
    assert ask(**bringing(value)).status_code == 200
    assert ask(url="http://db.example", **bringing(value)).status_code == 200


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({}, "this server wants its token: Authorization: Bearer TOKEN"),
        (bringing(""), "this server wants its token: Authorization: Bearer TOKEN"),
        (bringing("Bearer other"), "that is not the token of this server"),
        (bringing(f"Bearer {TOKEN}x"), "that is not the token of this server"),
        (bringing("Bearer "), "that is not the token of this server"),
        (bringing(f"Basic {TOKEN}"), "that is not the token of this server"),
        (bringing(TOKEN), "that is not the token of this server"),
        ({"params": {"token": TOKEN}}, "this server wants its token: Authorization: Bearer TOKEN"),
    ],
)
def test_others_stay_outside(how: dict[str, Any], message: str) -> None:
    """The answer says what is wrong, and how to say the token."""
    answer = ask(**how)

    assert (answer.status_code, answer.json()) == (401, {"error": message})
    assert answer.headers["www-authenticate"] == "Bearer, Token"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", LIST),
        ("POST", "/api/v3/configure/database"),
        ("POST", "/api/v3/write_lp?db=db"),
        ("POST", "/api/v2/write?bucket=db"),
        ("GET", "/api/v3/query_sql?db=db&q=select+1"),
        ("GET", "/nowhere"),
        ("GET", "/health/"),
    ],
)
def test_every_call_wants_it(method: str, path: str) -> None:
    """Strangers do not even learn what there is; in the form of the call's own errors."""
    answer = ask(path, method=method)

    assert answer.status_code == 401
    assert ("code" in answer.json()) is path.startswith("/api/v2")


@pytest.mark.parametrize("path", ["/health", "/ping"])
@pytest.mark.parametrize("token", [None, TOKEN])
def test_health_is_open(path: str, token: str | None) -> None:
    """Who looks after the server has no token, and may call it by any name."""
    assert ask(path, token=token, url="http://10.0.0.7.example").status_code == 200


def test_strangers_leave_no_trace() -> None:
    """Who stays outside has nothing traced, whatever the headers ask for."""
    collector = CapturingTraceCollector()
    ask(collector=collector, headers=DEBUG)
    assert collector.spans == []

    ask(collector=collector, headers={**DEBUG, "authorization": f"Bearer {TOKEN}".encode()})
    (span,) = collector.spans
    assert TOKEN not in repr(span)


@pytest.mark.parametrize(
    ("url", "origin", "status"),
    [
        ("http://127.0.0.1:8080", None, 200),
        ("http://localhost:8080", None, 200),
        ("http://[::1]:8080", None, 200),
        ("http://me.localhost", "http://localhost:3000", 200),
        ("http://myname", None, 200),
        ("http://evil.example:8080", None, 403),
        ("http://127.0.0.1:8080", "http://evil.example", 403),
        ("http://127.0.0.1:8080", "http://203.0.113.5", 403),
        ("http://127.0.0.1:8080", "http://[2001:db8::5]:80", 403),
        ("http://127.0.0.1:8080", "http://[::1]:3000", 200),
        ("http://192.168.1.5:8080", None, 200),
        ("http://127.0.0.1:8080", "null", 403),
        ("http://127.0.0.1:8080", "http://[", 403),
    ],
)
def test_pages_of_others_stay_outside(url: str, origin: str | None, status: int) -> None:
    """Without a token, a page in a browser here gets in neither by a name nor across origins."""
    headers = {} if origin is None else {"origin": origin}

    answer = ask(token=None, hosts=("myname",), url=url, headers=headers)

    assert answer.status_code == status
    if status == 403:
        expected = "the Host or Origin header is not this machine's; see --token"
        assert answer.json() == {"error": expected}
