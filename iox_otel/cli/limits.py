"""The flags of `iox-otel run` that say how much it takes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from iox_otel.conductor.limits import MIB, Limits

from .numbers import seconds, whole_number

_MOST_MB = 1_000_000
_MOST_AT_ONCE = 100_000
_LEAST_QUERY_MB = 4
"""With less, DataFusion cannot even begin to sort or to join."""

_DEFAULT = Limits()
_OPTIONS = (
    (
        "--max-request-mb",
        "NUMBER",
        "The body of a request, as sent and unzipped, in MiB.",
        _DEFAULT.max_request_bytes // MIB,
    ),
    (
        "--max-concurrent-requests",
        "NUMBER",
        "Requests at the same time.",
        _DEFAULT.max_concurrent_requests,
    ),
    (
        "--max-concurrent-queries",
        "NUMBER",
        "Queries that run at the same time; others wait for 5 s.",
        _DEFAULT.max_concurrent_queries,
    ),
    (
        "--query-timeout",
        "SECONDS",
        "How long a query may take, to its last row; 0 for any time.",
        f"{_DEFAULT.query_timeout_s:g}",
    ),
    (
        "--query-memory-mb",
        "NUMBER",
        "What a query may take to sort, join, group, in MiB.",
        _DEFAULT.query_memory_bytes // MIB,
    ),
    (
        "--max-data-mb",
        "NUMBER",
        "What all data together may take in memory, in MiB.",
        _DEFAULT.max_data_bytes // MIB,
    ),
)


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* a flag for each limit; it gets the text of each by its keyword."""
    for flag, metavar, text, default in reversed(_OPTIONS):
        option = click.option(
            flag, metavar=metavar, default=str(default), show_default=True, help=text
        )
        command = option(command)
    return command


FLAGS = tuple(flag.removeprefix("--").replace("-", "_") for flag, *_ in _OPTIONS)
"""The keywords."""


def limits_of(given: Mapping[str, str]) -> Limits:
    """Return the limits that the flags say; raises Failure, which names the flag and the value."""

    def number(keyword: str, most: int, least: int = 1) -> int:
        flag = f"--{keyword.replace('_', '-')}"
        return whole_number(given[keyword], flag, least=least, most=most)

    return Limits(
        max_request_bytes=number("max_request_mb", _MOST_MB) * MIB,
        max_concurrent_requests=number("max_concurrent_requests", _MOST_AT_ONCE),
        max_concurrent_queries=number("max_concurrent_queries", _MOST_AT_ONCE),
        query_timeout_s=seconds(given["query_timeout"], "--query-timeout", zero_means="any time"),
        query_memory_bytes=number("query_memory_mb", _MOST_MB, _LEAST_QUERY_MB) * MIB,
        max_data_bytes=number("max_data_mb", _MOST_MB) * MIB,
    )
