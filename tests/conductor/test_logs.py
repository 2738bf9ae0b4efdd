"""The server's log: levels, one line a line, the trace id on it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import pytest

from iox_otel import SpanContext, SpanRecorder, current
from iox_otel.conductor.logs import TraceFormatter, configure_logging
from iox_otel.logs import TraceContextFilter
from iox_otel.testing import CapturingTraceCollector


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield
    root.handlers = handlers
    root.setLevel(level)
    for name in ("iox_otel", "iox_otel_bridge"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def line(message: str, *, exc_info: bool = False) -> str:
    record = logging.LogRecord(
        "iox_otel.x", logging.INFO, __file__, 1, message, (), sys.exc_info() if exc_info else None
    )
    record.created, record.msecs = 1_700_000_000.5, 500.0
    assert TraceContextFilter().filter(record)
    return TraceFormatter().format(record)


def test_a_line_without_trace() -> None:
    """A line has time, level, logger and text."""
    assert line("hello") == "2023-11-14T22:13:20.500Z INFO iox_otel.x hello"


def test_lines_of_a_trace() -> None:
    """Within a span, or under an incoming context that is not sampled, lines have the trace id."""
    context = SpanContext(trace_id=0xABC, span_id=1, collector=CapturingTraceCollector())

    with SpanRecorder(context.child("work")):
        within = line("hello")
    token = current.set(SpanContext(trace_id=0xDEF, span_id=1, sampled=False))
    under = line("hello")
    current.reset(token)

    assert within == f"2023-11-14T22:13:20.500Z INFO iox_otel.x trace={0xABC:032x} hello"
    assert under == f"2023-11-14T22:13:20.500Z INFO iox_otel.x trace={0xDEF:032x} hello"


def test_a_line_stays_one() -> None:
    """What is in a message cannot pass for a line of its own."""
    assert line("a\nb\r\nc").endswith(" a\\nb\\r\\nc")


def test_tracebacks() -> None:
    """A traceback follows its line."""
    try:
        raise ValueError("boom")
    except ValueError:
        text = line("failed", exc_info=True)

    assert text.splitlines()[0].endswith("failed")
    assert text.splitlines()[-1] == "ValueError: boom"


@pytest.mark.parametrize(
    ("verbosity", "own", "foreign"),
    [
        (0, "warning", "warning"),
        (1, "info warning", "info warning"),
        (2, "debug info warning", "info warning"),
        (3, "debug info warning", "debug info warning"),
        (7, "debug info warning", "debug info warning"),
    ],
)
def test_verbosity(
    verbosity: int, own: str, foreign: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each -v lets more through to stderr, the details of libraries last."""
    configure_logging(verbosity)

    for name, levels in (
        ("iox_otel.test", own),
        ("iox_otel_bridge.test", own),
        ("datafusion.test", foreign),
    ):
        for level in ("debug", "info", "warning"):
            getattr(logging.getLogger(name), level)("as %s", level)
        out, err = capsys.readouterr()
        assert out == ""
        assert [said.split()[-1] for said in err.splitlines()] == levels.split()
