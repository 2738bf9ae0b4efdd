"""The settings: one table that makes the environment, the flags, TracingConfig and the docs.

A row is a field of `Settings`. Add a row here, and the variable is read, the flag exists and the
keyword is taken; `make docs` renews the docs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from . import setting_types as kinds
from .setting_types import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.sampling import Sampler


class Setting(NamedTuple):
    """A row of the table."""

    name: str
    """The keyword of `TracingConfig`."""
    variable: str
    flag: str
    parse: Callable[[object], object]
    """Checks a value or text; raises ValueError with what was expected."""
    default: object
    default_text: str
    """The default in words, for the documentation."""
    help: str

    def check(self, value: object, source: str) -> Any:
        """Return *value* in its checked form.

        Args:
            value: text, or what the keyword takes.
            source: the variable, the flag or the keyword, for the error.

        Raises:
            ConfigError: it is no value for this setting.
        """
        return kinds.checked(self.parse, value, source)


class _Row(NamedTuple):
    variable: str
    flag: str
    parse: Callable[[object], object]
    default_text: str
    help: str


def _row(
    variable: str,
    flag: str,
    parse: Callable[[object], object],
    default: object,
    help: str,
    default_text: str | None = None,
) -> Any:
    row = _Row(variable, flag, parse, str(default) if default_text is None else default_text, help)
    if isinstance(default, Mapping):
        return field(default_factory=lambda: dict(default), metadata={"row": row})
    return field(default=default, metadata={"row": row})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What tracing can be told, checked on construction.

    Raises:
        ConfigError: a value is not one that its setting can have; the line names the keyword.
    """

    exporter: str = _row(
        "TRACES_EXPORTER",
        "--traces-exporter",
        kinds.exporters,
        "none",
        "Where spans go: none, jaeger, otlp, console, or several with commas between.",
    )
    jaeger_agent_host: str = _row(
        "TRACES_EXPORTER_JAEGER_AGENT_HOST",
        "--traces-exporter-jaeger-agent-host",
        kinds.host,
        "0.0.0.0",  # noqa: S104  a destination: this machine
        "The host that takes Jaeger's compact Thrift over UDP; 0.0.0.0 is this one.",
    )
    jaeger_agent_port: int = _row(
        "TRACES_EXPORTER_JAEGER_AGENT_PORT",
        "--traces-exporter-jaeger-agent-port",
        kinds.whole_number(1, 65535),
        6831,
        "Its UDP port.",
    )
    service_name: str | None = _row(
        "TRACES_EXPORTER_JAEGER_SERVICE_NAME",
        "--traces-exporter-jaeger-service-name",
        kinds.text,
        None,
        "The service that the spans belong to, for every exporter.",
        "iox-conductor for the server, unknown_service in a library",
    )
    jaeger_trace_context_header_name: str = _row(
        "TRACES_EXPORTER_JAEGER_TRACE_CONTEXT_HEADER_NAME",
        "--traces-exporter-jaeger-trace-context-header-name",
        kinds.header_name,
        "uber-trace-id",
        "The HTTP header that carries Jaeger's trace context.",
    )
    jaeger_debug_name: str = _row(
        "TRACES_EXPORTER_JAEGER_DEBUG_NAME",
        "--traces-jaeger-debug-name",
        kinds.header_name,
        "jaeger-debug-id",
        "The HTTP header that asks for a request to be traced, and says under which text.",
    )
    jaeger_tags: Mapping[str, str] | str = _row(
        "TRACES_EXPORTER_JAEGER_TAGS",
        "--traces-jaeger-tags",
        kinds.tags,
        {},
        "Tags for all spans, for every exporter: env=prod,region=eu-1.",
        "none",
    )
    jaeger_max_msgs_per_second: int = _row(
        "TRACES_JAEGER_MAX_MSGS_PER_SECOND",
        "--traces-jaeger-max-msgs-per-second",
        kinds.whole_number(1, (1 << 64) - 1),
        1000,
        "How many datagrams are sent in a second at most; more of them wait.",
    )
    jaeger_max_packet_bytes: int = _row(
        "TRACES_EXPORTER_JAEGER_MAX_PACKET_BYTES",
        "--traces-exporter-jaeger-max-packet-bytes",
        kinds.whole_number(512, 65507),
        65000,
        "How large a datagram may be, in bytes.",
    )
    otlp_endpoint: str | None = _row(
        "TRACES_EXPORTER_OTLP_ENDPOINT",
        "--traces-exporter-otlp-endpoint",
        kinds.endpoint,
        None,
        "The base URL of an OTLP receiver; http/protobuf posts to /v1/traces under it.",
        "OTEL_EXPORTER_OTLP_*, else http://localhost:4317 (http/protobuf: 4318)",
    )
    otlp_protocol: str = _row(
        "TRACES_EXPORTER_OTLP_PROTOCOL",
        "--traces-exporter-otlp-protocol",
        kinds.one_of("grpc", "http/protobuf"),
        "grpc",
        "How to speak to it: grpc or http/protobuf.",
        "OTEL_EXPORTER_OTLP_PROTOCOL, else grpc",
    )
    trust_headers: str = _row(
        "TRACES_TRUST_HEADERS",
        "--traces-trust-headers",
        kinds.trusted,
        "always",
        "Whose headers may have a request traced: always, never, or networks: 10.0.0.0/8,::1.",
    )
    max_debug_per_second: int = _row(
        "TRACES_MAX_DEBUG_PER_SECOND",
        "--traces-max-debug-per-second",
        kinds.whole_number(0, (1 << 31) - 1),
        100,
        "How many traces a second the debug header or flag may force; 0 for any number.",
    )
    sampler: str | Sampler = _row(
        "TRACES_SAMPLER",
        "--traces-sampler",
        kinds.sampler,
        "none",
        f"Which requests begin a trace that nobody asked for: {kinds.SAMPLERS}.",
    )
    console_format: str = _row(
        "TRACES_EXPORTER_CONSOLE_FORMAT",
        "--traces-exporter-console-format",
        kinds.one_of("auto", "tree", "json"),
        "auto",
        "How the console shows traces: tree, json, or auto: a tree on a terminal, else json.",
    )
    queue_size: int = _row(
        "TRACES_QUEUE_SIZE",
        "--traces-queue-size",
        kinds.whole_number(1),
        100_000,
        "How many spans may wait for each exporter; further ones are dropped and counted.",
    )
    queue_bytes: int = _row(
        "TRACES_QUEUE_BYTES",
        "--traces-queue-bytes",
        kinds.whole_number(1),
        128 * 1024 * 1024,
        "How many bytes of encoded spans may wait for each exporter.",
    )

    def __post_init__(self) -> None:
        values = {setting.name: getattr(self, setting.name) for setting in SETTINGS}
        for setting in SETTINGS:
            if values[setting.name] is not None or setting.default is not None:
                values[setting.name] = setting.check(values[setting.name], setting.name)
        check_together(values, {setting.name: setting.name for setting in SETTINGS})
        for name, value in values.items():
            object.__setattr__(self, name, value)  # frozen once it is checked

    @property
    def exporters(self) -> tuple[str, ...]:
        """The exporters chosen, empty for none."""
        return () if self.exporter == "none" else tuple(self.exporter.split(","))

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags in their checked form."""
        return kinds.tags(self.jaeger_tags)


def check_together(values: Mapping[str, Any], sources: Mapping[str, str]) -> None:
    """Check what one value says about another.

    Args:
        values: the checked values by keyword.
        sources: where each came from, for the error.

    Raises:
        ConfigError: two values contradict each other.
    """
    header, debug = "jaeger_trace_context_header_name", "jaeger_debug_name"
    if values[header] == values[debug]:
        name = kinds.shown(values[debug])
        raise ConfigError(
            f"Invalid value {name} for {sources[debug]}: {sources[header]} is the same"
        )
    check_endpoint(values["otlp_endpoint"], values["otlp_protocol"], sources["otlp_endpoint"])


def check_endpoint(url: str | None, protocol: str, source: str) -> None:
    """Check that *url*, which came from *source*, suits *protocol*.

    Raises:
        ConfigError: it is a bare host:port, which only gRPC takes.
    """
    if url and protocol == "http/protobuf" and "://" not in url:
        needed = "http/protobuf needs a URL such as http://localhost:4318"
        raise ConfigError(f"Invalid value {kinds.shown(url)} for {source}: {needed}")


def _settings() -> tuple[Setting, ...]:
    table = []
    for column in fields(Settings):
        row: _Row = column.metadata["row"]
        table.append(
            Setting(
                name=column.name,
                variable=row.variable,
                flag=row.flag,
                parse=row.parse,
                default=column.default if column.default_factory is MISSING else {},
                default_text=row.default_text,
                help=row.help,
            )
        )
    return tuple(table)


SETTINGS = _settings()
"""Every setting, in the order of the documentation."""
