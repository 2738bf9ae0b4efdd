"""What is said of spans that never came, were refused, or made room for newer ones."""

from __future__ import annotations

import socket
from collections.abc import Callable

import httpx
from playwright.sync_api import Page, expect

from iox_otel import Span as NativeSpan
from iox_otel import SpanContext
from iox_otel_bridge.wire import jaeger
from peerkit.viewer import Viewer
from tests.viewer.conftest import Make, Receiving

MARKUP = "<img src=x onerror=alert(1)>"


def datagram(make: Make, number: int, *lost: int) -> bytes:
    """Return what a Jaeger client sends that lost so many spans in its three ways."""
    context = SpanContext(trace_id=number, span_id=number)
    span = NativeSpan("work", context, start_ns=make.START_NS, end_ns=make.START_NS + 1)
    process = jaeger.encode_process({"service.name": MARKUP, "client-uuid": "c-1"})
    stats = jaeger.ClientStats(*lost)
    return jaeger.encode_batch(process, jaeger.encode_span(span), 1, seq_no=number, stats=stats)


def send(viewer: Receiving, *datagrams: bytes) -> None:
    """Send them to the viewer."""
    host, port = viewer.intake["udp"].rsplit(":", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for each in datagrams:
            sender.sendto(each, (host, int(port)))


def test_the_banner_says_what_was_lost_where_and_why(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Dropped by processes, missing on the way, refused here; it goes away until more is lost."""
    page.goto("/search")
    banner = page.get_by_role("region", name="Losses")
    send(viewer, datagram(make, 1), datagram(make, 4, 5, 0, 2))
    said = banner.locator("summary")
    lost = "Not everything is here: 7 spans dropped by their senders, 2 datagrams lost on the way"
    expect(said).to_have_text(f"{lost}.")
    said.focus()
    page.keyboard.press("Enter")
    rows = banner.locator("tr")
    expect(rows.nth(0)).to_have_text(
        f"5 spans{MARKUP} (c-1)its queue was full: it records faster than it sends"
    )
    expect(rows.nth(1)).to_have_text(f"2 spans{MARKUP} (c-1)sending failed")
    expect(rows.nth(2)).to_contain_text(f"2 datagrams{MARKUP} (c-1)lost on the way")
    send(viewer, b"nonsense")
    url, headers = f"http://{viewer.intake['http']}/v1/traces", {"Content-Type": "application/json"}
    assert httpx.post(url, content=b"{", headers=headers).status_code == 400
    expect(said).to_have_text(f"{lost}, 2 messages or spans refused here.")
    expect(said).to_be_focused()
    expect(rows.nth(3)).to_contain_text("1 span or datagramJaeger over UDPrefused by this viewer")
    expect(rows.nth(4)).to_contain_text("1 span or requestOTLP over HTTPrefused by this viewer")
    banner.get_by_role("button", name="Dismiss until more is lost").click()
    expect(banner).to_have_count(0)
    send(viewer, datagram(make, 5, 6, 0, 2))
    expect(said).to_contain_text("8 spans dropped by their senders")
    page.reload()
    expect(said).to_contain_text("8 spans dropped by their senders")


def test_what_is_kept_of_what_came_is_said(
    page: Page, start_viewer: Callable[..., Viewer], make: Make
) -> None:
    """Of the oldest, that they made room; of a trace that alone is too large, what was cut."""
    viewer = start_viewer("--max-spans", "100")
    for n in range(1, 8):
        viewer.add(make.batch([make.span(n, k, name=f"n{n}", at_ms=n) for k in range(1, 31)]))
    page.goto(f"{viewer.url}/search")
    kept = page.locator(".header .kept")
    expect(kept).to_have_text("3 of 7 traces kept")
    tip = kept.locator("[title]").get_attribute("title")
    assert tip is not None
    assert "90 of 210 spans kept, 100 at most" in tip
    page.get_by_label("Operation").select_option("n7")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.goto(f"{viewer.url}/search?operation=n1")
    expect(page.locator(".empty")).to_contain_text("3 of the 7 traces that arrived are kept")
    for first in range(1, 300, 50):
        viewer.add(make.batch([make.span(9, first + k, name="huge") for k in range(50)]))
    banner = page.get_by_role("region", name="Losses")
    expect(banner).to_contain_text("spans cut from traces larger than all that is kept")
    page.goto(f"{viewer.url}/graph")
    expect(banner.locator("summary")).to_contain_text("Not everything is here: ")


def test_what_could_not_be_stored_is_lost_and_what_was_put_off_is_not(page: Page) -> None:
    """Only the details tell of requests that are sent again, and no banner appears for them."""
    page.goto("/search")
    script = """async (changes) => {
        const {summary} = await import("/static/js/loss.js");
        const status = await (await fetch("/api/viewer/status")).json();
        Object.assign(status.loss, changes);
        return summary(status);
    }"""
    put_off = {"postponed": {"grpc": 2, "http": 1}}
    found = page.evaluate(script, put_off)
    assert found["total"] == 0
    found = page.evaluate(script, {**put_off, "notStored": 3})
    assert found["parts"] == ["3 spans could not be stored"]
    assert [row[:3] for row in found["rows"]] == [
        [3, "span", "this viewer"],
        [2, "request", "OTLP over gRPC"],
        [1, "request", "OTLP over HTTP"],
    ]
