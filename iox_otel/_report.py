"""Telling the operator that telemetry itself failed, without flooding the log or the caller."""

from __future__ import annotations

from _operator import length_hint  # noqa: PLC2701  `operator` costs more to import
from collections.abc import Iterator
from sys import maxsize

from . import _clock

INTERVAL_NS = 10_000_000_000
"""At most one line of a kind in this time."""

_last_ns: dict[str, int] = {}
_said: dict[str, int] = {}
_steps: dict[str, Iterator[int]] = {}


def report(message: str, detail: object = "") -> None:
    """Log *message* as a warning of logger "iox_otel", with *detail* and any current exception.

    Call it with few distinct messages: each is a kind, of which one line is logged in 10 s, with
    the number of those that were not. Never raises; takes no lock before it logs.
    """
    _count(message)
    try:
        now_ns = _clock.monotonic_ns()
        last_ns = _last_ns.get(message)
        if last_ns is not None and 0 <= now_ns - last_ns < INTERVAL_NS:
            return
        _last_ns[message] = now_ns
        count = count_of(message)
        repeated = count - _said.get(message, 0) - 1
        _said[message] = count
        _log(message, detail, repeated)
    except Exception:  # noqa: S110  a logging handler of the application's; nowhere left to say it
        pass


def failures() -> dict[str, int]:
    """Return how often telemetry itself failed in this process and was contained, by its log line.

    A trace collector or request metrics that raise, headers that cannot be parsed, a clock that
    does not work: each is logged at most once in 10 s, and counted here every time.
    """
    return {message: count_of(message) for message in tuple(_steps)}


def count_of(message: str) -> int:
    """Return how often *message* was reported, logged or not."""
    steps = _steps.get(message)
    return 0 if steps is None else maxsize - length_hint(steps)


def _count(message: str) -> None:
    # One step of an iterator written in C: exact between threads and in signal handlers.
    steps = _steps.get(message)
    if steps is None:
        steps = _steps.setdefault(message, iter(range(maxsize)))
    next(steps)


def _log(message: str, detail: object, repeated: int) -> None:
    import logging  # costs more than the whole core: paid by the first failure only
    import sys

    from ._values import text_of  # which needs this module

    line = f"{message}: {text_of(detail)}" if detail != "" else message
    if repeated:
        line += f" ({repeated} more like it since the last such line)"
    logging.getLogger("iox_otel").warning("%s", line, exc_info=sys.exc_info()[0] is not None)
