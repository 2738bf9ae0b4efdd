"""The banner of losses, for who sees little or uses no mouse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.viewer.conftest import Receiving


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_banner_keeps_to_wcag(
    page: Page,
    viewer: Receiving,
    violations: Callable[[], list[str]],
    scheme: Literal["light", "dark"],
) -> None:
    """Folded and unfolded, in both colour schemes."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    url, headers = f"http://{viewer.intake['http']}/v1/traces", {"Content-Type": "application/json"}
    assert httpx.post(url, content=b"{", headers=headers).status_code == 400
    page.goto("/search")
    expect(page.get_by_role("heading", name="No traces yet")).to_be_visible()
    banner = page.get_by_role("region", name="Losses")
    expect(banner).to_contain_text("1 message or span refused here")
    assert violations() == []
    banner.locator("summary").click()
    expect(banner.locator("tr")).to_be_visible()
    assert violations() == []
