"""Durations as people write them in a search.

Agrees with Go's `time.ParseDuration`, which Jaeger's query API reads them by.
"""

from __future__ import annotations

import re

_MAX_NS = (1 << 63) - 1
_DIGITS = 19
"""More than that of a number are beyond what counts."""
_DAY_NS = 24 * 3_600 * 10**9
_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3_600 * 10**9,
}
_PART = r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)"
_DURATION = re.compile(rf"[-+]?(?:0|(?:{_PART})+)", re.ASCII)


def duration_ns(text: str) -> int:
    """Return a duration such as `1.5ms` or `2h45m`; raises ValueError."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a duration such as 1.5ms or 2h45m")
    total = sum(_part_ns(number, _UNITS_NS[unit]) for number, unit in re.findall(_PART, text))
    if total > _MAX_NS:
        raise ValueError(f"{text[:40]!r} is longer than 292 years")
    return -total if text.startswith("-") else total


def _part_ns(number: str, unit_ns: int) -> int:
    """Return so many units, to the nanosecond that Go has."""
    whole, _, fraction = number.partition(".")
    whole, fraction = whole.lstrip("0")[:_DIGITS], fraction[:_DIGITS]
    return int(whole or 0) * unit_ns + int(int(fraction or 0) * (unit_ns / 10 ** len(fraction)))


def lookback_ns(text: str) -> int:
    """Return how far to look back: a duration, or days such as `2d`; raises ValueError."""
    if re.fullmatch(r"[0-9]{1,5}d", text, re.ASCII):
        return int(text[:-1]) * _DAY_NS
    return duration_ns(text)
