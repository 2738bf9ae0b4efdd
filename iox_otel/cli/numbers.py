"""Numbers of the command line."""

from __future__ import annotations

import re

from .failure import Failure


def whole_number(text: str, flag: str, *, least: int = 1, most: int) -> int:
    """Return the number that *text* is, *least* to *most*; raises Failure, which names *flag*."""
    digits = re.fullmatch(f"[0-9]{{1,{len(str(most))}}}", text.strip())
    if not digits or not least <= int(text) <= most:
        expected = f"expected a whole number from {least} to {most}"
        raise Failure(f"Invalid value {text!r} for {flag}: {expected}", 2)
    return int(text)
