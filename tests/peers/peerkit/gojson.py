"""JSON as Go writes it: what the peers say, and the texts they make of values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from math import copysign, isinf, isnan
from typing import Any

_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}
_HTML = "<>&"
_ALWAYS = "\u2028\u2029"


def loads(text: str | bytes) -> Any:
    """Return what a JSON text says, with the sign of a zero, which Go writes as `-0`."""
    return json.loads(text, parse_int=lambda digits: -0.0 if digits == "-0" else int(digits))


def dumps(value: object, *, escape_html: bool = False) -> str:
    """Return *value* as Go's encoding/json writes it: keys sorted, nothing between the tokens."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, str):
        return f'"{"".join(_escaped(char, escape_html) for char in value)}"'
    if isinstance(value, Mapping):
        items = sorted((key.encode(), key, item) for key, item in value.items())
        return f"{{{','.join(_member(key, item, escape_html) for _, key, item in items)}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(dumps(item, escape_html=escape_html) for item in value)}]"
    return str(value)


def number(value: float) -> str:
    """Return a double as encoding/json and the Collector's `AsString` write it."""
    if isnan(value):
        return "NaN"
    if isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "-0" if copysign(1, value) < 0 else "0"
    if 1e-6 <= abs(value) < 1e21:
        text = format(Decimal(repr(value)), "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    return _with_exponent(Decimal(repr(value)))


def _with_exponent(value: Decimal) -> str:
    sign, digits, _ = value.normalize().as_tuple()
    mantissa = "".join(map(str, digits))
    point = "." if len(mantissa) > 1 else ""
    return f"{'-' * sign}{mantissa[0]}{point}{mantissa[1:]}e{value.adjusted():+d}"


def _member(key: str, value: object, escape_html: bool) -> str:
    return f"{dumps(key, escape_html=escape_html)}:{dumps(value, escape_html=escape_html)}"


def _escaped(char: str, escape_html: bool) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char < " " or char in _ALWAYS or (escape_html and char in _HTML):
        return f"\\u{ord(char):04x}"
    return char
