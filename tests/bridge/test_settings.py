"""The one table: its parts agree, and every bad value has its one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from iox_otel.http import TraceHeaderParser
from iox_otel_bridge import settings_table
from iox_otel_bridge.config import TracingConfig
from iox_otel_bridge.setting_types import ConfigError
from iox_otel_bridge.settings import SETTINGS, Settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"

TABLE = {
    "TRACES_EXPORTER": ("--traces-exporter", "none"),
    "TRACES_EXPORTER_JAEGER_AGENT_HOST": ("--traces-exporter-jaeger-agent-host", "0.0.0.0"),
    "TRACES_EXPORTER_JAEGER_AGENT_PORT": ("--traces-exporter-jaeger-agent-port", 6831),
    "TRACES_EXPORTER_JAEGER_SERVICE_NAME": ("--traces-exporter-jaeger-service-name", None),
    "TRACES_EXPORTER_JAEGER_TRACE_CONTEXT_HEADER_NAME": (
        "--traces-exporter-jaeger-trace-context-header-name",
        "uber-trace-id",
    ),
    "TRACES_EXPORTER_JAEGER_DEBUG_NAME": ("--traces-jaeger-debug-name", "jaeger-debug-id"),
    "TRACES_EXPORTER_JAEGER_TAGS": ("--traces-jaeger-tags", {}),
    "TRACES_JAEGER_MAX_MSGS_PER_SECOND": ("--traces-jaeger-max-msgs-per-second", 1000),
    "TRACES_EXPORTER_JAEGER_MAX_PACKET_BYTES": (
        "--traces-exporter-jaeger-max-packet-bytes",
        65000,
    ),
    "TRACES_EXPORTER_OTLP_ENDPOINT": ("--traces-exporter-otlp-endpoint", None),
    "TRACES_EXPORTER_OTLP_PROTOCOL": ("--traces-exporter-otlp-protocol", "grpc"),
    "TRACES_EXPORTER_CONSOLE_FORMAT": ("--traces-exporter-console-format", "auto"),
    "TRACES_TRUST_HEADERS": ("--traces-trust-headers", "always"),
    "TRACES_MAX_DEBUG_PER_SECOND": ("--traces-max-debug-per-second", 100),
    "TRACES_SAMPLER": ("--traces-sampler", "none"),
    "TRACES_QUEUE_SIZE": ("--traces-queue-size", 100_000),
    "TRACES_QUEUE_BYTES": ("--traces-queue-bytes", 128 * 1024 * 1024),
}

BAD = [
    ("exporter", "zipkin", "none, jaeger, otlp, console"),
    ("jaeger_agent_host", "localhost:6831", "a host name or an IP address, without a port"),
    ("jaeger_agent_host", "a b", "a host name or an IP address, without a port"),
    ("jaeger_agent_host", "[::1", "a host name or an IP address, without a port"),
    ("jaeger_agent_host", "[localhost]", "a host name or an IP address, without a port"),
    ("jaeger_agent_port", "0", "a whole number from 1 to 65535"),
    ("jaeger_agent_port", "65536", "a whole number from 1 to 65535"),
    ("jaeger_agent_port", "6_831", "a whole number from 1 to 65535"),
    ("jaeger_agent_port", "+6831", "a whole number from 1 to 65535"),
    ("jaeger_agent_port", "6831.0", "a whole number from 1 to 65535"),
    ("jaeger_agent_port", "٣", "a whole number from 1 to 65535"),
    ("service_name", "a\nb", "printable text"),
    ("service_name", "a\udc80", "text in UTF-8"),
    ("jaeger_trace_context_header_name", "uber trace", "the name of an HTTP header"),
    ("jaeger_trace_context_header_name", "uber:trace", "the name of an HTTP header"),
    ("jaeger_debug_name", "débug", "the name of an HTTP header"),
    ("jaeger_debug_name", "a\r\nb", "the name of an HTTP header"),
    ("jaeger_debug_name", "uber-trace-id", "is the same"),
    ("jaeger_debug_name", "b3", "a header that no other format of trace context has"),
    (
        "jaeger_trace_context_header_name",
        "traceparent",
        "a header that no other format of trace context has",
    ),
    ("jaeger_tags", "key", "invalid key=value pair (key)"),
    ("jaeger_tags", "key=", "invalid key=value pair (key=)"),
    ("jaeger_tags", "=value", "invalid key=value pair (=value)"),
    ("jaeger_tags", "key==value", "invalid key=value pair (key==value)"),
    ("jaeger_tags", "a=b,", "invalid key=value pair ()"),
    ("jaeger_tags", "a=b,c d", "invalid key=value pair (c d)"),
    ("jaeger_max_msgs_per_second", "0", "a whole number from 1 to 18446744073709551615"),
    ("jaeger_max_msgs_per_second", "9" * 5000, "a whole number from 1 to 18446744073709551615"),
    ("jaeger_max_packet_bytes", "65508", "a whole number from 512 to 65507"),
    ("jaeger_max_packet_bytes", "-1", "a whole number from 512 to 65507"),
    ("otlp_endpoint", "ftp://localhost", "a URL such as http://localhost:4317"),
    ("otlp_endpoint", "localhost", "a URL such as http://localhost:4317"),
    ("otlp_endpoint", "http://", "a URL such as http://localhost:4317"),
    ("otlp_endpoint", "http://a:b", "a URL such as http://localhost:4317"),
    ("otlp_endpoint", "http://a:0", "a URL such as http://localhost:4317"),
    ("otlp_endpoint", "http://[::1", "a URL such as http://localhost:4317"),
    ("otlp_endpoint", "http://a b", "a URL such as http://localhost:4317"),
    ("otlp_protocol", "http/json", "one of grpc, http/protobuf"),
    ("console_format", "xml", "one of auto, tree, json"),
    ("trust_headers", "some", "always, never, or networks ('some'"),
    ("trust_headers", "10.0.0.1/8", "always, never, or networks (10.0.0.1/8 has host bits set)"),
    ("max_debug_per_second", "-1", "a whole number from 0 to 2147483647"),
    ("sampler", "some", "none, always, ratio:0.01, parent_ratio:0.01, rate:10/s or jaeger_remote"),
    ("sampler", "ratio:2", "a ratio from 0 to 1, such as 0.01"),
    ("queue_size", "0", "a whole number of at least 1"),
    ("queue_size", "many", "a whole number of at least 1"),
    ("queue_bytes", "1e9", "a whole number of at least 1"),
]


def test_table_is_the_contract() -> None:
    """Every variable has the flag and the default that operators were promised, and no other."""
    assert {row.variable: (row.flag, row.default) for row in SETTINGS} == TABLE


def test_defaults_are_valid() -> None:
    """A configuration with no values at all stands."""
    settings = Settings()

    assert [getattr(settings, row.name) for row in SETTINGS] == [row.default for row in SETTINGS]


@pytest.mark.parametrize(("name", "value", "expected"), BAD)
def test_bad_value_is_one_line_with_its_source(name: str, value: str, expected: str) -> None:
    """The line names the variable, the flag or the keyword, whichever was used, and the value."""
    row = next(row for row in SETTINGS if row.name == name)
    tries: dict[str, Callable[[], object]] = {
        row.variable: lambda: TracingConfig.from_env(environ={row.variable: value}),
        row.flag: lambda: TracingConfig.from_env(environ={}, flags={name: value}),
        row.name: lambda: TracingConfig(**{name: value}),  # type: ignore[arg-type]
    }
    for source, construct in tries.items():
        with pytest.raises(ConfigError) as caught:
            construct()

        line = str(caught.value)
        assert len(line.splitlines()) == 1
        assert line.isprintable() and len(line) < 500
        assert repr(value)[1:50].rstrip("'") in line
        assert expected in line
        assert f" for {source}: " in line or name == "exporter"


def test_no_header_stands_for_two_things() -> None:
    """No name that the header parser reads in another format can be set for one of ours."""
    ours = {Settings().jaeger_trace_context_header_name, Settings().jaeger_debug_name}
    read = {name.decode() for name in TraceHeaderParser().header_names or ()} - ours

    assert len(read) == 8
    for name in read:
        for row in ("jaeger_trace_context_header_name", "jaeger_debug_name"):
            with pytest.raises(ConfigError, match=f"^Invalid value '{name.upper()}' for {row}: "):
                TracingConfig(**{row: name.upper()})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("x", "Invalid traces exporter 'x'. Valid options: none, jaeger, otlp, console"),
        ("jaeger,x", "Invalid traces exporter 'x'. Valid options: none, jaeger, otlp, console"),
        ("jaeger,", "Invalid traces exporter ''. Valid options: none, jaeger, otlp, console"),
        (
            "none,jaeger",
            "Invalid value 'none,jaeger' for TRACES_EXPORTER: "
            "none cannot stand beside other exporters",
        ),
    ],
)
def test_unknown_exporter(value: str, line: str) -> None:
    """An unknown exporter is answered with the line that IOx has, and all the options."""
    with pytest.raises(ConfigError) as caught:
        TracingConfig.from_env(environ={"TRACES_EXPORTER": value})

    assert str(caught.value) == line


@pytest.mark.parametrize(
    "value",
    [
        "http://user:hunter2@host:1",
        "hunter2@host",
        "https://host/?key=hunter2",
        "http://user:hunter2@host/?key=hunter2",
        "host/?key=hunter2",
    ],
)
def test_secrets_are_not_shown(value: str) -> None:
    """Credentials in an endpoint are refused, and the line does not repeat them."""
    with pytest.raises(ConfigError, match="OTEL_EXPORTER_OTLP_HEADERS") as caught:
        TracingConfig.from_env(environ={"TRACES_EXPORTER_OTLP_ENDPOINT": value})

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "checked"),
    [
        ("exporter", "Jaeger, CONSOLE,jaeger", "jaeger,console"),
        ("exporter", "None", "none"),
        ("jaeger_agent_host", " jaeger.example ", "jaeger.example"),
        ("jaeger_agent_host", "[::1]", "::1"),
        ("jaeger_agent_host", "fe80::1%eth0", "fe80::1%eth0"),
        ("jaeger_agent_host", "my_container-1", "my_container-1"),
        ("jaeger_trace_context_header_name", "X-Trace", "x-trace"),
        ("jaeger_tags", "env=prod, region=eu-1", {"env": "prod", "region": "eu-1"}),
        ("jaeger_max_packet_bytes", "65507", 65507),
        ("otlp_endpoint", "https://[::1]:4317/base", "https://[::1]:4317/base"),
        ("otlp_endpoint", "collector:4317", "collector:4317"),
        ("otlp_protocol", "HTTP/protobuf", "http/protobuf"),
        ("console_format", "JSON", "json"),
    ],
)
def test_good_value(name: str, value: str, checked: object) -> None:
    """Values arrive trimmed, in one case, and in the type that they are used in."""
    row = next(row for row in SETTINGS if row.name == name)

    config = TracingConfig.from_env(environ={row.variable: value})

    assert getattr(config, name) == checked


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("exporter", None),
        ("exporter", ["jaeger"]),
        ("jaeger_agent_port", True),
        ("jaeger_agent_port", 6831.0),
        ("jaeger_tags", {"a": 1}),
        ("jaeger_tags", {"": "a"}),
        ("service_name", b"a"),
        ("queue_size", 0),
    ],
)
def test_bad_type_in_code(name: str, value: object) -> None:
    """In code, too, a value of the wrong type is a ConfigError that names the keyword."""
    with pytest.raises(ConfigError, match=f" for {name}: "):
        TracingConfig(**{name: value})  # type: ignore[arg-type]


def test_mapping_of_tags_takes_any_text() -> None:
    """In code, tags may have the characters that separate them in a variable."""
    assert TracingConfig(jaeger_tags={"note": "a=b, c"}).tags == {"note": "a=b, c"}


def test_bare_address_is_for_grpc_only() -> None:
    """http/protobuf needs a URL; the error names the variable the address came from."""
    environ = {
        "TRACES_EXPORTER_OTLP_ENDPOINT": "collector:4318",
        "TRACES_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }

    with pytest.raises(ConfigError, match="'collector:4318' for TRACES_EXPORTER_OTLP_ENDPOINT"):
        TracingConfig.from_env(environ=environ)


def test_docs_have_the_table_of_the_code() -> None:
    """docs/settings.md says what the code does."""
    page = PAGE.read_text("utf-8")

    assert settings_table.with_table(page) == page, "run make docs"


def test_table_is_rewritten_in_place(tmp_path: Path) -> None:
    """The command replaces what is between the markers and leaves the rest."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{settings_table.BEGIN}\nold\n{settings_table.END}\nafter\n")

    assert settings_table.main([str(page)]) == 0

    text = page.read_text()
    assert "old" not in text
    assert text.startswith(f"before\n{settings_table.BEGIN}\n| variable | flag |")
    assert text.endswith(f"|\n{settings_table.END}\nafter\n")
    assert all(row.variable in text and row.flag in text for row in SETTINGS)


def test_page_without_markers_is_refused() -> None:
    """A page that lost a marker is not rewritten by guess."""
    with pytest.raises(ValueError, match="each once"):
        settings_table.with_table(f"{settings_table.BEGIN}\n")


def test_reading_settings_imports_no_exporter() -> None:
    """A program that only reads its settings pays for neither the SDK nor an exporter."""
    code = (
        "import sys; from iox_otel_bridge import TracingConfig, ConfigError;"
        "TracingConfig.from_env(environ={'TRACES_EXPORTER': 'otlp'});"
        "print([m for m in sys.modules if m.partition('.')[0] in"
        " ('opentelemetry', 'grpc', 'thrift', 'requests', 'rich', 'starlette')])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[]"
