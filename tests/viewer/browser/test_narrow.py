"""Windows of every width: what is left out or goes elsewhere, and that all is in reach."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.viewer.conftest import Make, Receiving

DAY_NS = 86_400 * 10**9
VIEWS = {
    "/search": "Upload…",
    "/search?start=1&end=2": "Find traces",
    f"/compare?a={1:032x}&b={2:032x}": "Compare",
    "/graph": "Fit",
    f"/trace/{1:032x}": "Expand all",
}


def add_some(viewer: Receiving, make: Make) -> None:
    """Keep two traces of ten services."""
    for trace in (1, 2):
        root = make.span(trace, 1, name="POST /api/orders/{id}/lines", ms=20)
        viewer.add(make.batch([root], "gateway-of-the-shop"))
        for n in range(2, 11):
            viewer.add(make.batch([make.span(trace, n, parent=1, at_ms=1)], f"service-{n}"))


def is_within(inner: Locator, outer: Locator) -> bool:
    """Whether all of the width of one is within that of the other."""
    a, b = inner.bounding_box(), outer.bounding_box()
    assert a is not None
    assert b is not None
    return b["x"] <= a["x"] and a["x"] + a["width"] <= b["x"] + b["width"]


@pytest.mark.parametrize("width", [400, 800, 1000])
def test_no_view_is_wider_than_its_window(
    page: Page, viewer: Receiving, make: Make, width: int
) -> None:
    """Its controls are there, and the whole page is never to be moved sideways."""
    add_some(viewer, make)
    page.set_viewport_size({"width": width, "height": 800})
    for address, control in VIEWS.items():
        page.goto(address)
        names = ("Keyboard help", "Show all (0)" if control == "Fit" else control)
        for name in names:
            button = page.get_by_role("button", name=name, exact=True)
            expect(button).to_be_visible()
            assert is_within(button, page.locator("body")), (address, name)
        for place in ("html", "#main"):
            script = "element => element.scrollWidth - element.clientWidth"
            assert page.locator(place).evaluate(script) == 0, (address, place)


def test_the_form_is_above_the_list_where_there_is_no_room_beside_it(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """And the list is still one that can be read; rows far down are made when they are reached."""
    spans = [make.span(n, 1, name=f"n{n}", at_ms=n) for n in range(1, 251)]
    viewer.add(make.batch(spans))
    page.set_viewport_size({"width": 800, "height": 800})
    page.goto("/search?limit=500")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(200)
    form, found = page.locator(".search-form").bounding_box(), page.locator(".found").bounding_box()
    assert form is not None
    assert found is not None
    assert form["y"] + form["height"] < found["y"] < 500
    assert found["width"] == 800
    page.locator(".found").evaluate("found => found.scrollTo(0, found.scrollHeight)")
    expect(rows).to_have_count(250)


def test_details_lie_over_the_timeline_where_there_is_no_room_beside_it(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """They are in the window as a whole, and can be put away."""
    add_some(viewer, make)
    page.set_viewport_size({"width": 400, "height": 800})
    page.goto(f"/trace/{1:032x}?span={2:016x}")
    detail = page.locator(".detail")
    expect(detail).to_be_visible()
    timeline = page.locator(".timeline").bounding_box()
    assert timeline is not None
    assert timeline["width"] > 380
    at = detail.bounding_box()
    assert at is not None
    assert at["x"] >= 0
    assert at["x"] + at["width"] <= 400
    detail.locator("button").first.click()
    expect(detail).to_have_count(0)


@pytest.mark.parametrize("width", [700, 1000, 1280, 1400, 1920])
def test_what_the_list_shows_is_not_cut_off(
    page: Page, viewer: Receiving, make: Make, width: int
) -> None:
    """Starts with and without a day are there as a whole, and there is room for the root's name."""
    add_some(viewer, make)
    late = make.span(3, 1)
    late.start_time_unix_nano = late.end_time_unix_nano = time.time_ns() - 630 * 10**9
    viewer.add(make.batch([late]))
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/search")
    expect(page.locator("tbody tr")).to_have_count(3)
    for cell in page.locator("td.of-start").all():
        assert cell.evaluate("cell => cell.scrollWidth - cell.clientWidth") <= 0
        assert is_within(cell, page.locator(".found"))
    script = "cells => Math.min(...cells.map(cell => cell.clientWidth))"
    assert page.locator("td.of-name").evaluate_all(script) > 110
    script = "all => all.filter(each => each.offsetWidth).map(each => each.offsetLeft)"
    assert len(set(page.locator(".ago").evaluate_all(script))) <= 1, "clocks are not in line"


def test_as_many_services_are_named_as_there_is_room_for(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """How many there are is said first; none is cut."""
    add_some(viewer, make)
    shown = []
    for width in (1500, 1920, 2600):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto("/search")
        cell = page.locator("td.of-services").first
        expect(cell.locator(".services > span")).to_have_text("10")
        bottom = cell.bounding_box()
        assert bottom is not None
        inside = [
            is_within(each, cell)
            for each in cell.locator(".service").all()
            if (box := each.bounding_box()) and box["y"] < bottom["y"] + bottom["height"]
        ]
        assert all(inside)
        shown.append(len(inside))
    assert 1 <= shown[0] < shown[1] < shown[2]
