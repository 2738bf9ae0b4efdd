"""Who sees little, or uses no mouse: WCAG's level AA in both colour schemes."""

from __future__ import annotations

from typing import Literal, Protocol

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from playwright.sync_api import Page, expect

from iox_otel.viewer.stored import Batch

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa"]}}
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


class Served(Protocol):
    """Keeps spans."""

    def add(self, *batches: Batch) -> None: ...


class Make(Protocol):
    """Makes spans."""

    def span(self, trace: int, number: int, **said: object) -> Span: ...
    def batch(self, spans: list[Span], service: str = ...) -> Batch: ...


def violations(page: Page) -> list[str]:
    """Return what of the page breaks the rules."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_keeps_to_wcag(
    page: Page, viewer: Served, make: Make, scheme: Literal["light", "dark"]
) -> None:
    """Contrast, names, roles and order, in the colours that the system asks for."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto("/search")
    expect(page.get_by_role("heading", name="No traces yet")).to_be_visible()
    is_dark = "getComputedStyle(document.body).backgroundColor === 'rgb(20, 23, 28)'"
    assert page.evaluate(is_dark) is (scheme == "dark")
    wrong = {"empty": violations(page)}
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
        wrong[look] = violations(page)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    wrong["help"] = violations(page)
    assert {look: each for look, each in wrong.items() if each} == {}
