"""What the waterfall says about times: ruler, pointer, critical path, events outside."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.viewer.conftest import Make, Receiving

TRACE = f"/trace/{1:032x}"
MINUTE_MS = 60_000


def row(page: Page, name: str) -> Locator:
    """Return the row of the span with that name."""
    return page.get_by_role("row").filter(has_text=name)


def critical(page: Page, name: str) -> list[tuple[int, int]]:
    """Return which parts of the scale a span is on the critical path in, in percent."""
    script = """path => [...path.getAttribute("d").matchAll(/M([-0-9.]+) [-0-9.]+h([0-9.]+)/g)]
        .map(([, x, wide]) => [x, +x + +wide].map(at =>
            Math.round(100 * at / path.ownerSVGElement.width.baseVal.value)))"""
    parts = row(page, name).locator(".bar-critical").evaluate(script)
    return [(left, right) for left, right in parts]


def labels(page: Page) -> list[str]:
    """Return what the ruler says, without lines that say nothing."""
    return [text for text in page.locator(".ruler-mark").all_text_contents() if text]


@pytest.mark.parametrize(
    ("ms", "zoom", "said"),
    [
        (50, "", ["0", "10 ms", "20 ms", "30 ms", "40 ms"]),
        (1.5 * MINUTE_MS, "", ["0", "15 s", "30 s", "45 s", "1 m 00 s", "1 m 15 s"]),
        (16 * MINUTE_MS, "", ["0", "5 m", "10 m", "15 m"]),
        (180 * MINUTE_MS, "", ["0", "30 m", "1 h 00 m", "1 h 30 m", "2 h 00 m", "2 h 30 m"]),
        (6 * 1440 * MINUTE_MS, "", ["0", "1 d", "2 d", "3 d", "4 d", "5 d"]),
        (2000, "1234500000-1234560000", [f"1.2345{n} s" for n in range(6)]),
    ],
)
def test_the_ruler_has_round_times_that_tell_apart(
    page: Page, viewer: Receiving, make: Make, ms: float, zoom: str, said: list[str]
) -> None:
    """Round as a clock is; exact enough to differ; none beside another's line or beyond the end."""
    viewer.add(make.batch([make.span(1, 1, name="root", ms=ms)]))
    page.goto(f"{TRACE}?zoom={zoom}")
    expect(page.get_by_role("row")).to_have_count(1)
    assert labels(page) == said
    script = """marks => marks.filter(mark => mark.textContent).map(mark => {
        const {left, right} = mark.getBoundingClientRect();
        return [left, right, mark.parentElement.getBoundingClientRect().right]; })"""
    places = page.locator(".ruler-mark").evaluate_all(script)
    assert all(right <= end for _, right, end in places)
    assert all(before[1] < after[0] for before, after in zip(places, places[1:], strict=False))


def test_the_time_under_the_pointer_follows_what_is_shown(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Of another zoom, or beside details, the same place is another time."""
    viewer.add(make.batch([make.span(1, 1, name="root", ms=100)]))
    page.goto(f"{TRACE}?zoom=0-20000000")
    expect(page.get_by_role("row")).to_have_count(1)
    box = page.locator(".ruler").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 200)
    said = page.locator(".pointer-time")
    expect(said).to_have_text("5.00 ms")
    page.keyboard.press("Escape")
    expect(said).to_have_text("25.0 ms")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(said).to_be_visible()
    expect(said).not_to_have_text("25.0 ms")


def test_what_runs_on_beyond_its_parent_is_on_the_critical_path_before_its_end(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """The parent is blamed for what it did alone, never for a time when a child ran."""
    spans = [
        make.span(1, 1, name="root", ms=90),
        make.span(1, 2, parent=1, name="early", at_ms=10, ms=85),
        make.span(1, 3, parent=1, name="late", at_ms=50, ms=50),
    ]
    viewer.add(make.batch(spans))
    page.goto(TRACE)
    expect(page.get_by_role("row")).to_have_count(3)
    assert critical(page, "root") == [(0, 10)]
    assert critical(page, "early") == [(10, 50)]
    assert critical(page, "late") == [(50, 90)]


def test_events_outside_their_span_are_said(page: Page, viewer: Receiving, make: Make) -> None:
    """In the notes, at the row and in the details; one at the very end is not outside."""
    span = make.span(1, 1, name="root", at_ms=30, ms=10)
    for name, at_ms in (("too early", -20), ("within", 10), ("too late", 29_000)):
        at_ns = span.start_time_unix_nano + at_ms * make.MS
        span.events.add(name=name, time_unix_nano=at_ns)
    viewer.add(make.batch([span]))
    page.goto(f"{TRACE}?span={1:016x}")
    expect(page.locator(".trace-notes")).to_have_text("1 span has events outside its time")
    expect(row(page, "root").locator(".mark")).to_have_text("event outside")
    expect(page.locator(".detail-odd")).to_have_text("2 events outside its time")
    outside = page.locator(".event-outside")
    expect(outside).to_have_text(["before the span", "", "after its end"])


def test_a_span_beyond_what_is_shown_says_on_which_side_it_is(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Its row has an arrow and its duration, at that edge; every duration is beside its bar."""
    spans = [
        make.span(1, 1, name="root", ms=100),
        make.span(1, 2, parent=1, name="before", at_ms=5, ms=10),
        make.span(1, 3, parent=1, name="behind", at_ms=80, ms=20),
    ]
    viewer.add(make.batch(spans))
    page.goto(TRACE)
    beside = """row => row.querySelector(".bar-label").getBoundingClientRect().left
        >= row.querySelector(".bar-whole").getBoundingClientRect().right"""
    for name in ("root", "before", "behind"):
        assert row(page, name).evaluate(beside)
        expect(row(page, name).locator(".bar-label")).to_be_in_viewport(ratio=1)
    page.goto(f"{TRACE}?zoom=40000000-60000000")
    expect(row(page, "before").locator(".bar-label")).to_have_text("◂ 10.0 ms")
    expect(row(page, "behind").locator(".bar-label")).to_have_text("20.0 ms ▸")
    expect(row(page, "behind").locator(".bar-label")).to_be_in_viewport(ratio=1)
