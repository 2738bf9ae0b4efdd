"""The server's log: to stderr, with the trace id on every line of a traced request."""

from __future__ import annotations

import logging
import sys
import time

from iox_otel.logs import TraceContextFilter

_LEVELS = (logging.WARNING, logging.INFO, logging.INFO, logging.DEBUG)
_OWN_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG, logging.DEBUG)
_OWN = ("iox_otel", "iox_otel_bridge")


def configure_logging(verbosity: int) -> None:
    """Log to stderr from now on: warnings, with 1 also what is done, with 2 in all detail.

    From 3 on the libraries log their details, too: DataFusion alone has hundreds of lines a query.

    Replaces the handlers of the root logger. A line is one line, whatever is in it, but for
    tracebacks: `2026-01-31T12:00:00.123Z INFO iox_otel.conductor.query_api trace=4bf9… text`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TraceFormatter())
    handler.addFilter(TraceContextFilter())
    step = min(max(verbosity, 0), len(_LEVELS) - 1)
    logging.basicConfig(level=_LEVELS[step], handlers=[handler], force=True)
    for name in _OWN:
        logging.getLogger(name).setLevel(_OWN_LEVELS[step])


class TraceFormatter(logging.Formatter):
    """Time in UTC, level, logger, trace id if there is one, text."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Return the time in RFC 3339, to the millisecond; *datefmt* is ignored."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{seconds}.{int(record.msecs):03d}Z"

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line without traceback."""
        trace_id = getattr(record, "trace_id", "")
        parts = (
            record.asctime,
            record.levelname,
            record.name,
            f"trace={trace_id}" if trace_id else "",
            record.message.replace("\r", "\\r").replace("\n", "\\n"),
        )
        return " ".join(part for part in parts if part)

    def usesTime(self) -> bool:
        """Return that lines have a time."""
        return True
