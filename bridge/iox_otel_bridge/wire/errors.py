"""What goes wrong with bytes that came in."""

from __future__ import annotations


class DecodeError(ValueError):
    """The bytes are not a message of the kind that was expected; says why, in one line."""
