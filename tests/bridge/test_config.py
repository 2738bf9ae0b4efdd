"""TracingConfig: what beats what, and what ends up in the Resource."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from iox_otel import SpanLimits, set_span_limits, span_limits
from iox_otel_bridge import ConfigError, TracingConfig
from iox_otel_bridge.resource import make_resource
from iox_otel_bridge.settings import SETTINGS

VALUES: dict[str, tuple[str, object, str, object]] = {
    "exporter": ("jaeger", "jaeger", "otlp", "otlp"),
    "jaeger_agent_host": ("a", "a", "b", "b"),
    "jaeger_agent_port": ("1", 1, "2", 2),
    "service_name": ("s", "s", "t", "t"),
    "jaeger_trace_context_header_name": ("h", "h", "i", "i"),
    "jaeger_debug_name": ("d", "d", "e", "e"),
    "jaeger_tags": ("k=v", {"k": "v"}, "l=w", {"l": "w"}),
    "jaeger_max_msgs_per_second": ("5", 5, "6", 6),
    "jaeger_max_packet_bytes": ("2000", 2000, "3000", 3000),
    "otlp_endpoint": ("http://a", "http://a", "http://b", "http://b"),
    "otlp_protocol": ("grpc", "grpc", "http/protobuf", "http/protobuf"),
    "trust_headers": ("never", "never", "10.0.0.0/8", "10.0.0.0/8"),
    "max_debug_per_second": ("3", 3, "4", 4),
    "console_format": ("tree", "tree", "json", "json"),
    "sampler": ("ratio:0.5", "ratio:0.5", "rate:10/s", "rate:10/s"),
    "queue_size": ("7", 7, "8", 8),
    "queue_bytes": ("9", 9, "10", 10),
}


def resource_of(config: TracingConfig) -> Mapping[str, object]:
    """Return the attributes of the Resource that spans of *config* have."""
    return make_resource(
        config.resource_attributes,
        service_name=config.service_name,
        tags=config.tags,
        server_id=config.server_id,
    ).attributes


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
def test_flag_beats_variable_beats_default(row: object) -> None:
    """Every setting is read from its variable, and its flag wins over that."""
    setting = next(setting for setting in SETTINGS if setting is row)
    from_variable, variable_value, from_flag, flag_value = VALUES[setting.name]
    environ = {setting.variable: from_variable}

    assert getattr(TracingConfig.from_env(environ={}), setting.name) == setting.default
    assert getattr(TracingConfig.from_env(environ=environ), setting.name) == variable_value
    with_flag = TracingConfig.from_env(environ=environ, flags={setting.name: from_flag})
    assert getattr(with_flag, setting.name) == flag_value
    without_flag = TracingConfig.from_env(environ=environ, flags={setting.name: None})
    assert getattr(without_flag, setting.name) == variable_value
    assert getattr(TracingConfig(**{setting.name: from_flag}), setting.name) == flag_value  # type: ignore[arg-type]


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
@pytest.mark.parametrize("empty", ["", "  "])
def test_empty_variable_counts_as_unset(row: object, empty: str) -> None:
    """A variable that is set to nothing changes nothing."""
    setting = next(setting for setting in SETTINGS if setting is row)

    config = TracingConfig.from_env(environ={setting.variable: empty})

    assert config == TracingConfig.from_env(environ={})


def test_environment_of_the_process_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """from_env reads os.environ unless told otherwise; the constructor never does."""
    monkeypatch.setenv("TRACES_EXPORTER", "console")

    assert TracingConfig.from_env().exporters == ("console",)
    assert TracingConfig().exporters == ()
    assert TracingConfig.from_env(environ={}).exporters == ()


@pytest.mark.parametrize("value", ["true", "TRUE", " True "])
def test_sdk_disabled_turns_all_off(value: str) -> None:
    """OTEL_SDK_DISABLED=true beats every exporter; any other value changes nothing."""
    environ = {"TRACES_EXPORTER": "jaeger,otlp", "OTEL_SDK_DISABLED": value}

    assert TracingConfig.from_env(environ=environ, flags={"exporter": "console"}).exporters == ()
    assert TracingConfig.from_env(environ=environ | {"OTEL_SDK_DISABLED": "1"}).exporters == (
        "jaeger",
        "otlp",
    )


def test_service_name_by_precedence() -> None:
    """Each source of the service's name beats those below it, down to unknown_service."""
    environ = {
        "TRACES_EXPORTER_JAEGER_SERVICE_NAME": "variable",
        "OTEL_SERVICE_NAME": "otel",
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=attribute",
    }

    def name(service_name: str | None = None, flag: str | None = None) -> object:
        config = TracingConfig.from_env(
            service_name=service_name,
            default_service_name=default,
            environ=environ,
            flags={"service_name": flag},
        )
        return resource_of(config)["service.name"]

    default: str | None = "default"
    assert name("code", "flag") == "flag"
    assert name("code") == "variable"
    del environ["TRACES_EXPORTER_JAEGER_SERVICE_NAME"]
    assert name("code") == "code"
    assert name() == "otel"
    environ["TRACES_EXPORTER_JAEGER_TAGS"] = "service.name=tag"
    assert name() == "tag"
    assert name("code") == "code"
    del environ["TRACES_EXPORTER_JAEGER_TAGS"], environ["OTEL_SERVICE_NAME"]
    assert name() == "attribute"
    environ.clear()
    assert name() == "default"
    default = None
    assert name() == "unknown_service"


def test_resource_by_precedence() -> None:
    """Tags beat the server id, which beats OTEL_RESOURCE_ATTRIBUTES, which beats HOSTNAME."""
    environ = {
        "HOSTNAME": "machine",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=a%2Cb, service.instance.id=1,zone=z",
    }

    attributes = resource_of(TracingConfig.from_env(environ=environ, server_id=42))
    assert attributes["host.name"] == "machine"
    assert attributes["deployment.environment"] == "a,b"
    assert attributes["service.instance.id"] == "42"
    assert attributes["zone"] == "z"
    environ["OTEL_RESOURCE_ATTRIBUTES"] += ",host.name=attribute"
    assert resource_of(TracingConfig.from_env(environ=environ))["host.name"] == "attribute"
    environ["TRACES_EXPORTER_JAEGER_TAGS"] = "host.name=tag,service.instance.id=7"
    attributes = resource_of(TracingConfig.from_env(environ=environ, server_id=42))
    assert attributes["host.name"] == "tag"
    assert attributes["service.instance.id"] == "7"


def test_resource_names_the_sdk() -> None:
    """The SDK stays OpenTelemetry's, as its specification demands; the distribution is ours."""
    attributes = resource_of(TracingConfig())

    assert attributes["telemetry.sdk.name"] == "opentelemetry"
    assert attributes["telemetry.sdk.language"] == "python"
    assert attributes["telemetry.distro.name"] == "iox-otel"
    assert attributes["telemetry.sdk.version"] and attributes["telemetry.distro.version"]
    assert "host.name" not in attributes


@pytest.mark.parametrize("listed", ["a", "a=1,b", "=1", "a=%ff"])
def test_malformed_resource_attributes_are_ignored(
    listed: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As OpenTelemetry has it, a malformed list is dropped as a whole and logged."""
    with caplog.at_level(logging.WARNING, "iox_otel"):
        config = TracingConfig.from_env(environ={"OTEL_RESOURCE_ATTRIBUTES": listed})

    assert config.resource_attributes == {}
    assert [record.message for record in caplog.records] == [
        "OTEL_RESOURCE_ATTRIBUTES is not key=value,key=value and is ignored"
    ]


@pytest.mark.parametrize(
    ("environ", "protocol"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}, "http/protobuf"),
        (
            {
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            },
            "grpc",
        ),
        (
            {
                "TRACES_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            },
            "grpc",
        ),
        ({}, "grpc"),
    ],
)
def test_protocol_falls_back_on_opentelemetry(environ: dict[str, str], protocol: str) -> None:
    """OpenTelemetry's variables count where ours is not set, that of the signal first."""
    config = TracingConfig.from_env(environ={"TRACES_EXPORTER": "otlp"} | environ)

    assert config.otlp_protocol == protocol


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "udp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "nonsense"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://host"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "nan"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem"),
        ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/nowhere.pem"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/nowhere.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/nowhere.pem"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "/nowhere.pem"),
    ],
)
def test_bad_variable_of_opentelemetry(variable: str, value: str) -> None:
    """A bad value there is named as well, but only if the OTLP exporter would read it."""
    with pytest.raises(ConfigError, match=f"^Invalid value '{value}' for {variable}: expected "):
        TracingConfig.from_env(environ={"TRACES_EXPORTER": "otlp", variable: value})

    other = TracingConfig.from_env(environ={"TRACES_EXPORTER": "jaeger", variable: value})
    assert other.exporters == ("jaeger",)


def test_files_of_opentelemetry(tmp_path: Path) -> None:
    """A file that can be read is taken, and the signal's own variable goes before the general."""
    file = tmp_path / "ca.pem"
    file.write_text("pem")
    environ = {
        "TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE": str(file),
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere.pem",
    }

    assert TracingConfig.from_env(environ=environ).exporters == ("otlp",)


def test_bare_endpoint_of_opentelemetry_is_for_grpc_only() -> None:
    """The endpoint of OTEL_EXPORTER_OTLP_ENDPOINT must suit the protocol, too."""
    environ = {"TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}

    assert TracingConfig.from_env(environ=environ).otlp_endpoint is None
    with pytest.raises(ConfigError, match="'collector:4317' for OTEL_EXPORTER_OTLP_ENDPOINT"):
        TracingConfig.from_env(environ=environ, flags={"otlp_protocol": "http/protobuf"})


def test_secrets_of_the_otlp_exporters_are_not_kept() -> None:
    """Header values never get into a configuration, so its repr cannot show them."""
    environ = {
        "TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=hunter2",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://user:hunter2@collector/?key=hunter2",
    }

    assert "hunter2" not in repr(TracingConfig.from_env(environ=environ))


@pytest.mark.parametrize("server_id", [0, -1, 1 << 32, True])
def test_bad_server_id(server_id: int) -> None:
    """A server id is a positive number of 32 bits."""
    with pytest.raises(ConfigError, match=f"^Invalid value {server_id} for server_id: expected a"):
        TracingConfig(server_id=server_id)


def test_bad_service_name_in_code() -> None:
    """A service name that a program gives is checked even when it is only the fallback."""
    with pytest.raises(ConfigError, match="^Invalid value '' for service_name: expected"):
        TracingConfig.from_env(service_name="", environ={})


def test_configuration_is_frozen() -> None:
    """What was checked cannot be changed afterwards, nor through a given mapping."""
    given = {"a": "b"}
    config = TracingConfig(resource_attributes=given, jaeger_tags=given)
    given["a"] = "c"

    assert config.resource_attributes == {"a": "b"} == config.tags
    with pytest.raises(AttributeError):
        config.exporter = "jaeger"  # type: ignore[misc]


def test_a_variable_that_is_none_of_ours_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A typing error in a name shows in the log, with the name that was likely meant."""
    config = TracingConfig.from_env(environ={"TRACES_EXPORTR": "console", "TRACES_QUEUE_SIZE": "1"})

    assert config.exporters == ()
    assert caplog.messages == ["there is no setting TRACES_EXPORTR, did you mean TRACES_EXPORTER?"]


def test_what_turns_tracing_off_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """An operator who chose an exporter learns why nothing arrives."""
    for exporter in ("console", "none"):
        TracingConfig.from_env(
            environ={"OTEL_SDK_DISABLED": "true", "TRACES_EXPORTER": exporter},
        )

    assert caplog.messages == ["OTEL_SDK_DISABLED=true turns console off"]


def test_limits_of_spans_are_opentelemetrys_variables() -> None:
    environ = {
        "OTEL_ATTRIBUTE_COUNT_LIMIT": "10",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "11",
        "OTEL_SPAN_EVENT_COUNT_LIMIT": " 12 ",
        "OTEL_SPAN_LINK_COUNT_LIMIT": "0",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "14",
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "",
    }
    config = TracingConfig.from_env(environ=environ)
    assert config.span_limits == SpanLimits(11, 12, 0, event_metadata=10, value_chars=14)
    assert TracingConfig.from_env(environ={}).span_limits == SpanLimits()
    before = span_limits()
    try:
        with config.build():
            assert span_limits() == config.span_limits
    finally:
        set_span_limits(before)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-1"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "many"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "-2"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "1.5"),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "9" * 30),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-3"),
    ],
)
def test_bad_limit_of_spans(variable: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"Invalid value '{value}' for {variable}"):
        TracingConfig.from_env(environ={variable: value})
