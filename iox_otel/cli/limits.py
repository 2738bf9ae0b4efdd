"""The flags of `iox-otel run` that say how much it takes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from .extras import needed_by
from .failure import Failure
from .numbers import whole_number

if TYPE_CHECKING:
    from iox_otel.conductor.limits import Limits

_MIB = 1024 * 1024
_MOST_MB = 1_000_000
_MOST_AT_ONCE = 100_000
_MOST_S = 86_400
_LEAST_QUERY_MB = 4
"""With less, DataFusion cannot even begin to sort or to join."""

_OPTIONS = (
    ("--max-request-mb", "NUMBER", "The body of a request, as sent and unzipped, in MiB.", "10"),
    ("--max-concurrent-requests", "NUMBER", "Requests at the same time.", "100"),
    (
        "--max-concurrent-queries",
        "NUMBER",
        "Queries that run at the same time; others wait for 5 s.",
        "8",
    ),
    (
        "--query-timeout",
        "SECONDS",
        "How long a query may take, to its last row; 0 for any time.",
        "60",
    ),
    ("--query-memory-mb", "NUMBER", "What a query may take to sort, join, group, in MiB.", "256"),
    ("--max-data-mb", "NUMBER", "What all data together may take in memory, in MiB.", "1024"),
)


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* a flag for each limit; it gets the text of each by its keyword."""
    for flag, metavar, text, default in reversed(_OPTIONS):
        option = click.option(flag, metavar=metavar, default=default, show_default=True, help=text)
        command = option(command)
    return command


FLAGS = tuple(flag.removeprefix("--").replace("-", "_") for flag, *_ in _OPTIONS)
"""The keywords."""


def limits_of(given: Mapping[str, str]) -> Limits:
    """Return the limits that the flags say; raises Failure, which names the flag and the value."""

    def number(keyword: str, most: int, least: int = 1) -> int:
        flag = f"--{keyword.replace('_', '-')}"
        return whole_number(given[keyword], flag, least=least, most=most)

    with needed_by("The server", "server"):
        from iox_otel.conductor.limits import Limits
    return Limits(
        max_request_bytes=number("max_request_mb", _MOST_MB) * _MIB,
        max_concurrent_requests=number("max_concurrent_requests", _MOST_AT_ONCE),
        max_concurrent_queries=number("max_concurrent_queries", _MOST_AT_ONCE),
        query_timeout_s=_timeout_s(given["query_timeout"]),
        query_memory_bytes=number("query_memory_mb", _MOST_MB, _LEAST_QUERY_MB) * _MIB,
        max_data_bytes=number("max_data_mb", _MOST_MB) * _MIB,
    )


def _timeout_s(text: str) -> float:
    try:
        timeout_s = float(text)
    except ValueError:
        timeout_s = math.nan
    if not 0 <= timeout_s <= _MOST_S:
        expected = f"expected a number of seconds up to {_MOST_S}, 0 for any time"
        raise Failure(f"Invalid value {text!r} for --query-timeout: {expected}", 2)
    return timeout_s
