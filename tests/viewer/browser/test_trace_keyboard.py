"""A trace without a mouse."""

from __future__ import annotations

from opentelemetry.proto.trace.v1.trace_pb2 import Span
from playwright.sync_api import Locator, Page, expect

from tests.viewer.conftest import Make, Receiving

TRACE = f"/trace/{1:032x}"


def spans(make: Make) -> list[Span]:
    """Return a root with two branches of two, an error in each."""
    return [
        make.span(1, 1, name="root", ms=100),
        make.span(1, 2, parent=1, name="left", at_ms=1, ms=40),
        make.span(1, 3, parent=2, name="left leaf", at_ms=2, ms=20, error=True),
        make.span(1, 4, parent=1, name="right", at_ms=50, ms=40),
        make.span(1, 5, parent=4, name="right leaf", at_ms=51, ms=20, error=True),
    ]


def expect_keys(page: Page, *wanted: tuple[str, str]) -> None:
    """Each key makes the span of that name the current one."""
    selected = page.locator(".row[aria-selected=true] .row-operation")
    for key, name in wanted:
        page.keyboard.press(key)
        expect(selected).to_have_text(name)


def details(page: Page) -> Locator:
    """Return the panel of a span."""
    return page.get_by_role("complementary", name="Details of the span")


def test_keys_go_through_the_tree(page: Page, viewer: Receiving, make: Make) -> None:
    """Up, down, in, out, to errors and matches; the focus stays on the grid and can be seen."""
    viewer.add(make.batch(spans(make)))
    page.goto(TRACE)
    rows = page.get_by_role("row")
    expect(rows).to_have_count(5)
    expect_keys(page, ("j", "root"), ("j", "left"), ("k", "root"), ("ArrowDown", "left"))
    grid = page.get_by_role("treegrid", name="Spans")
    expect(grid).to_be_focused()
    current = page.locator(".row[aria-selected=true]")
    expect(grid).to_have_attribute("aria-activedescendant", current.get_attribute("id") or "none")
    outline = "row => getComputedStyle(row).outlineStyle"
    assert current.evaluate(outline) == "solid", "the current row is not marked for the keyboard"
    expect_keys(page, ("End", "right leaf"), ("Home", "root"), ("PageDown", "right leaf"))
    expect_keys(page, ("PageUp", "root"), ("ArrowRight", "left"), ("ArrowRight", "left leaf"))
    expect_keys(page, ("ArrowLeft", "left"), ("ArrowLeft", "left"))
    expect(rows).to_have_count(4)
    expect(current).to_have_attribute("aria-expanded", "false")
    expect_keys(page, ("ArrowLeft", "root"), ("e", "left leaf"), ("e", "right leaf"))
    expect_keys(page, ("e", "left leaf"), ("E", "right leaf"))
    for key, count in (("[", 3), ("[", 1), ("]", 3), ("]", 5)):
        page.keyboard.press(key)
        expect(rows).to_have_count(count)
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Find in this trace")).to_be_focused()
    page.keyboard.type("leaf")
    expect(page.locator(".find-count")).to_have_text("1 of 2")
    expect_keys(page, ("Enter", "right leaf"), ("Shift+Enter", "left leaf"))
    grid.focus()
    expect_keys(page, ("n", "right leaf"), ("n", "left leaf"), ("N", "right leaf"))


def test_enter_opens_the_details_and_escape_goes_back_step_by_step(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Details, then what was looked for, then the zoom; menu and help close by themselves."""
    viewer.add(make.batch(spans(make)))
    page.goto(f"{TRACE}?q=leaf&zoom=0-50000000")
    expect(page.get_by_role("row")).to_have_count(5)
    expect_keys(page, ("j", "root"), ("j", "left"))
    page.keyboard.press("Enter")
    expect(details(page)).to_be_focused()
    expect(details(page)).to_contain_text("left")
    page.keyboard.press("j")
    expect(details(page)).to_contain_text("left leaf")
    expect(details(page)).to_be_focused()
    page.locator(".menu summary").click()
    expect(page.get_by_role("link", name="OTLP JSON")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="OTLP JSON")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(details(page)).to_have_count(0)
    expect(page.get_by_role("treegrid")).to_be_focused()
    expect(page.locator(".row.is-match")).to_have_count(2)
    page.keyboard.press("Escape")
    expect(page.locator(".row.is-match")).to_have_count(0)
    assert "zoom=" in page.url
    page.keyboard.press("Escape")
    page.wait_for_url(lambda url: "zoom=" not in url)
    page.keyboard.press("z")
    page.wait_for_url("**zoom=*")
    page.keyboard.press("?")
    help_of_keys = page.get_by_role("dialog", name="Keyboard")
    for text in ("next error", "find in the trace", "collapse one level", "details of the span"):
        expect(help_of_keys).to_contain_text(text)
    page.keyboard.press("j")
    expect(page.locator(".row[aria-selected=true] .row-operation")).to_have_text("left leaf")
    page.keyboard.press("Escape")
    expect(help_of_keys).to_have_count(0)
    assert "zoom=" in page.url


def test_widths_and_the_flame_graph_work_by_keys(page: Page, viewer: Receiving, make: Make) -> None:
    """The borders move by arrows; boxes are pressed and left."""
    viewer.add(make.batch(spans(make)))
    page.goto(f"{TRACE}?span={2:016x}")
    for name, part, key in (
        ("Width of the names", ".timeline-title", "ArrowRight"),
        ("Width of the details", ".detail", "ArrowLeft"),
    ):
        before = page.locator(part).evaluate("part => part.offsetWidth")
        border = page.get_by_role("separator", name=name)
        border.press(key)
        expect(border).to_have_attribute("aria-valuenow", str(before + 20))
        assert page.locator(part).evaluate("part => part.offsetWidth") == before + 20
    page.get_by_role("button", name="Flame").press("Enter")
    box = page.get_by_role("button", name="shop: left, 1 span")
    box.press("Enter")
    expect(page.locator(".flame-said")).to_contain_text("shop: left, 1 span")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.locator(".flame-said")).to_contain_text("press a part")
