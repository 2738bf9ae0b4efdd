"""The lines of the diagram: at numbers and moments that are round to a person."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.viewer.conftest import Make, Receiving

SCALE = """async (durations) => {
    const {durationScale} = await import("/static/js/search/axes.js");
    const {ticks, at} = durationScale(durations);
    return {ticks, at: durations.map(at)};
}"""
TEXTS = """async ([low, high, now]) => {
    const {momentTexts, momentTicks} = await import("/static/js/search/axes.js");
    const [from, to, today] = [low, high, now].map((text) => new Date(text).getTime());
    return momentTexts(momentTicks(from, to, 8), today);
}"""
MS, S, M, H, D = 10**6, 10**9, 60 * 10**9, 3_600 * 10**9, 86_400 * 10**9


def scale(page: Page, *durations: int) -> dict[str, Any]:
    """Return the lines of a scale, and where these durations (ns) are on it."""
    page.goto("/search")
    return dict(page.evaluate(SCALE, durations))


def test_a_trace_without_duration_leaves_the_others_where_they_are(page: Page) -> None:
    """It is at the lowest line, which is right below the shortest of the others."""
    made = scale(page, 0, 20 * MS, 700 * MS)
    assert made["ticks"] == [10 * MS, 100 * MS]
    assert made["at"][0] == 0
    assert 0 < made["at"][1] < made["at"][2] < 1
    assert scale(page, 0)["at"] == [0]


@pytest.mark.parametrize(
    ("durations", "ticks"),
    [
        ((2 * S, 5 * H), [S, 10 * S, M, 10 * M, H]),
        ((M, 5 * M), [0, 2 * M, 4 * M]),
        ((70 * S, 80 * S), [0, 30 * S, M]),
        ((300 * MS, 900 * MS), [0, 250 * MS, 500 * MS, 750 * MS]),
        ((1, 10**19), [1, 10**4, 10**8, 10 * M, 40 * D]),
    ],
)
def test_lines_beyond_a_minute_are_at_whole_minutes_hours_and_days(
    page: Page, durations: tuple[int, int], ticks: list[int]
) -> None:
    """Not at 1 m 40 s, as a power of ten would be."""
    assert scale(page, *durations)["ticks"] == ticks


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        ("03-03T09:57", "03-03T10:02:30", "09:57 | 09:58 | 09:59 | 10:00 | 10:01 | 10:02"),
        ("03-01T20:00", "03-03T01:00", "03-02 00:00 | 06:00 | 12:00 | 18:00 | 03-03 00:00"),
        ("03-02T09:10", "03-02T11:20", "03-02 09:30 | 10:00 | 10:30 | 11:00"),
        (
            "02-24T10:00",
            "02-26T02:00",
            "02-24 12:00 | 18:00 | 02-25 00:00 | 06:00 | 12:00 | 18:00 | 02-26 00:00",
        ),
        (
            "02-21T10:00",
            "03-03T10:00",
            "2026-02-22 | 2026-02-24 | 2026-02-26 | 2026-02-28 | 2026-03-02",
        ),
    ],
)
def test_moments_of_other_days_say_so(page: Page, low: str, high: str, texts: str) -> None:
    """The first of each day that is not today, and the first of today after those."""
    page.goto("/search")
    moments = [f"2026-{each}" for each in (low, high, "03-03T12:00")]
    assert " | ".join(page.evaluate(TEXTS, moments)) == texts


def test_the_axes_are_written_for_people(page: Page, viewer: Receiving, make: Make) -> None:
    """Without what is zero of a number, and with the day of what is not of today."""
    viewer.add(make.batch([make.span(1, 1, ms=60_000), make.span(2, 1, at_ms=1000, ms=0)]))
    viewer.add(make.batch([make.span(3, 1, at_ms=2000, ms=1000)]))
    page.goto("/search")
    lines = page.locator(".scatter .lines text")
    expect(lines.nth(2)).to_have_text("1 m")
    texts = lines.all_text_contents()
    assert texts[:2] == ["1 s", "10 s"]
    assert re.fullmatch(r"11-1[45] \d\d:\d\d:20\.000", texts[3])
    assert re.fullmatch(r"\d\d:\d\d:20\.500", texts[4])
