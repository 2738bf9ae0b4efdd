"""Watch: runs inputs one by one, and refuses what is slow or takes much memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

MAX_EXTRA_BYTES = 16 << 20
"""So much may the process's memory grow by one input, beyond the most it had lately."""
FIXED_NS = 100_000_000
NS_PER_BYTE = 40_000
"""What one input may take: so much CPU time, and so much more for each byte of it. Instrumented
code is three to ten times as slow as it is else."""
_RUNS_UNTIL_RESET = 500
_AGAIN = 3


class TooSlow(AssertionError):
    """An input takes longer than its length allows."""


class TooMuchMemory(AssertionError):
    """An input takes more memory than any may."""


class Watch:
    """Runs inputs through *run*, and remembers the worst there was."""

    def __init__(self, run: Callable[[bytes], bool]) -> None:
        self._run = run
        self.inputs = 0
        self.was_read = 0
        """So many inputs were read, and the others refused."""
        self.slowest_ns = 0
        self.slowest_bytes = 0
        self.extra_bytes = 0

    def __call__(self, body: bytes) -> None:
        """Run an input.

        Raises:
            TooSlow: it takes long, each time it is tried.
            TooMuchMemory: it takes much.
        """
        if self.inputs % _RUNS_UNTIL_RESET == 0:
            _forget_peak()
        self.inputs += 1
        before_bytes = _peak()
        took_ns = self._timed(body)
        allowed_ns = FIXED_NS + NS_PER_BYTE * len(body)
        if took_ns > allowed_ns:  # by a collection of garbage, mostly
            took_ns = min(took_ns, *(self._timed(body) for _ in range(_AGAIN)))
        if took_ns > self.slowest_ns:
            self.slowest_ns, self.slowest_bytes = took_ns, len(body)
        if took_ns > allowed_ns:
            raise TooSlow(f"{len(body)} bytes took {took_ns / 1e6:.0f} ms")
        self.extra_bytes = max(self.extra_bytes, extra := _peak() - before_bytes)
        if extra > MAX_EXTRA_BYTES:
            raise TooMuchMemory(f"{len(body)} bytes took {extra >> 20} MB of memory")

    def _timed(self, body: bytes) -> int:
        start_ns = time.thread_time_ns()
        self.was_read += self._run(body)
        return time.thread_time_ns() - start_ns


def _peak() -> int:
    """Return the most memory that this process had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _forget_peak() -> None:
    """Let the peak begin anew, where the kernel can, at what there is now."""
    with suppress(OSError):  # then only what goes beyond the highest peak so far is seen
        Path("/proc/self/clear_refs").write_text("5")
