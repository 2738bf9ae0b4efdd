"""The group of all commands."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Any

import click

from iox_otel_bridge import ConfigError

from .check import check
from .database import database
from .failure import Failure
from .run import run
from .traces import trace, traces
from .viewer import viewer


class Commands(click.Group):
    """A group whose commands end without a traceback for what a user can do wrong."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line; end with a line and status 1 if stdout takes no more."""
        try:
            return super().main(*args, **kwargs)
        except OSError as exc:
            # Of an error with files or sockets the commands tell by themselves. If it was stderr
            # that failed, nobody sees the line.
            if exc.filename is not None:
                raise
            _drop_stdout()
            Failure(f"cannot write to stdout: {exc.strerror or exc}").show()
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except ConfigError as exc:
            raise Failure(str(exc), 2) from None
        except KeyboardInterrupt:
            # The shell's convention for a program that SIGINT ended.
            raise click.exceptions.Exit(130) from None


def _drop_stdout() -> None:
    """Let what stdout still holds go nowhere: the interpreter would try it again at its end."""
    if sys.stdout is None:
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(version("iox-otel"), prog_name="iox-otel")
def main() -> None:
    """A traced database server, its client, and a viewer of traces.

    \b
    iox-otel viewer
    TRACES_EXPORTER=jaeger iox-otel check
    TRACES_EXPORTER=jaeger iox-otel run
    iox-otel database create my_db
    iox-otel database write my_db metrics.lp
    iox-otel database query my_db 'show tables' --header jaeger-debug-id:any-text
    """


main.add_command(run)
main.add_command(database)
main.add_command(viewer)
main.add_command(traces)
main.add_command(trace)
main.add_command(check)
