"""Whatever the environment says: a configuration, or one line that names what is wrong."""

from __future__ import annotations

import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iox_otel_bridge import ConfigError, TracingConfig
from iox_otel_bridge.limits import VARIABLES as LIMITS
from iox_otel_bridge.settings import SETTINGS

SECRET = "hunter2"
OTEL = ["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SDK_DISABLED", "HOSTNAME"]
OTEL += [
    f"OTEL_EXPORTER_OTLP{signal}_{name}"
    for signal in ("", "_TRACES")
    for name in ("ENDPOINT", "PROTOCOL", "TIMEOUT", "CERTIFICATE", "CLIENT_KEY", "HEADERS")
]
NAMES = [setting.variable for setting in SETTINGS] + OTEL + sum(map(list, LIMITS.values()), [])
# What os.environ can hold: anything but NUL, and bytes that are no UTF-8 as lone surrogates.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
TEXTS |= st.sampled_from(["caf\udce9", "a\nb", "\x1b[2J", "x" * 5_000, " ", "é" * 300])
NUMBERS = st.sampled_from(["0", "-1", "1", "10", "2000", "1e9", "nan", "inf", "9" * 25, "٣"])
WORDS = st.sampled_from(
    ["otlp", "jaeger,console", "otlp,none", "grpc", "http/protobuf", "true", "never", "tree"]
    + ["10.0.0.0/8,::1", "10.0.0.1/8", "traceparent", "a=b,c=d", "a=b=c", "%ff=%zz", "/dev/null"]
)
SECRETS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["http://", "https://", "HTTP://", "ftp://", "://", "//", ""]),
        st.sampled_from([f"user:{SECRET}@", f"{SECRET}@", f"user:{SECRET}@@", ""]),
        st.sampled_from(
            ["host", "host:4317", "[::1]:1", "host:x", "ho st", "", "\n", "[", "h\u2100"]
        ),
        st.sampled_from(
            [f"/?key={SECRET}", f"?{SECRET}", f"/a?b@{SECRET}", f"?\n{SECRET}", f":1/x?a/{SECRET}"]
        ),
    ),
)
ENDPOINTS = [name for name in NAMES if name.endswith("ENDPOINT")]
ENVIRONMENTS = st.builds(
    dict.__or__,
    st.dictionaries(st.sampled_from(NAMES), TEXTS | NUMBERS | WORDS, max_size=6),
    st.dictionaries(st.sampled_from(ENDPOINTS), SECRETS, max_size=1),
) | st.dictionaries(TEXTS.map("TRACES_{}".format), TEXTS, max_size=2)


@settings(
    max_examples=500,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(ENVIRONMENTS, st.booleans())
def test_a_configuration_or_one_line(
    caplog: pytest.LogCaptureFixture, environ: dict[str, str], is_otlp: bool
) -> None:
    """Neither the line, nor the configuration, nor what is logged shows a secret."""
    caplog.clear()
    if is_otlp:
        environ = environ | {"TRACES_EXPORTER": "otlp"}
    with caplog.at_level(logging.DEBUG):
        try:
            shown = repr(TracingConfig.from_env(environ=environ))
        except ConfigError as error:
            shown = str(error)
            assert shown.isprintable() and len(shown) < 600
            assert any(name in shown for name in environ) or "traces exporter" in shown
    for record in caplog.records:
        assert record.getMessage().isprintable()
    assert SECRET not in shown and SECRET not in caplog.text
