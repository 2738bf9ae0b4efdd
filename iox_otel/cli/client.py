"""The client of the server's HTTP API, which is InfluxDB 3's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from .access import TOKEN_VARIABLE
from .connection import Connection
from .failure import one_line
from .http_client import ApiError, HttpClient

if TYPE_CHECKING:
    import httpx


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


class Client(HttpClient):
    """Asks the server that *connection* names. A context manager; not for several threads.

    Raises:
        Failure: httpx is not installed.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(
            connection.host,
            error_of=_error,
            extra="server",
            headers=connection.headers,
            timeout_s=connection.timeout_s,
            verbose=connection.verbose,
        )

    def create_database(self, name: str) -> None:
        """Make the database *name*.

        Raises:
            ApiError: it was not made.
        """
        self.request("POST", "/api/v3/configure/database", json={"db": name})

    def databases(self) -> list[str]:
        """Return the names of all databases.

        Raises:
            ApiError: the server did not say.
        """
        answer = self.request("GET", "/api/v3/configure/database", params={"format": "json"})
        try:
            return [str(row["iox::database"]) for row in answer.json()]
        except (ValueError, TypeError, KeyError):
            raise ApiError(f"{self.name} does not answer as this server does") from None

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
        self.request("POST", "/api/v3/write_lp", params=params, content=lines)

    def query(self, database: str, sql: str, *, format: str) -> Iterator[bytes]:
        """Yield the answer to *sql* as it comes.

        Raises:
            ApiError: there is none, or it ends too early.
        """
        body = {"db": database, "q": sql, "format": format}
        yield from self.stream("POST", "/api/v3/query_sql", json=body)


def _error(response: httpx.Response) -> ApiError:
    """Return what the server says about its refusal."""
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
    if response.status_code == 401:
        message += f"; say it with --token or {TOKEN_VARIABLE}"
    kind = TooLargeError if response.status_code == 413 else ApiError
    return kind(message, status=response.status_code)


def _refused(entry: object) -> RefusedLine:
    fields = entry if isinstance(entry, dict) else {}
    number = fields.get("line_number")
    message = fields.get("error_message", "refused without a reason")
    return RefusedLine(number if isinstance(number, int) else 0, one_line(str(message)))
