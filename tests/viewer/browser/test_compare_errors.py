"""A trace that failed beside one that did not: the error is what differs."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.viewer.conftest import Make, Receiving


def test_a_failure_is_a_difference(page: Page, viewer: Receiving, make: Make) -> None:
    """Though both have the same spans; and nothing is said of what there is none of."""
    for trace in (1, 2):
        spans = [
            make.span(trace, 1, name="POST /orders"),
            make.span(trace, 2, parent=1, name="load", at_ms=0.1),
            make.span(trace, 3, parent=1, name="charge", at_ms=0.2, error=trace == 2),
        ]
        viewer.add(make.batch(spans))
    page.goto(f"/compare?a={1:032x}&b={2:032x}&differences=1")
    rows = page.locator(".merged tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("charge")
    expect(rows.nth(1).locator(".sign")).to_contain_text("more or fewer errors")
    said = page.locator(".compare-bar").get_by_role("status")
    expect(said).to_have_text("2 places alike, 1 with more or fewer errors")
