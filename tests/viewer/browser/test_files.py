"""Traces as files: taken from one viewer, given to another."""

from __future__ import annotations

import json
import math
import socket
from collections.abc import Callable
from pathlib import Path

from opentelemetry.proto.trace.v1.trace_pb2 import Span
from playwright.sync_api import Browser, Page, expect

from iox_otel import Span as NativeSpan
from iox_otel import SpanContext
from iox_otel.viewer import otlp_json
from iox_otel.viewer.stored import Batch
from iox_otel_bridge.wire import jaeger
from peerkit.viewer import Viewer
from tests.viewer.conftest import Make, Receiving

TRACE = 0xABCDEF0123456789


def everything(make: Make, trace: int) -> Batch:
    """Return a span that has all that one can have."""
    span = make.span(
        trace, 1, name="all", ms=12.345678, error=True, yes=True, text="ü\n", big=2**62
    )
    span.start_time_unix_nano += 123
    span.status.message = "why"
    span.kind = Span.SPAN_KIND_PRODUCER
    span.trace_state = "a=b"
    span.flags = 0x101
    for key, number in (("nan", math.nan), ("inf", -math.inf), ("half", 0.5), ("whole", 3.0)):
        span.attributes.add(key=key).value.double_value = number
    span.attributes.add(key="bytes").value.bytes_value = bytes(range(256))
    listed = span.attributes.add(key="list").value.array_value
    listed.values.add().int_value = -(2**63)
    listed.values.add().kvlist_value.values.add(key="in").value.bytes_value = b"\xff"
    span.attributes.add(key="map").value.kvlist_value.values.add(key="").value.string_value = ""
    span.attributes.add(key="nothing")
    event = span.events.add(name="event", time_unix_nano=span.start_time_unix_nano + 7)
    event.attributes.add(key="n").value.int_value = 9
    event.dropped_attributes_count = 4
    link = span.links.add(trace_id=b"\x09" * 16, span_id=b"\x08" * 8, trace_state="c=d", flags=1)
    link.attributes.add(key="why").value.string_value = "because"
    link.dropped_attributes_count = 5
    span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count = 1, 2, 3
    return make.batch([span, make.span(trace, 2, parent=1, name="below", at_ms=1)])


def send_by_jaeger(viewer: Receiving, make: Make) -> None:
    """Send a span of the trace as a Jaeger client does, over UDP."""
    context = SpanContext(trace_id=TRACE, span_id=3, parent_span_id=1, links=[(7, 8)])
    span = NativeSpan("by Jaeger", context, start_ns=make.START_NS + 2_000_000)
    span.end_ns = make.START_NS + 3_000_000
    span.metadata = {"s": "ä", "i": 2**60, "f": math.inf, "b": True}
    span.event("hello", n=1)
    process = jaeger.encode_process({"service.name": "old", "host.name": "h", "n": 1.5})
    stats = jaeger.ClientStats()
    sent = jaeger.encode_batch(process, jaeger.encode_span(span), 1, seq_no=0, stats=stats)
    host, port = viewer.intake["udp"].rsplit(":", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(sent, (host, int(port)))


def download(page: Page, title: str, to: Path) -> Path:
    """Take a file from the menu of the trace that is shown."""
    page.locator("summary", has_text="Export").click()
    with page.expect_download() as begun:
        page.get_by_role("link", name=title).click()
    path = to / begun.value.suggested_filename
    begun.value.save_as(path)
    page.keyboard.press("Escape")
    return path


def drop(page: Page, path: Path) -> None:
    """Drop a file onto the page."""
    script = """([name, text]) => {
        const data = new DataTransfer();
        data.items.add(new File([text], name));
        return data;
    }"""
    data = page.evaluate_handle(script, [path.name, path.read_text()])
    page.dispatch_event("main", "dragenter", {"dataTransfer": data})
    expect(page.get_by_text("Drop Jaeger JSON or OTLP JSON here")).to_be_visible()
    page.dispatch_event("main", "drop", {"dataTransfer": data})
    expect(page.locator(".drop")).to_have_count(0)


def test_a_trace_goes_from_viewer_to_viewer_unchanged(
    page: Page,
    viewer: Receiving,
    start_viewer: Callable[..., Viewer],
    make: Make,
    tmp_path: Path,
) -> None:
    """By the button or dropped; not a byte of OTLP's JSON differs, nor a value of Jaeger's."""
    viewer.add(everything(make, TRACE))
    page.goto(f"/trace/{TRACE:032x}")
    expect(page.get_by_role("row")).to_have_count(2)
    send_by_jaeger(viewer, make)
    page.get_by_role("button", name="Show 1 more span").click()
    expect(page.get_by_role("row")).to_have_count(3)
    files = [download(page, title, tmp_path) for title in ("OTLP JSON", "Jaeger JSON")]
    for path in files:
        other = start_viewer()
        page.goto(f"{other.url}/search")
        if path is files[1]:
            drop(page, path)
        else:
            with page.expect_file_chooser() as asked:
                page.get_by_role("button", name="Upload…").click()
            asked.value.set_files(path)
        page.wait_for_url(f"{other.url}/trace/{TRACE:032x}")
        expect(page.get_by_role("row")).to_have_count(3)
        title = "OTLP JSON" if "otlp" in path.name else "Jaeger JSON"
        again = download(page, title, tmp_path / "again")
        if title == "OTLP JSON":
            assert again.read_bytes() == path.read_bytes()
        assert json.loads(again.read_text()) == json.loads(path.read_text())


def test_what_is_no_trace_gets_one_clear_line(
    browser: Browser, viewer: Receiving, make: Make, tmp_path: Path
) -> None:
    """With the file's name, until the next upload; traces of other files are taken all the same."""
    context = browser.new_context(base_url=viewer.url)  # refused files are errors in its console
    page = context.new_page()
    page.goto("/search")
    expect(page.get_by_role("heading", name="No traces yet")).to_be_visible()
    wrong = {
        "a.txt": (b"just text", "the file is not JSON: Expecting value"),
        "b.json": (b'{"a": 1}', "expected Jaeger's JSON"),
        "c.json": (b"", "the file is empty"),
        "d.png": (b"\x89PNG\r\n\xff", "the file is not JSON: it is no text"),
    }
    for name, (content, reason) in wrong.items():
        path = tmp_path / name
        path.write_bytes(content)
        page.set_input_files("input[type=file]", path)
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text(f"{name}: ")
        text = alert.text_content() or ""
        assert "\n" not in text
        assert reason in text
    good = tmp_path / "good.json"
    batches = [make.batch([make.span(n, 1, name=f"n{n}")]) for n in (1, 2)]
    good.write_text(json.dumps(otlp_json.json_of(batches)))
    page.set_input_files("input[type=file]", [tmp_path / "a.txt", good])
    expect(page.locator("a.root")).to_have_count(2)
    expect(page.get_by_role("alert")).to_contain_text("a.txt: ")
    batches.pop()
    good.write_text(json.dumps(otlp_json.json_of(batches)))
    page.set_input_files("input[type=file]", good)
    page.wait_for_url("**/trace/*")
    expect(page.get_by_text("1 trace taken in.")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    context.close()
