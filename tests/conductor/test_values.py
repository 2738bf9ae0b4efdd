"""Arrow values as JSON and text know them."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from iox_otel.conductor.values import plain_values, text_values

NS = pa.timestamp("ns")


@pytest.mark.parametrize(
    ("array", "plain"),
    [
        (pa.array([True, None]), [True, None]),
        (pa.array([2**64 - 1, None], pa.uint64()), [2**64 - 1, None]),
        (pa.array([-(2**63)]), [-(2**63)]),
        (pa.array(["ü", None]), ["ü", None]),
        (pa.array(["x"], pa.large_string()), ["x"]),
        (pa.array(["x"], pa.string_view()), ["x"]),
        (pa.array(["a", "b", "a", None]).dictionary_encode(), ["a", "b", "a", None]),
        (pa.array([None]), [None]),
        (pa.array([1.5, float("nan"), float("-inf"), None]), [1.5, None, None, None]),
        (pa.array([b"\x01\xff", None]), ["01ff", None]),
        (pa.array([date(2026, 1, 31), None]), ["2026-01-31", None]),
        (pa.array([Decimal("1.50")]), ["1.50"]),
        (pa.array([5], pa.time64("ns")), ["00:00:00.000000005"]),
        (pa.array([timedelta(seconds=-1.5)]), ["-PT1.500S"]),
        (pa.array([1], pa.duration("ns")), ["PT0.000000001S"]),
        (pa.array([pa.MonthDayNano([1, 2, 3])]), ["1 mons 2 days 3 nanos"]),
        (pa.array([[1, None], None]), [[1, None], None]),
        (pa.array([[1]], pa.list_(NS)), [["1970-01-01T00:00:00.000000001Z"]]),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), [[{"key": "k", "value": 1}]]),
        (pa.array([{"a": 1, "b": float("inf")}, None]), [{"a": 1, "b": None}, None]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_plain_values(array: pa.Array, plain: list[Any]) -> None:
    """Values of every type become what JSON can say."""
    assert plain_values(array) == plain
    json.dumps(plain_values(array), allow_nan=False)


@pytest.mark.parametrize(
    ("ticks", "unit", "text"),
    [
        (0, "ns", "1970-01-01T00:00:00Z"),
        (1, "ns", "1970-01-01T00:00:00.000000001Z"),
        (1_000, "ns", "1970-01-01T00:00:00.000001Z"),
        (1_500_000_000, "ns", "1970-01-01T00:00:01.500Z"),
        (-1, "ns", "1969-12-31T23:59:59.999999999Z"),
        (2**63 - 1, "ns", "2262-04-11T23:47:16.854775807Z"),
        (-62_135_596_800, "s", "0001-01-01T00:00:00Z"),
        (1, "ms", "1970-01-01T00:00:00.001Z"),
        (2**62, "s", "+4611686018427387904 seconds since 1970-01-01T00:00:00Z"),
    ],
)
def test_times(ticks: int, unit: str, text: str) -> None:
    """Times are RFC 3339 in UTC, their fraction of a second as short as it can be."""
    assert plain_values(pa.array([ticks, None], pa.timestamp(unit))) == [text, None]


def test_times_with_a_zone() -> None:
    """A time with a zone is the same moment in UTC."""
    array = pa.array([0], pa.timestamp("s", "Europe/Berlin"))

    assert plain_values(array) == ["1970-01-01T00:00:00Z"]


def test_text_values() -> None:
    """Text has an empty null, words for booleans and for numbers that JSON lacks."""
    assert text_values(pa.array([True, False, None])) == ["true", "false", ""]
    assert text_values(pa.array([1.0, float("nan"), float("-inf")])) == ["1.0", "NaN", "-inf"]
    assert text_values(pa.array(["", None, "x"])) == ["", "", "x"]
    assert text_values(pa.array([{"a": "ü"}])) == ['{"a": "ü"}']
