"""The page of a trace for who sees little, in both colour schemes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from playwright.sync_api import Page, expect

from iox_otel.viewer.stored import Batch
from tests.viewer.conftest import Make, Receiving

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
TRACE = f"/trace/{1:032x}"
LOOKS: dict[str, tuple[str, str, str]] = {
    "details": (f"?span={2:016x}&zoom=1000000-50000000", ".detail", ""),
    "matches": ("?q=odd&only=1", ".row.is-match", "j"),
    "collapsed": (f"?q=nowhere&span=absent-{99:016x}", ".detail", "["),
    "table": ("?view=table", "tbody tr", ""),
    "flame": ("?view=flame", ".flame-box", ""),
    "help": ("", ".row", "?"),
}


def batches(make: Make) -> list[Batch]:
    """Return a trace in which all there is to mark is marked, in as many colours as there are."""
    failed = make.span(1, 2, parent=1, name="failed", at_ms=5, ms=30, error=True, key="odd", n=7)
    failed.status.message = "declined"
    raised = failed.events.add(name="exception", time_unix_nano=failed.start_time_unix_nano)
    raised.attributes.add(key="exception.type").value.string_value = "Declined"
    stack = 'Declined\n  File "/a.py", line 1\n    x()\n  File "/site-packages/b.py", line 2\n'
    raised.attributes.add(key="exception.stacktrace").value.string_value = stack
    failed.links.add(trace_id=bytes(15) + b"\1", span_id=bytes(7) + b"\1").trace_state = "a=b"
    failed.dropped_events_count = failed.dropped_attributes_count = 2
    endless = make.span(1, 3, parent=1, name="odd, without an end", at_ms=6)
    endless.end_time_unix_nano = 0
    odd = [
        make.span(1, 4, parent=99, name="odd orphan", at_ms=7),
        make.span(1, 5, parent=5, name="own parent", at_ms=8),
        make.span(1, 6, parent=1, name="twin", at_ms=9),
        make.span(1, 6, parent=1, name="twin", at_ms=9, ms=60, error=True),
    ]
    first = make.batch([make.span(1, 1, name="root", at_ms=1, ms=100), failed, endless, *odd])
    early = make.batch([make.span(1, 7, parent=1, name="early", at_ms=0, ms=5)], "clock")
    coloured = [
        make.batch([make.span(1, n, parent=2, name="step", at_ms=n, ms=20)], f"service {n}")
        for n in range(10, 26)
    ]
    return [first, early, *coloured]


def test_a_trace_keeps_to_wcag(
    page: Page, viewer: Receiving, make: Make, violations: Callable[[], list[str]]
) -> None:
    """Contrast, names, roles and order, in the colours that the system asks for."""
    viewer.add(*batches(make))
    wrong = {}
    for look, (query, shown, key) in LOOKS.items():
        page.goto(TRACE + query)
        expect(page.locator(shown).first).to_be_visible()
        if key:
            page.keyboard.press(key)
        if look == "table":
            page.locator(".menu summary").click()
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            wrong[f"{look}, {scheme}"] = violations()
    assert {look: each for look, each in wrong.items() if each} == {}


def test_colours_follow_the_system(page: Page, viewer: Receiving, make: Make) -> None:
    """Ground, texts and bars are others in the dark, without a reload."""
    viewer.add(make.batch([make.span(1, 1, name="root", error=True)]))
    page.goto(TRACE)
    expect(page.get_by_role("row")).to_have_count(1)
    script = """() => [[".trace", "color"], [".row-operation", "color"], [".bar-self", "fill"],
        ["body", "backgroundColor"]].map(([part, name]) =>
            getComputedStyle(document.querySelector(part))[name])"""
    seen = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        seen.append(page.evaluate(script))
    assert all(light != dark for light, dark in zip(*seen, strict=True)), seen
