"""The two clocks a span is timed by, in one place so that a test can replace them."""

from __future__ import annotations

import time

wall_ns = time.time_ns
"""Nanoseconds since the Unix epoch; may step backwards or forwards at any moment."""

monotonic_ns = time.perf_counter_ns
"""Nanoseconds that only ever go forward; their zero means nothing."""
