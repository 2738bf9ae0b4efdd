"""The page's own files, and its one document at each address of a view."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from .modules import order_of

PAGE = Path(__file__).parent / "page"
_TRACE = "/trace/{id}"
_VIEWS = {
    "/search": ("search/view.js",),
    _TRACE: ("trace/view.js", "trace/page.js"),
    "/compare": ("compare/view.js", "compare/tree.js"),
    "/graph": ("graph/view.js",),
}
"""Views by their addresses, and the modules that each loads, beside those that they import."""

_BASE = '<base href="/">'
_STATIC = '="static/'
_FOR_EVER = "max-age=31536000, immutable"
_FIRST_ASSET = '<link rel="icon"'
_FIRST_LINK = '<script type="module"'
# As a machine's own table of types may say otherwise, and a browser runs no module of another.
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


def routes() -> list[Route]:
    """Return the routes of the page."""
    return [
        Route("/", _to_search),
        *(Route(path, _document_of(path)) for path in _VIEWS),
        Route("/static/{path:path}", _file),
    ]


async def _to_search(request: Request) -> Response:
    return RedirectResponse(f"{root_of(request)}search", 307)


def _document_of(view: str) -> Callable[[Request], Awaitable[Response]]:
    async def document(request: Request) -> Response:
        text = await run_in_threadpool(_text_of, view)
        if view == _TRACE:
            asked = f"api/viewer/traces/{quote(request.path_params['id'], safe='')}"
            link = f'<link rel="preload" as="fetch" crossorigin href="{html.escape(asked)}">'
            text = text.replace(_FIRST_ASSET, link + _FIRST_ASSET, 1)
        text = text.replace(_BASE, f'<base href="{html.escape(root_of(request))}">', 1)
        return Response(text, media_type="text/html", headers={"Cache-Control": "no-cache"})

    return document


@cache
def _text_of(view: str) -> str:
    """Return the document of a view; it has a browser load all its modules at once."""
    first = _VIEWS[view]
    sheet = f'<link rel="preload" as="style" href="static/css/{first[0].partition("/")[0]}.css">'
    modules = "".join(
        f'<link rel="modulepreload" href="static/js/{each}">'
        for each in order_of(PAGE / "js", "app.js", *first)
    )
    text = (PAGE / "index.html").read_text("utf-8")
    text = text.replace(_FIRST_LINK, sheet + modules + _FIRST_LINK, 1)
    return text.replace(_STATIC, f"{_STATIC}{_version()}/")


@cache
def _version() -> str:
    """Return what all files of the page together are; an address with it never changes."""
    digest = hashlib.blake2b(digest_size=8)
    for content in _files().values():
        digest.update(content)
    return digest.hexdigest()


async def _file(request: Request) -> Response:
    path = PurePosixPath(request.path_params["path"])
    caching = "no-cache"
    if path.parts[:1] == (_version(),):
        path, caching = PurePosixPath(*path.parts[1:]), _FOR_EVER
    content = _files().get(path)
    if content is None:
        return JSONResponse({"error": "there is no such file"}, 404)
    media_type = _TYPES[path.suffix]
    return Response(content, media_type=media_type, headers={"Cache-Control": caching})


@cache
def _files() -> dict[PurePosixPath, bytes]:
    """Return the files of the page, which a browser wants all at once: 0.3 MB."""
    return {
        PurePosixPath(path.relative_to(PAGE).as_posix()): path.read_bytes()
        for path in sorted(PAGE.rglob("*"))
        if path.suffix in _TYPES
    }


def root_of(request: Request) -> str:
    """Return the path that the viewer is mounted at, with a slash at its end."""
    return "/" + f"{request.scope.get('root_path', '').strip('/')}/".lstrip("/")
