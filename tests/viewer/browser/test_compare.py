"""Two traces side by side."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.viewer.conftest import Make, Receiving

COMPARE = f"/compare?a={1:032x}&b={2:032x}"


def add_two(viewer: Receiving, make: Make, root: str = "GET /cart") -> None:
    """Keep two traces that differ in most ways; the second one's root is called *root*."""
    a = [
        make.span(1, 1, name="GET /cart", ms=100),
        make.span(1, 2, parent=1, name="load", at_ms=1, ms=10),
        make.span(1, 3, parent=1, name="load", at_ms=20, ms=10, error=True),
        make.span(1, 4, parent=1, name="only a", at_ms=40, ms=5),
        make.span(1, 5, parent=1, name="same", at_ms=50, ms=5),
    ]
    b = [
        make.span(2, 1, name=root, ms=200),
        make.span(2, 2, parent=1, name="load", at_ms=1, ms=40),
        make.span(2, 5, parent=1, name="same", at_ms=50, ms=5),
        make.span(2, 6, parent=5, name="only b", at_ms=51, ms=1),
    ]
    viewer.add(make.batch(a), make.batch(b))


def rows(page: Page) -> list[str]:
    """Return the rows: indented by level, the difference, the name, both counts, the change."""
    script = """rows => rows.map(row => "-".repeat(row.ariaLevel - 1) + [...row.cells]
        .filter((_, i) => [0, 1, 2, 3, 7].includes(i))
        .map(cell => cell.textContent.replace(/[▾▸]/, "").trim()).join("|"))"""
    return list(page.locator(".merged tbody tr").evaluate_all(script))


def test_spans_at_the_same_place_stand_side_by_side(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """How many, how long, what only one has; alike places can be left out, and stay so."""
    add_two(viewer, make)
    page.goto(COMPARE)
    expect(page.locator(".merged tbody tr")).to_have_count(5)
    assert rows(page) == [
        "|shop GET /cart|1|1|+100 ms +100%",
        "-≠more or fewer errors|shop load|2 1 err|1|+20.0 ms +100%",
        "-−only in A|shop only a|1|–|",
        "-|shop same|1|1|0 ns +0%",
        "--+only in B|shop only b|–|1|",
    ]
    said = "2 places alike, 1 with more or fewer errors, 1 only in A, 1 only in B"
    expect(page.locator(".compare-bar")).to_contain_text(said)
    expect(page.get_by_label("Trace A", exact=True)).to_contain_text(
        "100 ms · 5 spans · 1 error · 2023-11-1"
    )
    expect(page.get_by_label("Trace B", exact=True)).to_contain_text("200 ms · 4 spans · no errors")
    page.keyboard.press("s")
    page.wait_for_url(f"**/compare?a={2:032x}&b={1:032x}")
    expect(page.get_by_label("Trace A", exact=True)).to_contain_text("200 ms")
    page.keyboard.press("[")
    expect(page.locator(".merged tbody tr")).to_have_count(1)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator(".merged tbody tr")).to_have_count(4)
    page.get_by_label("Trace A", exact=True).get_by_role("link").click()
    page.wait_for_url(f"**/trace/{2:032x}")


def test_roots_of_other_names_are_compared_all_the_same(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Both names are shown, and what is below them is put together."""
    add_two(viewer, make, "GET /checkout")
    page.goto(COMPARE)
    expect(page.locator(".merged tbody tr")).to_have_count(5)
    shown = rows(page)
    named = "≠named differently|Ashop GET /cartBshop GET /checkout|1|1|+100 ms +100%"
    assert shown[0] == named
    assert shown[3] == "-|shop same|1|1|0 ns +0%"
    expect(page.locator(".compare-bar")).to_contain_text(
        "1 place alike, the roots named differently,"
    )
    viewer.add(make.batch([make.span(2, 9, name="GET /cart", at_ms=300)]))
    page.reload()
    expect(page.locator(".merged tbody tr")).to_have_count(8)
    assert rows(page)[0].startswith("|shop GET /cart|1|1|"), "equal names belong together first"


def test_differences_alone_are_shown_on_request(page: Page, viewer: Receiving, make: Make) -> None:
    """The address keeps that; of two equal traces it says that they are."""
    spans = [make.span(trace, n, parent=n - 1, name=f"s{n}") for trace in (1, 2) for n in (1, 2)]
    viewer.add(make.batch(spans))
    page.goto(COMPARE)
    expect(page.locator(".merged tbody tr")).to_have_count(2)
    page.get_by_label("Differences only").check()
    page.wait_for_url("**differences=1")
    expect(page.locator(".merged tbody")).to_have_text(
        "Both have the same spans in the same places."
    )
    viewer.add(make.batch([make.span(2, 3, parent=2, name="more")]))
    page.reload()
    expect(page.locator(".merged tbody tr")).to_have_count(3)
    expect(page.get_by_label("Differences only")).to_be_checked()


def test_ids_are_taken_as_they_are_written_elsewhere(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Short ones and whole headers; what is no id is said."""
    add_two(viewer, make)
    page.goto("/compare")
    expect(page.get_by_role("heading", name="Compare two traces")).to_be_visible()
    page.get_by_label("Id of trace A").fill("1")
    page.get_by_label("Id of trace B").fill("none")
    page.get_by_label("Id of trace B").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("hexadecimal digits")
    page.get_by_label("Id of trace B").fill(f"traceparent: 00-{2:032x}-{1:016x}-01")
    page.get_by_label("Id of trace B").press("Enter")
    expect(page.locator(".merged tbody tr")).to_have_count(5)


def test_what_is_folded_is_in_the_address(page: Page, viewer: Receiving, make: Make) -> None:
    """By its places in the tree, or all of it; a reload shows the same, other traces all."""
    add_two(viewer, make)
    page.goto(COMPARE)
    shown = page.locator(".merged tbody tr")
    expect(shown).to_have_count(5)
    shown.nth(3).get_by_role("button", name="Collapse").click()
    page.wait_for_url("**&folded=3")
    page.reload()
    expect(shown).to_have_count(4)
    page.get_by_label("Differences only").check()
    page.wait_for_url("**&folded=3&differences=1")
    expect(shown).to_have_count(4)
    page.get_by_label("Differences only").uncheck()
    page.locator("h1").first.evaluate("() => document.activeElement.blur()")
    page.keyboard.press("[")
    page.wait_for_url("**&folded=all")
    page.reload()
    expect(shown).to_have_count(1)
    page.keyboard.press("s")
    page.wait_for_url(f"**/compare?a={2:032x}&b={1:032x}")
    expect(shown).to_have_count(5)
    page.go_back()
    expect(shown).to_have_count(1)
    page.keyboard.press("]")
    page.wait_for_url(lambda url: "folded" not in url)
    expect(shown).to_have_count(5)
    page.goto(f"{COMPARE}&folded=1,99,x,__proto__,length,0")
    expect(shown).to_have_count(1)


def test_more_folded_places_than_an_address_takes_stay_folded(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """The address leaves them out, and they stay while the page is there."""
    for trace in (1, 2):
        spans = [make.span(trace, 1, name="root", ms=1000)]
        for n in range(2, 122, 2):
            spans.append(make.span(trace, n, parent=1, name=f"step {n}", at_ms=n))
            spans.append(make.span(trace, n + 1, parent=n, name="below", at_ms=n))
        viewer.add(make.batch(spans))
    page.goto(f"{COMPARE}&folded=all")
    shown = page.locator(".merged tbody tr")
    shown.first.get_by_role("button", name="Expand").click()
    page.wait_for_url(lambda url: "folded" not in url)
    expect(shown).to_have_count(61)
    page.get_by_label("Differences only").check()
    page.get_by_label("Differences only").uncheck()
    expect(shown).to_have_count(61)
