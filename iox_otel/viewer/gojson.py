"""Values as Go writes them: a Jaeger says sequences and mappings as such texts, and so do we."""

from __future__ import annotations

import base64
from decimal import Decimal
from math import copysign, isinf, isnan

from .stored import Plain

_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}
_ALWAYS_ESCAPED = "<>&\u2028\u2029"


def json_of(value: Plain) -> str:
    """Return *value* as Go's encoding/json does: keys sorted, bytes in base64, `<` as `\\u003c`."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float():
            return number(value)
        case str():
            return f'"{"".join(map(_escaped, value))}"'
        case bytes():
            return f'"{base64.b64encode(value).decode()}"'
        case list():
            return f"[{','.join(map(json_of, value))}]"
        case dict():
            members = sorted(value.items(), key=lambda item: item[0].encode())
            return f"{{{','.join(f'{json_of(key)}:{json_of(item)}' for key, item in members)}}}"
    return str(value)


def number(value: float) -> str:
    """Return a double as encoding/json writes it, and the Collector what JSON has no number for."""
    if isnan(value):
        return "NaN"
    if isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "-0" if copysign(1, value) < 0 else "0"
    if 1e-6 <= abs(value) < 1e21:
        text = format(Decimal(repr(value)), "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    sign, digits, _ = Decimal(repr(value)).normalize().as_tuple()
    mantissa = "".join(map(str, digits))
    point = "." if len(mantissa) > 1 else ""
    exponent = Decimal(repr(value)).adjusted()
    return f"{'-' * sign}{mantissa[0]}{point}{mantissa[1:]}e{exponent:+d}"


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char < " " or char in _ALWAYS_ESCAPED:
        return f"\\u{ord(char):04x}"
    return char
