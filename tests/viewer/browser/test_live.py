"""News: what arrives is shown as it arrives, and after a break."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from playwright.sync_api import Browser, Page, expect

from iox_otel.viewer.stored import Batch
from peerkit.viewer import Viewer
from tests.viewer.conftest import Make

WITHIN_MS = 1_000
DEADLINE_MS = 15_000


@pytest.fixture
def viewer(start_viewer: Callable[..., Viewer]) -> Viewer:
    """A process: what is within a second must be so where nothing else takes its turns."""
    return start_viewer()


def send(viewer: Viewer, batch: Batch) -> None:
    """Send spans of now as an SDK does."""
    request = ExportTraceServiceRequest()
    of_scope = request.resource_spans.add(resource=batch.resource).scope_spans.add()
    of_scope.spans.extend(batch.spans)
    for span in of_scope.spans:
        took_ns = span.end_time_unix_nano - span.start_time_unix_nano
        span.start_time_unix_nano = time.time_ns()
        span.end_time_unix_nano = span.start_time_unix_nano + took_ns
    url = f"http://{viewer.intake['http']}/v1/traces"
    headers = {"Content-Type": "application/x-protobuf"}
    httpx.post(url, content=request.SerializeToString(), headers=headers).raise_for_status()


def is_live(page: Page) -> None:
    """Wait until the page is told of news."""
    expect(page.get_by_role("button", name="Live: Live")).to_be_visible()
    expect(page.locator(".results-body[aria-busy]")).to_have_count(0)


@pytest.mark.parametrize("search", ["", "tags=user%3Da&minDuration=1ms&lookback=5m"])
def test_a_trace_is_shown_within_a_second(
    page: Page, viewer: Viewer, make: Make, search: str
) -> None:
    """In place of what to do next, and in a search that only the server can judge, too."""
    page.goto(f"/search?{search}")
    expect(page.get_by_role("heading", name="No traces yet")).to_be_visible()
    is_live(page)
    send(viewer, make.batch([make.span(1, 1, name="first", ms=5, user="a")]))
    expect(page.locator("a.root")).to_have_text(["first"], timeout=WITHIN_MS)
    expect(page.locator("a.dot")).to_have_count(1)
    send(viewer, make.batch([make.span(2, 1, name="other", ms=5, user="b")], "bank"))
    send(viewer, make.batch([make.span(3, 1, name="second", ms=5, user="a")]))
    shown = ["second", "other", "first"] if not search else ["second", "first"]
    expect(page.locator("a.root")).to_have_text(shown, timeout=WITHIN_MS)
    expect(page.locator(".header")).to_contain_text("3 traces")
    send(viewer, make.batch([make.span(1, 2, parent=1, ms=50, error=True)], "db"))
    cells = page.locator("tbody tr", has_text="first").locator("td")
    expect(cells.nth(4)).to_have_text("2", timeout=WITHIN_MS)
    expect(cells.nth(5)).to_have_text("1")
    page.get_by_label("Service").select_option("db")


def test_a_list_that_is_paused_stands_still_and_counts(
    page: Page, viewer: Viewer, make: Make
) -> None:
    """What came meanwhile is counted, and shown when it goes on; by the key or the button."""
    viewer.add(make.batch([make.span(1, 1, name="old")]))
    page.goto("/search")
    is_live(page)
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Live: Paused")).to_be_visible()
    for n in (2, 3):
        send(viewer, make.batch([make.span(n, 1, name=f"new {n}")]))
    paused = page.get_by_role("button", name="Live: Paused · 2 new")
    expect(paused).to_be_visible()
    expect(page.locator("a.root")).to_have_text(["old"])
    paused.click()
    expect(page.locator("a.root")).to_have_text(["new 3", "new 2", "old"])
    is_live(page)


def test_a_row_that_is_walked_to_stays_so_while_others_come(
    page: Page, viewer: Viewer, make: Make
) -> None:
    """News move neither the focus nor what is chosen."""
    viewer.add(make.batch([make.span(1, 1, name="mine"), make.span(2, 1, name="not", at_ms=-5)]))
    page.goto("/search")
    is_live(page)
    page.keyboard.press("j")
    page.keyboard.press("x")
    send(viewer, make.batch([make.span(3, 1, name="new")]))
    expect(page.locator("a.root")).to_have_text(["new", "mine", "not"])
    expect(page.locator("a.root:focus")).to_have_text("mine")
    send(viewer, make.batch([make.span(1, 2, parent=1)]))
    expect(page.locator("tbody tr", has_text="mine").locator("td").nth(4)).to_have_text("2")
    expect(page.locator("a.root:focus")).to_have_text("mine")
    expect(page.get_by_role("checkbox", name="Choose mine to compare")).to_be_checked()


@pytest.fixture
def tolerant(browser: Browser) -> Iterator[Page]:
    """A page that may fail to reach its server."""
    context = browser.new_context()
    context.set_default_timeout(DEADLINE_MS)
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    yield opened
    context.close()
    assert faults == []


def test_the_page_goes_on_when_the_viewer_is_there_again(
    tolerant: Page, start_viewer: Callable[..., Viewer], make: Make
) -> None:
    """Meanwhile it says so and keeps what it shows; then it shows what it missed, and is live."""
    page, first = tolerant, start_viewer()
    first.add(make.batch([make.span(1, 1, name="before")]))
    page.goto(f"{first.url}/search")
    is_live(page)
    first.end()
    expect(page.get_by_role("button", name="Live: Not live")).to_be_visible()
    expect(page.locator(".header")).to_contain_text("not connected, trying again…")
    expect(page.locator("a.root")).to_have_text(["before"])
    page.keyboard.press("r")
    expect(page.get_by_role("alert")).to_contain_text("The viewer does not answer. Is it still")
    port = first.url.rpartition(":")[2]
    second = start_viewer("--port", port)
    second.add(make.batch([make.span(2, 1, name="between")]))
    expect(page.locator("a.root")).to_have_text(["between"])
    expect(page.locator(".header")).not_to_contain_text("not connected")
    send(second, make.batch([make.span(3, 1, name="after")]))
    expect(page.locator("a.root")).to_have_text(["after", "between"], timeout=WITHIN_MS)


def test_a_stream_that_breaks_is_begun_again(tolerant: Page, viewer: Viewer, make: Make) -> None:
    """So it is while a proxy in between says that the viewer is away."""
    page = tolerant
    broken: list[str] = []

    def refuse(route: object) -> None:
        broken.append("")
        route.fulfill(status=502)  # type: ignore[attr-defined]

    page.route("**/api/viewer/stream", refuse, times=2)
    page.goto(f"{viewer.url}/search")
    expect(page.get_by_role("button", name="Live: Not live")).to_be_visible()
    viewer.add(make.batch([make.span(1, 1, name="meanwhile")]))
    is_live(page)
    assert len(broken) == 2
    expect(page.locator("a.root")).to_have_text(["meanwhile"])


def test_a_viewer_with_a_token_is_opened_by_its_address_once(
    tolerant: Page, start_viewer: Callable[..., Viewer], make: Make
) -> None:
    """The token leaves the address and lasts; news and uploads come through; without it none do."""
    page, viewer = tolerant, start_viewer("--token", "s3cret")
    page.goto(f"{viewer.url}/search")
    expect(page.locator("body")).to_contain_text("wants its token")
    page.goto(f"{viewer.url}/search?token=s3cret&limit=20")
    page.wait_for_url(re.compile(r"/search\?limit=20$"))
    is_live(page)
    send(viewer, make.batch([make.span(1, 1, name="first")]))
    expect(page.locator("a.root")).to_have_text(["first"], timeout=WITHIN_MS)
    page.reload()
    expect(page.locator("a.root")).to_have_text(["first"])
    page.context.clear_cookies()
    page.keyboard.press("r")
    expect(page.get_by_role("alert")).to_contain_text("wants its token")
