"""The page's documents and files."""

from __future__ import annotations

import re

import httpx
import pytest

from .conftest import Receiving

VIEWS = ("search", "trace/1", "compare", "graph")


@pytest.mark.parametrize("view", VIEWS)
def test_what_a_document_names_is_there_and_never_changes(receiving: Receiving, view: str) -> None:
    """A browser that has it asks no more for it; the document itself it asks for each time."""
    page = httpx.get(f"{receiving.url}/{view}")
    assert page.headers["cache-control"] == "no-cache"
    named = re.findall(r'(?:href|src)="(static/[^"]+)"', page.text)
    assert len(named) > 20
    for each in named:
        answer = httpx.get(f"{receiving.url}/{each}")
        assert (answer.status_code, "immutable" in answer.headers["cache-control"]) == (200, True)


def test_an_address_of_another_version_is_not_kept(receiving: Receiving) -> None:
    """Nor one of none: what is there now may be something else tomorrow."""
    assert httpx.get(f"{receiving.url}/static/0123456789abcdef/js/app.js").status_code == 404
    answer = httpx.get(f"{receiving.url}/static/js/app.js")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")


def test_the_id_of_a_trace_is_only_text(receiving: Receiving) -> None:
    """Whatever is in it does not become markup."""
    page = httpx.get(f'{receiving.url}/trace/"><script>alert(1)')
    assert page.status_code == 200
    assert page.text.count("<script") == 1
