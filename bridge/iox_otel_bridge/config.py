"""TracingConfig: the settings of tracing, from code or from the environment."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from iox_otel import SpanLimits

from .limits import span_limits_of
from .resource import attributes_of
from .setting_types import (
    checked,
    first_set,
    one_of,
    otel_endpoint,
    readable_file,
    seconds,
    shown,
    text,
    whole_number,
)
from .settings import SETTINGS, Settings, check_endpoint, check_together

if TYPE_CHECKING:
    from .tracing import Tracing

_logger = logging.getLogger("iox_otel")
_server_id = whole_number(1, (1 << 32) - 1)
_otel_protocol = one_of("grpc", "http/protobuf")


@dataclass(frozen=True, kw_only=True)
class TracingConfig(Settings):
    """Where traces go and what they are called. docs/settings.md explains each keyword.

        TracingConfig.from_env(service_name="checkout").build()
        TracingConfig(exporter="jaeger,console", service_name="checkout").build()

    Only `from_env` reads the environment; the official OTLP exporters read their
    OTEL_EXPORTER_OTLP_* variables themselves, in either case.

    Args:
        server_id: 1…2³²−1, becomes `service.instance.id`.
        resource_attributes: further attributes of the Resource, below all the settings.
        span_limits: how much one native span may hold, in the whole process.

    Raises:
        ConfigError: a value is not one that its setting can have.
    """

    server_id: int | None = None
    resource_attributes: Mapping[str, str] = field(default_factory=dict)
    span_limits: SpanLimits = SpanLimits()

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "resource_attributes", dict(self.resource_attributes))
        if self.server_id is not None:
            object.__setattr__(self, "server_id", check_server_id(self.server_id, "server_id"))

    @classmethod
    def from_env(
        cls,
        *,
        service_name: str | None = None,
        default_service_name: str | None = None,
        server_id: int | None = None,
        environ: Mapping[str, str] | None = None,
        flags: Mapping[str, str | None] | None = None,
    ) -> Self:
        """Return the configuration that the environment asks for.

        A variable that is empty counts as not set. OTEL_SDK_DISABLED=true turns all exporters off.

        Args:
            service_name: unless TRACES_EXPORTER_JAEGER_SERVICE_NAME says otherwise.
            default_service_name: if nothing else, OTEL_SERVICE_NAME included, names the service.
            server_id: 1…2³²−1, becomes `service.instance.id`.
            environ: what to read instead of `os.environ`.
            flags: texts from a command line, by keyword; each beats its variable unless it is None.

        Raises:
            ConfigError: a value is not one that its setting can have; the line names the variable,
                or the flag.
        """
        environ = os.environ if environ is None else environ
        values, sources = _read(environ, flags or {})
        if service_name is not None and values["service_name"] is None:
            values["service_name"] = checked(text, service_name, "service_name")
        if "otlp" in values["exporter"].split(","):
            _fall_back_on_otel(values, sources, environ)
        check_together(values, {setting.name: setting.variable for setting in SETTINGS} | sources)
        if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            if values["exporter"] != "none":
                _logger.warning("OTEL_SDK_DISABLED=true turns %s off", values["exporter"])
            values["exporter"] = "none"
        _warn_of_strangers(environ)
        attributes = attributes_of(environ)
        if default_service_name is not None:
            attributes.setdefault("service.name", default_service_name)
        return cls(
            server_id=server_id,
            resource_attributes=attributes,
            span_limits=span_limits_of(environ),
            **values,
        )

    def build(self) -> Tracing:
        """Return the running pipelines: a queue and a worker for each exporter.

        Imports what these exporters use, and nothing of the others.

        Raises:
            ConfigError: an exporter cannot be set up, for instance because of an OTEL_EXPORTER_*
                variable that it reads.
        """
        from .tracing import Tracing

        return Tracing(self)


def check_server_id(value: object, source: str) -> int:
    """Return a server id: a positive number of 32 bits.

    Args:
        value: a number or its text.
        source: what the error is to name.

    Raises:
        ConfigError: it is none.
    """
    return checked(_server_id, value, source)


def _read(
    environ: Mapping[str, str], flags: Mapping[str, str | None]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return all values, and of those that are no defaults where each came from."""
    values: dict[str, Any] = {setting.name: setting.default for setting in SETTINGS}
    sources: dict[str, str] = {}
    for setting in SETTINGS:
        source, given = setting.flag, flags.get(setting.name)
        if given is None:
            source, given = setting.variable, environ.get(setting.variable, "").strip() or None
        if given is not None:
            values[setting.name] = setting.check(given, source)
            sources[setting.name] = source
    return values, sources


def _fall_back_on_otel(
    values: dict[str, Any], sources: Mapping[str, str], environ: Mapping[str, str]
) -> None:
    """Let OpenTelemetry's own variables say what ours do not.

    Its endpoint, timeout and files are only checked: the official exporters read them themselves.
    """
    if "otlp_protocol" not in sources:
        variable, given = _first(environ, "OTEL_EXPORTER_OTLP{}_PROTOCOL")
        if given:
            values["otlp_protocol"] = checked(_otel_protocol, given, variable)
    if "otlp_endpoint" not in sources:
        variable, given = _first(environ, "OTEL_EXPORTER_OTLP{}_ENDPOINT")
        if given:
            url = checked(otel_endpoint, given, variable)
            check_endpoint(url, values["otlp_protocol"], variable)
    variable, given = _first(environ, "OTEL_EXPORTER_OTLP{}_TIMEOUT")
    if given:
        checked(seconds, given, variable)
    for file in ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"):
        variable, given = _first(environ, f"OTEL_EXPORTER_OTLP{{}}_{file}")
        if given:
            checked(readable_file, given, variable)


def _warn_of_strangers(environ: Mapping[str, str]) -> None:
    """Log variables that look like ours and are not: a typing error would go unnoticed."""
    known = {setting.variable for setting in SETTINGS}
    for name in sorted(environ):
        if name.startswith("TRACES_") and name not in known:
            from difflib import get_close_matches  # rarely needed

            likely = get_close_matches(name, known, n=1)
            hint = f", did you mean {likely[0]}?" if likely else ""
            _logger.warning("there is no setting %s%s", shown(name)[1:-1], hint)


def _first(environ: Mapping[str, str], pattern: str) -> tuple[str, str]:
    """Return the name and the text of the variable for traces, else of the one for all signals."""
    return first_set(environ, [pattern.format(signal) for signal in ("_TRACES", "")])
