"""What goes wrong with bytes that came in."""

from __future__ import annotations


class DecodeError(ValueError):
    """The bytes are not a message of the kind that was expected; says why, in one line."""


_LONGEST_REASON = 200


def one_line(reason: str) -> str:
    """Return *reason* as one short line: some libraries quote the whole message in theirs."""
    return " ".join(reason.split())[:_LONGEST_REASON]
