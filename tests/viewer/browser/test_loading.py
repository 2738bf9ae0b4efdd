"""A view loads what it needs at once and once."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page

from tests.viewer.conftest import Make, Receiving

READY = {
    "search": "table tbody tr",
    "trace/1": ".row",
    "compare?a=1&b=1": ".compare, table",
    "graph": "svg",
}


@pytest.mark.parametrize("view", READY)
def test_all_modules_are_asked_for_by_the_document(
    page: Page, receiving: Receiving, make: Make, view: str
) -> None:
    """So that the browser need not read one to know of the next; a trace is not asked for twice."""
    receiving.viewer.store.add([make.batch([make.span(1, 1)]), make.batch([make.span(1, 2)], "db")])
    page.goto(f"/{view}")
    page.locator(READY[view]).first.wait_for()
    loaded = page.evaluate("performance.getEntriesByType('resource').map((each) => each.name)")
    named = page.evaluate(
        "[...document.querySelectorAll('link, script')].map((e) => e.href || e.src)"
    )
    modules = [each for each in loaded if each.endswith(".js")]
    assert len(modules) > 10
    assert set(modules) <= set(named)
    traces = [each for each in loaded if re.search(r"/api/viewer/traces/1$", each)]
    assert len(traces) == (view == "trace/1")
