"""No test needs the network: what is not this machine is refused, and makes the test fail."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

ELSEWHERE = "192.0.2.1"  # RFC 5737: nobody has it
SWALLOWS = f"""
import socket

def test_it():
    try:
        socket.create_connection(("{ELSEWHERE}", 9), timeout=5)
    except OSError:
        pass
"""


def test_other_machines_are_refused(outside: list[str]) -> None:
    """Whether by TCP, by UDP, by name or within asyncio; and each try is noted."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with udp, pytest.raises(ConnectionRefusedError, match=r"no test needs .*'192\.0\.2\.1'"):
        udp.sendto(b"x", (ELSEWHERE, 9))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((ELSEWHERE, 9), timeout=5)
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(asyncio.open_connection(ELSEWHERE, 9))
    with pytest.raises(OSError, match="no test needs the network"):
        urllib.request.urlopen("http://example.com/", timeout=5)
    assert len(outside) == 4
    outside.clear()


def test_a_test_that_tries_fails(tmp_path: Path) -> None:
    """Even if the code under test swallows the error."""
    guard = Path(__file__).with_name("conftest.py").read_text()
    (tmp_path / "conftest.py").write_text(guard)
    (tmp_path / "test_it.py").write_text(SWALLOWS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50)
    assert "1 passed, 1 error" in ran.stdout


def test_this_machine_is_reached(outside: list[str]) -> None:
    """By address and by name, by IPv4 and IPv6 and a path, all is as ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        for host in ("127.0.0.1", "localhost"):
            socket.create_connection((host, server.getsockname()[1]), timeout=5).close()
    with suppress(OSError):  # there may be no IPv6
        socket.create_connection(("::1", 9), timeout=5).close()
    one, other = socket.socketpair()
    one.close()
    other.close()
    assert outside == []
