"""Who sees little, or uses no mouse: WCAG's level AA in both colour schemes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from tests.viewer.conftest import Make, Receiving

LOOKS = {
    "results": ("/search?errors=", "tbody tr"),
    "nothing fits": ("/search?service=gone&lookback=1h", ".chips"),
    "an error": ("/search?tags=%3D1", "[role=alert]"),
    "a range": ("/search?start=1&end=2", ".chips"),
    "compared": (f"/compare?a={1:032x}&b={2:032x}", ".merged tbody tr"),
    "to compare": ("/compare", ".page-narrow"),
    "graph": ("/graph", ".node"),
    "graph as table": ("/graph?view=table", "tbody tr"),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_keeps_to_wcag(
    page: Page,
    viewer: Receiving,
    make: Make,
    violations: Callable[[], list[str]],
    scheme: Literal["light", "dark"],
) -> None:
    """Contrast, names, roles and order, in the colours that the system asks for."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto("/search")
    expect(page.get_by_role("heading", name="No traces yet")).to_be_visible()
    is_dark = "getComputedStyle(document.body).backgroundColor === 'rgb(20, 23, 28)'"
    assert page.evaluate(is_dark) is (scheme == "dark")
    wrong = {"empty": violations()}
    for trace, ms in ((1, 100), (2, 200)):
        spans = [
            make.span(trace, 1, name=f"GET /{trace}", ms=ms),
            make.span(trace, 2 + trace, parent=1, name=f"only {trace}", at_ms=1, error=True),
        ]
        below = make.span(trace, 2, parent=1, at_ms=3, ms=ms / 2)
        viewer.add(make.batch(spans), make.batch([below], "bank"))
    for look, (address, shown) in LOOKS.items():
        page.goto(address)
        expect(page.locator(shown).first).to_be_visible()
        expect(page.locator("[aria-busy]")).to_have_count(0)
        wrong[look] = violations()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    wrong["help"] = violations()
    assert {look: each for look, each in wrong.items() if each} == {}
