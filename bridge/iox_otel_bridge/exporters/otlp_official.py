"""The official OTLP exporters, for what they read from the environment and set up.

They give configuration (every OTEL_EXPORTER_OTLP_* variable), credentials, channel and session.
Their `export()` cannot serve: it retries by itself, takes a redirect and a partial success for a
success, and cannot be interrupted. So a subclass of each sends bytes through what it has set up:
`otlp_grpc_official` and `otlp_http_official`. These two modules alone use names that the exporters
keep private; hence the pin to their minor version, and a test that fails on the upgrade which
breaks one of them.

What a first request would import, they import at their top: on the worker of a process that was
forked, or that is about to end, an import can wait for ever.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from opentelemetry.util.re import parse_env_headers

from .otlp_endpoint import checked_headers, headers_unlogged


class OfficialExporter(Protocol):
    """An official exporter that says what it sends along."""

    @property
    def sent_headers(self) -> Sequence[tuple[str, str]]:
        """Names and values of what goes with each request."""


_Exporter = TypeVar("_Exporter", bound=OfficialExporter)


def set_up(make: Callable[[], _Exporter], headers: Mapping[str, str] | None) -> _Exporter:
    """Return what *make* returns, with *headers* or those of the environment checked.

    Raises:
        ValueError: something of that cannot be used.
    """
    try:
        with headers_unlogged():
            if not headers:
                _check_header_lists()
            exporter = make()
    except Exception as error:  # each variable that cannot be used raises something else
        raise ValueError(f"the OTLP exporter cannot be set up: {error}") from error
    checked_headers(exporter.sent_headers)
    return exporter


def _check_header_lists() -> None:
    """Raise ValueError if a header list has a pair that would be left out; the text has no value.

    The receiver would refuse every span that comes without its credentials.
    """
    for variable in ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"):
        if pairs := os.environ.get(variable, "").strip():
            for pair in filter(str.strip, pairs.split(",")):
                if not parse_env_headers(pair, liberal=True):
                    raise ValueError(f"{variable} is not name=value,name=value")
            return
