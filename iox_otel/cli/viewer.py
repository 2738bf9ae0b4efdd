"""`iox-otel viewer`: the local trace viewer."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from .extras import needed_by
from .failure import Failure
from .numbers import whole_number

if TYPE_CHECKING:
    from iox_otel.viewer.listening import Port
    from iox_otel.viewer.server import Listening

DEFAULT_HOST = "127.0.0.1"
_MOST_KEPT = 1_000_000_000_000
_LEAST_MB = 192
"""Of a process that keeps its traces in memory."""
_ASK_S = 1.0
"""So long what has the port already may take to say what it is."""
_MOST_BYTES = 100_000
_NAMES = {"udp": "Jaeger UDP", "grpc": "OTLP gRPC", "http": "OTLP HTTP"}


def _port_option(flag: str, default: int, what: str) -> Callable[..., Any]:
    text = f"{what}; 0 for any that is free, off for none."
    return click.option(flag, metavar="PORT", default=str(default), show_default=True, help=text)


@click.command()
@click.option("--host", default=DEFAULT_HOST, show_default=True, help="Where to listen.")
@click.option(
    "--port",
    metavar="PORT",
    default="16686",
    show_default=True,
    help="For the page and Jaeger's query API; 0 for any that is free.",
)
@_port_option("--udp-port", 6831, "For Jaeger's datagrams, compact Thrift")
@_port_option("--otlp-grpc-port", 4317, "For OTLP over gRPC")
@_port_option("--otlp-http-port", 4318, "For OTLP over HTTP")
@click.option(
    "--db", metavar="FILE", help="Keep the traces in FILE.  [default: in memory, until it ends]"
)
@click.option(
    "--max-spans",
    metavar="NUMBER",
    help="Keep so many spans at most.  [default: 1,000,000]",
)
@click.option(
    "--max-mb",
    metavar="NUMBER",
    help="Keep within so many MiB: all of its memory, or the traces in FILE with --db."
    "  [default: 2,048]",
)
@click.option(
    "--token",
    metavar="TEXT",
    envvar="IOX_OTEL_VIEWER_TOKEN",
    help="Ask for it before traces are shown; needed with a --host that others can reach."
    "  [IOX_OTEL_VIEWER_TOKEN]",
)
def viewer(
    host: str,
    port: str,
    udp_port: str,
    otlp_grpc_port: str,
    otlp_http_port: str,
    db: str | None,
    max_spans: str | None,
    max_mb: str | None,
    token: str | None,
) -> None:
    """Look at traces on this machine: a page, Jaeger's query API, and all that Jaeger takes.

    The oldest traces make room for new ones beyond --max-spans and --max-mb.
    """
    numbers = {
        "--port": _port("--port", port),
        "--udp-port": _port("--udp-port", udp_port),
        "--otlp-grpc-port": _port("--otlp-grpc-port", otlp_grpc_port),
        "--otlp-http-port": _port("--otlp-http-port", otlp_http_port),
    }
    if numbers["--port"] is None:
        raise Failure("Invalid value 'off' for --port: there is no viewer without a page", 2)
    is_open = not _is_loopback(host)
    if is_open and not token:
        raise Failure(
            f"--host {host} lets other machines in: say with --token what they need to know", 2
        )
    if db is not None and not db.strip():
        raise Failure(f"Invalid value {db!r} for --db: expected the name of a file", 2)
    limits = {}
    if max_spans is not None:
        limits["max_spans"] = whole_number(max_spans, "--max-spans", most=_MOST_KEPT)
    if max_mb is not None:
        least = 1 if db else _LEAST_MB
        limits["max_mb"] = whole_number(max_mb, "--max-mb", least=least, most=_MOST_KEPT)
    _serve(host, numbers, Path(db) if db else None, limits, token or None, is_open=is_open)


def _serve(
    host: str,
    numbers: dict[str, int | None],
    db: Path | None,
    limits: dict[str, int],
    token: str | None,
    *,
    is_open: bool,
) -> None:
    with needed_by("The viewer", "viewer"):
        from iox_otel.viewer.app import Viewer
        from iox_otel.viewer.listening import ListenError, Port, reached
        from iox_otel.viewer.memory import shares_of
        from iox_otel.viewer.schema import StoreError
        from iox_otel.viewer.server import Ports, serve

    def wanted(flag: str, *, can_be_off: bool = True) -> Port | None:
        number = numbers[flag]
        return None if number is None else Port(number, flag, can_be_off)

    page = wanted("--port", can_be_off=False)
    assert page is not None  # noqa: S101  narrows the type
    ports = Ports(page, *map(wanted, ("--udp-port", "--otlp-grpc-port", "--otlp-http-port")))
    if db is None:
        limits |= shares_of(limits.get("max_mb"))._asdict()
    try:
        with Viewer(db, **limits) as opened:
            serve(
                opened,
                host=host,
                ports=ports,
                token=token,
                on_ready=lambda listening: _say_ready(listening, db, token, is_open=is_open),
            )
    except ListenError as exc:
        where = f"{reached(host)}:{page.number}"
        is_running = exc.flag == page.flag and _is_viewer(where)
        running = f"; a viewer already runs at http://{where}" if is_running else ""
        raise Failure(f"Error: {exc}{running}") from None
    except (OSError, StoreError) as exc:
        raise Failure(f"Error: {exc}") from None


def _is_viewer(where: str) -> bool:
    """Tell whether a viewer answers at *where*: with its status, or asking for its token."""
    try:
        with closing(HTTPConnection(where, timeout=_ASK_S)) as connection:
            connection.request("GET", "/api/viewer/status")
            said = json.loads(connection.getresponse().read(_MOST_BYTES))
    except (OSError, HTTPException, ValueError):
        return False
    return isinstance(said, dict) and ("intake" in said or "viewer" in str(said.get("error")))


def _say_ready(listening: Listening, db: Path | None, token: str | None, *, is_open: bool) -> None:
    query = f"?token={quote(token)}" if token else "search"
    intakes = [f"{_NAMES[name]} {where}" for name, where in listening.intakes.items()]
    takes = f"takes {', '.join(intakes)}" if intakes else "takes nothing but uploads"
    keeps = f"keeps traces in {db}" if db else "keeps traces in memory only"
    _tell(f"iox-otel viewer on {listening.url}/{query}; {takes}; {keeps}")
    if is_open:
        _tell(
            "Warning: other machines can reach this, by the name or address of this one. Who has "
            "the token can read all traces; who has not can still send some. Nothing is encrypted."
        )


def _tell(line: str) -> None:
    try:
        click.echo(line, err=True)
    except OSError:  # nobody reads it
        pass


def _port(flag: str, text: str) -> int | None:
    if text.strip().lower() == "off":
        return None
    if not re.fullmatch("[0-9]{1,5}", text.strip()) or int(text) > 65_535:
        expected = "expected a number up to 65535, 0 for any that is free, or off"
        raise Failure(f"Invalid value {text!r} for {flag}: {expected}", 2)
    return int(text)


def _is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches *host*; what cannot be looked up fails later."""
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return True
    return all(ipaddress.ip_address(str(each[4][0]).split("%")[0]).is_loopback for each in found)
