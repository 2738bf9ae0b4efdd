"""Access: who may talk to a server of ours. By a token, and by the names of this machine."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable

HOSTS = ("localhost", "host.docker.internal", "host.containers.internal")
"""Beside addresses in numbers, names under .localhost and those that are listened on."""

_HOST = re.compile(r"(?:\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<name>[^:\[\]]+))(?::[0-9]{1,5})?")


class Token:
    """What everybody has to bring who wants in. Its text is not kept, only a digest.

    Args:
        text: any but the empty one.
    """

    def __init__(self, text: str) -> None:
        self.digest = digest(text)

    def is_digest(self, other: str) -> bool:
        """Tell whether *other* is the digest of this token, in constant time."""
        return other.isascii() and hmac.compare_digest(self.digest, other)

    def is_in(self, authorization: str, *, schemes: Iterable[str] = ("bearer",)) -> bool:
        """Tell whether the Authorization header brings it, as latin-1, in one of *schemes*."""
        scheme, _, text = authorization.partition(" ")
        brought = digest(text.strip().encode("latin-1", "replace").decode("utf-8", "replace"))
        return scheme.lower() in schemes and self.is_digest(brought)


class Hosts:
    """The names by which this machine is called.

    A name that somebody made resolve to it is none of them: it would let other pages in a user's
    browser in (DNS rebinding).

    Args:
        names: beside those that are always right.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset((*HOSTS, *map(str.lower, names)))

    def know(self, host: str, *, any_address: bool = True) -> bool:
        """Tell whether *host*, of a Host header, is one of them; the port may be any.

        An address leads where it says, so any is right, unless *any_address* is false: then it has
        to be of this machine alone.
        """
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match["ipv6"] or match["name"].lower().rstrip(".")
        if is_address(name):
            return any_address or ipaddress.ip_address(name).is_loopback
        return name in self._names or name.endswith(".localhost")


def digest(token: str) -> str:
    """Return the SHA-256 of *token* in hex."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def is_address(name: str) -> bool:
    """Tell whether *name* is an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
