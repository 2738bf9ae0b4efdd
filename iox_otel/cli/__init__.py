"""The command line: `iox-otel run` is the server, `database` its client, `viewer` shows traces."""

from .commands import main

__all__ = ["main"]
