"""What is taken away from a trace: one file that needs no server, links, text."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from iox_otel.viewer.stored import Batch
from tests.viewer.conftest import Make, Receiving

TRACE_ID = f"{1:032x}"
TRACE = f"/trace/{TRACE_ID}"


def batches(make: Make) -> list[Batch]:
    """Return a trace of two services, one span of which failed."""
    charge = make.span(1, 2, parent=1, name="charge", at_ms=10, ms=40, error=True, amount=12.5)
    charge.status.message = "card declined"
    for trace, number in ((1, 3), (2, 1)):
        charge.links.add(trace_id=trace.to_bytes(16, "big"), span_id=number.to_bytes(8, "big"))
    spans = [make.span(1, 1, name="GET /pay", ms=100), charge]
    orphan = make.span(1, 3, parent=9, name="orphan", at_ms=60, ms=20)
    return [make.batch(spans), make.batch([orphan], "bank")]


def saved(page: Page, tmp_path: Path) -> Path:
    """Return the trace's file, as the menu gives it."""
    page.goto(TRACE)
    page.locator(".menu summary").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="HTML, one file").click()
    assert TRACE_ID in download.value.suggested_filename
    path = tmp_path / "trace.html"
    download.value.save_as(path)
    return path


def test_the_file_works_without_a_server(
    page: Page, viewer: Receiving, make: Make, tmp_path: Path
) -> None:
    """Tree, details, find, table, keys, links and the address; no request leaves it."""
    viewer.add(*batches(make))
    path = saved(page, tmp_path)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    names = page.locator(".row .row-operation")
    expect(names).to_have_text(["GET /pay", "charge", "parent not here", "orphan"])
    assert page.title() == "shop: GET /pay"
    assert page.locator(".row").first.evaluate("row => row.offsetHeight") == 24, "it has no styles"
    page.keyboard.press("/")
    page.keyboard.type("amount=12.5")
    expect(page.locator(".find-count")).to_have_text("1 of 1")
    page.locator(".row", has_text="charge").click()
    panel = page.get_by_role("complementary", name="Details of the span")
    expect(panel).to_contain_text("card declined")
    expect(panel.get_by_role("table", name="Tags")).to_contain_text("12.5")
    expect(panel.locator("a")).to_have_count(1)
    page.reload()
    expect(panel).to_contain_text("card declined")
    expect(page.get_by_role("searchbox", name="Find in this trace")).to_have_value("amount=12.5")
    panel.locator("a").click()
    expect(panel.get_by_role("heading", level=2)).to_contain_text("orphan")
    page.go_back()
    expect(panel.get_by_role("heading", level=2)).to_contain_text("charge")
    page.get_by_role("button", name="Table").click()
    expect(page.locator("tbody tr")).to_have_count(3)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator(".menu summary").click()
    expect(page.locator(".menu a")).to_have_count(0)
    page.get_by_role("button", name="Copy the trace's id").last.click()
    assert asked and all(url.startswith(path.as_uri()) for url in asked), asked


def test_the_file_runs_nothing_that_is_written_into_it(
    page: Page, viewer: Receiving, make: Make, tmp_path: Path
) -> None:
    """Its policy allows its own script by hash; another one, or an image, is not loaded."""
    viewer.add(*batches(make))
    path = saved(page, tmp_path)
    more = """<script>document.documentElement.dataset.ran = "script"</script>
        <img alt="" src="http://127.0.0.1:9/x.png" onerror="document.title = 1">
        <style>body { visibility: hidden; }</style></body>"""
    path.write_text(path.read_text("utf-8").replace("</body>", more), "utf-8")
    other = page.context.new_page()
    said: list[str] = []
    other.on("console", lambda message: said.append(message.text))
    other.goto(path.as_uri())
    expect(other.locator(".row")).to_have_count(4)
    expect(other.locator("html")).not_to_have_attribute("data-ran", "script")
    for stopped in ("inline script", "127.0.0.1:9/x.png", "inline style"):
        assert [text for text in said if stopped in text and "Policy" in text], (stopped, said)


def test_links_and_text_are_copied(page: Page, viewer: Receiving, make: Make) -> None:
    """The tree for an issue report; a link that opens the same span again."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    viewer.add(*batches(make))
    page.goto(TRACE)

    def copied(name: str) -> str:
        page.get_by_role("button", name=name).last.click()
        expect(page.get_by_role("button", name=name).last).to_have_text("copied")
        text: str = page.evaluate("navigator.clipboard.readText()")
        return text

    page.locator(".menu summary").click()
    lines = copied("Copy the tree as text").splitlines()
    assert lines[0].startswith(f"trace {TRACE_ID}  ")
    assert lines[0].endswith("100 ms  3 spans  1 error")
    assert lines[1:] == [
        f"|{'=' * 30}|    100 ms  shop: GET /pay",
        f"|{'=' * 12:>15}{'':15}|   40.0 ms    shop: charge  ERROR: card declined",
        f"{'':42}  (parent {9:016x} not here)",
        f"|{'=' * 6:>24}{'':6}|   20.0 ms    bank: orphan",
    ]
    assert copied("Copy the trace's id") == TRACE_ID
    page.locator(".row", has_text="orphan").click()
    page.locator(".menu summary").click()
    assert copied("Copy the link to what is shown") == page.url
    link = copied("Copy the link to this span")
    page.goto("/search")
    page.goto(link)
    expect(page.get_by_role("complementary")).to_contain_text("orphan")
    expect(page.locator(".row[aria-selected=true]")).to_contain_text("orphan")
    page.goto(f"{TRACE}?span={77:016x}")
    expect(page.locator(".trace-notes")).to_contain_text(f"the span {77:016x} is not in this trace")
