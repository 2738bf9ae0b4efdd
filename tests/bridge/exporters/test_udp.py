"""UdpConnection: which address gets the datagram, and what is known of one that gets lost."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from iox_otel_bridge.exporters.udp import UdpConnection


def has_ipv6() -> bool:
    """Return whether this machine has an IPv6 loopback address."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")


def listen(family: int = socket.AF_INET, host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """Return a bound UDP socket that waits ten seconds at most."""
    listening = socket.socket(family, socket.SOCK_DGRAM)
    listening.settimeout(10)
    listening.bind((host, port))
    return listening


@pytest.fixture(name="agent")
def _agent() -> Iterator[socket.socket]:
    with listen() as listening:
        yield listening


def unused_port() -> int:
    """Return a port that was free a moment ago."""
    with listen() as listening:
        return port_of(listening)


def port_of(listening: socket.socket) -> int:
    port: int = listening.getsockname()[1]
    return port


def answers(*addresses: tuple[str, int]) -> Callable[..., list[Any]]:
    """Return a `getaddrinfo` that knows these addresses only."""

    def resolve(host: str, port: int, **_options: Any) -> list[Any]:
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, 2, 17, "", (address, at))
            for address, at in addresses
        ]

    return resolve


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_ipv4(host: str, agent: socket.socket) -> None:
    """An address, a name, and "any" for this host, though the agent listens on IPv4 only."""
    with closing(UdpConnection(host, port_of(agent))) as connection:
        connection.send(b"spans")

    assert agent.recv(100) == b"spans"


@needs_ipv6
@pytest.mark.parametrize("host", ["::1", "[::1]", "::"])
def test_ipv6(host: str) -> None:
    """As IPv4, though the agent listens on IPv6 only."""
    with listen(socket.AF_INET6, "::1") as agent:
        with closing(UdpConnection(host, port_of(agent))) as connection:
            connection.send(b"spans")

        assert agent.recv(100) == b"spans"


def test_a_name_of_both_families(agent: socket.socket) -> None:
    """An agent on IPv4 only is found though the name's first address is IPv6."""
    port = port_of(agent)
    resolve = answers(("::1", port), ("127.0.0.1", port))
    with closing(UdpConnection("agent", port, resolve=resolve)) as connection:
        connection.send(b"spans")

    assert agent.recv(100) == b"spans"


def test_nothing_is_opened_before_the_first_send() -> None:
    """Making and closing one looks nothing up."""

    def resolve(*_arguments: Any, **_options: Any) -> list[Any]:
        raise AssertionError("looked up")

    UdpConnection("nowhere.invalid", 1, resolve=resolve).close()


def test_a_refused_datagram_is_known_to_be_lost() -> None:
    """Over loopback: the send that nobody takes is the one that fails, the first time already."""
    with closing(UdpConnection("127.0.0.1", unused_port())) as connection:
        for _ in range(3):
            with pytest.raises(ConnectionRefusedError):
                connection.send(b"spans")


def test_it_recovers_when_somebody_listens_again() -> None:
    """After a refusal the next datagram arrives, once."""
    port = unused_port()
    with closing(UdpConnection("127.0.0.1", port)) as connection:
        with pytest.raises(ConnectionRefusedError):
            connection.send(b"lost")
        with listen(port=port) as agent:
            connection.send(b"one")
            connection.send(b"two")

            assert [agent.recv(100), agent.recv(100)] == [b"one", b"two"]
        with pytest.raises(ConnectionRefusedError):
            connection.send(b"lost again")


def test_an_address_that_refuses_is_passed_over(agent: socket.socket) -> None:
    """The next address gets the datagram, and goes on getting them."""
    resolve = answers(("127.0.0.1", unused_port()), ("127.0.0.1", port_of(agent)))
    with closing(UdpConnection("agent", 1, resolve=resolve)) as connection:
        connection.send(b"one")
        connection.send(b"two")

    assert [agent.recv(100), agent.recv(100)] == [b"one", b"two"]


def test_an_earlier_refusal_costs_no_later_datagram(agent: socket.socket) -> None:
    """What the kernel says of the datagram before fails the send; it is done again."""

    class Late(socket.socket):
        """Hears of a refusal with the send after, as from another host."""

        sends = 0

        def send(self, data: Any, *flags: int) -> int:
            Late.sends += 1
            if Late.sends == 2:
                raise ConnectionRefusedError(errno.ECONNREFUSED, "late")
            return super().send(data, *flags)

    connection = UdpConnection("127.0.0.1", port_of(agent), make_socket=Late)
    with closing(connection):
        connection.send(b"one")
        connection.send(b"two")

    assert [agent.recv(100), agent.recv(100)] == [b"one", b"two"]
    assert Late.sends == 3


def test_a_name_is_looked_up_again_after_a_failure(agent: socket.socket) -> None:
    """The agent may have moved; while it answers nobody asks again."""
    lookups: list[str] = []
    now_ns = 0

    def resolve(host: str, port: int, **_options: Any) -> list[Any]:
        lookups.append(host)
        at = dead_port if len(lookups) == 1 else port_of(agent)
        return answers(("127.0.0.1", at))(host, port)

    dead_port = unused_port()
    connection = UdpConnection("agent", 1, resolve=resolve, clock_ns=lambda: now_ns)
    with closing(connection):
        with pytest.raises(ConnectionRefusedError):
            connection.send(b"lost")
        assert lookups == ["agent"]  # not twice in a second
        now_ns = 1_000_000_000
        connection.send(b"one")
        connection.send(b"two")

    assert [agent.recv(100), agent.recv(100)] == [b"one", b"two"]
    assert lookups == ["agent", "agent"]


def test_a_name_that_cannot_be_looked_up() -> None:
    """Unknown to the resolver, or no name at all: one kind of error, each time."""
    with closing(UdpConnection("agent.invalid", 1)) as connection:
        for _ in range(2):
            with pytest.raises(socket.gaierror):
                connection.send(b"spans")
    with (
        closing(UdpConnection("ü" * 100, 1)) as connection,
        pytest.raises(socket.gaierror),
    ):
        connection.send(b"spans")


def test_too_large_a_datagram() -> None:
    """EMSGSIZE says nothing against the address: the next, smaller one goes through."""
    with listen() as agent, closing(UdpConnection("127.0.0.1", port_of(agent))) as connection:
        with pytest.raises(OSError, match="too long") as raised:
            connection.send(b"x" * 65_508)
        connection.send(b"x" * 65_507)

        assert raised.value.errno == errno.EMSGSIZE
        assert len(agent.recv(70_000)) == 65_507


def test_the_send_buffer_is_grown_as_far_as_granted(agent: socket.socket) -> None:
    """2 MiB, halved until the system agrees; where it grants nothing the socket still works."""
    asked: list[int] = []

    class Strict(socket.socket):
        largest = 0

        def setsockopt(self, level: int, option: int, value: Any, *rest: Any) -> None:
            if (level, option) == (socket.SOL_SOCKET, socket.SO_SNDBUF):
                asked.append(value)
                if value > self.largest:
                    raise OSError(errno.ENOBUFS, "no")
            super().setsockopt(level, option, value, *rest)

    for largest in (1 << 22, 600_000, 0):
        asked.clear()
        Strict.largest = largest
        connection = UdpConnection("127.0.0.1", port_of(agent), make_socket=Strict)
        with closing(connection):
            connection.send(b"spans")

        assert agent.recv(100) == b"spans"
        assert asked[0] == 2 * 1024 * 1024
        assert [value // 2 for value in asked[:-1]] == asked[1:]
        assert (asked[-1] <= largest) is (largest > 0)


def test_the_socket_does_not_block(agent: socket.socket) -> None:
    """A full send buffer is an error, not a wait."""
    opened: list[socket.socket] = []

    def make_socket(*arguments: Any) -> socket.socket:
        opened.append(socket.socket(*arguments))
        return opened[-1]

    connection = UdpConnection("127.0.0.1", port_of(agent), make_socket=make_socket)
    with closing(connection):
        connection.send(b"spans")

        assert opened[0].gettimeout() == 0.0
    assert opened[0].fileno() == -1


def test_an_unreachable_address_leaves_no_socket_behind() -> None:
    """One whose connect fails is closed (a leak would warn), and the next address gets its turn."""

    class Unreachable(socket.socket):
        def connect(self, address: Any) -> None:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")

    resolve = answers(("127.0.0.1", 1), ("127.0.0.2", 1))
    connection = UdpConnection("agent", 1, resolve=resolve, make_socket=Unreachable)
    with pytest.raises(OSError, match="Network is unreachable"):
        connection.send(b"spans")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_opens_a_socket_of_its_own(agent: socket.socket) -> None:
    """Parent and child have different source ports, and neither disturbs the other."""
    with closing(UdpConnection("127.0.0.1", port_of(agent))) as connection:
        connection.send(b"parent")
        pid = os.fork()
        if pid == 0:
            try:
                connection.send(b"child")
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0
        connection.send(b"parent")
        sources: dict[bytes, set[Any]] = {}
        for _ in range(3):
            data, source = agent.recvfrom(100)
            sources.setdefault(data, set()).add(source)

    assert len(sources[b"parent"]) == len(sources[b"child"]) == 1
    assert sources[b"parent"] != sources[b"child"]
