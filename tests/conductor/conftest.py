"""What the tests of the conductor share: the application with a collector, and a client to it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from iox_otel.conductor.app import create_app
from iox_otel.conductor.limits import Limits
from iox_otel.testing import CapturingTraceCollector

# Starlette 1.x warns, once, at this import, that it will want another HTTP client; importing it
# here keeps the warning out of the tests, where it would be an error.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

TRACE_ID = 0x4BF92F3577B34DA6A3CE929D0E0E4736
SAMPLED = {"uber-trace-id": "4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0:1"}


class Conductor:
    """The server's application with one database, "db", and what it traced."""

    def __init__(self, client: TestClient, collector: CapturingTraceCollector) -> None:
        self.client = client
        self.collector = collector
        self.sampled = SAMPLED
        self.trace_id = TRACE_ID

    def write(self, lines: str | bytes, **parameters: Any) -> Any:
        """POST *lines* to the database and return the response."""
        return self.client.post("/api/v3/write_lp", params={"db": "db"} | parameters, content=lines)

    def query(self, sql: str, *, traced: bool = False, **parameters: Any) -> Any:
        """GET the answer to *sql*, as JSON if not said otherwise, and return the response."""
        return self.client.get(
            "/api/v3/query_sql",
            params={"db": "db", "q": sql} | parameters,
            headers=SAMPLED if traced else {},
        )

    def rows(self, sql: str) -> Any:
        """Return the rows that *sql* is answered with."""
        response = self.query(sql)
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture
def conductor() -> Iterator[Conductor]:
    collector = CapturingTraceCollector()
    app = create_app(collector=collector, limits=Limits(max_request_bytes=100_000))
    with TestClient(app, raise_server_exceptions=False) as client:
        client.post("/api/v3/configure/database", json={"db": "db"}).raise_for_status()
        yield Conductor(client, collector)
