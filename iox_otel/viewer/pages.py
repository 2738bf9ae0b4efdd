"""The page's own files, and its one document at each address of a view."""

from __future__ import annotations

import hashlib
import html
import mimetypes
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

PAGE = Path(__file__).parent / "page"
VIEWS = ("/search", "/trace/{id}", "/compare", "/graph")

_BASE = '<base href="/">'
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
        *(Route(path, _document) for path in VIEWS),
        Route("/static/{path:path}", _file),
    ]


async def _to_search(request: Request) -> Response:
    return RedirectResponse(f"{root_of(request)}search", 307)


async def _document(request: Request) -> Response:
    text = await run_in_threadpool((PAGE / "index.html").read_text, "utf-8")
    base = f'<base href="{html.escape(root_of(request))}">'
    return _cacheable(request, text.replace(_BASE, base, 1).encode(), "text/html")


async def _file(request: Request) -> Response:
    path = PurePosixPath(request.path_params["path"])
    media_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    try:
        if path.is_absolute() or ".." in path.parts or media_type is None:
            raise FileNotFoundError
        content = await run_in_threadpool((PAGE / path).read_bytes)
    except (OSError, ValueError):
        return JSONResponse({"error": "there is no such file"}, 404)
    return _cacheable(request, content, media_type)


def root_of(request: Request) -> str:
    """Return the path that the viewer is mounted at, with a slash at its end."""
    return "/" + f"{request.scope.get('root_path', '').strip('/')}/".lstrip("/")


def _cacheable(request: Request, content: bytes, media_type: str) -> Response:
    """Answer with *content*, or that it is what the browser has already."""
    etag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if etag in list(_tags(request.headers.get("if-none-match", ""))):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=media_type)


def _tags(header: str) -> Iterator[str]:
    for tag in header.split(","):
        yield tag.strip().removeprefix("W/")
