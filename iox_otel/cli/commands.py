"""The group of all commands."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import click

from iox_otel_bridge import ConfigError

from .database import database
from .failure import Failure
from .run import run


class Commands(click.Group):
    """A group whose commands end without a traceback for what a user can do wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except ConfigError as exc:
            raise Failure(str(exc), 2) from None
        except KeyboardInterrupt:
            # The shell's convention for a program that SIGINT ended.
            raise click.exceptions.Exit(130) from None


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(version("iox-otel"), prog_name="iox-otel")
def main() -> None:
    """A traced database server, and its client.

    \b
    TRACES_EXPORTER=console iox-otel run
    iox-otel database create my_db
    iox-otel database write my_db metrics.lp
    iox-otel database query my_db 'show tables' --header jaeger-debug-id:any-text
    """


main.add_command(run)
main.add_command(database)
