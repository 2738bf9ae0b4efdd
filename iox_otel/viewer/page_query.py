"""What the page's search asks for: Jaeger's parameters, but for tags in logfmt and no defaults."""

from __future__ import annotations

import re
import time

from starlette.datastructures import QueryParams

from .durations import duration_ns, lookback_ns
from .parameters import ParameterError
from .query import Query

DEFAULT_LIMIT = 100
MAX_LIMIT = 5_000
_US = 1_000

# A key, which may be quoted; and perhaps a value, which may be quoted, too.
_TEXT = r'"((?:[^"\\]|\\.)*)"'
_PAIR = re.compile(rf'(?:{_TEXT}|([^\s="]+))(?:(=)(?:{_TEXT}|([^\s"]*)))?(?=\s|$)\s*', re.DOTALL)


def query_of(parameters: QueryParams) -> Query:
    """Return what a search asks for; raises ParameterError."""
    start_ns, end_ns = _times(parameters)
    return Query(
        service=parameters.get("service", ""),
        operation=parameters.get("operation", ""),
        tags=tuple(tags_of(parameters.get("tags", "")).items()),
        start_ns=start_ns,
        end_ns=end_ns,
        min_duration_ns=_duration(parameters, "minDuration"),
        max_duration_ns=_duration(parameters, "maxDuration") or None,
        errors_only=parameters.get("errors", "") not in ("", "0", "false"),
        limit=limit_of(parameters),
    )


def limit_of(parameters: QueryParams) -> int:
    """Return how many traces are asked for at most; raises ParameterError."""
    limit = _number(parameters, "limit")
    return min(limit, MAX_LIMIT) if limit else DEFAULT_LIMIT


def tags_of(text: str) -> dict[str, str]:
    """Return the pairs of a logfmt text: `a=b "c d"="e \\" f"`; a key alone is true.

    Raises:
        ParameterError: it is none.
    """
    tags, at = {}, len(text) - len(text.lstrip())
    while at < len(text):
        match = _PAIR.match(text, at)
        if match is None:
            wrong = text[at : at + 40]
            raise ParameterError(f"tags: expected key=value pairs as in logfmt, got {wrong!r}")
        quoted_key, key, equals, quoted, value = match.groups()
        name = key if quoted_key is None else _unquoted(quoted_key)
        if equals is None:
            tags[name] = "true"
        else:
            tags[name] = value if quoted is None else _unquoted(quoted)
        at = match.end()
    return tags


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _times(parameters: QueryParams) -> tuple[int, int]:
    everything = Query()
    start_ns, end_ns = everything.start_ns, everything.end_ns
    if parameters.get("lookback"):
        start_ns = max(0, time.time_ns() - _lookback_ns(parameters["lookback"]))
    if parameters.get("start"):
        start_ns = _number(parameters, "start") * _US
    if parameters.get("end"):
        end_ns = _number(parameters, "end") * _US + _US - 1
    return start_ns, end_ns


def _lookback_ns(text: str) -> int:
    try:
        return lookback_ns(text)
    except ValueError as exc:
        raise ParameterError(f"lookback: {exc}") from exc


def _duration(parameters: QueryParams, name: str) -> int:
    try:
        # as the page writes them: 1.5 s, 1 m 07 s
        duration = duration_ns(parameters.get(name, "").replace(" ", "") or "0")
    except ValueError as exc:
        raise ParameterError(f"{name}: {exc}") from exc
    if duration < 0:
        raise ParameterError(f"{name}: {parameters[name][:40]!r} is negative")
    return duration


def _number(parameters: QueryParams, name: str) -> int:
    text = parameters.get(name) or "0"
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise ParameterError(f"{name}: {text[:40]!r} is not a whole number")
    return int(text)
