"""Endpoints, headers, and texts without secrets."""

from __future__ import annotations

import logging

import pytest

from iox_otel_bridge.exporters.otlp_endpoint import (
    Redactor,
    checked_headers,
    checked_url,
    headers_unlogged,
    shown_url,
    traces_url,
)


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://host:4318", "http://host:4318/v1/traces"),
        ("http://host:4318/", "http://host:4318/v1/traces"),
        ("https://host", "https://host/v1/traces"),
        ("http://host/otlp", "http://host/otlp/v1/traces"),
        ("http://host/otlp/", "http://host/otlp/v1/traces"),
        ("http://host/v1/traces", "http://host/v1/traces"),
        ("http://host/v1/traces/", "http://host/v1/traces"),
        ("http://[::1]:4318", "http://[::1]:4318/v1/traces"),
        ("http://host/a?key=b#c", "http://host/a/v1/traces?key=b"),
        ("http://u:p@host", "http://u:p@host/v1/traces"),
    ],
)
def test_traces_url(endpoint: str, expected: str) -> None:
    """An endpoint is a base URL, unless it is the place for traces already."""
    assert traces_url(endpoint) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:4318",
        "host",
        "ftp://host",
        "http://",
        "http://:4318",
        "http://host:0",
        "http://host:65536",
        "http://host:x",
        "http://[::1",
    ],
)
def test_url_that_is_none(url: str) -> None:
    """Anything but an http or https URL with a host and a possible port is refused."""
    with pytest.raises(ValueError, match="is no http:// or https:// URL"):
        checked_url(url)


def test_url_in_an_error_hides_its_secrets() -> None:
    """The text of the error can be logged."""
    with pytest.raises(ValueError, match="host") as caught:
        checked_url("ftp://user:hunter22@host/?key=hunter22")

    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://host:4318/v1/traces", "http://host:4318/v1/traces"),
        ("http://u:p@host/v1?key=x", "http://host/v1"),
        ("http://u:p@ss@host", "http://host"),
        ("u:p@host:4317", "host:4317"),
        ("unix:///run/otlp", "unix:///run/otlp"),
    ],
)
def test_shown_url(url: str, expected: str) -> None:
    """User, password and query are left out."""
    assert shown_url(url) == expected


def test_headers_are_checked() -> None:
    """What HTTP can carry passes, the rest is named without its value."""
    checked_headers([("authorization", "Bearer abc=="), ("x-1", ""), ("X_2", " ~")])
    for name in ("", "a b", "a:b", "ключ"):
        with pytest.raises(ValueError, match="not the name of a header"):
            checked_headers([(name, "value")])
    for value in ("a\nb", "é", "\x7f", None):
        with pytest.raises(ValueError, match=r"value of the header 'x' is not printable ASCII"):
            checked_headers([("x", value)])


def test_redactor() -> None:
    """Secrets of headers and URL, in part or whole, become stars; public headers stay."""
    redact = Redactor(
        [("authorization", "Bearer abcdef"), ("x-short", "1"), ("User-Agent", "python")],
        "http://user%40x:pass%20word@host/v1/traces?key=querysecret",
    )

    assert redact("token abcdef from python 1") == "token *** from python 1"
    assert redact("Bearer abcdef") == "***"
    assert redact("user@x user%40x pass word pass%20word") == "*** *** *** ***"
    assert redact("/v1/traces?key=querysecret querysecret") == "/v1/traces?*** ***"


def test_redactor_makes_one_short_line() -> None:
    """Neither control characters nor a long text get into the log."""
    redact = Redactor([])

    assert redact("a\r\n\tb\x1b[31m\u202e c") == "a b [31m c"
    assert len(redact("x" * 10_000)) < 400
    assert redact("") == ""


def test_headers_unlogged(caplog: pytest.LogCaptureFixture) -> None:
    """What OpenTelemetry's parser complains about inside the block is not logged."""
    logger = logging.getLogger("opentelemetry.util.re")
    with headers_unlogged():
        logger.warning("invalid header: %s", "hunter22")
    logger.warning("invalid header: %s", "public")

    assert caplog.messages == ["invalid header: public"]
