"""`iox-otel run`: the server."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from iox_otel_bridge.config import TracingConfig, check_server_id
from iox_otel_bridge.settings import SETTINGS

from .access import TOKEN_VARIABLE, check_token, is_open
from .extras import needed_by
from .failure import Failure
from .limits import FLAGS, limit_options, limits_of

if TYPE_CHECKING:
    from iox_otel_bridge import Stats, Tracing

DEFAULT_SERVICE_NAME = "iox-conductor"
DEFAULT_BIND = "127.0.0.1:8080"
END_S = 1.6
"""So long after the signal to end, spans are no longer tried to deliver: it is over within 2 s."""
LEAST_FLUSH_S = 0.3
"""So long they are tried in any case, however long the last requests took to end."""

_BIND = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^:\[\]\s]+)):(?P<port>[0-9]{1,5})"
)


def trace_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* a flag for each setting; it gets the text of each by its keyword, or None."""
    for setting in reversed(SETTINGS):
        default = setting.default_text.split(" for the server")[0]
        option = click.option(
            setting.flag,
            setting.name,
            metavar="TEXT",
            help=f"{setting.help}  [{setting.variable}; default: {default}]",
        )
        command = option(command)
    return command


@click.command()
@click.option(
    "--http-bind",
    metavar="ADDRESS",
    default=DEFAULT_BIND,
    show_default=True,
    help="Where to listen, port 0 for any that is free.",
)
@click.option(
    "--token",
    metavar="TEXT",
    envvar=TOKEN_VARIABLE,
    help=f"Ask for it; needed with a --http-bind that others can reach.  [{TOKEN_VARIABLE}]",
)
@click.option(
    "--server-id",
    metavar="NUMBER",
    help="Tells servers of one service apart, 1 to 4294967295.  [INFLUXDB_IOX_ID]",
)
@click.option(
    "-v", "--verbose", count=True, help="Log more; -vv in detail, -vvv what libraries do, too."
)
@limit_options
@trace_options
def run(
    http_bind: str, token: str | None, server_id: str | None, verbose: int, **flags: str | None
) -> None:
    """Run the server. Its data is in memory only.

    Each setting of tracing is also a variable, named in brackets; the flag beats it.
    """
    host, port = _address(http_bind)
    token = check_token(token or "", "--token") or None
    others_reach_it = is_open(host, http_bind.strip(), "--http-bind", token)
    limits = limits_of({name: flags.pop(name) or "" for name in FLAGS})
    config = TracingConfig.from_env(
        default_service_name=DEFAULT_SERVICE_NAME, server_id=_server_id(server_id), flags=flags
    )
    server = _server()
    server.configure_logging(verbose)
    tracing = config.build()
    end_s = None
    try:
        app = server.create_app(
            collector=tracing.collector,
            header_parser=tracing.header_parser,
            sampler=tracing.sampler,
            per_partition_tracing=per_partition_tracing(),
            limits=limits,
            stats=tracing.stats,
            queue_size=config.queue_size,
        )
        asked_s = server.serve(
            server.guarded(app, token=token, hosts=(host,)),
            host=host,
            port=port,
            on_ready=lambda url: _say_ready(url, tracing, is_open=others_reach_it),
        )
        end_s = asked_s + END_S
    except OSError as exc:
        raise Failure(f"Error: {exc}") from None
    finally:
        left_s = 0.0 if end_s is None else end_s - time.monotonic()
        delivered = tracing.shutdown(timeout_s=max(left_s, LEAST_FLUSH_S))
        if tracing.collector is not None and (verbose or not delivered):
            _tell(stats_line(tracing.stats()))
    _leave()


def _leave() -> NoReturn:
    """End the process here and now, with all done.

    Threads may still be within DataFusion, from which they would return into an interpreter that is
    no longer there.
    """
    if sys.stdout is not None:
        sys.stdout.flush()
    os._exit(0)


def stats_line(stats: dict[str, Stats]) -> str:
    """Return on one line what became of the spans of each exporter."""
    parts = []
    for name, counts in stats.items():
        dropped = {
            "queue full": counts.dropped_queue_full,
            "export failed": counts.dropped_export_failed,
            "shut down": counts.dropped_shut_down,
        }
        reasons = [f"{number} dropped ({reason})" for reason, number in dropped.items() if number]
        counted = [f"{counts.recorded} recorded", f"{counts.delivered} delivered", *reasons]
        parts.append(f"{name}: {', '.join(counted)}")
    return f"Spans: {'; '.join(parts)}"


def _say_ready(url: str, tracing: Tracing, *, is_open: bool) -> None:
    sinks = [f"{name} ({where})" for name, where in tracing.destinations().items()]
    traces = f"traces go to {' and '.join(sinks)}" if sinks else "traces go nowhere"
    _tell(f"iox-otel listening on {url}; {traces}; data is in memory only")
    if is_open:
        _tell(
            "Warning: other machines can reach this. Who has the token can read and write all "
            "data; nothing is encrypted."
        )


def _tell(line: str) -> None:
    """Print *line* on stderr, since stdout is the console exporter's."""
    with suppress(OSError):  # a full disk under the log does not stop a server
        click.echo(line, err=True)


class _Server(NamedTuple):
    """What the server is made of."""

    create_app: Callable[..., Any]
    guarded: Callable[..., Any]
    serve: Callable[..., Any]
    configure_logging: Callable[..., Any]


def _server() -> _Server:
    """Import the server, which takes most of a second."""
    with needed_by("The server", "server"):
        from iox_otel.conductor.app import create_app, guarded
        from iox_otel.conductor.logs import configure_logging
        from iox_otel.conductor.server import serve
    return _Server(create_app, guarded, serve, configure_logging)


def _address(http_bind: str) -> tuple[str, int]:
    match = _BIND.fullmatch(http_bind.strip())
    if match is None or int(match["port"]) > 65535:
        expected = f"expected an address and a port such as {DEFAULT_BIND}"
        raise Failure(f"Invalid value {http_bind!r} for --http-bind: {expected}", 2)
    return match["ipv6"] or match["host"], int(match["port"])


def per_partition_tracing() -> bool:
    """Return whether INFLUXDB_IOX_PER_PARTITION_TRACING is a word that the reference takes for yes.

    It asks for a span for each partition of a query's operators.
    """
    value = os.environ.get("INFLUXDB_IOX_PER_PARTITION_TRACING", "")
    return value.strip().lower() in ("1", "yes", "y", "true", "t")


def _server_id(flag: str | None) -> int | None:
    if flag is not None:
        return check_server_id(flag.strip(), "--server-id")
    variable = os.environ.get("INFLUXDB_IOX_ID", "").strip()
    return check_server_id(variable, "INFLUXDB_IOX_ID") if variable else None
