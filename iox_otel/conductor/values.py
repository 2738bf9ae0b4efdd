"""Arrow values as plain Python ones, fit for JSON, CSV and tables."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pyarrow as pa

Value = bool | int | float | str | list[object] | dict[str, object] | None

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def plain_values(array: pa.Array) -> list[Value]:
    """Return the values of *array*, each as JSON knows it.

    Times are RFC 3339 in UTC, with as many digits of the second's fraction as they need (0, 3, 6 or
    9); bytes are hexadecimal; numbers that JSON has no words for (NaN, ±∞) are None; decimals,
    durations and intervals are text.
    """
    for is_type, convert in _CONVERSIONS:
        if is_type(array.type):
            return convert(array)
    return [None if value is None else str(value) for value in array.to_pylist()]


def text_values(array: pa.Array) -> list[str]:
    """Return the values of *array* as a table or CSV shows them; a null is empty."""
    if pa.types.is_floating(array.type):  # text has words for NaN and infinity
        return ["" if value is None else _float_text(value) for value in array.to_pylist()]
    return [_text(value) for value in plain_values(array)]


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _float_text(value: float) -> str:
    return "NaN" if math.isnan(value) else repr(value)


def _dictionary(array: pa.DictionaryArray) -> list[Value]:
    return plain_values(array.dictionary_decode())


def _as_they_are(array: pa.Array) -> list[Value]:
    values: list[Value] = array.to_pylist()
    return values


def _floats(array: pa.Array) -> list[Value]:
    return [v if v is not None and math.isfinite(v) else None for v in array.to_pylist()]


def _binary(array: pa.Array) -> list[Value]:
    return [None if value is None else value.hex() for value in array.to_pylist()]


def _as_arrow_has_them(array: pa.Array) -> list[Value]:
    return _as_they_are(array.cast(pa.string()))


def _timestamps(array: pa.Array) -> list[Value]:
    per_second = _PER_SECOND[array.type.unit]
    known: dict[int, str] = {}
    return [
        None if ticks is None else _rfc3339(ticks, per_second, known)
        for ticks in array.cast(pa.int64()).to_pylist()
    ]


def _rfc3339(ticks: int, per_second: int, known: dict[int, str]) -> str:
    seconds, fraction = divmod(ticks, per_second)
    text = known.get(seconds)
    if text is None:
        text = known[seconds] = _whole_second(seconds)
    return f"{text}{_fraction(fraction, per_second)}Z"


def _whole_second(seconds: int) -> str:
    try:
        return (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()
    except OverflowError:  # before year 1 or after 9999: RFC 3339 has no words for it either
        return f"{seconds:+d} seconds since 1970-01-01T00:00:00"


def _fraction(ticks: int, per_second: int) -> str:
    """Return *ticks*, less than a second, as the digits behind it: as few groups as will do."""
    digits = f"{ticks * (1_000_000_000 // per_second):09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return digits and f".{digits}"


def _durations(array: pa.Array) -> list[Value]:
    """Return durations in the form of ISO 8601."""
    per_second = _PER_SECOND[array.type.unit]
    return [
        None if ticks is None else _iso_duration(ticks, per_second)
        for ticks in array.cast(pa.int64()).to_pylist()
    ]


def _iso_duration(ticks: int, per_second: int) -> str:
    seconds, fraction = divmod(abs(ticks), per_second)
    return f"{'-' if ticks < 0 else ''}PT{seconds}{_fraction(fraction, per_second)}S"


def _intervals(array: pa.Array) -> list[Value]:
    return [
        None
        if value is None
        else f"{value.months} mons {value.days} days {value.nanoseconds} nanos"
        for value in array.to_pylist()
    ]


def _lists(array: pa.Array) -> list[Value]:
    return [None if item is None else list(plain_values(item)) for item in _items(array)]


def _items(array: pa.Array) -> list[pa.Array | None]:
    return [scalar.values if scalar.is_valid else None for scalar in array]


def _structs(array: pa.StructArray) -> list[Value]:
    names = [field.name for field in array.type]
    columns = [plain_values(column) for column in array.flatten()]
    rows = zip(*columns, strict=True) if columns else iter([()] * len(array))
    return [
        dict(zip(names, row, strict=True)) if valid else None
        for valid, row in zip(array.is_valid().to_pylist(), rows, strict=True)
    ]


def _is_text_or_plain(data_type: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_boolean(data_type)
        or types.is_integer(data_type)
        or types.is_string(data_type)
        or types.is_large_string(data_type)
        or types.is_string_view(data_type)
        or types.is_null(data_type)
    )


def _is_binary(data_type: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_binary(data_type)
        or types.is_large_binary(data_type)
        or types.is_binary_view(data_type)
        or types.is_fixed_size_binary(data_type)
    )


def _is_list(data_type: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_list(data_type)
        or types.is_large_list(data_type)
        or types.is_fixed_size_list(data_type)
        or types.is_map(data_type)
    )


def _is_rendered_by_arrow(data_type: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_date(data_type) or types.is_time(data_type) or types.is_decimal(data_type))


_CONVERSIONS: tuple[
    tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], list[Value]]], ...
] = (
    (_is_text_or_plain, _as_they_are),
    (pa.types.is_floating, _floats),
    (pa.types.is_dictionary, _dictionary),
    (pa.types.is_timestamp, _timestamps),
    (_is_rendered_by_arrow, _as_arrow_has_them),
    (pa.types.is_duration, _durations),
    (pa.types.is_interval, _intervals),
    (_is_binary, _binary),
    (_is_list, _lists),
    (pa.types.is_struct, _structs),
)
