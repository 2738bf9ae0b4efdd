"""What a header parser, metrics or a clock may do wrong while a request is served."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from iox_otel import _clock, _report, failures
from iox_otel.http import HeaderError, TraceLayer
from iox_otel.testing import CapturingTraceCollector

REQUEST = {
    "type": "http",
    "method": "GET",
    "path": "/",
    "scheme": "http",
    "headers": [(b"uber-trace-id", b"abc:1:0:1")],
}


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class UnprintableHeader(HeaderError):
    __str__ = __repr__ = Unprintable.__str__


class Failing:
    """A header parser and request metrics that raise what they are given."""

    header_names: frozenset[bytes] | None = None

    def __init__(self, error: Exception) -> None:
        self.error = error

    def parse(self, headers: Iterable[tuple[bytes, bytes]], *, peer: str | None = None) -> Any:
        raise self.error

    def request_ended(self, **_: object) -> None:
        raise self.error


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_last_ns", "_steps", "_said"):
        monkeypatch.setattr(_report, name, {})


class Own(Exception):
    """What the application raises."""


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/raise":
        raise Own
    await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
    await send({"type": "http.response.body", "body": b"text"})


def serve(layer: TraceLayer, path: str = "/") -> list[Any]:
    """Return the messages that answer a request."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    asyncio.run(layer({**REQUEST, "path": path}, receive, send))
    return sent


ERRORS = [RuntimeError("broken"), RecursionError(), Unprintable(), UnprintableHeader("x")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_header_parser_that_raises_leaves_the_request_untraced(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer and the application's exception are its own; all is counted, and logged once."""
    collector = CapturingTraceCollector()
    layer = TraceLayer(application, collector=collector, header_parser=Failing(error), name="x")

    for _ in range(10):
        assert [message.get("headers") for message in serve(layer)] == [[(b"a", b"b")], None]
        with pytest.raises(Own):
            serve(layer, "/raise")

    assert collector.spans == []
    assert layer.header_errors == 20
    assert failures() == {"error extracting trace context from request": 20}
    assert len(caplog.records) == 1


@pytest.mark.parametrize("error", ERRORS[:3], ids=lambda error: type(error).__name__)
def test_metrics_that_raise_cost_the_measurement_only(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """The request is answered and traced; what was not measured is counted, and logged once."""
    collector = CapturingTraceCollector()
    layer = TraceLayer(application, collector=collector, metrics=Failing(error), name="x")

    for _ in range(10):
        assert serve(layer)[-1]["body"] == b"text"
        with pytest.raises(Own):
            serve(layer, "/raise")

    assert len(collector.spans) == 20
    assert failures() == {"request metrics raised, a request is not counted": 20}
    assert len(caplog.records) == 1


@pytest.mark.parametrize("name", ["wall_ns", "monotonic_ns"])
def test_a_clock_that_raises_costs_the_trace_only(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The request is answered; that it could not be traced is counted."""

    def broken() -> int:
        raise RuntimeError("no clock")

    monkeypatch.setattr(_clock, name, broken)
    layer = TraceLayer(application, collector=CapturingTraceCollector(), name="x")

    for _ in range(10):
        assert serve(layer)[-1]["body"] == b"text"
        with pytest.raises(Own):
            serve(layer, "/raise")

    assert sum(failures().values()) >= 20
