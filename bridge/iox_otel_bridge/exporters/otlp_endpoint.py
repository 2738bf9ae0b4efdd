"""Where an OTLP request goes and what goes with it: URLs, headers, and keeping them out of logs."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

TRACES_PATH = "/v1/traces"

_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_PUBLIC_HEADERS = frozenset(("content-type", "content-encoding", "user-agent"))
_SHORTEST_SECRET = 4
_LONGEST_DETAIL = 300


def traces_url(endpoint: str) -> str:
    """Return where to post traces, given the base URL of a receiver or that very place.

    Raises:
        ValueError: it is no http or https URL.
    """
    parts = checked_url(endpoint)
    path = parts.path.rstrip("/")
    if not path.endswith(TRACES_PATH):
        path += TRACES_PATH
    return parts._replace(path=path, fragment="").geturl()


def checked_url(url: str) -> SplitResult:
    """Return the parts of *url*.

    Raises:
        ValueError: it is no http or https URL; the text holds no credentials.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"the OTLP endpoint {shown_url(url)!r} is no http:// or https:// URL")
    return parts


def shown_url(url: str) -> str:
    """Return *url* without what may be a secret: user, password, query."""
    bare = re.split(r"[?#]", url, maxsplit=1)[0]
    scheme, slashes, rest = bare.rpartition("://")
    return f"{scheme}{slashes}{rest.rpartition('@')[2]}"


def checked_headers(headers: Iterable[tuple[object, object]]) -> None:
    """Raise ValueError if one of *headers* cannot be sent; the text holds no value of any."""
    for name, value in headers:
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a header")
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"the value of the header {name!r} is not printable ASCII")


class Redactor:
    """Makes texts of receivers and libraries fit for a log: one line, short, without our secrets.

    Args:
        headers: what is sent along; their values are secrets, but for a few.
        url: user, password and the values of its query are secrets.
    """

    def __init__(self, headers: Iterable[tuple[str, str]], url: str = "") -> None:
        secrets: set[str] = set()
        for name, value in headers:
            if name.lower() not in _PUBLIC_HEADERS:
                secrets |= {value, *value.split()}  # "Bearer abc": the token alone, too
        secrets |= _secrets_of(url)
        longest_first = sorted(secrets, key=len, reverse=True)
        self._secrets = [secret for secret in longest_first if len(secret) >= _SHORTEST_SECRET]

    def __call__(self, text: str) -> str:
        """Return *text* as a log may have it."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
        return text if len(text) <= _LONGEST_DETAIL else f"{text[:_LONGEST_DETAIL]}…"


def _secrets_of(url: str) -> set[str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return set()
    raw = {parts.username or "", parts.password or ""}
    queried = {value for _, value in parse_qsl(parts.query)}
    return raw | {unquote(secret) for secret in raw} | queried | {parts.query}


@contextmanager
def headers_unlogged() -> Iterator[None]:
    """Keep OpenTelemetry's parser of header lists from logging what it cannot parse, a secret."""

    def unlogged(record: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger("opentelemetry.util.re")
    logger.addFilter(unlogged)
    try:
        yield
    finally:
        logger.removeFilter(unlogged)


def lowered(headers: Mapping[str, str] | None) -> dict[str, str] | None:
    """Return *headers* with their names in lower case, as HTTP/2 has them; None if there are none.

    None lets the official exporters read OTEL_EXPORTER_OTLP_HEADERS.
    """
    return {name.lower(): value for name, value in headers.items()} if headers else None
