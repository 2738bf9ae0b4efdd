"""A service graph that is larger than the window."""

from __future__ import annotations

from playwright.sync_api import FloatRect, Page, expect

from tests.viewer.conftest import Make, Receiving

LONG = "the-service-that-has-much-to-do-with-warehouses"


def add_calls(viewer: Receiving, make: Make, trace: int, caller: str, *called: str) -> None:
    """Keep a trace in which a service calls others, the second one twice and so on."""
    spans = [make.batch([make.span(trace, 1, ms=100)], caller)]
    for n, name in enumerate(called, 1):
        each = [make.span(trace, 100 * n + k, parent=1, at_ms=n) for k in range(n)]
        spans.append(make.batch(each, name))
    viewer.add(*spans)


def box(page: Page, name: str) -> FloatRect:
    """Return where a service is drawn."""
    found = page.locator(f'.node[data-name="{name}"] .box').bounding_box()
    assert found is not None
    return found


def test_letters_stay_large_enough_and_the_rest_is_reached(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """By keys, which bring into sight where they go; and all of it is shown on request."""
    add_calls(viewer, make, 1, "hub", *(f"s{n:02}" for n in range(40)))
    page.goto("/graph")
    expect(page.locator("h1")).to_contain_text("41 services")
    script = "letters => Math.min(...letters.map(each => each.getBoundingClientRect().height))"
    assert page.locator(".node .name").evaluate_all(script) > 8
    assert 80 < box(page, "hub")["y"] < 700, "where the calls begin is not in sight"
    last = page.locator(".node").last
    name = last.get_attribute("data-name")
    assert name is not None
    page.keyboard.press("Tab")
    last.focus()
    at = box(page, name)
    assert 80 < at["y"] < 800 - at["height"]
    page.get_by_role("button", name="Show all (0)").click()
    drawn = [box(page, f"s{n:02}") for n in range(40)]
    assert min(each["y"] for each in drawn) > 80
    assert max(each["y"] + each["height"] for each in drawn) < 800


def test_parts_that_no_call_connects_stand_side_by_side(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """And none over another."""
    add_calls(viewer, make, 1, "hub", *(f"s{n}" for n in range(9)))
    for n in range(2, 7):
        add_calls(viewer, make, n, f"caller-{n}", f"called-{n}")
    page.goto("/graph")
    expect(page.locator(".node")).to_have_count(20)
    boxes = [each.bounding_box() for each in page.locator(".node .box").all()]
    places = [each for each in boxes if each]
    for i, a in enumerate(places):
        for b in places[:i]:
            apart_x = abs(a["x"] - b["x"]) >= a["width"]
            assert apart_x or abs(a["y"] - b["y"]) >= a["height"]
    assert box(page, "caller-2")["x"] > box(page, "s0")["x"] + box(page, "s0")["width"]


def test_a_name_that_is_too_long_ends_in_an_ellipsis(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Within its box; the whole of it is its title."""
    add_calls(viewer, make, 1, LONG, "WWWWWWWWWWWWWWWWWWWWWWWWW", "short")
    page.goto("/graph")
    expect(page.locator(".node")).to_have_count(3)
    for name in (LONG, "WWWWWWWWWWWWWWWWWWWWWWWWW"):
        node = page.locator(f'.node[data-name="{name}"]')
        expect(node.locator(".name")).to_contain_text("…")
        expect(node.locator("title")).to_have_text(name)
        text, whole = node.locator(".name").bounding_box(), box(page, name)
        assert text is not None
        assert text["x"] + text["width"] < whole["x"] + whole["width"]
    expect(page.locator('.node[data-name="short"] .name')).not_to_contain_text("…")


def test_the_table_is_sorted_by_what_is_pressed_and_stays_so(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """As the list of traces is."""
    add_calls(viewer, make, 1, "b", "z", "y")
    add_calls(viewer, make, 2, "a", "x", "y", "z")
    page.goto("/graph?view=table")
    rows = page.locator("tbody tr")
    expect(rows).to_have_text(["az3", "ay2", "by2", "ax1", "bz1"])
    page.get_by_role("button", name="Called", exact=True).click()
    expect(rows).to_have_text(["ax1", "ay2", "by2", "az3", "bz1"])
    page.wait_for_url("**sort=called")
    page.get_by_role("button", name="Caller", exact=True).click()
    page.get_by_role("button", name="Caller", exact=True).click()
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Caller")
    page.reload()
    expect(rows).to_have_text(["by2", "bz1", "az3", "ay2", "ax1"])
