"""`iox-otel run --token`: who gets in, and where the token does not show."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import httpx
import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]
TOKEN = "hunter2-ü"
WANTED = (
    "this server wants its token: Authorization: Bearer TOKEN; say it with --token or IOX_TOKEN"
)


@pytest.mark.parametrize("host", ["0.0.0.0:0", "[::]:0"])
@pytest.mark.parametrize("flags", [(), ("--token", ""), ("--token", "  ")])
def test_others_are_not_let_in_without_one(cli: Cli, host: str, flags: tuple[str, ...]) -> None:
    """An address that other machines reach needs a token."""
    ran = cli("run", "--http-bind", host, *flags)

    assert (ran.returncode, ran.stdout, ran.stderr) == (
        2,
        "",
        f"--http-bind {host} lets other machines in: say with --token what they need to know\n",
    )


def test_a_token_that_no_header_carries(cli: Cli) -> None:
    """The line does not show it."""
    ran = cli("run", "--token", f"{TOKEN}\nx")

    assert ran.returncode == 2
    assert ran.stderr == "Invalid value for --token: it has control characters\n"


@pytest.mark.parametrize("flags", [("--token", TOKEN), ()])
def test_with_one_they_are(
    cli: Cli, start_server: Callable[..., Any], flags: tuple[str, ...]
) -> None:
    """There is a warning; the client brings the token by the same flag and variable."""
    variable = {} if flags else {"IOX_TOKEN": TOKEN}
    server = start_server("--http-bind", "0.0.0.0:0", *flags, **variable)
    url = server.url.replace("0.0.0.0", "127.0.0.1")
    host = ("--host", url)

    made = cli("database", "create", "db", *host, *flags, **variable)
    listed = cli("database", *host, "--token", "wrong", "list", "--token", TOKEN)
    without = cli("database", "list", *host)
    wrong = cli("database", "list", *host, "--token", "wrong", **variable)
    by_header = cli(
        "database", "list", *host, "--header", f"Authorization: Token {TOKEN}", IOX_TOKEN="wrong"
    )
    server.end()

    assert (made.returncode, made.stdout) == (0, "Created database db\n")
    assert listed.stdout == by_header.stdout == "db\n"
    assert (without.returncode, without.stderr) == (1, f"Error listing databases: {WANTED}\n")
    assert wrong.stderr.startswith("Error listing databases: that is not the token of this server;")
    assert server.err[1] == (
        "Warning: other machines can reach this. Who has the token can read and write all data; "
        "nothing is encrypted.\n"
    )


def test_two_ways_at_once(cli: Cli) -> None:
    """They could contradict each other."""
    ran = cli("database", "list", "--token", TOKEN, "--header", "authorization:x")

    assert (ran.returncode, ran.stderr) == (
        2,
        "--token and --header authorization exclude each other\n",
    )


def test_the_token_does_not_show(cli: Cli, start_server: Callable[..., Any]) -> None:
    """Not in the log, however verbose, nor in spans, answers, errors and help."""
    server = start_server("-vvv", TRACES_EXPORTER="console", IOX_TOKEN=TOKEN)
    said: list[str] = []
    for token in (TOKEN, f"{TOKEN}x"):
        with httpx.Client(
            base_url=server.url, headers={b"authorization": f"Bearer {token}".encode()}
        ) as http:
            for method, path in (
                ("GET", "/api/v3/query_sql?db=db&q=nonsense"),
                ("POST", "/api/v3/configure/database?db=db"),
                ("POST", "/api/v2/write?bucket=nope"),
            ):
                said.append(http.request(method, path, headers={"jaeger-debug-id": "why"}).text)
        ran = cli("database", "list", "-v", "--gen-trace-id", "--host", server.url, IOX_TOKEN=token)
        said += [ran.stdout, ran.stderr]
    for command in (("run",), ("database",), ("database", "list")):
        said.append(cli(*command, "--help", IOX_TOKEN=TOKEN).stdout)
    server.end()

    assert any('"name": "IOx http"' in line or '"name":"IOx http"' in line for line in server.out)
    assert all("hunter2" not in text for text in [*said, *server.out, *server.err])


def test_this_machine_needs_none(start_server: Callable[..., Any]) -> None:
    """By default nobody else reaches the server; a page that calls it otherwise is refused."""
    server = start_server()

    assert server.url.startswith("http://127.0.0.1:")
    asked = f"{server.url}/api/v3/configure/database"
    assert httpx.get(asked).status_code == 200
    assert httpx.get(asked, headers={"host": "evil.example"}).status_code == 403
    assert len(server.err) == 1
