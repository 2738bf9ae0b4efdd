"""StreamWriter: text onto standard output, without ever hanging on it or leaving it half done."""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Callable
from typing import TextIO

from iox_otel_bridge.clock import monotonic_s

_SLICE_S = 0.05
"""How soon an interrupted write returns."""


class StreamWriter:
    """Writes text to *stream*, or to what `sys.stdout` is at that moment if it is None.

    A pipe that nobody reads, or a terminal that was stopped, does not hold it up for longer than
    it is allowed: what was not written by then is `pending`, and is written before anything else.
    To a real file, pipe or terminal it writes itself, after what the application has printed: so
    nothing of ours is left in Python's buffer for the application's own flush to fail on, and no
    lock of that buffer is held at the interpreter's end. Characters that the stream's encoding
    lacks are written as escapes.

    Not for use from two threads at once, but for `interrupt`.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._pending = bytearray()  # gives up its front without copying the rest
        self.written_bytes = 0
        """How much was written so far."""
        self._is_interrupted = False
        self.meanwhile: Callable[[], float] | None = None
        """Called as long as a write waits; says after how many seconds to call again."""

    @property
    def pending(self) -> bool:
        """True if some text given to `write` is yet to be written."""
        return bool(self._pending)

    @property
    def accepted_bytes(self) -> int:
        """What `written_bytes` will be when nothing is pending any more."""
        return self.written_bytes + len(self._pending)

    def is_terminal(self) -> bool:
        """Return whether somebody looks at it; False if it is closed or missing."""
        try:
            return self.stream().isatty()
        except Exception:
            return False

    def stream(self) -> TextIO:
        """Return the stream to write to.

        Raises:
            ValueError: there is none, or it is closed.
        """
        stream = sys.stdout if self._stream is None else self._stream
        if stream is None:
            raise ValueError("there is no standard output")
        if getattr(stream, "closed", False):
            raise ValueError("the stream is closed")
        return stream

    def write(self, text: str, timeout_s: float) -> None:
        """Write *text*, after what is pending; what cannot be written in time is pending then.

        Raises:
            Exception: whatever the stream raises; *text* and what was pending are lost.
        """
        stream = self.stream()
        encoding = getattr(stream, "encoding", None) or "utf-8"
        encoded = text.encode(encoding, "backslashreplace")
        if _fd(stream) is None:
            stream.write(encoded.decode(encoding))
            stream.flush()
            self.written_bytes += len(encoded)
            return
        self._pending += encoded
        self.drain(timeout_s)

    def drain(self, timeout_s: float) -> bool:
        """Write what is pending; True if nothing is left.

        Raises:
            Exception: whatever the stream raises; what was pending is lost.
        """
        if not self._pending:
            return True
        self._is_interrupted = False
        try:
            self._drain(monotonic_s() + timeout_s)
        except BaseException:
            self._pending.clear()
            raise
        return not self._pending

    def _drain(self, deadline_s: float) -> None:
        stream = self.stream()
        fd = _fd(stream)
        if fd is None:
            raise ValueError("the stream was replaced")
        if not self._wait(fd, deadline_s):
            return
        stream.flush()  # the application's own output comes first
        while self._pending and self._wait(fd, deadline_s):
            try:
                written = os.write(fd, self._piece())
            except BlockingIOError:  # somebody made it non-blocking, and was faster
                continue
            del self._pending[:written]
            self.written_bytes += written
            if self._is_interrupted or monotonic_s() > deadline_s:
                return

    def _piece(self) -> bytearray:
        """Return as much as a pipe takes without blocking once it is writable, whole lines of it.

        So lines of other writers come between ours, not into them.
        """
        end = self._pending.rfind(b"\n", 0, select.PIPE_BUF) + 1
        return self._pending[: end or select.PIPE_BUF]

    def _wait(self, fd: int, deadline_s: float) -> bool:
        """Wait until *fd* can be written to; False if it cannot by then."""
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        if poll.poll(0):
            return True
        while True:
            pause_s = _SLICE_S if self.meanwhile is None else min(_SLICE_S, self.meanwhile())
            left_s = min(pause_s, deadline_s - monotonic_s())
            if poll.poll(max(0.0, left_s) * 1000):
                return True
            if left_s < pause_s or self._is_interrupted:
                return False

    def interrupt(self) -> None:
        """Make a write that is under way on another thread return soon, the rest pending."""
        self._is_interrupted = True

    def forget(self) -> None:
        """Drop what is pending."""
        self._pending.clear()


def _fd(stream: TextIO) -> int | None:
    """Return what to write to directly; None for a stream in memory, or of somebody's making."""
    if type(stream) is not io.TextIOWrapper:
        return None
    try:
        return stream.fileno()
    except io.UnsupportedOperation:
        return None
