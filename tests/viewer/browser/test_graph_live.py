"""The service graph while spans come."""

from __future__ import annotations

from playwright.sync_api import Page, Route, expect

from tests.viewer.conftest import Make, Receiving


def test_spans_that_come_while_an_answer_is_on_its_way_are_not_missed(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """The graph asks once more, as that answer may be without them."""
    page.clock.install()
    held: list[Route] = []
    page.route("**/api/dependencies?*", lambda route: held.append(route), times=1)
    with page.expect_response("**/api/viewer/services"):
        page.goto("/graph")
    viewer.add(make.batch([make.span(1, 1)]))
    expect(page.locator(".header")).to_contain_text("1 trace")
    held[0].fulfill(json={"data": []})
    expect(page.locator("h1")).to_have_text("0 services, 0 calls")
    page.clock.run_for(60_000)
    expect(page.locator("h1")).to_have_text("1 service, 0 calls")
