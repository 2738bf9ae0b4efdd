"""Notices: what a processor tells the operator about failures, without flooding the log."""

from __future__ import annotations

import logging

from iox_otel import current

from .backlog import Backlog
from .clock import monotonic_s
from .plain import text_of
from .sender import Stats

INTERVAL_S = 10.0
"""At most one line of a kind in this time."""

_logger = logging.getLogger("iox_otel")


class Notices:
    """Warnings of logger "iox_otel" about the delivery of one processor. Never raises.

    Args:
        name: what the lines begin with.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._last_s: dict[str, float] = {}
        self._swallowed: dict[str, int] = {}
        self._stuck = False
        self._losing = False
        self._lost = 0  # as of the last line that gave the number
        self._lost_said_s = self._room_said_s = -INTERVAL_S
        self._ended = False

    def warn(self, message: str, detail: object = "", *, trace: bool = False) -> bool:
        """Log *message*, a kind of which one line is logged in 10 s, with *detail*.

        Returns:
            Whether it was logged.

        Args:
            message: one of few distinct texts.
            detail: what differs from time to time; an exception is shown by its `repr`.
            trace: add the current exception's traceback.
        """
        now_s = monotonic_s()
        last_s = self._last_s.get(message)
        if last_s is not None and now_s - last_s < INTERVAL_S:
            self._swallowed[message] = self._swallowed.get(message, 0) + 1
            return False
        self._last_s[message] = now_s
        repeated = self._swallowed.pop(message, 0)
        more = f" ({repeated} more like it since the last such line)" if repeated else ""
        self.say(
            f"{message}: {_shown(detail)}{more}" if detail != "" else message + more, trace=trace
        )
        return True

    def say(self, line: str, *, trace: bool = False) -> None:
        """Log *line*, however many there were. It belongs to nobody's trace."""
        # While an exporter works, what is current is a stand-in, so that its calls are not traced.
        token = None if current.get() is None else current.set(None)
        try:
            _logger.warning("%s: %s", self._name, line, exc_info=trace)
        except Exception:  # noqa: S110  a logging handler of the application's; nowhere left to say it
            pass
        finally:
            if token is not None:
                current.reset(token)

    def stuck(self, detail: str) -> None:
        """Say that nothing can be delivered at the moment."""
        if self.warn("cannot deliver spans now, will go on trying", detail):
            self._stuck = True

    def delivering(self) -> None:
        """Say that this is over, if the log has it that it is not."""
        if self._stuck:
            self._stuck = False
            self.say("delivering again")

    def losing(self, backlog: Backlog) -> None:
        """Say that spans are being dropped for want of room, or that this is over and how many."""
        lost, now_s = backlog.stats().dropped_queue_full, monotonic_s()
        if not self._losing:
            self._losing = True
            if now_s - self._lost_said_s >= INTERVAL_S:
                self._lost_said_s = now_s
                self.say("the queue is full, new spans are being dropped")
        elif backlog.roomy() and now_s - self._room_said_s >= INTERVAL_S:
            self._losing = backlog.losing = False
            self._room_said_s = now_s
            self.say(f"the queue has room again, {lost - self._lost} spans were dropped")
            self._lost = lost

    def ended(self, stats: Stats) -> None:
        """Say, once, what was lost in all."""
        if not self._ended and stats.delivered < stats.recorded:
            self._ended = True
            self.say(
                f"{stats.recorded - stats.delivered} of {stats.recorded} spans were lost: "
                f"{stats.dropped_queue_full} queue full, {stats.dropped_export_failed} export "
                f"failed, {stats.dropped_shut_down} not delivered before the end"
            )


def _shown(detail: object) -> str:
    if isinstance(detail, BaseException):
        try:
            return repr(detail)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: S110  the class is somebody else's
            pass
    return text_of(detail)
