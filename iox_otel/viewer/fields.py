"""The fields of Jaeger's JSON, read so that a refusal names the one that is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from iox_otel_bridge.wire.errors import DecodeError

T = TypeVar("T")

NOTHING: list[Any] = []
"""The default of a list."""

_WRONG = (TypeError, ValueError, AttributeError, OverflowError)
_SHOWN = 60
"""So many letters of what is wrong."""


def get(said: Any, field: str, read: Callable[[Any], T], default: T | None = None) -> T:
    """Return what *read* makes of a field of *said*; *default* if that is missing, null or empty.

    Raises:
        DecodeError: it is missing and has no default, or *read* cannot read it.
    """
    if not isinstance(said, dict):
        raise _error(f"expected an object with {field!r}, not {_shown(said)}")
    if default is not None and not said.get(field):
        return default
    if field not in said:
        raise _error(f"{field!r} is missing")
    try:
        return read(said[field])
    except DecodeError:
        raise
    except _WRONG:
        raise _error(f"{field!r} cannot be {_shown(said[field])}") from None


def as_list(value: Any) -> list[Any]:
    """Return a list."""
    if not isinstance(value, list):
        raise TypeError
    return value


def as_text(value: Any) -> str:
    """Return a text that can be encoded; none is an empty one."""
    text = "" if value is None else value
    text.encode()
    return str(text)


def as_texts(value: Any) -> list[str]:
    """Return a list of them."""
    return list(map(as_text, as_list(value)))


def as_ns(value: Any, after_ns: int = 0) -> int:
    """Return a time in ns, so many µs after another one."""
    return _within(after_ns + int(value) * 1_000, 64)


def as_flags(value: Any) -> int:
    """Return a span's flags."""
    return _within(int(value), 32)


def as_trace_id(value: Any) -> bytes:
    """Return a trace id, 16 bytes."""
    return _id(value, 16)


def as_span_id(value: Any) -> bytes:
    """Return a span id, 8 bytes."""
    return _id(value, 8)


def _within(number: int, bits: int) -> int:
    if not 0 <= number < 1 << bits:
        raise ValueError
    return number


def _id(text: Any, length: int) -> bytes:
    digits = text.rjust(2 * length, "0")
    if len(digits) != 2 * length:
        raise _error(f"{_shown(text)} is longer than {2 * length} hexadecimal digits")
    return bytes.fromhex(digits)


def _shown(value: Any) -> str:
    shown = json.dumps(value)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"


def _error(reason: str) -> DecodeError:
    return DecodeError(f"not a trace in Jaeger's JSON: {reason}")
