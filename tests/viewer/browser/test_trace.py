"""The waterfall of a trace, as a browser shows it."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.viewer.conftest import Make, Receiving

TRACE = f"/trace/{1:032x}"


def tree(page: Page) -> list[str]:
    """Return the rows in sight: indented by level, the operation."""
    script = """rows => rows.sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map(row =>
        "-".repeat(row.ariaLevel - 1) + row.querySelector(".row-operation").textContent)"""
    return list(page.get_by_role("row").evaluate_all(script))


def bar(page: Page, name: str) -> tuple[float, float]:
    """Return from where to where a bar goes, in percent of the width."""
    rect = page.locator(".row", has_text=name).locator(".bar-whole")
    script = """rect => [rect.x.baseVal.value, rect.width.baseVal.value].map(size =>
        100 * size / rect.ownerSVGElement.width.baseVal.value)"""
    left, width = rect.evaluate(script)
    return round(left), round(left + width)


def test_spans_hang_below_their_parents_whatever_order_they_came_in(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Children come after their parent, by start."""
    viewer.add(make.batch([make.span(1, 3, parent=2, name="leaf", at_ms=3)], "db"))
    viewer.add(make.batch([make.span(1, 4, parent=1, name="second", at_ms=50, ms=5)]))
    viewer.add(make.batch([make.span(1, 2, parent=1, name="first", at_ms=2, ms=10)]))
    viewer.add(make.batch([make.span(1, 1, name="root", ms=100)]))
    page.goto(TRACE)
    expect(page.get_by_role("row")).to_have_count(4)
    assert tree(page) == ["root", "-first", "--leaf", "-second"]


def test_bars_are_to_scale(page: Page, viewer: Receiving, make: Make) -> None:
    """A bar begins and ends where its span did."""
    spans = [
        make.span(1, 1, name="root", ms=100),
        make.span(1, 2, parent=1, name="middle", at_ms=25, ms=50),
    ]
    viewer.add(make.batch(spans))
    page.goto(TRACE)
    expect(page.get_by_role("row")).to_have_count(2)
    assert bar(page, "root") == (0, 100)
    assert bar(page, "middle") == (25, 75)


def test_what_cannot_be_true_is_shown_as_it_came_and_said(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Orphans, cycles, doubled ids, clocks that differ and spans without an end are marked."""
    endless = make.span(1, 8, parent=1, name="endless", at_ms=40)
    endless.end_time_unix_nano = 0
    spans = [
        make.span(1, 1, name="root", at_ms=10, ms=100),
        make.span(1, 2, parent=99, name="orphan", at_ms=20, ms=5),
        make.span(1, 3, parent=4, name="ring a", at_ms=30, ms=5),
        make.span(1, 4, parent=3, name="ring b", at_ms=31, ms=3),
        make.span(1, 5, parent=1, name="twin a", at_ms=41, ms=2),
        make.span(1, 5, parent=1, name="twin b", at_ms=44, ms=2),
        make.span(1, 6, parent=6, name="own parent", at_ms=50, ms=2),
        make.span(1, 9, name="late root", at_ms=90, ms=60),
        endless,
    ]
    early = make.span(1, 7, parent=1, name="early", at_ms=0, ms=30)
    viewer.add(make.batch(spans, "shop"), make.batch([early], "db"))
    page.goto(TRACE)
    expect(page.get_by_role("row")).to_have_count(11)
    assert tree(page) == [
        "root", "-early", "-endless", "-twin a", "-twin b", "parent not here", "-orphan",
        "ring a", "-ring b", "own parent", "late root",
    ]  # fmt: skip
    marks = {"early": "before parent", "endless": "no end", "ring a": "cycle"}
    marks |= {"own parent": "cycle", "twin a": "same id", "twin b": "same id", "late root": "root"}
    for name, mark in marks.items():
        expect(page.locator(".row", has_text=name).locator(".mark")).to_have_text(mark)
    assert bar(page, "early") == (0, 20), "a clock was corrected in silence"
    expect(page.locator(".trace-notes")).to_contain_text("1 span names a parent not here")
    expect(page.locator(".trace-notes")).to_contain_text("2 cycles of parents cut")
    expect(page.locator(".trace-notes")).to_contain_text("1 more root")


def test_the_critical_path_is_what_the_end_waited_for(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """The child that ended last is on the path, one that ran beside it is not."""
    spans = [
        make.span(1, 1, name="root", ms=100),
        make.span(1, 2, parent=1, name="waited for", at_ms=10, ms=80),
        make.span(1, 3, parent=1, name="beside", at_ms=20, ms=30),
    ]
    viewer.add(make.batch(spans))
    page.goto(TRACE)
    path = "path.bar-critical"
    expect(page.locator(".row", has_text="waited for").locator(path)).not_to_have_attribute("d", "")
    expect(page.locator(".row", has_text="beside").locator(path)).to_have_attribute("d", "")


def test_a_row_folds_and_so_do_all_and_one_level(page: Page, viewer: Receiving, make: Make) -> None:
    """Folding takes what is below out of the tree."""
    spans = [make.span(1, n, parent=n - 1, name=f"level {n}", ms=50 - n) for n in range(1, 6)]
    viewer.add(make.batch(spans))
    page.goto(TRACE)
    rows = page.get_by_role("row")
    expect(rows).to_have_count(5)
    page.locator(".row", has_text="level 2").locator(".row-toggle").click()
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_have_attribute("aria-expanded", "false")
    page.get_by_role("button", name="Expand all").click()
    expect(rows).to_have_count(5)
    page.get_by_role("button", name="Collapse one level").click()
    expect(rows).to_have_count(4)
    page.get_by_role("button", name="Collapse all").click()
    expect(rows).to_have_count(1)


def test_a_drag_over_the_minimap_zooms_and_the_address_keeps_it(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """The zoom is there after a reload; a double click shows all again."""
    spans = [make.span(1, 1, name="root", ms=100), make.span(1, 2, parent=1, at_ms=40, ms=20)]
    viewer.add(make.batch(spans))
    page.goto(TRACE)
    box = page.locator(".minimap").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 20, steps=3)
    page.mouse.up()
    page.wait_for_url("**zoom=*")
    page.reload()
    expect(page.get_by_role("row")).to_have_count(2)
    left, right = bar(page, "work")
    assert (left, right) == (0, 100)
    page.locator(".minimap").dblclick()
    page.wait_for_url(lambda url: "zoom" not in url)
    assert bar(page, "work") == (40, 60)


def test_ten_thousand_spans_have_few_rows_in_the_document(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Only what is in sight is drawn, at both ends of the tree."""
    count = 10_000
    spans = [make.span(1, 1, name="root", ms=count)]
    spans += [make.span(1, n, parent=n // 10 or 1, at_ms=n - 1) for n in range(2, count)]
    spans.append(make.span(1, count, parent=1, name="very last", at_ms=count - 1))
    viewer.add(make.batch(spans))
    page.goto(TRACE)
    expect(page.get_by_role("treegrid")).to_have_attribute("aria-rowcount", str(count))
    assert page.get_by_role("row").count() < 100
    page.get_by_role("treegrid").evaluate("grid => { grid.scrollTop = grid.scrollHeight; }")
    expect(page.locator(".row", has_text="very last")).to_be_in_viewport()
    assert page.get_by_role("row").count() < 100
    indexes = "rows => rows.map(row => Number(row.ariaRowIndex))"
    first = page.get_by_role("row").evaluate_all(indexes)[0]
    page.get_by_role("treegrid").evaluate("grid => { grid.scrollTop -= 240; }")
    expect(page.locator(f"[aria-rowindex='{first - 9}']")).to_have_count(1)
    listed = page.get_by_role("row").evaluate_all(indexes)
    assert listed == sorted(listed), "who has the rows read out hears them in another order"


def test_a_thousand_levels_stay_within_the_column_of_names(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Beyond some levels a number says how deep a span is."""
    levels = range(1, 1001)
    viewer.add(make.batch([make.span(1, n, parent=n - 1, name=f"level {n}") for n in levels]))
    page.goto(TRACE)
    expect(page.get_by_role("treegrid")).to_have_attribute("aria-rowcount", "1000")
    page.keyboard.press("End")
    deepest = page.locator(".row", has_text="level 1000")
    expect(deepest).to_have_attribute("aria-level", "1000")
    expect(deepest.locator(".row-depth")).to_have_text("999")
    inside = """row => row.querySelector(".row-operation").getBoundingClientRect().right
        <= row.querySelector(".row-bar").getBoundingClientRect().left"""
    assert deepest.evaluate(inside)


def test_more_spans_of_the_trace_are_shown_when_asked_for(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """A span that comes late is offered, and nothing moves until then."""
    viewer.add(make.batch([make.span(1, 2, parent=1, name="child", at_ms=1)]))
    page.goto(TRACE)
    expect(page.get_by_role("row")).to_have_count(2)
    viewer.add(make.batch([make.span(1, 1, name="root", ms=9)]))
    page.get_by_role("button", name="Show 1 more span").click()
    expect(page.locator(".row", has_text="root")).to_be_visible()
    assert tree(page) == ["root", "-child"]


def test_the_table_has_figures_of_each_operation(page: Page, viewer: Receiving, make: Make) -> None:
    """Count, percentiles, self time and errors; a row leads to its spans."""
    spans = [make.span(1, 1, name="root", ms=100)]
    for n in range(1, 21):
        spans.append(
            make.span(1, n + 1, parent=1, name="step", at_ms=4 * n, ms=0.1 * n, error=n == 20)
        )
    viewer.add(make.batch(spans))
    page.goto(f"{TRACE}?view=table")
    cells = page.locator("tbody tr", has_text="step").locator("td")
    expect(cells).to_have_text(
        ["20", "1", "1.00 ms", "1.90 ms", "2.00 ms", "2.00 ms", "21.0 ms", "21.0 ms", "21.0 ms"]
    )
    page.get_by_role("button", name="shop step").click()
    expect(page.locator(".row", has_text="step")).to_have_count(20)
    page.wait_for_url("**q=step**")


def test_the_flame_graph_is_as_wide_as_self_times(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Equal paths are one box, a press on which enlarges it."""
    spans = [make.span(1, 1, name="root", ms=100)]
    spans += [make.span(1, n, parent=1, name="step", at_ms=10 * n, ms=10) for n in (2, 4)]
    viewer.add(make.batch(spans))
    page.goto(f"{TRACE}?view=flame")
    step = page.get_by_role("button", name="shop: step, 2 spans")
    share = "box => Math.round(100 * box.offsetWidth / box.parentElement.offsetWidth)"
    assert step.evaluate(share) == 20
    step.click()
    expect(page.get_by_role("button", name="Whole trace")).to_be_visible()
    assert step.evaluate(share) == 100
