"""The parameters of Jaeger's query API."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from iox_otel.viewer.durations import duration_ns
from iox_otel.viewer.parameters import ParameterError, query_of, trace_id_of


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("0", 0),
        ("1ns", 1),
        ("1.5us", 1_500),
        ("1.5µs", 1_500),
        ("10ms", 10_000_000),
        (".5s", 500_000_000),
        ("1m", 60 * 10**9),
        ("2h45m0.5s", 9_900_500_000_000),
        ("-1ms", -1_000_000),
        ("1.001us", 1_001),
        ("1.001ms", 1_001_000),
        ("8.7s", 8_700_000_000),
        ("0.0000000019s", 1),
        ("0." + "3" * 5_000 + "ms", 333_333),
        ("0" * 5_000 + "1ms", 1_000_000),
    ],
)
def test_durations(text: str, expected_ns: int) -> None:
    """As Go reads them, to the nanosecond."""
    assert duration_ns(text) == expected_ns


@pytest.mark.parametrize("text", ["", "5", "ms", "1 ms", "1x", "1ms2", "١ms", "1e3s", "1..2s"])
def test_what_is_no_duration(text: str) -> None:
    """It is refused by its text."""
    with pytest.raises(ValueError, match="is not a duration"):
        duration_ns(text)


@given(
    st.dictionaries(
        st.sampled_from(["service", "tag", "tags", "start", "end", "limit", "minDuration"]),
        st.text(max_size=30),
    )
)
def test_any_parameters_are_read_or_refused(parameters: dict[str, str]) -> None:
    """There is no other error."""
    try:
        query_of(QueryParams(parameters))
    except ParameterError as error:
        assert str(error)


def test_trace_ids() -> None:
    """Up to 32 digits of either case, short ones with zeros before them."""
    assert trace_id_of("aB") == bytes(15) + b"\xab"
    assert trace_id_of("f" * 32) == b"\xff" * 16
    for text in ("", "x", "1" * 33, "1-2"):
        with pytest.raises(ParameterError, match="cannot parse traceID"):
            trace_id_of(text)
