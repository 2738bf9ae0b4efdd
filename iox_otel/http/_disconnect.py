"""When the client went away before it had the whole response."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

    from iox_otel import SpanContext

_MAX_DEPTH = 8
_DEBUG = 10

_logger: logging.Logger | None = None


def debug_logger() -> logging.Logger | None:
    """Return the logger "iox_otel" if anybody wants its debug lines; does not load `logging`."""
    global _logger
    if _logger is None:
        logging = sys.modules.get("logging")
        if logging is None:
            return None
        _logger = logging.getLogger("iox_otel")
    return _logger if _logger.isEnabledFor(_DEBUG) else None


def log_cancelled(context: SpanContext | None, when: str) -> None:
    """Log that a request was cancelled; *context* names its trace, *when* how far it had come."""
    logger = debug_logger()
    if logger is not None:
        trace = "-" if context is None else f"{context.trace_id:032x}"
        logger.debug('request cancelled (trace=%s when="%s")', trace, when)


def says_disconnect(error: BaseException, send_error: BaseException | None, depth: int = 0) -> bool:
    """Return whether *error*, raised once the client was gone, says no more than that.

    Args:
        error: what leaves the application.
        send_error: what the server's `send` raised, if it did.
    """
    # The class is the one that Starlette's requests and responses raise.
    if error is send_error or type(error).__name__ == "ClientDisconnect":
        return True
    if depth == _MAX_DEPTH:
        return False
    if isinstance(error, BaseExceptionGroup):
        return all(says_disconnect(each, send_error, depth + 1) for each in error.exceptions)
    cause = error.__cause__
    return cause is not None and says_disconnect(cause, send_error, depth + 1)
