"""Finding in a trace, hiding what is short, going from error to error; the address has it all."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tests.viewer.conftest import Make, Receiving

TRACE = f"/trace/{1:032x}"


def selected(page: Page) -> Locator:
    """Return the operation of the row that is the current one."""
    return page.locator(".row[aria-selected=true] .row-operation")


def names(page: Page) -> Locator:
    """Return the operations of the rows in sight."""
    return page.locator(".row-operation:not(h1 *)")


def test_texts_of_all_kinds_are_found(page: Page, viewer: Receiving, make: Make) -> None:
    """Names, services, keys, values, events, links, errors' texts and ids; case is no matter."""
    span = make.span(1, 2, parent=1, name="Load Cart", at_ms=1, statement="SELECT 1", retries=42)
    span.status.message = "declined"
    event = span.events.add(name="cache miss")
    event.attributes.add(key="shard").value.string_value = "nine"
    span.links.add(trace_id=bytes(15) + b"\xcd", span_id=bytes(7) + b"\xab")
    viewer.add(make.batch([make.span(1, 1, name="root", ms=9)]), make.batch([span], "cart-service"))
    page.goto(TRACE)
    box = page.get_by_role("searchbox", name="Find in this trace")
    said = page.locator(".find-count")
    texts = ["load CART", "cart-service", "statement", "select 1", "retries=42", "declined"]
    texts += ["cache MISS", "shard=nine", f"{0xAB:016x}", f"{2:016x}", f"{0xCD:032x}"]
    for text in texts:
        box.fill(text)
        expect(said).to_have_text("1 of 1")
        expect(selected(page)).to_have_text("Load Cart")
        expect(page.locator(".row.is-match")).to_have_count(1)
    box.fill("not in here")
    expect(said).to_have_text("nothing")
    box.fill("declined")
    page.keyboard.press("Escape")
    expect(said).to_have_text("")
    expect(page.locator(".row.is-match")).to_have_count(0)


def test_matches_are_gone_through_and_can_stand_alone(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Next and previous go around the end; what a match hangs from stays, in a fainter look."""
    spans = [make.span(1, 1, name="root", ms=100)]
    for n, name in enumerate(("step one", "other", "step two", "step three"), 2):
        spans.append(make.span(1, n, parent=1, name=name, at_ms=n, key="found here"))
    viewer.add(make.batch(spans))
    page.goto(TRACE)
    page.get_by_role("searchbox", name="Find in this trace").fill("step")
    following = page.get_by_role("button", name="Next match")
    for name, place in (("step two", 2), ("step three", 3), ("step one", 1)):
        following.click()
        expect(selected(page)).to_have_text(name)
        expect(page.locator(".find-count")).to_have_text(f"{place} of 3")
    page.get_by_role("button", name="Previous match").click()
    expect(selected(page)).to_have_text("step three")
    page.get_by_label("matches only").check()
    expect(names(page)).to_have_text(["root", "step one", "step two", "step three"])
    expect(page.locator(".row.is-context .row-operation")).to_have_text(["root"])
    expect(page.locator(".find-hidden")).to_have_text("1 hidden")
    page.get_by_role("searchbox", name="Find in this trace").fill("found here")
    page.locator(".row", has_text="step one").click()
    expect(page.locator(".pairs .is-match")).to_contain_text(["found here"])


def test_short_spans_are_hidden_and_errors_gone_through(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """A short parent of a long span stays; an error in a collapsed part is opened."""
    spans = [
        make.span(1, 1, name="root", ms=100),
        make.span(1, 2, parent=1, name="short", at_ms=1, ms=1),
        make.span(1, 3, parent=1, name="short parent", at_ms=2, ms=1),
        make.span(1, 4, parent=3, name="long child", at_ms=3, ms=40, error=True),
        make.span(1, 5, parent=1, name="long", at_ms=50, ms=30, error=True),
    ]
    viewer.add(make.batch(spans))
    page.goto(TRACE)
    shortest = page.get_by_label("Hide spans shorter than")
    shortest.fill("20 ms")
    expect(names(page)).to_have_text(["root", "short parent", "long child", "long"])
    shortest.fill("soon")
    expect(shortest).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("row")).to_have_count(4)
    shortest.fill("")
    expect(page.get_by_role("row")).to_have_count(5)
    page.get_by_role("button", name="Collapse all").click()
    expect(page.get_by_role("row")).to_have_count(1)
    for name in ("long child", "long", "long child"):
        page.get_by_role("button", name="Next error").click()
        expect(selected(page)).to_have_text(name)
    page.get_by_role("button", name="Previous error").click()
    expect(selected(page)).to_have_text("long")


def test_the_address_has_all_that_is_shown(page: Page, viewer: Receiving, make: Make) -> None:
    """A reload, a copied link and going back show the same again."""
    spans = [make.span(1, 1, name="root", ms=100)]
    spans += [make.span(1, n, parent=1, name=f"step {n}", at_ms=n, ms=n) for n in range(2, 9)]
    viewer.add(make.batch(spans))
    page.goto(TRACE)
    page.get_by_role("searchbox", name="Find in this trace").fill("step")
    page.get_by_label("matches only").check()
    page.get_by_label("Hide spans shorter than").fill("5ms")
    page.locator(".row", has_text="step 7").click()
    page.get_by_role("button", name="Zoom to it").click()
    page.wait_for_url(
        lambda url: all(f"{name}=" in url for name in ("q", "only", "shortest", "span", "zoom"))
    )
    zoomed = page.locator(".row", has_text="step 7").locator(".bar-whole").get_attribute("width")
    page.reload()
    expect(selected(page)).to_have_text("step 7")
    expect(names(page)).to_have_text(["root", "step 5", "step 6", "step 7", "step 8"])
    expect(page.get_by_label("matches only")).to_be_checked()
    expect(page.get_by_label("Hide spans shorter than")).to_have_value("5ms")
    expect(page.get_by_role("complementary")).to_contain_text("step 7")
    bar = page.locator(".row", has_text="step 7").locator(".bar-whole")
    expect(bar).to_have_attribute("width", str(zoomed))
    for view in ("Table", "Flame"):
        page.get_by_role("button", name=view).click()
        page.wait_for_url(f"**view={view.lower()}*")
    page.go_back()
    expect(page.get_by_role("button", name="Table")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("table")).to_be_visible()
    expect(page.get_by_role("button", name="Collapse all")).to_be_hidden()
    page.go_back()
    expect(selected(page)).to_have_text("step 7")
    page.go_forward()
    expect(page.get_by_role("table")).to_be_visible()
    page.reload()
    expect(page.get_by_role("table")).to_be_visible()
