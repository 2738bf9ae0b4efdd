"""The clock that deadlines and pauses go by."""

from __future__ import annotations

import time
from functools import partial

monotonic_s = partial(time.clock_gettime, time.CLOCK_MONOTONIC)
"""Seconds that only go forward: what `time.monotonic` reads, in a form that what freezes the time
for a test (freezegun) does not find and replace. By a clock that stands still no deadline comes."""

monotonic_ns = partial(time.clock_gettime_ns, time.CLOCK_MONOTONIC)
"""The same in nanoseconds."""
