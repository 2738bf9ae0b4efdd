"""What the parameters of Jaeger's query API say.

Agrees with Jaeger 1.62, `cmd/query/app/query_parser.go`, its defaults and its limits included.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any

from starlette.datastructures import QueryParams

from .arrivals import MAX_TIME_NS
from .durations import duration_ns
from .query import Query

DEFAULT_LIMIT = 100
_TWO_DAYS_NS = 2 * 24 * 3_600 * 10**9
_DAY_MS = 24 * 3_600 * 1_000
_US, _MS = 1_000, 1_000_000


class ParameterError(ValueError):
    """A parameter cannot be what it is; one line that names it."""


def query_of(parameters: QueryParams) -> Query:
    """Return what a search asks for.

    Raises:
        ParameterError: a parameter is malformed, or none names the service.
    """
    now_ns = time.time_ns()
    least_ns = _duration(parameters, "minDuration")
    most_ns = _duration(parameters, "maxDuration")
    if not (service := parameters.get("service", "")):
        raise ParameterError("parameter 'service' is required")
    if least_ns and most_ns and most_ns < least_ns:
        raise ParameterError("'maxDuration' should be greater than 'minDuration'")
    return Query(
        service=service,
        operation=parameters.get("operation", ""),
        tags=_tags(parameters),
        start_ns=_time(parameters, "start", _US, now_ns - _TWO_DAYS_NS),
        end_ns=_time(parameters, "end", _US, now_ns),
        min_duration_ns=least_ns,
        max_duration_ns=most_ns or None,
        limit=_number(parameters, "limit", DEFAULT_LIMIT),
    )


def trace_ids_of(parameters: QueryParams) -> list[bytes]:
    """Return the traces that are asked for by `traceID`; raises ParameterError."""
    return [trace_id_of(text) for text in parameters.getlist("traceID")]


def trace_id_of(text: str) -> bytes:
    """Return a trace id from up to 32 hexadecimal digits; raises ParameterError."""
    if not re.fullmatch("[0-9a-fA-F]{1,32}", text):
        raise ParameterError(f"cannot parse traceID: {text[:40]!r} is not 1 to 32 hex digits")
    return bytes.fromhex(text.rjust(32, "0"))


def span_of_time(parameters: QueryParams) -> tuple[int, int]:
    """Return the start and end, in ns, that `endTs` and `lookback` say; raises ParameterError."""
    end_ns = _time(parameters, "endTs", _MS, time.time_ns())
    start_ns = end_ns - _number(parameters, "lookback", _DAY_MS) * _MS
    return max(0, min(start_ns, MAX_TIME_NS)), max(0, min(end_ns, MAX_TIME_NS))


def _duration(parameters: QueryParams, name: str) -> int:
    try:
        return duration_ns(parameters.get(name) or "0")
    except ValueError as exc:
        raise ParameterError(f"unable to parse param '{name}': {exc}") from exc


def _time(parameters: QueryParams, name: str, unit_ns: int, default_ns: int) -> int:
    text = parameters.get(name)
    return _number(parameters, name, 0) * unit_ns if text else default_ns


def _number(parameters: QueryParams, name: str, default: int) -> int:
    text = parameters.get(name)
    if not text:
        return default
    if not re.fullmatch(r"[-+]?\d{1,18}", text, re.ASCII):
        raise ParameterError(f"unable to parse param '{name}': {text[:40]!r} is not a number")
    return int(text)


def _tags(parameters: QueryParams) -> tuple[tuple[str, str], ...]:
    asked: dict[str, str] = {}
    for text in parameters.getlist("tag"):
        key, colon, value = text.partition(":")
        if not colon:
            raise ParameterError(
                f"malformed 'tag' parameter, expecting key:value, received: {text[:80]}"
            )
        asked[key] = value
    for text in parameters.getlist("tags"):
        asked |= _tags_in_json(text)
    return tuple(asked.items())


def _tags_in_json(text: str) -> dict[str, str]:
    try:
        said: Any = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ParameterError(f"malformed 'tags' parameter, cannot read JSON: {exc}") from exc
    if not isinstance(said, dict) or not all(isinstance(value, str) for value in said.values()):
        raise ParameterError("malformed 'tags' parameter: expected an object of texts")
    return said
