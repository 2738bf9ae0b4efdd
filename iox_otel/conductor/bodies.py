"""The bodies of requests: read within bounds, unzipped, decoded."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from .errors import BadRequestError, BodyTooLargeError, UnsupportedMediaTypeError
from .threads import in_thread

_DISCARD_FACTOR = 4
"""So many times the limit is read, and dropped, before a client is told that it sent too much: one
that does not listen while it sends would lose the answer."""


async def read_body(request: Request, *, max_bytes: int) -> bytes:
    """Return the body of *request*, unzipped if its Content-Encoding says gzip.

    Raises:
        BodyTooLargeError: it is longer than *max_bytes*, as sent or unzipped.
        BadRequestError: it is not the gzip that it claims to be.
        UnsupportedMediaTypeError: it is encoded in another way.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip"):
        raise UnsupportedMediaTypeError(f"unacceptable content-encoding: {encoding[:100]}")
    body = await _read(request, max_bytes)
    if not encoding.endswith("gzip"):
        return body
    return await in_thread(_unzip, body, max_bytes)


async def _read(request: Request, max_bytes: int) -> bytes:
    chunks = []
    size = _announced_size(request)
    if size > _DISCARD_FACTOR * max_bytes or (size > max_bytes and "expect" in request.headers):
        raise _too_large(max_bytes)
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= max_bytes:
            chunks.append(chunk)
        elif size > _DISCARD_FACTOR * max_bytes:
            break
    if size > max_bytes:
        raise _too_large(max_bytes)
    return b"".join(chunks)


def _announced_size(request: Request) -> int:
    try:
        return int(request.headers.get("content-length", "0"))
    except ValueError:
        return 0


def _too_large(max_bytes: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"max request size ({max_bytes} bytes) exceeded")


def _unzip(body: bytes, max_bytes: int) -> bytes:
    """Return *body* unzipped, all members of it; never makes more than *max_bytes* and one."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as zipped:
            unzipped = zipped.read(max_bytes + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise BadRequestError(f"error decoding gzip stream: {error}") from None
    if len(unzipped) > max_bytes:
        raise _too_large(max_bytes)
    return unzipped


def decode_utf8(body: bytes) -> str:
    """Return *body* as text.

    Raises:
        BadRequestError: it is not UTF-8; the text says where.
    """
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequestError(
            f"body content is not valid utf8: {error.reason} at byte {error.start}"
        ) from None


async def read_parameters(request: Request, *, max_bytes: int) -> dict[str, Any]:
    """Return the parameters of *request*: of its query string, and over them those of its body.

    A body is a JSON object, or a form if it says so and does not begin as an object does (curl
    calls all that it sends a form).

    Raises:
        BadRequestError: the body is neither.
        BodyTooLargeError: it is longer than *max_bytes*.
        UnsupportedMediaTypeError: it calls itself something else.
    """
    parameters: dict[str, Any] = dict(request.query_params)
    if request.method != "POST":
        return parameters
    text = decode_utf8(await read_body(request, max_bytes=max_bytes)).strip()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type.startswith("multipart/"):
        raise UnsupportedMediaTypeError(
            "unacceptable content-type, expected: application/json or a urlencoded form"
        )
    if text:
        is_form = media_type == "application/x-www-form-urlencoded" and not text.startswith("{")
        parameters.update(_parse_form(text) if is_form else parse_json_object(text, "body"))
    return parameters


def _parse_form(text: str) -> Mapping[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=100))
    except ValueError as error:
        raise BadRequestError(f"body is no form: {error}") from None


def parse_json_object(text: str, what: str) -> dict[str, Any]:
    """Return *text*, a JSON object.

    Raises:
        BadRequestError: it is none; the message calls it *what*.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"{what} is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadRequestError(f"{what} must be a JSON object")
    return value


def require(parameters: Mapping[str, Any], name: str) -> str:
    """Return the text of the parameter *name*.

    Raises:
        BadRequestError: it is missing, or no text.
    """
    value = parameters.get(name)
    if value is None:
        raise BadRequestError(f"missing query parameter '{name}'")
    if not isinstance(value, str):
        raise BadRequestError(f"parameter '{name}' must be text")
    return value
