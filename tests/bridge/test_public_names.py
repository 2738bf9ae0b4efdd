"""The public names of the bridge."""

from __future__ import annotations

import pytest

import iox_otel_bridge


def test_public_names_are_there_and_sorted() -> None:
    """Every name that is promised can be had."""
    names = iox_otel_bridge.__all__

    assert names == sorted(names)
    assert all(getattr(iox_otel_bridge, name).__name__ == name for name in names)
    assert set(names) <= set(dir(iox_otel_bridge))


def test_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as in any module."""
    with pytest.raises(AttributeError, match="has no attribute 'TracingConfg'"):
        iox_otel_bridge.TracingConfg  # noqa: B018
