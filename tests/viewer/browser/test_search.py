"""The list of traces and the diagram above it, as a browser shows them."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.viewer.conftest import Make, Receiving

MANY = 5_000


def add_three(viewer: Receiving, make: Make) -> None:
    """Keep three traces; the newest first in every other way than by start is another one."""
    spans = [
        make.span(1, 1, name="GET /a", at_ms=0, ms=300),
        make.span(2, 1, name="GET /b", at_ms=1_000, ms=20, error=True),
        make.span(3, 1, name="GET /c", at_ms=2_000, ms=5),
    ]
    viewer.add(make.batch(spans), make.batch([make.span(1, 2, parent=1), make.span(1, 3)], "db"))


def names(page: Page) -> list[str]:
    """Return the names of the roots, from above."""
    return page.locator("a.root").all_text_contents()


def test_a_row_tells_what_a_trace_is(page: Page, viewer: Receiving, make: Make) -> None:
    """Service, root, duration, counts of spans and errors, services and start; newest first."""
    add_three(viewer, make)
    page.goto("/search")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(page.get_by_role("heading", level=1)).to_have_text("3 traces")
    assert names(page) == ["GET /c", "GET /b", "GET /a"]
    cells = rows.nth(2).locator("td")
    expect(cells.nth(1)).to_have_text("shop")
    expect(cells.nth(3)).to_have_text("300 ms")
    expect(cells.nth(4)).to_have_text("3")
    expect(cells.nth(5)).to_have_text("–")
    expect(cells.nth(6)).to_have_attribute("title", "db 2\nshop 1")
    expect(cells.nth(7)).to_contain_text(re.compile(r"2023-11-1[45] \d\d:\d\d:20\.000 .* ago"))
    expect(rows.nth(1).locator("td").nth(5)).to_have_text("1")


def test_the_list_is_sorted_by_what_is_pressed_and_stays_so(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """By every column, turned round by a second press, after a reload and after going back, too."""
    add_three(viewer, make)
    page.goto("/search")
    orders = {"Duration": "abc", "Spans": "acb", "Errors": "bca", "Root": "abc", "Start": "cba"}
    for title, order in orders.items():
        page.get_by_role("button", name=title, exact=True).click()
        expect(page.locator("th[aria-sort]")).to_contain_text(title)
        assert names(page) == [f"GET /{letter}" for letter in order]
    page.get_by_role("button", name="Duration").click()
    page.get_by_role("button", name="Duration").click()
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Duration")
    page.reload()
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Duration")
    assert names(page) == ["GET /c", "GET /b", "GET /a"]
    page.locator("tbody tr", has_text="GET /b").click(position={"x": 300, "y": 10})
    page.wait_for_url("**/trace/*2")
    page.go_back()
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Duration")


def test_dots_open_traces_and_a_drag_chooses_a_time(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """A dot tells what it is and leads there; a drag over the diagram is a range of time."""
    add_three(viewer, make)
    page.goto("/search")
    dots = page.locator("a.dot")
    expect(dots).to_have_count(3)
    places = {}
    for dot in dots.all():
        box = dot.bounding_box()
        assert box is not None
        places[dot.get_attribute("aria-label")] = box["x"], box["y"]
    a, b, c = places["GET /a, 300 ms"], places["GET /b, 20.0 ms"], places["GET /c, 5.00 ms"]
    assert a[0] < b[0] < c[0], "not over time"
    assert a[1] < b[1] < c[1], "a longer one is not higher"
    expect(page.locator("a.dot.has-errors")).to_have_attribute("aria-label", "GET /b, 20.0 ms")
    page.mouse.move(b[0] - 30, b[1] + 20)
    page.mouse.down()
    page.mouse.move(b[0] + 40, b[1] + 20, steps=3)
    page.mouse.up()
    page.wait_for_url(re.compile(r"start=\d+&end=\d+"))
    expect(page.locator("tbody tr")).to_have_count(1)
    assert names(page) == ["GET /b"]
    expect(page.get_by_label("From")).to_have_value(re.compile(r"^2023-11-1[45]T"))
    expect(page.get_by_role("button", name="Live: Not live")).to_be_visible()
    dots.hover()
    expect(page.locator(".scatter .tip")).to_contain_text("shop GET /b20.0 ms · 1 span · 1 error")
    expect(page.locator("tbody tr.hot")).to_contain_text("GET /b")
    dots.click()
    page.wait_for_url("**/trace/*2")


def test_keys_go_through_the_list_open_and_compare(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """All of a search can be done without a mouse."""
    add_three(viewer, make)
    page.goto("/search")
    expect(page.locator("tbody tr")).to_have_count(3)
    for key, name in (("j", "c"), ("j", "b"), ("ArrowDown", "a"), ("j", "a"), ("ArrowUp", "b")):
        page.keyboard.press(key)
        expect(page.locator("a.root:focus")).to_have_text(f"GET /{name}")
    outline = page.locator("a.root:focus").evaluate("link => getComputedStyle(link).outlineStyle")
    assert outline == "solid", "the focus cannot be seen"
    page.keyboard.press("x")
    page.keyboard.press("c")
    expect(page.get_by_role("status").filter(has_text="Choose two traces")).to_be_visible()
    page.keyboard.press("k")
    page.keyboard.press("x")
    page.reload()
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(2)
    page.keyboard.press("/")
    expect(page.get_by_label("Tags")).to_be_focused()
    page.keyboard.type("x?")
    expect(page.get_by_label("Tags")).to_have_value("x?")
    page.get_by_label("Tags").clear()
    page.keyboard.press("Escape")
    expect(page.get_by_label("Tags")).not_to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/trace/*")


def test_two_chosen_traces_are_compared(page: Page, viewer: Receiving, make: Make) -> None:
    """Of three that are chosen the last two count."""
    add_three(viewer, make)
    page.goto("/search")
    compare = page.locator("button", has_text="Compare")
    expect(compare).to_be_disabled()
    for letter in "abc":
        page.get_by_role("checkbox", name=f"Choose GET /{letter} to compare").click()
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(2)
    page.keyboard.press("c")
    page.wait_for_url(f"**/compare?a={2:032x}&b={3:032x}")


def test_thousands_of_results_are_at_hand(page: Page, viewer: Receiving, make: Make) -> None:
    """Few rows are in the document; the others come as they are scrolled or walked to."""
    spans = [make.span(n, 1, name=f"GET /{n}", at_ms=n, ms=1 + n % 100) for n in range(1, MANY + 2)]
    viewer.add(make.batch(spans))
    page.goto(f"/search?limit={MANY}")
    expect(page.get_by_role("heading", level=1)).to_have_text("The newest 5,000 traces")
    expect(page.locator("a.dot")).to_have_count(MANY)
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(200)
    page.locator(".found").evaluate("list => { list.scrollTop = list.scrollHeight; }")
    expect(rows).to_have_count(400)
    rows.last.locator("a").focus()
    page.keyboard.press("j")
    expect(page.locator("a.root:focus")).to_have_text("GET /4601")
    page.get_by_role("button", name="Root").click()
    expect(page.locator("a.root").first).to_have_text("GET /10")
    expect(rows).to_have_count(200)
    assert page.locator(".found").evaluate("list => list.scrollTop") == 0
