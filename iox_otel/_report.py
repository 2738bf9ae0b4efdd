"""Telling the operator that telemetry itself failed, without flooding the log or the caller."""

from __future__ import annotations

from . import _clock

INTERVAL_NS = 10_000_000_000
"""At most one line of a kind in this time."""

_last_ns: dict[str, int] = {}
_swallowed: dict[str, int] = {}


def report(message: str, detail: object = "") -> None:
    """Log *message* as a warning of logger "iox_otel", with *detail* and any current exception.

    Call it with few distinct messages: each is a kind, of which one line is logged in 10 s, with
    the number of those that were not. Never raises.
    """
    now_ns = _clock.monotonic_ns()
    last_ns = _last_ns.get(message)
    if last_ns is not None and now_ns - last_ns < INTERVAL_NS:
        _swallowed[message] = _swallowed.get(message, 0) + 1
        return
    _last_ns[message] = now_ns
    repeated = _swallowed.pop(message, 0)
    try:
        _log(message, detail, repeated)
    except Exception:  # noqa: S110  a logging handler of the application's; nowhere left to say it
        pass


def _log(message: str, detail: object, repeated: int) -> None:
    import logging  # costs more than the whole core: paid by the first failure only
    import sys

    line = f"{message}: {detail}" if detail != "" else message
    if repeated:
        line += f" ({repeated} more like it since the last such line)"
    logging.getLogger("iox_otel").warning("%s", line, exc_info=sys.exc_info()[0] is not None)
