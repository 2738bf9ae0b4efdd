"""The colours of services: they stay, and within a view they differ."""

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


SWATCHES = "all => all.map(each => getComputedStyle(each).getPropertyValue('--svc'))"


def differ(page: Page, swatches: str, services: int) -> list[str]:
    """Return the colours of what *swatches* selects, once there are so many; no two are alike."""
    expect(page.locator(swatches)).to_have_count(services)
    found: list[str] = page.locator(swatches).evaluate_all(SWATCHES)
    assert len(set(found)) == services
    return found


def test_services_of_other_views_differ_too(page: Page, viewer: Receiving, make: Make) -> None:
    """In the search, the service graph and a comparison; one that comes changes no other's."""
    names = [f"service-{n}" for n in range(MANY)]
    for n, service in enumerate(names[1:], 2):
        add(viewer, make, n, service)
    page.goto("/search")
    listed = differ(page, "tbody .of-service .swatch", MANY - 1)
    add(viewer, make, 1, names[0])
    now = differ(page, "tbody .of-service .swatch", MANY)
    assert set(listed) < set(now)
    page.goto("/graph")
    differ(page, ".node", MANY)
    add(viewer, make, 100, *names[: MANY // 2])
    add(viewer, make, 101, *names[MANY // 2 :])
    page.goto(f"/compare?a={100:032x}&b={101:032x}")
    differ(page, ".card .services .swatch", MANY)
