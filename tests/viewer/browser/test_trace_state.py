"""What a trace's address keeps: folded rows, the table's sort, the flame graph's part."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from playwright.sync_api import Page, expect

from tests.viewer.conftest import Make, Receiving

TRACE = f"/trace/{1:032x}"
MANY = 60


def spans(make: Make) -> list[Span]:
    """Return a root with two branches, each of which has a leaf, the first of these one more."""
    said = ((1, 0, "root", 100), (2, 1, "left", 40), (3, 1, "right", 30), (4, 2, "leaf", 20))
    listed = [make.span(1, n, parent=up, name=name, at_ms=n, ms=ms) for n, up, name, ms in said]
    listed.append(make.span(1, 5, parent=3, name="twig", at_ms=5, ms=10))
    listed.append(make.span(1, 6, parent=4, name="tip", at_ms=6, ms=5))
    return listed


def fold(page: Page, name: str) -> None:
    """Press what folds and unfolds the row of *name*."""
    page.locator(".row", has_text=name).locator(".row-toggle").click()


def expect_said(page: Page, **wanted: str) -> None:
    """Wait until the address says exactly this."""
    page.wait_for_function(
        """wanted => {
            const said = new URLSearchParams(location.search || location.hash.slice(1));
            return JSON.stringify([...said].sort()) === JSON.stringify(wanted);
        }""",
        arg=sorted([key, text] for key, text in wanted.items()),
    )


def test_folded_rows_are_in_the_address(page: Page, viewer: Receiving, make: Make) -> None:
    """By their depth where that says it, else by their ids; a reload and back show the same."""
    viewer.add(make.batch(spans(make)))
    page.goto(TRACE)
    names = page.locator(".row .row-operation")
    everything = ["root", "left", "leaf", "tip", "right", "twig"]
    expect(names).to_have_text(everything)
    fold(page, "left")
    expect_said(page, folded=f"{2:016x}")
    page.reload()
    expect(names).to_have_text(["root", "left", "right", "twig"])
    fold(page, "right")
    expect_said(page, folded=f"{2:016x},{3:016x}")
    page.reload()
    expect(names).to_have_text(["root", "left", "right"])
    page.get_by_role("button", name="Expand all").click()
    expect_said(page)
    expect(names).to_have_text(everything)
    fold(page, "leaf")
    expect_said(page, folded="2")
    page.get_by_role("button", name="Collapse all").click()
    expect_said(page, folded="0")
    page.goto(f"{TRACE}?folded=1")
    expect(names).to_have_text(["root", "left", "right"])
    page.go_back()
    expect(names).to_have_text(["root"])
    page.go_forward()
    expect(names).to_have_text(["root", "left", "right"])


def test_an_address_without_the_page_anew_folds_too(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Back and forward within a trace; the span that an address names is in sight in any case."""
    viewer.add(make.batch(spans(make)))
    page.goto(f"{TRACE}?folded=0")
    names = page.locator(".row .row-operation")
    expect(names).to_have_text(["root"])
    page.get_by_role("button", name="Table").click()
    expect_said(page, folded="0", view="table")
    page.get_by_role("button", name="Timeline").click()
    page.get_by_role("button", name="Expand all").click()
    expect(names).to_have_count(6)
    page.go_back()
    page.go_back()
    expect(names).to_have_text(["root"])
    page.goto(f"{TRACE}?folded=0&span={5:016x}")
    expect(names).to_have_text(["root", "left", "right", "twig"])
    expect_said(page, folded=f"{2:016x},{4:016x}", span=f"{5:016x}")


@pytest.mark.parametrize("folded", ["9", "no,such", ",", "__proto__", f"{6:016x}", "-1"])
def test_what_cannot_be_folded_is_not(
    page: Page, viewer: Receiving, make: Make, folded: str
) -> None:
    """An address that is written by hand harms nothing, and does not stay."""
    viewer.add(make.batch(spans(make)))
    page.goto(f"{TRACE}?folded={folded}&sort=nothing&flame=x")
    expect(page.locator(".row")).to_have_count(6)
    expect_said(page)


def test_more_folded_rows_than_an_address_takes_are_left_out(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """They stay folded while the page is there."""
    listed = [make.span(1, 1, name="root", ms=1000)]
    for n in range(2, 2 + 2 * MANY, 2):
        listed += [make.span(1, n, parent=1, at_ms=n), make.span(1, n + 1, parent=n, at_ms=n)]
    viewer.add(make.batch(listed))
    page.goto(f"{TRACE}?folded=1")
    tree = page.get_by_role("treegrid")
    expect(tree).to_have_attribute("aria-rowcount", str(1 + MANY))
    page.locator(".row-toggle").nth(1).click()
    expect_said(page)
    page.get_by_role("button", name="Flame").click()
    page.go_back()
    expect(tree).to_have_attribute("aria-rowcount", str(2 + MANY))


def test_the_sort_of_the_table_is_in_the_address(page: Page, viewer: Receiving, make: Make) -> None:
    """By self time downwards it is at first, and is not said; a press on a head changes it."""
    viewer.add(make.batch(spans(make)))
    page.goto(f"{TRACE}?view=table")
    names = page.locator(".operations tbody .row-operation")
    expect(names.first).to_have_text("root")
    head = page.get_by_role("columnheader", name="Operation")
    head.get_by_role("button").click()
    expect_said(page, view="table", sort="name")
    by_name = ["leaf", "left", "right", "root", "tip", "twig"]
    expect(names).to_have_text(by_name)
    page.reload()
    expect(names).to_have_text(by_name)
    expect(head).to_have_attribute("aria-sort", "ascending")
    head.get_by_role("button").click()
    expect_said(page, view="table", sort="-name")
    expect(names).to_have_text(by_name[::-1])
    page.get_by_role("button", name="Self time").click()
    expect_said(page, view="table")
    page.goto(f"{TRACE}?view=table&sort=max")
    expect(names.first).to_have_text("tip")
    page.go_back()
    expect(names.first).to_have_text("root")


def test_the_part_of_the_flame_graph_is_in_the_address(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """By the way to it; Esc goes up until nothing is said, "Whole trace" at once."""
    viewer.add(make.batch(spans(make)))
    page.goto(f"{TRACE}?view=flame")
    said = page.locator(".flame-said")
    page.get_by_role("button", name="shop: right, 1 span").click()
    expect_said(page, view="flame", flame="0.1")
    page.reload()
    expect(said).to_contain_text("shop: right, 1 span")
    page.keyboard.press("Escape")
    expect_said(page, view="flame", flame="0")
    page.keyboard.press("Escape")
    expect_said(page, view="flame")
    expect(said).to_contain_text("press a part")
    page.get_by_role("button", name="shop: leaf, 1 span").click()
    expect_said(page, view="flame", flame="0.0.0")
    page.get_by_role("button", name="Timeline").click()
    page.get_by_role("button", name="Flame").click()
    expect(said).to_contain_text("shop: leaf, 1 span")
    page.get_by_role("button", name="Whole trace").click()
    expect_said(page, view="flame")
    page.go_back()
    page.go_back()
    expect(said).to_contain_text("shop: leaf, 1 span")
    page.goto(f"{TRACE}?view=flame&flame=0.7.7")
    expect(said).to_contain_text("press a part")


def test_the_copied_link_has_all_of_it(page: Page, viewer: Receiving, make: Make) -> None:
    """What is folded, sorted and enlarged is the same for who opens it."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    viewer.add(make.batch(spans(make)))
    state = {"view": "flame", "folded": "1", "sort": "-count", "flame": "0.1"}
    page.goto(f"{TRACE}?{'&'.join(f'{key}={text}' for key, text in state.items())}")
    page.locator(".menu summary").click()
    copy = page.get_by_role("button", name="Copy the link to what is shown")
    copy.click()
    expect(copy).to_have_text("copied")
    copied: str = page.evaluate("navigator.clipboard.readText()")
    assert parse_qs(urlsplit(copied).query) == {key: [text] for key, text in state.items()}


def test_the_file_of_a_trace_keeps_it_too(
    page: Page, viewer: Receiving, make: Make, tmp_path: Path
) -> None:
    """There it stands after the #."""
    viewer.add(make.batch(spans(make)))
    page.goto(TRACE)
    page.locator(".menu summary").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="HTML, one file").click()
    path = tmp_path / "trace.html"
    download.value.save_as(path)
    page.goto(path.as_uri())
    page.get_by_role("button", name="Collapse one level").click()
    fold(page, "right")
    page.get_by_role("button", name="Table").click()
    page.get_by_role("button", name="Operation", exact=True).click()
    page.get_by_role("button", name="Flame").click()
    page.get_by_role("button", name="shop: left, 1 span").click()
    said = {"folded": f"{4:016x},{3:016x}", "sort": "name", "flame": "0.0"}
    expect_said(page, view="flame", **said)
    page.reload()
    expect(page.locator(".flame-said")).to_contain_text("shop: left, 1 span")
    page.go_back()
    expect(page.locator(".operations tbody .row-operation").first).to_have_text("leaf")
    page.get_by_role("button", name="Timeline").click()
    names = page.locator(".row .row-operation")
    expect(names).to_have_text(["root", "left", "leaf", "right"])
