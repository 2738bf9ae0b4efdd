"""What applications write into spans, as the plain values that every wire format can carry.

`Span.set_metadata` and its like convert what they are given; but a span's attributes may be written
to directly. All encoders convert such values here, so that the same text arrives everywhere.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

Scalar = str | bool | int | float

MAX_TIME_NS = (1 << 64) - 1

_name_of = type.__dict__["__name__"].__get__  # a metaclass may have another, and that may raise


def text_of(value: object) -> str:
    """Return *value* as text that UTF-8 can carry; never raises.

    A lone surrogate becomes "?": one would fail a whole batch. What is no text becomes its `str()`,
    or `"<TypeName: unprintable>"` if that raises.
    """
    kind = type(value)  # isinstance would ask the value too, and an unbound proxy raises then
    try:
        text = str.__str__(value if issubclass(kind, str) else str(value))
    except Exception:
        if issubclass(kind, int):  # more digits than Python writes (sys.set_int_max_str_digits)
            return int.__format__(value, "#x")  # type: ignore[arg-type]
        return f"<{_name_of(kind)}: unprintable>"
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def scalar_of(value: object) -> Scalar:
    """Return *value* as exactly a str, bool, float or 64-bit int; all else as text. Never raises.

    By the types' own methods: a subclass may have overridden them.
    """
    try:
        if isinstance(value, bool):
            return value
        if isinstance(value, int):
            number = int.__int__(value)
            return number if -(1 << 63) <= number < 1 << 63 else text_of(number)
        if isinstance(value, float):
            return float.__float__(value)
    except Exception:  # noqa: S110  it only claims to be one
        pass
    return text_of(value)


def value_of(value: Any) -> Scalar | tuple[Scalar, ...]:
    """Return a list or tuple as `items_of` does, all else as `scalar_of` does. Never raises."""
    if issubclass(type(value), list | tuple):
        try:
            return items_of(value)
        except Exception:  # iterating over it is not what it was
            return text_of(value)
    return scalar_of(value)


def items_of(values: Sequence[object]) -> tuple[Scalar, ...]:
    """Return the items of a sequence as scalars of one type: as text, if they were not."""
    items = tuple(map(scalar_of, values))
    return items if len({type(item) for item in items}) <= 1 else tuple(map(text_of, items))


def times_of(start_ns: Any, end_ns: Any) -> tuple[int, int]:
    """Return the start and end of a span as numbers of 64 bits, in nanoseconds; never raises.

    A missing one is the other, or else both are now; an end before the start is the start.
    """
    start_ns = time_of(end_ns if start_ns is None else start_ns)
    return start_ns, start_ns if end_ns is None else max(start_ns, time_of(end_ns))


def time_of(time_ns: Any) -> int:
    """Return *time_ns* moved into 64 bits: now if it is None, 0 if no number. Never raises."""
    if time_ns is None:
        return time.time_ns()
    try:
        return min(max(int(time_ns), 0), MAX_TIME_NS)
    except Exception:  # not a number, or not a finite one
        return 0
