"""The options of the database commands: what is merged, checked, and never shown."""

from __future__ import annotations

import pytest

from iox_otel.cli.connection import Options
from iox_otel.cli.failure import Failure, one_line, printable
from iox_otel.cli.http_client import shown_url
from iox_otel.http.headers import parse_jaeger_trace_context

NOTHING = Options(host=None, header=(), gen_trace_id=False, timeout=None, verbose=0)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on where this machine's server is."""
    monkeypatch.delenv("IOX_ADDR", raising=False)


def test_defaults() -> None:
    """Without options the server is the local one."""
    connection = NOTHING.connect()

    assert connection.host == "http://127.0.0.1:8080"
    assert connection.headers == ()
    assert connection.timeout_s == 30
    assert connection.trace_id is None


def test_options_behind_the_command_win_and_headers_add_up() -> None:
    """What stands nearer to the command beats what stands before it; headers are all sent."""
    outer = Options("http://outer", ("a:1",), True, "5", 1)
    inner = Options("http://inner", ("b:2",), False, None, 1)

    assert inner.over(outer) == Options("http://inner", ("a:1", "b:2"), True, "5", 2)
    assert NOTHING.over(outer) == outer


def test_host_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """IOX_ADDR names the server, --host beats it, and when empty it counts as not set."""
    monkeypatch.setenv("IOX_ADDR", "http://variable:1")

    assert NOTHING.connect().host == "http://variable:1"
    assert NOTHING._replace(host="http://flag:2").connect().host == "http://flag:2"
    monkeypatch.setenv("IOX_ADDR", "")
    assert NOTHING.connect().host == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("given", "header"),
    [
        ("jaeger-debug-id:tracing-is-a-great-idea", ("jaeger-debug-id", "tracing-is-a-great-idea")),
        ("uber-trace-id:1:2:0:1", ("uber-trace-id", "1:2:0:1")),
        ("a: b c ", ("a", "b c")),
        ("a:", ("a", "")),
        ("a:grüße", ("a", "grüße")),
    ],
)
def test_header_is_split_at_its_first_colon(given: str, header: tuple[str, str]) -> None:
    """The value may have further colons; blanks around it are no part of it."""
    assert NOTHING._replace(header=(given,)).connect().headers == (header,)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            NOTHING._replace(header=("novalue",)),
            "Invalid key value pair - expected 'KEY:VALUE' got 'novalue'",
        ),
        (
            NOTHING._replace(header=("",)),
            "Invalid key value pair - expected 'KEY:VALUE' got ''",
        ),
        (
            NOTHING._replace(header=("a b:c",)),
            "Invalid value 'a b:c' for --header: expected the name of an HTTP header",
        ),
        (
            NOTHING._replace(header=(":c",)),
            "Invalid value ':c' for --header: expected the name of an HTTP header",
        ),
        (
            NOTHING._replace(header=("a:b\r\nc: d",)),
            "Invalid value for --header: the value of 'a' has control characters",
        ),
        (
            NOTHING._replace(host="localhost:8080"),
            "Invalid value 'localhost:8080' for --host: expected a URL like http://127.0.0.1:8080",
        ),
        (
            NOTHING._replace(host="ftp://u:hunter2@h"),
            "Invalid value '***@h' for --host: expected a URL like http://127.0.0.1:8080",
        ),
        (
            NOTHING._replace(host="http://h:99999"),
            "Invalid value 'http://h:99999' for --host: expected a URL like http://127.0.0.1:8080",
        ),
        (
            NOTHING._replace(timeout="soon"),
            "Invalid value 'soon' for --timeout: expected a number of seconds up to 86400",
        ),
        (
            NOTHING._replace(timeout="0"),
            "Invalid value '0' for --timeout: expected a number of seconds up to 86400",
        ),
        (
            NOTHING._replace(timeout="nan"),
            "Invalid value 'nan' for --timeout: expected a number of seconds up to 86400",
        ),
        (
            NOTHING._replace(gen_trace_id=True, header=("Uber-Trace-Id:1:2:0:1",)),
            "--gen-trace-id and --header uber-trace-id exclude each other",
        ),
    ],
)
def test_bad_option_is_one_line(options: Options, line: str) -> None:
    """Each bad value has one line that names it, and exit status 2."""
    with pytest.raises(Failure) as caught:
        options.connect()

    assert caught.value.message == line
    assert caught.value.exit_code == 2


def test_generated_trace_id_is_sampled_and_new() -> None:
    """--gen-trace-id makes a sampled root context, another one each time."""
    first, second = (NOTHING._replace(gen_trace_id=True).connect() for _ in range(2))
    ((name, value),) = first.headers
    ctx = parse_jaeger_trace_context(value)

    assert name == "uber-trace-id"
    assert ctx.sampled and ctx.parent_span_id is None
    assert f"{ctx.trace_id:032x}" == first.trace_id != second.trace_id


def test_password_in_the_host_is_not_shown() -> None:
    """Messages name the server without the credentials in its URL."""
    assert shown_url("https://user:hunter2@host:1/x") == "https://***@host:1/x"


def test_text_of_others_cannot_command_the_terminal() -> None:
    """Messages are one line, and escapes in names and answers do not reach the terminal."""
    assert one_line("a\n  b\x1b[31m\x9b") == "a b\ufffd[31m\ufffd"
    assert printable("a\n\tb\x1b[31m") == "a\n\tb\ufffd[31m"
