"""What is written into the page's search form."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from iox_otel.viewer.arrivals import MAX_TIME_NS
from iox_otel.viewer.page_query import MAX_LIMIT, query_of, tags_of
from iox_otel.viewer.parameters import ParameterError

NAMES = ["tags", "start", "end", "limit", "minDuration", "maxDuration", "lookback", "errors"]


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("", {}),
        ("  ", {}),
        ("a=b", {"a": "b"}),
        (" a=b  c=d ", {"a": "b", "c": "d"}),
        ("error", {"error": "true"}),
        ("a=", {"a": ""}),
        ('a=""', {"a": ""}),
        ('a="b c" "d e"=f', {"a": "b c", "d e": "f"}),
        (r'a="\"\\ \n"', {"a": '"\\ n'}),
        ("a=b=c", {"a": "b=c"}),
        ("http.url=http://x/?y", {"http.url": "http://x/?y"}),
        ("a=1 a=2", {"a": "2"}),
        ('"', None),
        ('{"error":"true"}', None),
        ('a="b', None),
        ('a="b"c', None),
        ("=b", None),
    ],
)
def test_tags(text: str, tags: dict[str, str] | None) -> None:
    """They are logfmt; what is none is refused."""
    if tags is None:
        with pytest.raises(ParameterError, match="tags: expected key=value"):
            tags_of(text)
    else:
        assert tags_of(text) == tags


@pytest.mark.parametrize("text", ["1.5s", "1.5 s", " 1 s 500 ms "])
def test_durations_as_the_page_writes_them(text: str) -> None:
    """With spaces or without."""
    query = query_of(QueryParams({"minDuration": text, "maxDuration": text}))
    assert query.min_duration_ns == query.max_duration_ns == 1_500_000_000


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_quoted_tags(tags: dict[str, str]) -> None:
    """Any text can be asked for, when it is quoted."""

    def quoted(text: str) -> str:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'

    text = " ".join(f"{quoted(key)}={quoted(value)}" for key, value in tags.items())
    assert tags_of(text) == tags


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=30)))
def test_any_parameters_are_read_or_refused(parameters: dict[str, str]) -> None:
    """There is no other error, and the refusal names the parameter."""
    try:
        query_of(QueryParams(parameters))
    except ParameterError as error:
        assert any(str(error).startswith(f"{name}: ") for name in parameters)


@given(st.lists(st.sampled_from(['"', "\\", "=", " ", "a", "b"]), max_size=200))
def test_odd_tags_end(letters: list[str]) -> None:
    """No text makes the search think for long."""
    text = "".join(letters)
    try:
        assert isinstance(json.dumps(tags_of(text)), str)
    except ParameterError as error:
        assert len(str(error)) < 250


def test_nothing_is_asked_for() -> None:
    """An empty form finds everything."""
    query = query_of(QueryParams({}))
    assert (query.start_ns, query.end_ns, query.limit) == (0, MAX_TIME_NS, 100)
    assert query.max_duration_ns is None


def test_the_limit_has_one() -> None:
    """No search brings more than the page can show."""
    assert query_of(QueryParams({"limit": "999999"})).limit == MAX_LIMIT
