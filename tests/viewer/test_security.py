"""Guard: who may talk to the viewer, and what a browser may do with its answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from iox_otel.viewer.app import Viewer, create_app
from iox_otel.viewer.security import POLICY, Guard

Make = Any
TOKEN = "s3cret&ü"


@pytest.fixture
def viewer() -> Iterator[Viewer]:
    """A viewer in memory."""
    with Viewer() as opened:
        yield opened


def ask(
    viewer: Viewer, path: str = "/api/viewer/status", method: str = "GET", **how: Any
) -> httpx.Response:
    """Return the answer to a request from a browser on this machine."""
    guard = Guard(create_app(viewer), hosts=how.pop("hosts", ()), token=how.pop("token", None))
    cookies = how.pop("cookies", None)

    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(guard, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:16686", cookies=cookies
        ) as client:
            return await client.request(method, path, **how)

    return asyncio.run(answer())


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/search",
        "/static/index.html",
        "/api/viewer/status",
        "/api/services",
        "/api/viewer/traces/xyz",
        "/api/viewer/traces/1",
        "/nowhere",
        "/api/viewer/traces/1/export?format=html",
    ],
)
@pytest.mark.parametrize("token", [None, TOKEN])
def test_every_answer_has_the_policy(viewer: Viewer, path: str, token: str | None) -> None:
    """Errors and refusals, too: nothing runs that is written into a page, nor is it framed."""
    headers = ask(viewer, path, token=token).headers
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] in ("no-store", "no-cache")
    assert "access-control-allow-origin" not in headers


def test_the_policy_is_strict() -> None:
    """It allows no script, style or frame but the viewer's own files."""
    assert "unsafe" not in POLICY and "*" not in POLICY
    for part in ("default-src 'self'", "frame-ancestors 'none'", "object-src 'none'"):
        assert part in POLICY


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:16686", 200),
        ("localhost", 200),
        ("LOCALHOST.:16686", 200),
        ("viewer.localhost:1", 200),
        ("[::1]:16686", 200),
        ("192.168.1.7:16686", 200),
        ("host.docker.internal:16686", 200),
        ("my-box:16686", 200),
        ("evil.example", 403),
        ("evil.example:16686", 403),
        ("localhost.evil.example", 403),
        ("notlocalhost", 403),
        ("127.0.0.1.evil.example", 403),
        ("127.0.0.1:16686@evil.example", 403),
        ("", 403),
    ],
)
def test_names_that_may_lead_here(viewer: Viewer, host: str, status: int) -> None:
    """A page of another site whose name was made to lead here gets nothing (DNS rebinding)."""
    assert ask(viewer, headers={"Host": host}, hosts=("My-Box",)).status_code == status


def test_any_name_with_a_token(viewer: Viewer) -> None:
    """Who rebinds a name does not have the token."""
    headers = {"Host": "evil.example", "Authorization": f"Bearer {TOKEN}".encode()}
    assert ask(viewer, headers=headers, token=TOKEN, hosts=None).status_code == 200


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("", 401),
        ("Bearer", 401),
        ("Bearer wrong", 401),
        ("Basic right", 401),
        ("right", 401),
        ("Bearer right", 200),
        ("bearer  right ", 200),
    ],
)
def test_the_token_as_bearer(viewer: Viewer, header: str, status: int) -> None:
    """Without the right one there is no answer, on any path."""
    for path in ("/api/viewer/status", "/api/services", "/search", "/static/index.html"):
        answer = ask(viewer, path, token="right", headers={"Authorization": header})
        assert answer.status_code == status
    assert ("www-authenticate" in answer.headers) == (status == 401)


def cookie_of(viewer: Viewer, path: str) -> tuple[httpx.Response, str]:
    """Return the answer to a page that is opened with the token, and the cookie it sets."""
    answer = ask(viewer, path, token=TOKEN)
    return answer, answer.headers["set-cookie"].partition(";")[0]


def test_the_token_in_the_address(viewer: Viewer) -> None:
    """The page's address loses it at once, and a cookie has it, which no script can read."""
    token = str(httpx.QueryParams({"token": TOKEN}))
    answer, cookie = cookie_of(viewer, f"/search?service=a%26b&{token}&tags=")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/search?service=a%26b&tags="
    said = answer.headers["set-cookie"].lower()
    assert "httponly" in said and "samesite=lax" in said
    assert TOKEN not in said
    assert ask(viewer, token=TOKEN, headers={"Cookie": cookie}).status_code == 200
    assert ask(viewer, token="another", headers={"Cookie": cookie}).status_code == 401


def test_the_cookie_among_odd_ones(viewer: Viewer) -> None:
    """What other servers on this machine have set does not lock out."""
    _, cookie = cookie_of(viewer, f"/?{httpx.QueryParams({'token': TOKEN})}")
    odd = f'json={{"a": 1, "b": "é"}}; =; x; {cookie}; last="'
    assert ask(viewer, token=TOKEN, headers={"Cookie": odd.encode()}).status_code == 200


@pytest.mark.parametrize("path", ["/search?token=wrong", "/search?token=", "/search?token=%ff"])
def test_a_wrong_token_in_the_address(viewer: Viewer, path: str) -> None:
    """It sets no cookie."""
    answer = ask(viewer, path, token=TOKEN)
    assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)


@pytest.mark.parametrize(
    ("path", "how", "status", "says"),
    [
        ("/search", {"token": TOKEN}, 401, "This viewer wants its token: open the URL it printed"),
        ("/search?token=x", {"token": TOKEN}, 401, "That is not the token of this viewer: open"),
        ("/search", {"headers": {"Host": "evil.example"}}, 403, "The Host header is not one of"),
    ],
)
def test_a_refusal_is_a_page_to_a_browser(
    viewer: Viewer, path: str, how: dict[str, Any], status: int, says: str
) -> None:
    """Which says how to get in and may load nothing at all; to programs it is JSON."""
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    answer = ask(viewer, path, **how | {"headers": how.get("headers", {}) | browser})
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert f"<p>{says}" in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';") and "frame-ancestors 'none'" in policy
    assert ask(viewer, path, **how).json()["error"][1:].startswith(says[1:])


@pytest.mark.parametrize(
    ("path", "location"),
    [("//evil.example/", "/evil.example/"), ("/trace/a%3Fb%23c%25", "/trace/a%3Fb%23c%25")],
)
def test_the_redirect_stays_here(viewer: Viewer, path: str, location: str) -> None:
    """A path that looks like another host is none, and stays the path that it was."""
    answer, _ = cookie_of(
        viewer, f"http://127.0.0.1:16686{path}?{httpx.QueryParams({'token': TOKEN})}"
    )
    assert answer.headers["location"] == location


@pytest.mark.parametrize(
    "media_type", ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded", ""]
)
def test_uploads_from_another_site(viewer: Viewer, make: Make, media_type: str) -> None:
    """What a form or a page can send unasked is refused."""
    headers = {"Content-Type": media_type, "Origin": "https://evil.example"}
    answer = ask(viewer, "/api/viewer/upload", "POST", content=b'{"data": []}', headers=headers)
    assert (answer.status_code, viewer.store.kept().traces) == (415, 0)


def test_a_browser_that_asks_first(viewer: Viewer) -> None:
    """It is not told that another site may send JSON."""
    headers = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    answer = ask(viewer, "/api/viewer/upload", "OPTIONS", headers=headers)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "path",
    [
        "..%2f__init__.py",
        "%2e%2e/__init__.py",
        "js/..%2f..%2fapp.py",
        "%2fetc%2fhostname",
        "js",
        "js%00.js",
        "nothing.js",
    ],
)
def test_files_beside_the_page(viewer: Viewer, path: str) -> None:
    """There is no way to them."""
    assert ask(viewer, f"/static/{path}").status_code == 404
