"""`iox-otel database`: making, listing, filling and asking databases over HTTP."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

import click

from .client import Client
from .connection import Connection, Options, connection_options
from .failure import Failure, printable
from .http_client import telling

if TYPE_CHECKING:
    from .write import Advance, Source

PRECISIONS = ("auto", "ns", "us", "ms", "s")


@click.group()
@connection_options
@click.pass_context
def database(ctx: click.Context, options: Options) -> None:
    """Make, list, write and query databases.

    The options may stand here or behind the command.
    """
    ctx.obj = options


@database.command()
@click.argument("name")
@connection_options
def create(name: str, options: Options) -> None:
    """Make the database NAME."""
    with _connected(options) as client, telling("Error creating database"):
        client.create_database(name)
    click.echo(f"Created database {printable(name)}")


@database.command("list")
@connection_options
def list_databases(options: Options) -> None:
    """Print the names of all databases, one a line."""
    with _connected(options) as client, telling("Error listing databases"):
        names = client.databases()
    for name in names:
        click.echo(printable(name))


@database.command()
@click.argument("name")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="auto",
    show_default=True,
    help="The unit of the times; auto guesses it from each time's size.",
)
@click.option(
    "--accept-partial/--no-accept-partial",
    default=True,
    help="Whether the good lines of a request with bad ones are kept.  [default: they are]",
)
@connection_options
def write(
    name: str, files: tuple[str, ...], precision: str, accept_partial: bool, options: Options
) -> None:
    """Write line protocol from files into a database.

    From each FILE, - for stdin, into the database NAME. It goes in several requests; a line
    that is refused is reported with its number in the file, and the exit status is 1 then,
    as it is when there are no lines.
    """
    from .write import Writer, open_sources

    with open_sources(files) as sources, _connected(options) as client:
        writer = Writer(client, name, precision=precision, accept_partial=accept_partial)
        try:
            with _progress(sources) as advance, telling("Error writing"):
                for source in sources:
                    for line in writer.write(source, advance):
                        click.echo(line, err=True)
        except BaseException:
            if writer.kept:
                click.echo(f"{writer.kept} Lines OK")
            raise
    if not writer.kept and not writer.refused:
        raise Failure("Error writing: no lines to write")
    click.echo(f"{writer.kept} Lines OK")
    if writer.refused:
        raise Failure(f"Error writing: {writer.refused} lines refused, {writer.kept} kept")


@database.command()
@click.argument("name")
@click.argument("sql")
@click.option(
    "--format",
    type=click.Choice(["pretty", "json", "csv"], case_sensitive=False),
    default="pretty",
    show_default=True,
    help="How the rows are printed.",
)
@connection_options
def query(name: str, sql: str, format: str, options: Options) -> None:
    """Print the rows that SQL finds in the database NAME."""
    machine_readable = format != "pretty"
    with (
        _connected(options, trace_id_to_stderr=machine_readable) as client,
        telling("Error querying database"),
    ):
        _print_stream(client.query(name, sql, format=format))


@contextmanager
def _connected(options: Options, *, trace_id_to_stderr: bool = False) -> Iterator[Client]:
    """Open a client; print the trace id of its requests if one was made."""
    connection: Connection = options.connect()
    with Client(connection) as client:
        if connection.trace_id:
            click.echo(f"Trace ID set to {connection.trace_id}", err=trace_id_to_stderr)
        yield client


def _print_stream(pieces: Iterator[bytes]) -> None:
    """Print *pieces* as they come, with a newline at the end."""
    on_terminal = _is_terminal(sys.stdout)
    last = b"\n"
    for piece in filter(None, pieces):
        last = piece[-1:]
        click.echo(piece.translate(_SAFE) if on_terminal else piece, nl=False)
    if last != b"\n":
        click.echo()


@contextmanager
def _progress(sources: list[Source]) -> Iterator[Advance]:
    """Show on a terminal how much of *sources* was sent; elsewhere show nothing."""
    if not _is_terminal(sys.stderr) or os.environ.get("TERM") == "dumb":
        yield lambda sent_bytes: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    sizes = [source.size_bytes for source in sources]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    columns = (TextColumn("writing"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("writing", total=total)
        yield lambda sent_bytes: progress.update(task, advance=sent_bytes)


def _is_terminal(stream: TextIO | None) -> bool:
    """Return whether a person sees *stream*; None is a stream that was closed from the start."""
    return stream is not None and stream.isatty()


# What a terminal would take for a command becomes a question mark; newline and tab stay.
_SAFE = bytes(
    code if code >= 32 and code != 127 or code in (9, 10, 13) else ord("?") for code in range(256)
)
