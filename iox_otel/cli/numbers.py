"""Numbers of the command line."""

from __future__ import annotations

import re

from .failure import Failure


def whole_number(text: str, flag: str, *, most: int) -> int:
    """Return the number that *text* is, 1 to *most*; raises Failure, which names *flag*."""
    if not re.fullmatch(f"[0-9]{{1,{len(str(most))}}}", text.strip()) or not 1 <= int(text) <= most:
        expected = f"expected a whole number from 1 to {most}"
        raise Failure(f"Invalid value {text!r} for {flag}: {expected}", 2)
    return int(text)
