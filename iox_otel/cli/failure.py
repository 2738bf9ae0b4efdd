"""How the commands end when they cannot do what they were asked: one line, and a status."""

from __future__ import annotations

from typing import IO, Any

import click

# What moves a terminal's cursor or changes its state stays out of what it is shown.
_CONTROLS = dict.fromkeys((*range(32), *range(127, 160)), "\N{REPLACEMENT CHARACTER}")
_KEPT = {ord("\n"), ord("\t")}
_NOT_KEPT = {code: char for code, char in _CONTROLS.items() if code not in _KEPT}


class Failure(click.ClickException):
    """Ends the program: *message* goes to stderr as it is, in one line.

    Args:
        message: what went wrong.
        exit_code: 1, or 2 when the command itself was wrong.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(one_line(message))
        self.exit_code = exit_code  # type: ignore[misc]  # click declares it for the class

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the line."""
        click.echo(self.message, file=file, err=file is None)


def one_line(text: str) -> str:
    """Return *text* on one line and without control characters."""
    return " ".join(text.split()).translate(_CONTROLS)


def printable(text: str) -> str:
    """Return *text*, which may have several lines, without other control characters."""
    return text.translate(_NOT_KEPT)
