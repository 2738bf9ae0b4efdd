"""The colours of services: they stay, and within a trace they differ."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.viewer.conftest import Make, Receiving

MANY = 12
ROWS = """rows => Object.fromEntries(rows.map(row => [row.querySelector(".row-service").textContent,
    getComputedStyle(row.querySelector(".row-service")).borderLeftColor]))"""


def colours(page: Page, trace: int, services: int) -> dict[str, str]:
    """Return the colour that each service of a trace has."""
    page.goto(f"/trace/{trace:032x}")
    expect(page.get_by_role("row")).to_have_count(services)
    return dict(page.get_by_role("row").evaluate_all(ROWS))


def add(viewer: Receiving, make: Make, trace: int, *services: str) -> None:
    """Keep a trace in which these services call each other."""
    for n, service in enumerate(services, 1):
        viewer.add(make.batch([make.span(trace, n, parent=n - 1, at_ms=n, ms=50 - n)], service))


def test_a_service_keeps_its_colour_whatever_others_come(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Another service takes none away, neither in the list nor in the trace."""
    add(viewer, make, 1, "shop", "cart", "bank")
    swatch = "row => getComputedStyle(row.querySelector('.of-service .swatch')).backgroundColor"
    page.goto("/search")
    first = page.locator("tbody tr").filter(has_text="shop").first
    listed = first.evaluate(swatch)
    before = colours(page, 1, 3)
    assert before["shop"] == listed, "the list and the trace say it in two ways"
    for n in range(MANY):
        add(viewer, make, 2 + n, f"a-{n}")
    assert colours(page, 1, 3) == before
    page.goto("/search")
    shop = page.locator("tbody tr").filter(has_text="cart")
    assert shop.evaluate(swatch) == listed


def test_services_of_a_trace_differ_as_long_as_there_are_colours(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Whatever their names are."""
    add(viewer, make, 1, *(f"service-{n}" for n in range(MANY)))
    assert len(set(colours(page, 1, MANY).values())) == MANY
