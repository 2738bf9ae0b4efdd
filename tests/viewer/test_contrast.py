"""The page's colours: whether they can be told from all grounds, as css/base.css promises."""

from __future__ import annotations

import re

import pytest

from iox_otel.viewer.pages import PAGE

LIGHT, DARK = (PAGE / "css/base.css").read_text("utf-8").split("prefers-color-scheme: dark", 1)
GROUNDS = ("ground", "ground-2", "ground-3", "accent-ground", "error-ground", "warn-ground")
TEXTS = ("text", "text-2", "accent", "error", "warn", "ok")
LINES = ("line-2", "warn-line", "focus")


def luminance(colour: str) -> float:
    """Return the relative luminance, as WCAG 2.1 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("sheet", [LIGHT, DARK], ids=["light", "dark"])
def test_every_colour_on_every_ground(sheet: str) -> None:
    """4.5:1 for text, 3:1 for lines that mean something."""
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", sheet))
    low = {}
    for names, least in ((TEXTS, 4.5), (LINES, 3.0)):
        for name in names:
            for ground in GROUNDS:
                pair = sorted(luminance(colours[each]) for each in (name, ground))
                ratio = (pair[1] + 0.05) / (pair[0] + 0.05)
                if ratio < least:
                    low[name, ground] = round(ratio, 2)
    assert low == {}
