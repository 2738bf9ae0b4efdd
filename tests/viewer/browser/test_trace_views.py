"""What is the same in a trace's three views, and how each says what was found."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from iox_otel.viewer.stored import Batch
from tests.viewer.conftest import Make, Receiving

TRACE = f"/trace/{1:032x}"


def shop(make: Make) -> list[Batch]:
    """Return a trace of some calls."""
    spans = [
        make.span(1, 1, name="root", ms=100),
        make.span(1, 2, parent=1, name="load", at_ms=1, ms=40),
        make.span(1, 3, parent=2, name="query", at_ms=2, ms=10),
        make.span(1, 4, parent=2, name="query", at_ms=20, ms=10),
    ]
    return [make.batch(spans)]


def test_matches_are_marked_in_every_view(page: Page, viewer: Receiving, make: Make) -> None:
    """The rows of the table and the boxes of the flame graph that have one of them in it."""
    viewer.add(*shop(make))
    page.goto(f"{TRACE}?q=query")
    expect(page.locator(".row.is-match")).to_have_count(2)
    expect(page.locator(".minimap-matches")).not_to_have_attribute("d", "")
    page.get_by_role("button", name="Table").click()
    expect(page.locator(".operations tr.is-match")).to_have_count(1)
    expect(page.locator(".operations tr.is-match")).to_contain_text("query")
    expect(page.locator(".find-count")).to_have_text("2 found")
    page.get_by_role("button", name="Flame").click()
    found = page.locator(".flame-box.is-match")
    expect(found).to_have_text(["query20.0 ms (20.0 %)"])
    page.get_by_role("searchbox", name="Find in this trace").fill("load")
    page.get_by_role("button", name="Flame").click()
    expect(found).to_have_text(["load40.0 ms (40.0 %)"])


def test_a_box_of_the_flame_graph_says_what_it_is_when_pointed_at(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """In the line above; where the pointer leaves, what is enlarged."""
    viewer.add(*shop(make))
    page.goto(f"{TRACE}?view=flame")
    said = page.locator(".flame-said")
    page.get_by_role("button", name="shop: query, 2 spans").hover()
    expect(said).to_contain_text("shop: query, 2 spans, 20.0 ms with all below (20.0 %)")
    said.hover()
    expect(said).to_contain_text("press a part")


def test_buttons_that_would_find_nothing_are_off(page: Page, viewer: Receiving, make: Make) -> None:
    """Next and previous, of matches and of errors."""
    viewer.add(*shop(make))
    page.goto(TRACE)
    for what in ("match", "error"):
        for step in ("Next", "Previous"):
            expect(page.get_by_role("button", name=f"{step} {what}")).to_be_disabled()
    box = page.get_by_role("searchbox", name="Find in this trace")
    box.fill("query")
    expect(page.get_by_role("button", name="Next match")).to_be_enabled()
    box.fill("nowhere")
    expect(page.get_by_role("button", name="Next match")).to_be_disabled()


def test_the_minimap_says_which_rows_are_in_sight(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Of so many that they do not fit; nothing where they do."""
    spans = [make.span(1, 1, name="root", ms=1000)]
    spans += [make.span(1, n, parent=1, at_ms=n) for n in range(2, 1001)]
    viewer.add(make.batch(spans), make.batch([make.span(2, 1)]))
    page.goto(TRACE)
    expect(page.get_by_role("treegrid")).to_have_attribute("aria-rowcount", "1000")
    seen = page.locator(".minimap-rows")
    expect(seen).to_be_visible()
    page.get_by_role("treegrid").evaluate("grid => { grid.scrollTop = grid.scrollHeight / 2; }")
    page.wait_for_function("parseFloat(document.querySelector('.minimap-rows').style.top) === 50")
    page.goto(f"/trace/{2:032x}")
    expect(page.get_by_role("row")).to_have_count(1)
    expect(seen).to_be_hidden()


def test_errors_are_said_however_little_room_there_is(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Beside the duration; the trace's id and its date give way to them."""
    page.set_viewport_size({"width": 1000, "height": 700})
    spans = [make.span(1, 1, name="GET /a/rather/long/path/of/an/operation", ms=9, error=True)]
    viewer.add(make.batch(spans, "a-service-with-a-long-name"))
    page.goto(TRACE)
    errors = page.locator(".trace-facts .has-errors")
    expect(errors).to_have_text("1 error")
    inside = """each => each.getBoundingClientRect().right
        <= each.parentElement.getBoundingClientRect().right"""
    assert errors.evaluate(inside)


def test_the_bar_above_stays_where_it_is_in_every_view(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """What is below it does not jump."""
    viewer.add(*shop(make))
    page.goto(TRACE)
    tops = []
    for view in ("Timeline", "Table", "Flame"):
        page.get_by_role("button", name=view).click()
        expect(page.get_by_role("button", name=view)).to_have_attribute("aria-pressed", "true")
        box = page.locator(".trace-body").bounding_box()
        assert box is not None
        tops.append(box["y"])
    assert len(set(tops)) == 1


def test_the_page_of_a_trace_that_is_not_here_leads_to_the_search(page: Page) -> None:
    """Where else to go from there."""
    # The browser says it, too, on the console, which only the fixture's page must keep empty.
    other = page.context.new_page()
    other.goto(TRACE)
    other.get_by_role("main").get_by_role("link", name="Search for traces").click()
    other.wait_for_url("**/search")
