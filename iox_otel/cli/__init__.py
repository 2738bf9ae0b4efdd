"""The command line: `iox-otel run` is the server, `iox-otel database` its client."""

from .commands import main

__all__ = ["main"]
