"""Tests of the labels that requests are counted under."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iox_otel.http.classify import Classification
from iox_otel.http.metrics import (
    OTHER_PATH,
    PathLabels,
    bounded_path,
    keeps_path,
    method_label,
    status_of,
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("", ""),
        ("/a/b/c", "/a/b/c"),
        ("/a/b/c/", "/a/b/c/*"),
        ("/a/b/c/d", "/a/b/c/*"),
        ("/a/b/c/d/e/f/g", "/a/b/c/*"),
    ],
)
def test_a_path_is_cut_to_its_first_segments(path: str, expected: str) -> None:
    """What lies deeper than the limit is one star."""
    assert bounded_path(path, max_segments=3) == expected


@given(st.text(alphabet="/ab", max_size=60), st.integers(1, 6), st.integers(1, 30))
def test_a_bounded_path_keeps_both_limits(path: str, max_segments: int, max_chars: int) -> None:
    """Neither the segments nor the characters exceed what was asked for; a bounded path stays."""
    bounded = bounded_path(path, max_segments=max_segments, max_chars=max_chars)

    assert len(bounded) <= max_chars
    assert bounded.count("/") <= max_segments + 1
    assert bounded == path or bounded.endswith("*")


def test_paths_beyond_the_limit_share_one_label() -> None:
    """The number of different labels is bounded; those there already go on being used."""
    paths = PathLabels(max_values=2)

    labels = [paths.label(path) for path in ("/a", "/b", "/c", "/a", "/d", "/b")]

    assert labels == ["/a", "/b", OTHER_PATH, "/a", OTHER_PATH, "/b"]


@pytest.mark.parametrize("limits", [{"max_values": 0}, {"max_segments": 0}])
def test_limits_below_one_are_refused(limits: dict[str, int]) -> None:
    """A limit that lets nothing through is a mistake."""
    with pytest.raises(ValueError, match="limits must be at least 1"):
        PathLabels(**limits)


@pytest.mark.parametrize(
    ("classification", "status"),
    [
        (Classification.OK, "ok"),
        (Classification.PATH_NOT_FOUND, "client_error"),
        (Classification.METHOD_NOT_ALLOWED, "client_error"),
        (Classification.CLIENT_ERROR, "client_error"),
        (Classification.SERVER_ERROR, "server_error"),
        (Classification.UNEXPECTED_RESPONSE, "unexpected_response"),
        (None, "aborted"),
    ],
)
def test_each_classification_has_its_status(
    classification: Classification | None, status: str
) -> None:
    """The labels are the reference's."""
    assert status_of(classification) == status


def test_method_labels_are_standard_methods_of_http_only() -> None:
    """No label for a made-up word, where the method was refused, and for gRPC."""
    assert method_label("GET", "http", Classification.OK) == "GET"
    assert method_label("BREW", "http", Classification.OK) is None
    assert method_label("get", "http", Classification.OK) is None
    assert method_label("GET", "http", Classification.METHOD_NOT_ALLOWED) is None
    assert method_label("POST", "grpc", Classification.OK) is None


def test_paths_that_a_client_made_up_are_left_out() -> None:
    """Not found, and an aborted gRPC call that no router has seen, name no path."""
    assert keeps_path("http", "server", Classification.OK)
    assert keeps_path("http", "server", Classification.CLIENT_ERROR)
    assert not keeps_path("http", "server", Classification.PATH_NOT_FOUND)
    assert not keeps_path("grpc", "server", Classification.PATH_NOT_FOUND)
    assert keeps_path("http", "server", None)
    assert not keeps_path("grpc", "server", None)
    assert keeps_path("grpc", "client", None)
