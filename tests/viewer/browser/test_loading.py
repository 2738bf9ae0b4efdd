"""A view loads what it needs at once and once, and keeps it to itself."""

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


LOOK = """() => [...document.querySelectorAll("main *")].map(each => {
    const {display, margin, overflow, color, borderWidth, fontSize} = getComputedStyle(each);
    const look = [display, margin, overflow, color, borderWidth, fontSize];
    return `${each.getAttribute("class")}: ${look.join(" ")}`;
})"""


@pytest.mark.parametrize(
    ("view", "ready"),
    [("search", "tbody tr"), (f"compare?a={1:032x}&b={2:032x}", ".merged tbody tr")],
)
def test_a_view_looks_the_same_after_a_trace(
    page: Page, viewer: Receiving, make: Make, view: str, ready: str
) -> None:
    """What a view's style sheet says is for that view, though it stays when another one comes."""
    viewer.add(make.batch([make.span(n, 1, at_ms=9 * n, error=True) for n in (1, 2)]))
    page.goto(f"/{view}")
    page.locator(ready).first.wait_for()
    before = page.evaluate(LOOK)
    page.locator("main a[href*='trace/']").first.click()
    page.locator(".row").first.wait_for()
    page.go_back()
    page.locator(ready).first.wait_for()
    assert page.evaluate(LOOK) == before
