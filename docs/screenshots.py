"""Takes the screenshots of docs/viewer.md anew: `make screenshots`; look at them before committing.

A shop of six services sends its traces to a viewer, and Chromium looks at the page.
"""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import httpx
from playwright.sync_api import sync_playwright

from iox_otel import MetaValue, Span, SpanContext, SpanEvent, SpanKind
from iox_otel_bridge import Tracing, TracingConfig
from peerkit.viewer import Viewer

HERE = Path(__file__).parent
TRACES = 80
MINUTES = 10
MS = 1_000_000
SERVICES = ("frontend", "auth", "cart", "payment", "ledger", "mailer")
STACK = """Traceback (most recent call last):
  File "/srv/shop/payment.py", line 88, in charge
    receipt = gateway.authorize(card, amount)
  File "/srv/shop/gateway.py", line 41, in authorize
    raise CardDeclined(answer.reason)
CardDeclined: declined by issuer
"""


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
        span.error("declined by issuer")


def main() -> None:
    """Take them."""
    viewer = Viewer()
    try:
        shop = Shop(viewer)
        now_ns = time.time_ns()
        moments = random.Random(3)
        for _ in range(TRACES):
            shop.request(now_ns - moments.randrange(MINUTES * 60) * 10**9)
        shop.close()
        failed = httpx.get(f"{viewer.url}/api/viewer/traces?errors=1").json()["data"][0]["traceID"]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(viewport={"width": 1400, "height": 640})
            page.goto(f"{viewer.url}/search")
            page.locator("tbody tr").first.wait_for()
            page.screenshot(path=HERE / "search.png")
            page.goto(f"{viewer.url}/trace/{failed}")
            page.locator(".row").first.wait_for()
            page.keyboard.press("e")
            page.keyboard.press("Enter")
            page.get_by_text("CardDeclined").first.wait_for()
            page.mouse.move(700, 620)
            page.screenshot(path=HERE / "trace.png")
            browser.close()
    finally:
        viewer.end()


if __name__ == "__main__":
    main()
