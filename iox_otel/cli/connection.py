"""The options that say which server to talk to and how, the same for all database commands."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import click

from iox_otel import SpanContext
from iox_otel.http.headers import format_jaeger_trace_context

from .access import TOKEN_VARIABLE, check_token
from .failure import Failure
from .http_client import NOT_IN_VALUE, check_url
from .numbers import seconds

DEFAULT_HOST = "http://127.0.0.1:8080"
DEFAULT_TIMEOUT_S = 30.0
TRACE_HEADER = "uber-trace-id"

# RFC 9110, 5.6.2 and 5.5: what names and values of headers may consist of.
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class Connection(NamedTuple):
    """Where the server is, and what every request to it carries."""

    host: str
    headers: tuple[tuple[str, str], ...]
    timeout_s: float
    verbose: bool
    trace_id: str | None
    """The trace id that was made for these requests, in hex."""


class Options(NamedTuple):
    """What was given at one place of the command line; None and empty where nothing was."""

    host: str | None
    header: tuple[str, ...]
    gen_trace_id: bool
    timeout: str | None
    verbose: int
    token: str | None = None

    def over(self, outer: Options) -> Options:
        """Return these options with those of *outer* where there are none."""
        return Options(
            host=outer.host if self.host is None else self.host,
            header=outer.header + self.header,
            gen_trace_id=self.gen_trace_id or outer.gen_trace_id,
            timeout=outer.timeout if self.timeout is None else self.timeout,
            verbose=self.verbose + outer.verbose,
            token=outer.token if self.token is None else self.token,
        )

    def connect(self) -> Connection:
        """Return the checked form; the environment says what the options do not.

        Raises:
            Failure: a value is none; the line names it.
        """
        headers = tuple(map(_header, self.header))
        headers += _authorization(self.token, headers)
        trace_id = None
        if self.gen_trace_id:
            if any(name.lower() == TRACE_HEADER for name, _ in headers):
                raise Failure(f"--gen-trace-id and --header {TRACE_HEADER} exclude each other", 2)
            ctx = SpanContext.new(None)
            headers += ((TRACE_HEADER, format_jaeger_trace_context(ctx)),)
            trace_id = f"{ctx.trace_id:032x}"
        return Connection(
            host=_host(self.host),
            headers=headers,
            timeout_s=DEFAULT_TIMEOUT_S
            if self.timeout is None
            else seconds(self.timeout, "--timeout"),
            verbose=self.verbose > 0,
            trace_id=trace_id,
        )


_OPTIONS = (
    click.option(
        "--host",
        metavar="URL",
        help=f"The server, also from IOX_ADDR. [default: {DEFAULT_HOST}]",
    ),
    click.option(
        "--header",
        metavar="NAME:VALUE",
        multiple=True,
        help="A header for every request; may be given several times.",
    ),
    click.option(
        "--gen-trace-id",
        is_flag=True,
        help="Have the requests traced, and print the trace id (on stderr beside JSON and CSV).",
    ),
    click.option(
        "--token",
        metavar="TEXT",
        help=f"What the server's --token is.  [{TOKEN_VARIABLE}]",
    ),
    click.option(
        "--timeout",
        metavar="SECONDS",
        help=f"How long to wait for the server to go on. [default: {DEFAULT_TIMEOUT_S:g}]",
    ),
    click.option("-v", "--verbose", count=True, help="Log each request and its trace id."),
)


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* the options, to be given before or after its name; it gets `options`."""

    @functools.wraps(command)
    @click.pass_context
    def merged(ctx: click.Context, /, *args: Any, **kwargs: Any) -> Any:
        options = Options(**{name: kwargs.pop(name) for name in Options._fields})
        outer = ctx.obj
        return command(
            *args, options=options.over(outer) if isinstance(outer, Options) else options, **kwargs
        )

    for option in reversed(_OPTIONS):
        merged = option(merged)
    return merged


def _header(pair: str) -> tuple[str, str]:
    """Split *pair* at its first colon."""
    name, colon, value = pair.partition(":")
    if not colon:
        raise Failure(f"Invalid key value pair - expected 'KEY:VALUE' got '{pair}'", 2)
    if not _NAME.fullmatch(name):
        raise Failure(
            f"Invalid value {pair!r} for --header: expected the name of an HTTP header", 2
        )
    value = value.strip(" \t")
    if NOT_IN_VALUE.search(value):
        raise Failure(
            f"Invalid value for --header: the value of {name!r} has control characters", 2
        )
    return name, value


def _authorization(
    token: str | None, headers: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    """Return the header that brings the token, if there is one and no such header of another."""
    if any(name.lower() == "authorization" for name, _ in headers):
        if token:
            raise Failure("--token and --header authorization exclude each other", 2)
        return ()
    source = "--token"
    if not token:
        source, token = TOKEN_VARIABLE, os.environ.get(TOKEN_VARIABLE, "")
    token = check_token(token, source)
    return (("Authorization", f"Bearer {token}"),) if token else ()


def _host(given: str | None) -> str:
    source = "--host"
    if given is None:
        source, given = "IOX_ADDR", os.environ.get("IOX_ADDR", "").strip() or DEFAULT_HOST
    return check_url(given, source, DEFAULT_HOST)
