"""Who may use what the commands serve: this machine alone, or who brings a token."""

from __future__ import annotations

import ipaddress
import socket

from .failure import Failure
from .http_client import NOT_IN_VALUE

TOKEN_VARIABLE = "IOX_TOKEN"  # noqa: S105  a name
"""Where `iox-otel run` and `iox-otel database` find the token when there is no flag."""


def is_open(host: str, shown: str, flag: str, token: str | None) -> bool:
    """Tell whether other machines reach *host*; they must not without a token.

    Args:
        host: a name or an address.
        shown: what was given as *flag* for it.
        flag: of the command line.
        token: what callers have to bring.

    Raises:
        Failure: they would.
    """
    if _is_loopback(host):
        return False
    if not token:
        reason = "lets other machines in: say with --token what they need to know"
        raise Failure(f"{flag} {shown} {reason}", 2)
    return True


def check_token(token: str, source: str) -> str:
    """Return *token* as a header carries it; raises Failure, which names *source*, if none can."""
    token = token.strip()
    if NOT_IN_VALUE.search(token):
        raise Failure(f"Invalid value for {source}: it has control characters", 2)
    return token


def _is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches *host*; what cannot be looked up fails later."""
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return True
    return all(ipaddress.ip_address(str(each[4][0]).split("%")[0]).is_loopback for each in found)
