"""`iox-otel traces` and `iox-otel trace`: traces in the terminal, out of the viewer or a Jaeger."""

from __future__ import annotations

import functools
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import click

from iox_otel.display import escape, format_duration

from .access import check_token
from .failure import Failure
from .http_client import check_url, shown_url, telling
from .jaeger import JaegerClient, Search, Summary
from .numbers import whole_number

DEFAULT_URL = "http://localhost:16686"
DEFAULT_SINCE = "2d"
DEFAULT_LIMIT = 20
_TIMEOUT_S = 30.0
_MAX_LIMIT = 1_500
_MAX_LINES = 10_000
_PAGE = re.compile(r"(/search|/trace/[0-9a-fA-F]+)?/?$")
"""What the address of a page has behind that of the viewer."""


class Jaeger(NamedTuple):
    """Which one to ask."""

    url: str
    token: str
    """Empty if none is known."""

    def open(self) -> JaegerClient:
        """Return its client."""
        return JaegerClient(self.url, token=self.token, timeout_s=_TIMEOUT_S)


def _jaeger_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* the options that say which one to ask; it gets `jaeger`."""

    @functools.wraps(command)
    def asking(*args: Any, url: str | None, token: str | None, **kwargs: Any) -> Any:
        return command(*args, jaeger=jaeger_of(url, token), **kwargs)

    for option in (
        click.option(
            "--token",
            metavar="TEXT",
            help="What the viewer's --token is.  [IOX_OTEL_VIEWER_TOKEN]",
        ),
        click.option(
            "--url",
            metavar="URL",
            help="The viewer or Jaeger, as it says where it is; also from IOX_OTEL_VIEWER_URL."
            f"  [default: {DEFAULT_URL}]",
        ),
    ):
        asking = option(asking)
    return asking


@click.command()
@click.option("--service", metavar="NAME", help="Of this service only.")
@click.option(
    "--since",
    metavar="TIME",
    default=DEFAULT_SINCE,
    show_default=True,
    help="How long ago they may have started: 90s, 30m, 1h30m, 7d.",
)
@click.option(
    "--tag",
    "tags",
    metavar="KEY=VALUE",
    multiple=True,
    help="With a span that has this tag, or whose process or events have it; may be repeated for"
    " other keys.",
)
@click.option("--errors", is_flag=True, help="With an error only.")
@click.option(
    "--limit",
    metavar="NUMBER",
    default=str(DEFAULT_LIMIT),
    show_default=True,
    help=f"Of traces, the newest, up to {_MAX_LIMIT}.",
)
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line.")
@_jaeger_options
def traces(
    jaeger: Jaeger,
    service: str | None,
    since: str,
    tags: tuple[str, ...],
    errors: bool,
    limit: str,
    as_json: bool,
) -> None:
    """List traces, newest first, out of the viewer or a Jaeger.

    All conditions hold on one span of a trace.
    """
    start_us = max(0, time.time_ns() - _since_ns(since)) // 1_000
    wanted = _wanted(tags, errors=errors)
    most = whole_number(limit, "--limit", most=_MAX_LIMIT)
    with telling("Error searching for traces"), jaeger.open() as client:
        found = client.find(Search(service, wanted, start_us, most))
    if as_json:
        for summary in found:
            click.echo(json.dumps(_json_of(summary)))
    elif found:
        click.echo("\n".join(_table(found)))
    else:
        click.echo(f"No traces of the last {since} fit", err=True)


@click.command()
@click.argument("trace_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="The trace in Jaeger's JSON.")
@_jaeger_options
def trace(jaeger: Jaeger, trace_id: str, as_json: bool) -> None:
    """Show the trace ID as a tree with its waterfall.

    ID is a trace id, of up to 32 hexadecimal digits.
    """
    if not re.fullmatch("[0-9a-fA-F]{1,32}", trace_id):
        raise Failure(f"Invalid value {trace_id!r} for ID: expected up to 32 hex digits", 2)
    with telling("Error reading the trace"), jaeger.open() as client:
        found = client.trace(trace_id.lower())
    if found is None:
        digits = len(trace_id)
        part = "" if digits in (16, 32) else f"; a whole id has 16 or 32 digits, not {digits}"
        raise Failure(f"There is no trace {trace_id} at {shown_url(jaeger.url)}{part}")
    if as_json:
        click.echo(json.dumps({"data": [found]}))
    else:
        _draw(found)


def _draw(found: dict[str, Any]) -> None:
    # Slow to import, and of no use to the rest of the command line.
    from rich.console import Console

    from iox_otel.viewer.jaeger_upload import spans_of
    from iox_otel.viewer.outline import record_of
    from iox_otel.viewer.stored import StoredSpan
    from iox_otel_bridge.render import render_trace
    from iox_otel_bridge.wire.errors import DecodeError

    try:
        records = [
            record_of(StoredSpan(span, batch.resource, batch.scope, batch.source, batch.schemas))
            for batch in spans_of(found)
            for span in batch.spans
        ]
    except DecodeError as exc:
        raise Failure(f"Error reading the trace: {exc}") from None
    console = Console(emoji=False, markup=False, highlight=False)
    console.print(render_trace(records, max_lines=_MAX_LINES))


def _table(found: list[Summary]) -> Iterator[str]:
    """Give the lines of a table; what is last may be of any length."""
    yield f"{'TRACE ID':<32}  {'START':<23}  {'DURATION':>9}  SPANS  ERRORS  SERVICE: ROOT"
    for each in found:
        took = format_duration(each.duration_us * 1_000)
        errors = each.errors or "-"
        yield (
            f"{each.trace_id}  {_local(each.start_us)}  {took:>9}  {each.spans:>5}  {errors:>6}  "
            f"{escape(each.service)}: {escape(each.name)}"
        )


def _json_of(found: Summary) -> dict[str, Any]:
    return {
        "traceID": found.trace_id,
        "service": found.service,
        "name": found.name,
        "start": _moment(found.start_us).isoformat(timespec="microseconds"),
        "durationUs": found.duration_us,
        "spans": found.spans,
        "errors": found.errors,
        "services": found.services,
    }


def _local(time_us: int) -> str:
    return _moment(time_us).isoformat(" ", timespec="milliseconds")[:23]


def _moment(time_us: int) -> datetime:
    """Return a time of this place; one that no calendar has is the last that it has."""
    seconds, micros = divmod(time_us, 1_000_000)
    try:
        return datetime.fromtimestamp(seconds).replace(microsecond=micros).astimezone()
    except (ValueError, OverflowError, OSError):
        return datetime.max


def jaeger_of(url: str | None, token: str | None) -> Jaeger:
    """Return which one to ask; the address of a page of its will do, with the token in it."""
    source = "--url"
    if url is None:
        source, url = "IOX_OTEL_VIEWER_URL", os.environ.get("IOX_OTEL_VIEWER_URL", "").strip()
    page, _, query = (url or DEFAULT_URL).partition("#")[0].partition("?")
    token = token or dict(parse_qsl(query)).get("token") or os.environ.get("IOX_OTEL_VIEWER_TOKEN")
    token = check_token(token or "", "--token")
    return Jaeger(_PAGE.sub("", check_url(page, source, DEFAULT_URL)), token)


def _since_ns(text: str) -> int:
    from iox_otel.viewer.durations import lookback_ns

    try:
        since_ns = lookback_ns(text)
        if since_ns <= 0:
            raise ValueError
    except ValueError:
        expected = "expected a time like 90s, 30m, 1h30m or 7d"
        raise Failure(f"Invalid value {text!r} for --since: {expected}", 2) from None
    return since_ns


def _wanted(pairs: Iterable[str], *, errors: bool) -> dict[str, str]:
    """Return the tags to ask for: Jaeger's API has one value for each, and would drop others."""
    wanted = {"error": ("true", "--errors")} if errors else {}
    for pair in pairs:
        key, value = _tag(pair)
        known, flag = wanted.setdefault(key, (value, f"--tag {pair}"))
        if known != value:
            one = f"Jaeger's API takes one value of a key, and there is {flag}"
            raise Failure(f"Invalid value {pair!r} for --tag: {one}", 2)
    return {key: value for key, (value, _) in wanted.items()}


def _tag(pair: str) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    if not key or not equals:
        raise Failure(f"Invalid value {pair!r} for --tag: expected KEY=VALUE", 2)
    return key, value
