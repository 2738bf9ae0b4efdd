"""What the values of settings may be: each function takes text or a value and returns it checked.

They raise ValueError with what was expected; the caller knows where the value came from and says
so. Values given in code go through the same functions as text from the environment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from opentelemetry.sdk.trace.sampling import Sampler

T = TypeVar("T")

ALWAYS, NEVER = "always", "never"
EXPORTERS = ("none", "jaeger", "otlp", "console")
SAMPLERS = "none, always, ratio:0.01, parent_ratio:0.01, rate:10/s or jaeger_remote[:URL]"

# RFC 9110, section 5.6.2: what a header name may consist of.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_OTHER_CONTEXT = frozenset(
    ("traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid")
    + ("x-b3-sampled", "x-b3-flags")
)
_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?(e-?[0-9]{1,2})?")
_MAX_PER_SECOND = 1e9
_DIGITS = re.compile(r"[0-9]{1,20}")
_HOST_NAME = re.compile(r"[0-9A-Za-z_]([0-9A-Za-z_.-]*[0-9A-Za-z_.])?")
_SCHEME = re.compile(r"([0-9A-Za-z+.-]*)://")
_URL_SCHEMES = ("http", "https")
_LONGEST_SHOWN = 200


class ConfigError(ValueError):
    """A setting has a value it cannot have; the text is one line that names both."""


def checked(parse: Callable[[object], T], value: object, source: str) -> T:
    """Return *value* as *parse*, one of the functions below, returns it.

    Args:
        parse: raises ValueError with what was expected.
        value: text, or what a keyword takes.
        source: the variable, the flag or the keyword that it came from.

    Raises:
        ConfigError: it is no such value; the line names *source* and the value.
    """
    try:
        return parse(value)
    except ConfigError:
        raise
    except ValueError as exc:
        raise ConfigError(f"Invalid value {shown(value)} for {source}: {exc}") from None


def first_set(environ: Mapping[str, str], variables: Iterable[str]) -> tuple[str, str]:
    """Return the name and the text of the first of *variables* that is set; "" for both if none."""
    for variable in variables:
        if given := environ.get(variable, "").strip():
            return variable, given
    return "", ""


def exporters(value: object) -> str:
    """Return the names of a comma list, in lower case and each once: "jaeger,console".

    Raises:
        ConfigError: there is no such exporter; the text is IOx's.
        ValueError: `none` stands beside another name.
    """
    names = dict.fromkeys(name.strip() for name in _text(value).lower().split(","))
    for name in names:
        if name not in EXPORTERS:
            options = ", ".join(EXPORTERS)
            raise ConfigError(f"Invalid traces exporter {shown(name)}. Valid options: {options}")
    if "none" in names and len(names) > 1:
        raise ValueError("none cannot stand beside other exporters")
    return ",".join(names)


def whole_number(smallest: int, largest: int | None = None) -> Callable[[object], int]:
    """Return the function that takes whole numbers from *smallest* to *largest*.

    Digits only: `int()` would also take signs, underscores and blanks.
    """
    bounds = f"from {smallest} to {largest}" if largest else f"of at least {smallest}"

    def check(value: object) -> int:
        number = int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value
        if (
            not isinstance(number, int)
            or isinstance(number, bool)
            or number < smallest
            or (largest is not None and number > largest)
        ):
            raise ValueError(f"expected a whole number {bounds}")
        return number

    return check


def one_of(*options: str) -> Callable[[object], str]:
    """Return the function that takes one of *options*, in any case."""

    def check(value: object) -> str:
        option = _text(value).lower()
        if option not in options:
            raise ValueError(f"expected one of {', '.join(options)}")
        return option

    return check


def text(value: object) -> str:
    """Return *value*, which must be some printable text."""
    checked = _text(value)
    if not checked or not checked.isprintable():
        raise ValueError("expected printable text")
    return checked


def host(value: object) -> str:
    """Return a host name or an IP address, an IPv6 address without its brackets."""
    checked = _text(value)
    bare = checked[1:-1] if checked.startswith("[") and checked.endswith("]") else checked
    if not (_is_ipv6(bare) if ":" in bare or bare != checked else _HOST_NAME.fullmatch(bare)):
        raise ValueError("expected a host name or an IP address, without a port")
    return bare


def header_name(value: object) -> str:
    """Return the name of an HTTP header in lower case, as ASGI has it (RFC 9110, 5.6.2).

    Not one that W3C's or B3's trace context has: those are read beside it.
    """
    checked = _text(value).lower()
    if not _TOKEN.fullmatch(checked):
        raise ValueError("expected the name of an HTTP header")
    if checked in _OTHER_CONTEXT:
        raise ValueError("expected a header that no other format of trace context has")
    return checked


def tags(value: object) -> Mapping[str, str]:
    """Return the pairs of "key=value,key=value", or of a mapping, which may hold any text.

    As in IOx, neither side of a pair in a list may be empty or contain another "=".
    """
    if isinstance(value, Mapping):
        return {_tag_text(key): _tag_text(of_key) for key, of_key in value.items()}
    pairs: dict[str, str] = {}
    for pair in _text(value).split(","):
        key, *rest = (side.strip() for side in pair.split("="))
        if len(rest) != 1 or not key or not rest[0]:
            raise ValueError(f"invalid key=value pair ({shown(pair)[1:-1]})")
        pairs[_tag_text(key)] = _tag_text(rest[0])
    return pairs


def endpoint(value: object) -> str:
    """Return the base URL of an OTLP receiver, or its host:port, which gRPC takes as well."""
    url = _text(value)
    # Credentials in a URL end up in logs and error messages.
    if "@" in url or "?" in url:
        raise ValueError("credentials do not belong there, use OTEL_EXPORTER_OTLP_HEADERS")
    return otel_endpoint(url)


def otel_endpoint(value: object) -> str:
    """Return the URL or host:port that a variable of OpenTelemetry's own names.

    It may have anything that the official exporters can use, credentials included.
    """
    url = _text(value)
    if not _is_endpoint(url):
        raise ValueError("expected a URL such as http://localhost:4317")
    return url


def trusted(value: object) -> str:
    """Return "always", "never", or a list of networks and addresses, "10.0.0.0/8,::1"."""
    who = _text(value).lower()
    if who != ALWAYS:
        try:
            networks_of(who)
        except ValueError as exc:
            # It quotes what is wrong, once more and however long that is.
            raise ValueError(f"expected always, never, or networks ({_cut(str(exc))})") from None
    return who


def networks_of(who: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks of "10.0.0.0/8,::1"; none for "never".

    Raises:
        ValueError: something in it is no address and no network.
    """
    from ipaddress import ip_network  # most programs do not need it

    return () if who == NEVER else tuple(ip_network(each.strip()) for each in who.split(","))


def sampler(value: object) -> str | Sampler:
    """Return what decides which traces begin here: text, or any sampler of OpenTelemetry's."""
    if callable(getattr(value, "should_sample", None)) and not isinstance(value, type):
        return value  # type: ignore[return-value]  # OpenTelemetry is not imported for this
    if not isinstance(value, str):
        raise ValueError(f"expected a Sampler of OpenTelemetry's, or text: {SAMPLERS}")
    kind, parameter = sampler_parts(_text(value))
    unit = "/s" if kind == "rate" else ""
    return f"{kind}:{parameter}{unit}" if parameter else kind


def sampler_parts(setting: str) -> tuple[str, str]:
    """Return the kind of sampler, and its ratio, rate a second or URL; "" where it has none.

    Raises:
        ValueError: *setting* is no such text.
    """
    kind, colon, parameter = setting.partition(":")
    kind = kind.strip().lower()
    parameter = parameter.strip()
    if kind in ("none", "always", "jaeger_remote") and not colon:
        return kind, ""
    if kind in ("ratio", "parent_ratio"):
        ratio(parameter)
        return kind, parameter
    if kind == "rate" and parameter.endswith("/s") and _DECIMAL.fullmatch(parameter[:-2]):
        if 0 < float(parameter[:-2]) <= _MAX_PER_SECOND:
            return kind, parameter[:-2]
    elif kind == "jaeger_remote" and is_strategy_url(parameter):
        return kind, parameter
    raise ValueError(f"expected {SAMPLERS}")


def ratio(value: object) -> float:
    """Return a number from 0 to 1."""
    checked = _text(value)
    if not _DECIMAL.fullmatch(checked) or float(checked) > 1:
        raise ValueError("expected a ratio from 0 to 1, such as 0.01")
    return float(checked)


def is_strategy_url(url: str) -> bool:
    """Return whether *url* may be that of a sampling server: HTTP, no credentials, no query."""
    return "://" in url and not set("@?") & set(url) and _is_endpoint(url)


def seconds(value: object) -> float:
    """Return a number of seconds, of which there may be none."""
    try:
        number = float(_text(value))
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ValueError("expected a number of seconds")
    return number


def readable_file(value: object) -> str:
    """Return the path of a file that can be read now."""
    path = _text(value)
    try:
        with open(path, "rb") as file:
            file.read(1)
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise ValueError(f"expected a file that can be read ({reason})") from None
    return path


def shown(value: object) -> str:
    """Return *value* as an error message may have it: one line, of bounded length, no secret."""
    if not isinstance(value, str):
        return _cut(repr(value))
    # What precedes an "@" or follows a "?" may be a secret, as in a URL; and not only in one that
    # is well formed.
    user, _, rest = value.rpartition("@")
    if "?" in user:  # of a password, or else the "@" is of a query
        return repr("***")
    place, mark, _ = rest.partition("?")
    return _cut(repr(f"{'***@' if user else ''}{place}{'?***' if mark else ''}"))


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST_SHOWN else f"{line[:_LONGEST_SHOWN]}…"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("expected text")
    stripped = value.strip()
    if any("\ud800" <= char <= "\udfff" for char in stripped):
        raise ValueError("expected text in UTF-8")
    return stripped


def _tag_text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("expected key=value pairs of text")
    return _text(value)


def _is_endpoint(url: str) -> bool:
    from urllib.parse import urlsplit  # most programs do not need it

    scheme = _SCHEME.match(url)
    if not url.isprintable() or " " in url or (scheme and scheme[1].lower() not in _URL_SCHEMES):
        return False
    try:
        parts = urlsplit(url if scheme else f"//{url}")
        port = parts.port
    except ValueError:
        return False
    if scheme is None and (port is None or parts.path):
        return False
    return _is_host(parts.hostname) and port != 0 and not parts.fragment


def _is_host(name: str | None) -> bool:
    try:
        return bool(name and host(name))
    except ValueError:
        return False


def _is_ipv6(address: str) -> bool:
    from ipaddress import IPv6Address

    try:
        IPv6Address(address)
    except ValueError:
        return False
    return True
