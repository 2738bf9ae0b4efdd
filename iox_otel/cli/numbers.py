"""Numbers of the command line."""

from __future__ import annotations

import math
import re

from .failure import Failure


def whole_number(text: str, flag: str, *, least: int = 1, most: int) -> int:
    """Return the number that *text* is, *least* to *most*; raises Failure, which names *flag*."""
    digits = re.fullmatch(f"[0-9]{{1,{len(str(most))}}}", text.strip())
    if not digits or not least <= int(text) <= most:
        expected = f"expected a whole number from {least} to {most}"
        raise Failure(f"Invalid value {text!r} for {flag}: {expected}", 2)
    return int(text)


_MOST_S = 86_400


def seconds(text: str, flag: str, *, zero_means: str = "") -> float:
    """Return the seconds that *text* is, a day at most; 0 only where that means something.

    Raises:
        Failure: it is none; names *flag*.
    """
    try:
        number_s = float(text)
    except ValueError:
        number_s = math.nan
    if not 0 <= number_s <= _MOST_S or (number_s == 0 and not zero_means):
        expected = f"expected a number of seconds up to {_MOST_S}"
        if zero_means:
            expected += f", 0 for {zero_means}"
        raise Failure(f"Invalid value {text!r} for {flag}: {expected}", 2)
    return number_s
