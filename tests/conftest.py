"""What every test runs under."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from iox_otel import SpanLimits, set_span_limits, span_limits

# Properties are about behaviour: a busy machine is no reason for one to fail.
settings.register_profile("iox-otel", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("iox-otel")

# A shell that runs the tests in the background has them ignore SIGINT, and with them every process
# they start: a test that interrupts one would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


_outside: list[str] = []
_OF_SOCKETS = ("socket.connect", "socket.sendto", "socket.sendmsg")


def _is_here(host: object) -> bool:
    """Tell whether *host* is this machine: no name is looked up for that."""
    if host in (None, "", "localhost", b"localhost", "0.0.0.0", "::"):
        return True
    return _is_address(host) and ipaddress.ip_address(str(host).partition("%")[0]).is_loopback


def _is_address(host: object) -> bool:
    try:
        ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    return True


def _refuse_the_network(event: str, arguments: tuple[object, ...]) -> None:
    """Audit hook: whoever connects, sends or looks up a name in this process passes by here."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
        if _is_address(host):
            return  # nobody is asked
        if str(host).endswith(".invalid") or " " in str(host):  # RFC 6761, RFC 952: no such name
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    elif event in _OF_SOCKETS and isinstance(arguments[1], tuple):  # or else a path, or connected
        host = arguments[1][0]
    else:
        return
    if not _is_here(host):
        _outside.append(f"{event} {host!r}")
        raise ConnectionRefusedError(f"no test needs the network, and this one wants {host!r}")


sys.addaudithook(_refuse_the_network)


@pytest.fixture(autouse=True)
def outside() -> Iterator[list[str]]:
    """What the test wanted of other machines: nothing, or it fails, whoever caught the error."""
    _outside.clear()
    yield _outside
    assert _outside == []


@pytest.fixture
def no_otlp_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the machine's own settings of exporters and proxies out of a test."""
    for name in list(os.environ):
        if name.startswith("OTEL_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def wide_limits() -> Iterator[None]:
    """For tests of what only spans beyond the usual limits need."""
    before = span_limits()
    set_span_limits(SpanLimits(*[10_000_000] * len(before)))
    yield
    set_span_limits(before)
