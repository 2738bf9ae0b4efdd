"""The service graph: who calls whom, and how often."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.viewer.conftest import Make, Receiving


def node(page: Page, name: str) -> tuple[float, float]:
    """Return where a service is drawn."""
    box = page.locator(f'.node[data-name="{name}"]').bounding_box()
    assert box is not None
    return box["x"], box["y"]


def test_services_and_their_calls_are_drawn_and_listed(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Callers left of what they call, circles too; numbers on the calls; links to the traces."""
    page.goto("/graph")
    expect(page.get_by_role("heading", name="No services yet")).to_be_visible()
    web = [make.span(1, 1, name="GET"), make.span(2, 1, name="GET")]
    shop = [make.span(n, 2, parent=1, name="buy", at_ms=0.1, ms=0.5) for n in (1, 2)]
    bank = [make.span(1, 3, parent=2, name="pay", at_ms=0.2, ms=0.2)]
    back = [make.span(1, 4, parent=3, name="notify", at_ms=0.3, ms=0.1)]
    viewer.add(make.batch(web, "web"), make.batch(shop), make.batch(bank, "bank"))
    viewer.add(make.batch(back), make.batch([make.span(3, 1, name="tick")], "cron"))
    expect(page.locator("h1")).to_have_text("4 services, 4 calls")
    calls = page.locator(".call title")
    texts = {"web calls shop: 2 times", "shop calls bank: 1 time", "bank calls shop: 1 time"}
    assert set(calls.all_text_contents()) == texts
    assert node(page, "web")[0] < node(page, "shop")[0] < node(page, "bank")[0]
    expect(page.locator(".call.back title")).to_have_text("bank calls shop: 1 time")
    expect(page.locator('.node[data-name="cron"]')).to_contain_text("no calls")
    page.locator('.node[data-name="web"]').focus()
    expect(page.locator(".call.lit")).to_have_count(1)
    before = node(page, "web")
    page.get_by_role("button", name="Zoom in (+)").click()
    assert node(page, "web") != before
    page.keyboard.press("0")
    assert node(page, "web") == pytest.approx(before, abs=1)
    page.keyboard.press("t")
    page.wait_for_url("**/graph?view=table")
    page.reload()
    cells = page.locator("tbody tr")
    expect(cells).to_have_text(["webshop2", "bankshop1", "shopbank1"])
    page.get_by_label("Time").select_option("5m")
    expect(page.locator("tbody")).to_contain_text("No service calls another.")
    page.get_by_role("button", name="Graph").click()
    page.get_by_label("Time").select_option("")
    page.locator('.node[data-name="bank"]').click()
    page.wait_for_url("**/search?service=bank")
    expect(page.locator("tbody tr")).to_have_count(1)
