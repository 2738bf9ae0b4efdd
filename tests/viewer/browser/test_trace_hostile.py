"""Texts that try to be more than text, on the page of a trace and in its file."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from iox_otel.viewer.stored import Batch
from tests.viewer.conftest import Receiving

TRACE_ID = f"{0xBAD:032x}"
SPANS = 21
CREATED = (
    "#main :is(img, iframe, script, style, b, [onerror], [onload], [srcdoc], a:not([href*=':/']))"
)


def expect_only_text(page: Page) -> None:
    """No text became an element, and none makes the page wider than the window."""
    expect(page.locator(CREATED)).to_have_count(0)
    script = """() => ["html", ".trace-head", ".find", ".rows", ".operations", ".flame", ".detail"]
        .filter(part => [...document.querySelectorAll(part)].some(
            each => each.scrollWidth > each.clientWidth + 1))"""
    assert page.evaluate(script) == [], "these are wider than their place"


def expect_details_of_every_span(page: Page) -> None:
    """Each span can be gone to, and its details are beside the rows."""
    rows = page.get_by_role("row")
    expect(rows).to_have_count(SPANS)
    assert set(rows.evaluate_all("rows => rows.map(row => row.offsetHeight)")) == {24}
    rows.first.click()
    details = page.get_by_role("complementary", name="Details of the span")
    for number in range(1, SPANS + 1):
        expect(details.locator("dd").get_by_text(f"{number:016x}", exact=True)).to_be_visible()
        expect_only_text(page)
        page.keyboard.press("j")


def test_no_text_of_a_span_becomes_more_than_text(
    page: Page, viewer: Receiving, hostile_batches: list[Batch]
) -> None:
    """Markup, control characters and long texts are shown as they are, in every view."""
    viewer.add(*hostile_batches)
    page.goto(f"/trace/{TRACE_ID}")
    expect_details_of_every_span(page)
    page.keyboard.press("Escape")
    page.get_by_role("searchbox", name="Find in this trace").fill("<img src=x")
    expect(page.locator(".find-count")).to_have_text("1 of 1")
    expect_only_text(page)
    page.get_by_role("button", name="Table").click()
    heights = "rows => Math.max(...rows.map(row => row.offsetHeight))"
    assert page.locator(".operations tbody tr").evaluate_all(heights) < 50
    expect_only_text(page)
    page.get_by_role("button", name="Flame").click()
    box = page.get_by_role("button", name="<img src=x onerror=alert(1)>: <img").first
    assert "‹202e›reversed" in page.locator(".flame").inner_html()
    box.click()
    expect_only_text(page)
    assert "<img" in page.title()


def test_the_texts_stay_texts_in_what_is_taken_away(
    page: Page, viewer: Receiving, hostile_batches: list[Batch], tmp_path: Path
) -> None:
    """The file, opened without a server, and the copied tree have a line for each span."""
    viewer.add(*hostile_batches)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"/trace/{TRACE_ID}")
    page.locator(".menu summary").click()
    page.get_by_role("button", name="Copy the tree as text").click()
    expect(page.get_by_role("button", name="Copy the tree as text")).to_have_text("copied")
    copied: str = page.evaluate("navigator.clipboard.readText()")
    assert len(copied.splitlines()) == SPANS + 1
    assert not any(each in copied for each in "\x00\x1b\u202e")
    with page.expect_download() as download:
        page.get_by_role("link", name="HTML, one file").click()
    path = tmp_path / "trace.html"
    download.value.save_as(path)
    page.goto(path.as_uri())
    expect_details_of_every_span(page)
    assert page.locator("body > script").count() == 2
