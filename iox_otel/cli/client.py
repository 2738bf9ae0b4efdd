"""The client of the server's HTTP API, which is InfluxDB 3's."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlsplit

from .connection import Connection, shown_host
from .failure import Failure, one_line

if TYPE_CHECKING:
    from types import TracebackType

    import httpx

_MISSING = "This needs httpx, which is not installed: pip install 'iox-otel[server]'"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_LONGEST_MESSAGE = 2000
_ERRNO = re.compile(r"^\[Errno -?[0-9]+\] ")


class ApiError(Exception):
    """The server did not do it, or could not be asked; the text is one line.

    Args:
        message: why.
        answered: whether it was the server that said so.
    """

    def __init__(self, message: str, *, answered: bool = True) -> None:
        super().__init__(one_line(message))
        self.answered = answered


class RefusedLine(NamedTuple):
    """A line of a write that the server did not take."""

    number: int
    message: str


class PartialWriteError(ApiError):
    """Some lines of a write were not taken, or because of them none was."""

    def __init__(self, message: str, lines: list[RefusedLine]) -> None:
        super().__init__(message)
        self.lines = lines


class TooLargeError(ApiError):
    """The request is longer than the server takes."""


class Client:
    """Asks the server that *connection* names. A context manager; not for several threads.

    Raises:
        Failure: httpx is not installed.
    """

    def __init__(self, connection: Connection) -> None:
        try:
            import httpx
        except ImportError:
            raise Failure(_MISSING) from None
        self._errors = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError)
        self._timeouts = httpx.TimeoutException
        self._connection = connection
        hooks = {"response": [_log]} if connection.verbose else {}
        self._http = httpx.Client(
            base_url=connection.host,
            # Bytes, since a value may have any text and httpx would take it for ASCII.
            headers=[(name.encode(), os.fsencode(value)) for name, value in connection.headers],
            timeout=connection.timeout_s,
            event_hooks=hooks,
            # A proxy for the web knows no way to this machine's loopback.
            trust_env=urlsplit(connection.host).hostname not in _LOOPBACK,
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

    def create_database(self, name: str) -> None:
        """Make the database *name*.

        Raises:
            ApiError: it was not made.
        """
        self._request("POST", "/api/v3/configure/database", json={"db": name})

    def databases(self) -> list[str]:
        """Return the names of all databases.

        Raises:
            ApiError: the server did not say.
        """
        answer = self._request("GET", "/api/v3/configure/database", params={"format": "json"})
        try:
            return [str(row["iox::database"]) for row in answer.json()]
        except (ValueError, TypeError, KeyError):
            raise ApiError(f"{self._name} does not answer as this server does") from None

    def write(self, database: str, lines: bytes, *, precision: str, accept_partial: bool) -> None:
        """Write *lines* of line protocol; when this returns, the server has them all.

        Raises:
            PartialWriteError: lines were refused.
            TooLargeError: *lines* are too long for one request.
            ApiError: it did not take the request as a whole, or nobody knows.
        """
        params = {
            "db": database,
            "precision": precision,
            "accept_partial": "true" if accept_partial else "false",
        }
        self._request("POST", "/api/v3/write_lp", params=params, content=lines)

    def query(self, database: str, sql: str, *, format: str) -> Iterator[bytes]:
        """Yield the answer to *sql* as it comes.

        Raises:
            ApiError: there is none, or it ends too early.
        """
        body = {"db": database, "q": sql, "format": format}
        with (
            self._speaking(),
            self._http.stream("POST", "/api/v3/query_sql", json=body) as response,
        ):
            if not response.is_success:
                raise _error(response)
            yield from response.iter_bytes()

    @property
    def _name(self) -> str:
        return shown_host(self._connection.host)

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        with self._speaking():
            response = self._http.request(method, path, **options)
            if not response.is_success:
                raise _error(response)
            return response

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """Turn what can go wrong on the way into an ApiError of one line."""
        try:
            yield
        except self._timeouts:
            waited = f"no answer from {self._name} within {self._connection.timeout_s:g} s"
            raise ApiError(waited, answered=False) from None
        except self._errors as exc:
            reason = _ERRNO.sub("", str(exc)) or type(exc).__name__
            raise ApiError(f"cannot reach {self._name}: {reason}", answered=False) from None


def _error(response: httpx.Response) -> ApiError:
    """Return what the server says about its refusal."""
    response.read()
    try:
        answer = response.json()
    except ValueError:
        answer = None
    message = answer.get("error") if isinstance(answer, dict) else response.text
    if not isinstance(message, str) or not message.strip():
        message = f"{response.status_code} {response.reason_phrase}"
    data = answer.get("data") if isinstance(answer, dict) else None
    # This server sends a list of lines; InfluxDB, if it kept none, only the first.
    entries = data if isinstance(data, list) else [data] if isinstance(data, dict) else []
    lines = [_refused(entry) for entry in entries]
    if lines:
        return PartialWriteError(message, lines)
    kind = TooLargeError if response.status_code == 413 else ApiError
    return kind(message[:_LONGEST_MESSAGE])


def _refused(entry: object) -> RefusedLine:
    fields = entry if isinstance(entry, dict) else {}
    number = fields.get("line_number")
    message = fields.get("error_message", "refused without a reason")
    return RefusedLine(number if isinstance(number, int) else 0, one_line(str(message)))


def _log(response: httpx.Response) -> None:
    trace_id = response.headers.get("trace-id")
    traced = f", trace {trace_id}" if trace_id else ""
    request = response.request
    line = f"{request.method} {request.url.path}: {response.status_code}{traced}"
    print(one_line(line), file=sys.stderr)
