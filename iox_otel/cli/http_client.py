"""Asking a server over HTTP, for the commands that do: what goes wrong is one line."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from .extras import needed_by
from .failure import Failure, one_line

if TYPE_CHECKING:
    from types import TracebackType

    import httpx

NOT_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What the value of a header cannot have."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_LONGEST_MESSAGE = 2000
_ERRNO = re.compile(r"^\[Errno -?[0-9]+\] ")


class ApiError(Exception):
    """The server did not do it, or could not be asked; the text is one line.

    Args:
        message: why.
        answered: whether it was the server that said so.
        status: with which it answered, 0 if it did not.
    """

    def __init__(self, message: str, *, answered: bool = True, status: int = 0) -> None:
        super().__init__(one_line(message)[:_LONGEST_MESSAGE])
        self.answered = answered
        self.status = status


class HttpClient:
    """Asks one server. A context manager; not for several threads.

    Args:
        url: where it is.
        error_of: makes an error of an answer that is no success; its body has been read.
        extra: what of iox-otel to install if httpx is missing.
        headers: sent along with each request.
        timeout_s: how long to wait for the server to go on.
        verbose: log each request to stderr.

    Raises:
        Failure: httpx is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        error_of: Callable[[httpx.Response], ApiError],
        extra: str,
        headers: Iterable[tuple[str, str]] = (),
        timeout_s: float,
        verbose: bool = False,
    ) -> None:
        with needed_by("This", extra):
            import httpx
        self._errors = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError)
        self._timeouts = httpx.TimeoutException
        self._error_of = error_of
        self._timeout_s = timeout_s
        self.name = shown_url(url)
        """The server's, for a message."""
        self._http = httpx.Client(
            base_url=url,
            # Bytes, since a value may have any text and httpx would take it for ASCII.
            headers=[(name.encode(), os.fsencode(value)) for name, value in headers],
            timeout=timeout_s,
            event_hooks={"response": [_log]} if verbose else {},
            # A proxy for the web knows no way to this machine's loopback.
            trust_env=urlsplit(url).hostname not in _LOOPBACK,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.close()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Return the answer, with its body read.

        Raises:
            ApiError: there is none, or it is no success.
        """
        with self._speaking():
            response = self._http.request(method, path, **options)
            self._check(response)
            return response

    def stream(self, method: str, path: str, **options: Any) -> Iterator[bytes]:
        """Yield the answer as it comes; raises ApiError as `request` does, or if it breaks off."""
        with self._speaking(), self._http.stream(method, path, **options) as response:
            self._check(response)
            yield from response.iter_bytes()

    def _check(self, response: httpx.Response) -> None:
        if not response.is_success:
            response.read()
            raise self._error_of(response)

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """Turn what can go wrong on the way into an ApiError of one line."""
        try:
            yield
        except self._timeouts:
            waited = f"no answer from {self.name} within {self._timeout_s:g} s"
            raise ApiError(waited, answered=False) from None
        except self._errors as exc:
            reason = _ERRNO.sub("", str(exc)) or type(exc).__name__
            raise ApiError(f"cannot reach {self.name}: {reason}", answered=False) from None


@contextmanager
def telling(what: str) -> Iterator[None]:
    """End the program with a line that begins with *what* if the server does not do it."""
    try:
        yield
    except ApiError as exc:
        raise Failure(f"{what}: {exc}") from None


def check_url(given: str, source: str, example: str) -> str:
    """Return a server's URL; raises Failure if it is none, which names *source*."""
    try:
        parts = urlsplit(given)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid or not given.isprintable() or " " in given or parts.query or parts.fragment:
        hidden = re.sub(r"^.*@", "***@", given)
        raise Failure(f"Invalid value {hidden!r} for {source}: expected a URL like {example}", 2)
    return given


def shown_url(url: str) -> str:
    """Return *url* without a password it may hold."""
    return one_line(re.sub(r"//.*@", "//***@", url))


def _log(response: httpx.Response) -> None:
    trace_id = response.headers.get("trace-id")
    traced = f", trace {trace_id}" if trace_id else ""
    request = response.request
    line = f"{request.method} {request.url.path}: {response.status_code}{traced}"
    print(one_line(line), file=sys.stderr)
