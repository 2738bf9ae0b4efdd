"""Takes the screenshots of docs/viewer.md anew: `make screenshots`; look at them before committing.

A shop of six services sends its traces to a viewer, and Chromium looks at the page. With `--all
DIR` every state of the page is taken into DIR, too: tests do not see what is ugly, so look.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, FilePayload, Page, ViewportSize, sync_playwright

from iox_otel import MetaValue, Span, SpanContext, SpanEvent, SpanKind, SpanStatus
from iox_otel_bridge import Tracing, TracingConfig
from iox_otel_bridge.wire import jaeger
from peerkit.viewer import Viewer

HERE = Path(__file__).parent
TRACES = 80
MINUTES = 10
MS = 1_000_000
PUBLISHED: ViewportSize = {"width": 1400, "height": 640}
WINDOW: ViewportSize = {"width": 1400, "height": 800}
BEGAN_NS = time.time_ns() - MINUTES * 60 * 10**9
ODD, DETAILED, LARGE = f"{0xDD:032x}", f"{0xDE:032x}", f"{0xA:032x}"
LARGE_SPANS = 10_000
FILTERS = "service=payment&tags=currency%3DEUR+card%3Dvisa&minDuration=20ms&errors=1&lookback=1h"
SERVICES = ("frontend", "auth", "cart", "payment", "ledger", "mailer")
STACK = """Traceback (most recent call last):
  File "/srv/shop/payment.py", line 88, in charge
    receipt = gateway.authorize(card, amount)
  File "/srv/shop/gateway.py", line 41, in authorize
    raise CardDeclined(answer.reason)
CardDeclined: declined by issuer
"""
TAGS: dict[str, str | float | bool] = {
    "http.request.method": "POST",
    "url.full": "https://pay.example/v1/charges?order=4711&locale=de",
    "http.response.status_code": 502,
    "amount": 12.5,
    "cached": False,
    "db.statement": "SELECT id, price FROM items WHERE basket = $1 ORDER BY added",
    "body": '{"order": 4711, "lines": [{"sku": "A-1", "n": 2}]}',
}


class Shop:
    """Makes traces, after the fact."""

    def __init__(self, viewer: Viewer) -> None:
        endpoint = f"http://{viewer.intake['grpc']}"
        self._tracing: dict[str, Tracing] = {
            name: TracingConfig(
                exporter="otlp",
                otlp_endpoint=endpoint,
                service_name=name,
                resource_attributes={"env": "staging"},
            ).build()
            for name in SERVICES
        }
        self._random = random.Random(7)
        self._made: list[Span] = []

    def close(self) -> None:
        """Send all of it."""
        for tracing in self._tracing.values():
            tracing.shutdown()

    def request(self, at_ns: int) -> None:
        """Make the trace of a request that began then."""
        many, fails = self._random.choice((1, 1, 1, 2, 3)), self._random.random() < 0.12
        ms = self._random.lognormvariate(4, 0.6) * many
        name = self._random.choice(("GET /checkout", "GET /cart", "POST /orders", "GET /"))
        metadata: dict[str, MetaValue] = {
            "http.request.method": name.split()[0],
            "url.path": name.split()[1],
            "http.response.status_code": 500 if fails else 200,
        }
        root = self._span("frontend", name, at_ns, ms, None, SpanKind.SERVER, metadata)
        auth = self._span("auth", "verify token", at_ns + int(0.02 * ms * MS), 0.1 * ms, root)
        self._span("auth", "redis GET", at_ns + int(0.04 * ms * MS), 0.05 * ms, auth)
        cart = self._span("cart", "load cart", at_ns + int(0.14 * ms * MS), 0.3 * ms, root)
        for each in range(3 * many):
            began_ns = at_ns + int((0.15 + 0.08 * each / many) * ms * MS)
            rows: dict[str, MetaValue] = {"db.system": "postgresql", "db.rows": each}
            self._span("cart", "SELECT items", began_ns, 0.07 * ms / many, cart, metadata=rows)
        amount: dict[str, MetaValue] = {"amount": 12.5, "currency": "EUR", "card": "visa"}
        began_ns = at_ns + int(0.5 * ms * MS)
        pay = self._span("payment", "charge", began_ns, 0.35 * ms, root, metadata=amount)
        if fails:
            self._fail(pay)
        self._span("ledger", "append entry", at_ns + int(0.55 * ms * MS), 0.2 * ms, pay)
        self._span("mailer", "send receipt", at_ns + int(0.9 * ms * MS), 0.3 * ms, root)
        for span in self._made:
            span.export()
        self._made.clear()

    def _span(
        self,
        service: str,
        name: str,
        start_ns: int,
        ms: float,
        parent: Span | None,
        kind: SpanKind = SpanKind.INTERNAL,
        metadata: dict[str, MetaValue] | None = None,
    ) -> Span:
        context = SpanContext(
            trace_id=parent.ctx.trace_id if parent else self._random.getrandbits(128) | 1,
            span_id=self._random.getrandbits(64) | 1,
            parent_span_id=parent.ctx.span_id if parent else None,
            collector=self._tracing[service].collector,
        )
        made = Span(name, context, kind=kind, start_ns=start_ns, end_ns=start_ns + int(ms * MS))
        for key, value in (metadata or {}).items():
            made.set_metadata(key, value)
        self._made.append(made)
        return made

    def _fail(self, span: Span) -> None:
        assert span.end_ns is not None
        exception: dict[str, MetaValue] = {
            "exception.type": "shop.CardDeclined",
            "exception.message": "declined by issuer",
            "exception.stacktrace": STACK,
        }
        span.event(SpanEvent("exception", exception, time_ns=span.end_ns - MS))
        span.set_status(SpanStatus.ERR, "declined by issuer")  # error() would add an event of now


def fill(viewer: Viewer) -> None:
    """Have the shop send its traces of the last minutes."""
    shop = Shop(viewer)
    now_ns, moments = time.time_ns(), random.Random(3)
    for _ in range(TRACES):
        shop.request(now_ns - moments.randrange(MINUTES * 60) * 10**9)
    shop.close()


def otlp(trace: str, number: int, parent: int, name: str, at: float, ms: float) -> dict[str, Any]:
    """Return a span of OTLP's JSON that began *at* that many ms after the trace did."""
    start_ns = BEGAN_NS + int(at * MS)
    made = {"traceId": trace, "spanId": f"{number:016x}", "name": name, "kind": 1}
    if parent:
        made["parentSpanId"] = f"{parent:016x}"
    return made | {
        "startTimeUnixNano": str(start_ns),
        "endTimeUnixNano": str(start_ns + int(ms * MS)),
    }


def attributes(said: dict[str, str | float | bool]) -> list[dict[str, Any]]:
    """Return attributes of OTLP's JSON."""
    kinds = {str: "stringValue", bool: "boolValue", int: "intValue", float: "doubleValue"}
    return [{"key": key, "value": {kinds[type(value)]: value}} for key, value in said.items()]


def request_of(**spans: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a request of OTLP's JSON with spans by service."""
    said = []
    for service, each in spans.items():
        resource = {"attributes": attributes({"service.name": service, "host.name": "node-3"})}
        scope = {"scope": {"name": "shop.http", "version": "2.1"}, "spans": each}
        said.append({"resource": resource, "scopeSpans": [scope]})
    return {"resourceSpans": said}


def odd_trace() -> dict[str, Any]:
    """Return a trace with all that cannot be true."""
    said: tuple[tuple[int, int, str, float, float], ...] = (
        (1, 0, "POST /orders", 10, 100),
        (2, 99, "parent never came", 20, 5),
        (3, 4, "cycle a", 30, 5),
        (4, 3, "cycle b", 31, 3),
        (5, 1, "same id, first", 41, 2),
        (5, 1, "same id, second", 44, 2),
        (6, 6, "its own parent", 50, 2),
        (8, 1, "never ended", 40, 0),
        (9, 1, "no time at all", 60, 0),
        (10, 0, "late root", 90, 60),
    )
    spans = [otlp(ODD, *each) for each in said]
    del spans[7]["endTimeUnixNano"]
    return request_of(orders=spans, stock=[otlp(ODD, 7, 1, "clock is behind", 0, 30)])


def detailed_trace() -> dict[str, Any]:
    """Return a trace with a span that has something of everything."""
    span = otlp(DETAILED, 2, 1, "charge", 20, 90)
    span["attributes"] = attributes(TAGS)
    raised = attributes({"exception.type": "CardDeclined", "exception.stacktrace": STACK})
    tried = attributes({"n": 1})
    span["events"] = [
        {"timeUnixNano": str(BEGAN_NS + 30 * MS), "name": "retry", "attributes": tried},
        {"timeUnixNano": str(BEGAN_NS + 85 * MS), "name": "exception", "attributes": raised},
    ]
    why = attributes({"why": "batched with"})
    span["links"] = [
        {"traceId": DETAILED, "spanId": f"{3:016x}", "attributes": why},
        {"traceId": ODD, "spanId": f"{1:016x}"},
    ]
    span["status"] = {"code": 2, "message": "declined by issuer"}
    others = [otlp(DETAILED, 1, 0, "POST /pay", 0, 120), otlp(DETAILED, 3, 1, "poll", 2, 12)]
    return request_of(payment=[span], gateway=others)


def large_trace() -> dict[str, Any]:
    """Return a trace of ten thousand spans."""
    spans = [otlp(LARGE, 1, 0, "nightly import", 0, LARGE_SPANS)]
    for n in range(2, LARGE_SPANS + 1):
        spans.append(otlp(LARGE, n, n // 8 or 1, f"step {n}", n - 1, 1 + LARGE_SPANS / n))
    half = LARGE_SPANS // 2
    return request_of(importer=spans[:half], warehouse=spans[half:])


def add(page: Page, request: dict[str, Any]) -> None:
    """Give the viewer these spans, as an upload."""
    answer = page.request.post("/api/viewer/upload", data=request)
    assert answer.ok, answer.text()


def found(page: Page, query: str) -> list[str]:
    """Return the ids of the traces that a search finds."""
    listed = page.request.get(f"/api/viewer/traces?{query}").json()["data"]
    return [each["traceID"] for each in listed]


def search(page: Page, query: str = "") -> None:
    """Show the list."""
    page.goto(f"/search?{query}")
    page.locator(".found tbody tr").first.wait_for()
    if "start=" not in query:
        page.locator(".live[data-state=live]").wait_for()


def empty(page: Page) -> None:
    """Show what a viewer without traces says."""
    page.goto("/search")
    page.get_by_role("heading", name="No traces yet").wait_for()


def nothing_fits(page: Page) -> None:
    """Ask for what is not there."""
    page.goto("/search?service=payment&tags=card%3Damex+currency%3DEUR&errors=1&lookback=1h")
    page.get_by_role("heading", name="No trace fits").wait_for()


def dot(page: Page) -> None:
    """Show what a dot of the diagram is."""
    search(page)
    page.locator("a.dot.has-errors").first.hover(force=True)
    page.locator(".scatter .tip").wait_for()


def chosen_time(page: Page) -> None:
    """Show a range of time from and to."""
    now_us = time.time_ns() // 1000
    search(page, f"start={now_us - 300_000_000}&end={now_us - 60_000_000}")


def paused(page: Page) -> None:
    """Show a list that stands still while a trace comes."""
    search(page)
    page.keyboard.press("p")
    add(page, request_of(cart=[otlp(f"{0xA1:032x}", 1, 0, "GET /cart", MINUTES * 60_000, 20)]))
    page.get_by_text("Paused · 1 new").wait_for()


def failed(page: Page, query: str = "") -> None:
    """Show a trace with an error."""
    trace(page, found(page, "service=payment&errors=1")[0], query)


def trace(page: Page, trace_id: str, query: str = "") -> None:
    """Show a trace."""
    page.goto(f"/trace/{trace_id}?{query}")
    page.locator(".row, .flame, .trace tbody tr").first.wait_for()


def failed_span(page: Page) -> None:
    """Show the details of a span with an exception."""
    failed(page)
    page.keyboard.press("e")
    page.keyboard.press("Enter")
    page.get_by_text("CardDeclined").first.wait_for()
    page.mouse.move(700, 620)


def odd(page: Page) -> None:
    """Show the marks of what cannot be true."""
    trace(page, ODD)


def large(page: Page) -> None:
    """Show the midst of ten thousand spans."""
    trace(page, LARGE)
    page.get_by_role("treegrid").evaluate("grid => { grid.scrollTop = grid.scrollHeight / 2; }")
    page.locator(f"[aria-rowindex='{LARGE_SPANS // 2 + 5}']").wait_for()


def span(page: Page) -> None:
    """Show the details that a span can have."""
    trace(page, DETAILED, f"span={2:016x}")
    page.get_by_text("exception").first.wait_for()


def span_below(page: Page) -> None:
    """Show the lower part of them."""
    span(page)
    page.locator(".links").scroll_into_view_if_needed()


def compare(page: Page) -> None:
    """Show two traces side by side, one of which failed."""
    good = found(page, "service=frontend&operation=GET+%2Fcheckout")[0]
    bad = found(page, "service=payment&errors=1")[0]
    page.goto(f"/compare?a={good}&b={bad}")
    page.locator(".merged tbody tr").first.wait_for()


def graph(page: Page, query: str = "") -> None:
    """Show who calls whom."""
    page.goto(f"/graph?{query}")
    page.locator(".node, tbody tr").first.wait_for()


def menu(page: Page) -> None:
    """Show what a trace can be taken away as."""
    failed(page)
    page.locator(".menu summary").click()


def uploaded(page: Page) -> None:
    """Show what comes of two files, one of which is none."""
    search(page)
    good = json.dumps(odd_trace()).encode()
    files: list[FilePayload] = [
        {"name": "odd.json", "mimeType": "application/json", "buffer": good},
        {"name": "photo.png", "mimeType": "image/png", "buffer": b"\x89PNG\r\n\xff"},
    ]
    page.set_input_files("input[type=file]", files)
    page.get_by_role("alert").wait_for()
    page.locator(".row").first.wait_for()


def exported(page: Page) -> None:
    """Show a trace from a file that needs no viewer."""
    trace(page, DETAILED)
    page.locator(".menu summary").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="HTML, one file").click()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.html"
        download.value.save_as(path)
        page.goto(f"{path.as_uri()}#span={2:016x}")
        page.locator(".row").first.wait_for()


def losses(page: Page) -> None:
    """Show what was lost on the way here, and what was refused."""
    process = jaeger.encode_process({"service.name": "cart", "client-uuid": "c-1"})
    intake = page.request.get("/api/viewer/status").json()["intake"]
    host, port = intake["udp"].rsplit(":", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number, stats in ((1, jaeger.ClientStats()), (4, jaeger.ClientStats(5, 0, 2))):
            at = Span(
                "GET /cart",
                SpanContext(trace_id=number, span_id=number),
                start_ns=BEGAN_NS,
                end_ns=BEGAN_NS,
            )
            sent = jaeger.encode_batch(
                process, jaeger.encode_span(at), 1, seq_no=number, stats=stats
            )
            sender.sendto(sent, (host, int(port)))
    page.request.post(f"http://{intake['http']}/v1/traces", data="{")
    search(page)
    page.get_by_text("refused here").wait_for()
    page.get_by_role("region", name="Losses").locator("summary").click()


def keyboard_help(page: Page) -> None:
    """Show the keys of a trace."""
    failed(page)
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()


State = Callable[[Page], None]


def dark(state: State) -> State:
    """Return *state* in the dark."""

    def show(page: Page) -> None:
        page.emulate_media(color_scheme="dark")
        state(page)

    return show


def narrow(width: int, state: State) -> State:
    """Return *state* in a window of that width."""

    def show(page: Page) -> None:
        page.set_viewport_size({"width": width, "height": 800})
        state(page)

    return show


STATES: tuple[tuple[str, State], ...] = (
    ("1-search", search),
    ("1-search-filters", lambda page: search(page, FILTERS)),
    ("1-search-range", chosen_time),
    ("1-search-sorted", lambda page: search(page, "sort=duration")),
    ("1-search-dot", dot),
    ("1-search-nothing", nothing_fits),
    ("1-search-paused", paused),
    ("2-trace", failed),
    ("2-trace-zoomed", lambda page: failed(page, "zoom=5000000-30000000")),
    ("2-trace-odd", odd),
    ("2-trace-large", large),
    ("3-span", span),
    ("3-span-below", span_below),
    ("3-find", lambda page: failed(page, "q=SELECT")),
    ("3-find-only", lambda page: failed(page, "q=SELECT&only=1")),
    ("3-shortest", lambda page: failed(page, "shortest=10000000")),
    ("4-table", lambda page: failed(page, "view=table")),
    ("4-flame", lambda page: failed(page, "view=flame")),
    ("4-compare", compare),
    ("4-graph", graph),
    ("4-graph-table", lambda page: graph(page, "view=table")),
    ("5-menu", menu),
    ("5-upload", uploaded),
    ("5-exported", exported),
    ("7-help", keyboard_help),
    ("7-dark-search", dark(search)),
    ("7-dark-trace", dark(failed_span)),
    ("7-dark-odd", dark(odd)),
    ("7-dark-table", dark(lambda page: failed(page, "view=table"))),
    ("7-dark-flame", dark(lambda page: failed(page, "view=flame"))),
    ("7-dark-compare", dark(compare)),
    ("7-dark-graph", dark(graph)),
    ("7-800-search", narrow(800, search)),
    ("7-800-trace", narrow(800, failed_span)),
    ("7-400-search", narrow(400, search)),
    ("7-400-trace", narrow(400, failed_span)),
    ("6-losses", losses),  # the last one, as the banner is in every picture from then on
    ("6-losses-dark", dark(losses)),
)


def take(browser: Browser, viewer: Viewer, state: State, path: Path, size: ViewportSize) -> None:
    """Take one picture, with a page of its own."""
    page = browser.new_page(base_url=viewer.url, viewport=size)
    try:
        state(page)
        page.screenshot(path=path)
    finally:
        page.close()


def take_all(browser: Browser, viewer: Viewer, folder: Path) -> None:
    """Take every state of a viewer that has traces."""
    page = browser.new_page(base_url=viewer.url)
    for request in (odd_trace(), detailed_trace(), large_trace()):
        add(page, request)
    page.close()
    for name, state in STATES:
        take(browser, viewer, state, folder / f"{name}.png", WINDOW)


def look(browser: Browser, viewer: Viewer, folder: Path | None) -> None:
    """Take the pictures of the documentation, and all others into *folder*, if there is one."""
    if folder:
        take(browser, viewer, empty, folder / "1-empty.png", WINDOW)
    fill(viewer)
    take(browser, viewer, search, HERE / "search.png", PUBLISHED)
    take(browser, viewer, failed_span, HERE / "trace.png", PUBLISHED)
    if folder:
        take_all(browser, viewer, folder)


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description="Take the screenshots of docs/viewer.md.")
    parser.add_argument("--all", metavar="DIR", type=Path, help="take every state into DIR, too")
    folder: Path | None = parser.parse_args().all
    viewer = Viewer()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            look(browser, viewer, folder)
            browser.close()
    finally:
        viewer.end()


if __name__ == "__main__":
    main()
