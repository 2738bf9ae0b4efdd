"""The addresses that the viewer takes, and what it says of those that it cannot."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from contextlib import closing

import pytest

from iox_otel.viewer.listening import ListenError, Port, bracketed, listen_tcp, listen_udp

Listen = Callable[[str, Port], socket.socket]
both = pytest.mark.parametrize("listen", [listen_tcp, listen_udp])


@both
def test_a_free_port(listen: Listen) -> None:
    """0 is any that is free, on the address given only."""
    with closing(listen("127.0.0.1", Port(0, "--port"))) as bound:
        host, port = bound.getsockname()
        assert (host, port > 0) == ("127.0.0.1", True)


@both
@pytest.mark.parametrize("can_be_off", [True, False])
def test_a_port_in_use(listen: Listen, can_be_off: bool) -> None:
    """The error names it, and the flag that chooses another or does without."""
    with closing(listen("127.0.0.1", Port(0, "--some-port"))) as bound:
        port = bound.getsockname()[1]
        with pytest.raises(ListenError) as caught:
            listen("127.0.0.1", Port(port, "--some-port", can_be_off)).close()
    off = " (--some-port off does without)" if can_be_off else ""
    assert caught.value.errno == errno.EADDRINUSE
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{port}: "
        f"the port is in use, choose another with --some-port{off}"
    )


@both
@pytest.mark.parametrize("host", ["nowhere.invalid", "192.0.2.1"])
def test_an_address_of_others(listen: Listen, host: str) -> None:
    """The error says why in the system's words."""
    with pytest.raises(ListenError, match=rf"^cannot listen on {host}:0: \w+"):
        listen(host, Port(0, "--port")).close()


def test_a_port_that_was_just_in_use() -> None:
    """A viewer can be started again at once, though connections to the last one linger."""
    first = listen_tcp("127.0.0.1", Port(0, "--port"))
    port = first.getsockname()[1]
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        accepted, _ = first.accept()
        accepted.close()
        first.close()
        assert client.recv(1) == b""
    listen_tcp("127.0.0.1", Port(port, "--port")).close()


def test_hosts_in_urls() -> None:
    """An IPv6 address has brackets there."""
    assert [bracketed("::1"), bracketed("127.0.0.1")] == ["[::1]", "127.0.0.1"]
