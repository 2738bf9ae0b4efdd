"""The two clocks a span is timed by, in one place so that a test can replace them."""

from __future__ import annotations

import time

wall_ns = time.time_ns
"""Nanoseconds since the Unix epoch; may step backwards or forwards at any moment."""

monotonic_ns = time.perf_counter_ns
"""Nanoseconds that only ever go forward; their zero means nothing."""


def __dir__() -> list[str]:
    """Leave out `monotonic_ns`.

    What freezes the time for a test (freezegun) looks for clocks in every module's `dir()` and
    replaces them. A span that is open then would be timed by two clocks with nothing in common.
    """
    return ["wall_ns"]
