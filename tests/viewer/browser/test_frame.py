"""What is around the views: header, keys, addresses; and that nothing of a span is markup."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from iox_otel.viewer.stored import Batch
from tests.viewer.conftest import Make, Receiving

ID = 0xABC


def test_a_trace_is_opened_by_its_id_however_it_was_copied(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Bare, short, or in a header's value; what is none is said, and stays to be mended."""
    viewer.add(make.batch([make.span(ID, 1, name="mine")]))
    field = page.get_by_label("Open a trace by its id")
    said = ("abc", f"{ID:032X}", f"uber-trace-id: {ID:x}:1:0:1", f"00-{ID:032x}-{1:016x}-01")
    page.goto("/search")
    for text in said:
        field.fill(text)
        field.press("Enter")
        page.wait_for_url(f"**/trace/{ID:032x}")
        expect(page.get_by_role("row")).to_have_count(1)
        page.get_by_role("link", name="Search", exact=True).click()
        page.wait_for_url("**/search")
        expect(page.locator("main")).to_be_focused()
    field.fill("no id")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("1 to 32 hexadecimal digits")
    expect(field).to_have_value("no id")


@pytest.mark.parametrize(("digits", "is_part"), [("abc", True), ("a" * 16, False)])
def test_a_part_of_an_id_is_told_from_a_whole_one(
    browser: Browser, viewer: Receiving, digits: str, is_part: bool
) -> None:
    """Where there is no such trace: whoever copied a part of an id is not told that it is gone."""
    context = browser.new_context(
        base_url=viewer.url
    )  # what is not there is an error in its console
    page = context.new_page()
    page.goto("/search")
    field = page.get_by_label("Open a trace by its id")
    field.fill(digits)
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("is not here")
    part = page.get_by_text("A whole id has 16 or 32 digits, this one has 3 after any zeros.")
    expect(part).to_have_count(int(is_part))
    context.close()


def test_views_are_reached_by_links_and_back(page: Page, viewer: Receiving, make: Make) -> None:
    """Without loading the page anew; the header says which one is shown."""
    viewer.add(make.batch([make.span(1, 1)]))
    page.goto("/")
    page.wait_for_url("**/search")
    page.evaluate("window.stayed = true")
    for name, route in (("Compare", "compare"), ("Service graph", "graph"), ("Search", "search")):
        page.get_by_role("navigation").get_by_role("link", name=name).click()
        page.wait_for_url(f"**/{route}")
        expect(page.locator("nav [aria-current=page]")).to_have_text(name)
        expect(page).to_have_title(f"{name} · iox-otel viewer")
    page.go_back()
    expect(page.locator("h1")).to_have_text("1 service, 0 calls")
    assert page.evaluate("window.stayed") is True
    page.keyboard.press("Tab")
    page.get_by_text("Skip to content").focus()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_the_help_lists_the_keys_of_the_view(page: Page) -> None:
    """By `?` and by the button; Esc ends it, and no other key works below it."""
    page.goto("/search")
    expect(page.get_by_role("heading", name="No traces yet")).to_be_visible()
    page.keyboard.press("?")
    help_ = page.get_by_role("dialog", name="Keyboard")
    keys = ["/", "j", "↓", "k", "↑", "Enter", "x", "c", "p", "r", "?", "Esc"]
    expect(help_.locator("kbd")).to_have_text(keys)
    page.keyboard.press("p")
    page.keyboard.press("Escape")
    expect(help_).to_have_count(0)
    expect(page.get_by_role("button", name="Live: Live")).to_be_visible()
    page.get_by_role("link", name="Service graph").click()
    expect(page.get_by_role("heading", name="No services yet")).to_be_visible()
    page.get_by_role("button", name="Keyboard help").click()
    expect(help_).to_contain_text("zoom in")


def test_no_text_of_a_span_is_markup(
    page: Page, viewer: Receiving, hostile_batches: list[Batch]
) -> None:
    """In lists, choices, tips, comparison, graph and conditions; nor does any break the layout."""
    viewer.add(*hostile_batches)
    page.goto("/search")
    rows = page.locator("tbody tr")
    traces = {span.trace_id for batch in hostile_batches for span in batch.spans}
    expect(rows).to_have_count(len(traces))
    image = "<img src=x onerror=alert(1)>"
    expect(page.locator("a.root", has_text=image).first).to_be_visible()
    page.locator("a.dot").last.hover(force=True)
    expect(page.locator(".scatter .tip")).to_be_visible()
    page.get_by_label("Service").select_option(image)
    expect(page.get_by_label("Operation").locator("option")).to_have_count(2)
    page.get_by_label("Operation").select_option(image)
    expect(rows).to_have_count(2)
    page.get_by_label("Tags").fill(f'x="{image}"')
    page.get_by_label("Tags").press("Enter")
    chips = [f"service is {image} ✕", f"operation is {image} ✕", f'tag x="{image}" ✕']
    expect(page.locator(".chips button")).to_have_text(chips)
    page.goto(f"/compare?a={0xBAD:032x}&b={0xBAD01:032x}")
    expect(page.locator(".merged tbody tr").first).to_be_visible()
    page.goto("/graph")
    expect(page.locator(".node").first).to_be_visible()
    page.keyboard.press("t")
    expect(page.locator("tbody tr").first).to_be_visible()
    foreign = page.locator("main img, main iframe, main script, main style, main object")
    expect(foreign).to_have_count(0)
    fits = "document.documentElement.scrollWidth <= innerWidth"
    for address in ("/search", f"/compare?a={0xBAD:032x}&b={0xBAD02:032x}", "/graph?view=table"):
        page.goto(address)
        expect(page.locator("tbody tr").first).to_be_visible()
        assert page.evaluate(fits), address
