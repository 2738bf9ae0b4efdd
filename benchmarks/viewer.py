"""What `iox-otel viewer` takes in, and how fast it is for those who look: `make bench-viewer`.

Each part is measured on real processes: a viewer, a program that records spans and sends them with
our own exporters, and Chromium with the page open. Spans have ten attributes, a
root one more; traces have eight spans. It takes about seven minutes and 2 GB of memory; nothing
else should run.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

from iox_otel import Span, SpanRecorder
from iox_otel_bridge import TracingConfig
from peerkit.viewer import Viewer

RATES = (10_000, 12_500, 15_000, 20_000)
RATE_S = 20
ROUNDS = 5
SEARCHED_SPANS = 1_000_000
MAX_MB = 256
SPANS_PER_TRACE = 8
FLUSH_S = 60.0
TICK_S = 0.01
SETTLED_S = 1.5
LOOK_S = 0.1
CHROMIUM = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")


class Sent(NamedTuple):
    """What a sender says of itself."""

    recorded: int
    delivered: int
    took_s: float


def send(how: str, address: str, rate: int, spans: int) -> None:
    """Record *spans* spans, *rate* of them a second (0: as fast as they are taken); tell of it.

    Runs in a process of its own, see `sending`.
    """
    host, _, port = address.rpartition(":")
    settings_of: dict[str, dict[str, Any]] = {
        "udp": {"jaeger_agent_host": host, "jaeger_agent_port": int(port)},
        "grpc": {"otlp_endpoint": f"http://{address}", "otlp_protocol": "grpc"},
        "http": {"otlp_endpoint": f"http://{address}", "otlp_protocol": "http/protobuf"},
    }
    exporter = "jaeger" if how == "udp" else "otlp"
    tracing = TracingConfig(exporter=exporter, service_name="load", **settings_of[how]).build()
    began_s = time.monotonic()
    recorded = 0
    while recorded < spans:
        due = min(spans, int((time.monotonic() - began_s) * rate) if rate else spans)
        while recorded < due:
            record_trace(tracing.collector, recorded)
            recorded += SPANS_PER_TRACE
            if not rate and recorded % 40_000 == 0:
                tracing.force_flush(FLUSH_S)
        time.sleep(TICK_S)
    tracing.force_flush(FLUSH_S)
    took_s = time.monotonic() - began_s
    stats = tracing.stats()[exporter]
    tracing.shutdown(1.0)
    print(stats.recorded, stats.delivered, took_s)


def record_trace(collector: Any, at: int) -> None:
    """Record a root and its children."""
    root = Span.root(f"GET /{at // SPANS_PER_TRACE % 20}", collector)
    with SpanRecorder(root) as recorder:
        describe(recorder, at)
        recorder.set_metadata("is.root", True)
        for number in range(1, SPANS_PER_TRACE):
            with recorder.child(f"step {number}") as child:
                describe(child, at + number)


def describe(recorder: SpanRecorder, at: int) -> None:
    """Give a span its ten attributes, two of them of its own."""
    for number in range(7):
        recorder.set_metadata(f"key.{number}", f"some text {number}")
    recorder.set_metadata("at", at % SPANS_PER_TRACE)
    recorder.set_metadata("user", at // SPANS_PER_TRACE % 10_000)
    recorder.set_metadata("request", f"{at:016x}")


def sending(how: str, viewer: Viewer, *, rate: int, spans: int) -> Sent:
    """Run a sender."""
    command = [sys.executable, __file__, "--send", how, viewer.intake[how], str(rate), str(spans)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return Sent(int(said[0]), int(said[1]), float(said[2]))


@contextmanager
def serving(*flags: str) -> Iterator[Viewer]:
    """Run a viewer."""
    viewer = Viewer(*flags)
    try:
        yield viewer
    finally:
        viewer.end()


def status_of(viewer: Viewer) -> dict[str, Any]:
    """Return a viewer's status once it has stored all that it has."""
    return settled(viewer)[0]


def settled(viewer: Viewer) -> tuple[dict[str, Any], float]:
    """Return a viewer's status once it has stored all that it has, and how long that took."""
    began_s = changed_s = time.monotonic()
    before: dict[str, Any] = {}
    while time.monotonic() < changed_s + SETTLED_S:
        if before != (now := dict(viewer.status())):
            before, changed_s = now, time.monotonic()
        time.sleep(LOOK_S)
    return before, changed_s - began_s


def lost(loss: dict[str, Any]) -> int:
    """Return how much a viewer says was lost: datagrams, requests and spans alike."""
    rejected = sum(loss["rejected"].values())
    return int(loss["datagrams"] + rejected + loss["notStored"] + len(loss["processes"]))


def measure_start(browser: Browser) -> None:
    """Print how long it takes from the command to the first page."""
    took_s = []
    page = browser.new_page()
    for _ in range(ROUNDS):
        began_s = time.monotonic()
        with serving() as viewer:
            page.goto(f"{viewer.url}/search")
            page.get_by_role("heading", name="No traces yet").wait_for()
            took_s.append(time.monotonic() - began_s)
    page.close()
    print(f"start to first page: {statistics.median(took_s):.2f} s, at most {max(took_s):.2f}\n")


def measure_intake(browser: Browser) -> None:
    """Print which rates are taken in without loss while the search page is open and live."""
    print("intake, with the page open:")
    for how in ("udp", "grpc", "http"):
        for rate in RATES:
            with serving() as viewer:
                page = browser.new_page()
                page.goto(f"{viewer.url}/search")
                sent = sending(how, viewer, rate=rate, spans=rate * RATE_S)
                status, behind_s = settled(viewer)
                page.close()
                cpu_s = cpu_of(viewer)
            seen = status["spans"]["seen"]
            missing = sent.recorded - seen + lost(status["loss"])
            print(
                f"  {how:<4} {rate:>6,}/s for {sent.took_s:.1f} s: {sent.recorded:,} recorded, "
                f"{seen:,} stored, {lost(status['loss'])} told lost, the last after "
                f"{behind_s:.1f} s; "
                f"{cpu_s / seen * 1e6:.0f} µs of CPU a span"
            )
            if missing or sent.took_s > RATE_S * 1.25:
                break
    print()


def cpu_of(viewer: Viewer) -> float:
    """Return how many seconds of CPU a viewer has used."""
    fields = Path(f"/proc/{viewer.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure_search() -> None:
    """Print how long the page's searches take over a million spans."""
    with serving("--max-spans", str(SEARCHED_SPANS)) as viewer:
        empty_mb = resident_mb(viewer)
        sent = sending("grpc", viewer, rate=0, spans=SEARCHED_SPANS)
        kept = status_of(viewer)
        print(
            f"{kept['spans']['kept']:,} spans taken at {sent.delivered / sent.took_s:,.0f}/s; "
            f"{kept['bytes']['kept'] / 2**20:,.0f} MiB of database, the process has grown by "
            f"{resident_mb(viewer) - empty_mb:,.0f} MiB\n"
            f"searches over them, by HTTP, the longest of {ROUNDS}:"
        )
        with httpx.Client(base_url=f"{viewer.url}/api/viewer/", timeout=60) as client:
            for name, query in queries().items():
                took_ms = []
                for _ in range(ROUNDS):
                    began_s = time.monotonic()
                    found = client.get("traces", params=query).raise_for_status().json()["data"]
                    took_ms.append((time.monotonic() - began_s) * 1e3)
                print(f"  {name:<28} {len(found):>5} found {max(took_ms):>8.1f} ms")
    print()


def queries() -> dict[str, dict[str, str]]:
    """Return a search of every kind."""
    return {
        "newest 100": {},
        "service": {"service": "load"},
        "operation": {"service": "load", "operation": "GET /3"},
        "tag that all have": {"tags": 'key.1="some text 1"'},
        "tag of a few": {"tags": "user=77"},
        "tag of one span": {"service": "load", "tags": f"request={400_000:016x}"},
        "no such tag": {"tags": "request=nothing"},
        "two tags, never on one span": {"tags": f"at=1 request={400_000:016x}"},
        "two that all traces have, so": {"tags": "at=1 is.root=true"},
        "tag of all, longer than none": {"tags": 'key.1="some text 1"', "maxDuration": "1ns"},
        "longer than most": {"minDuration": "1ms"},
        "longer than all": {"minDuration": "1h"},
        "errors": {"errors": "1"},
        "last 5 minutes, limit 1,500": {"lookback": "5m", "limit": "1500"},
    }


def resident_mb(viewer: Viewer) -> float:
    """Return a viewer's memory."""
    pages = int(Path(f"/proc/{viewer.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def peak_mb(viewer: Viewer) -> float:
    """Return how much memory a viewer ever had."""
    status = Path(f"/proc/{viewer.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**10


def measure_memory() -> None:
    """Print how large a viewer becomes that gets more than twice what it may keep."""
    with serving("--max-mb", str(MAX_MB)) as viewer:
        empty_mb = resident_mb(viewer)
        sending("grpc", viewer, rate=0, spans=SEARCHED_SPANS)
        status = status_of(viewer)
        print(
            f"--max-mb {MAX_MB}: {status['spans']['kept']:,} of {status['spans']['seen']:,} spans "
            f"kept in {status['bytes']['kept'] / 2**20:.0f} MiB; the process has {empty_mb:.0f} "
            f"MiB when empty, {resident_mb(viewer):.0f} MiB now and had {peak_mb(viewer):.0f} MiB "
            "at most\n"
        )


def measure_trace(browser: Browser) -> None:
    """Print how soon a trace of 10,000 spans can be used, and how smoothly it scrolls."""
    with serving() as viewer:
        tracing = TracingConfig(
            exporter="otlp", otlp_endpoint=f"http://{viewer.intake['grpc']}", service_name="load"
        ).build()
        with SpanRecorder(Span.root("large", tracing.collector)) as recorder:
            for at in range(1_111):
                with recorder.child("group") as group:
                    describe(group, at)
                    for number in range(8):
                        with group.child(f"step {number}") as child:
                            describe(child, at)
        tracing.shutdown()
        status_of(viewer)
        (row,) = httpx.get(f"{viewer.url}/api/viewer/traces").json()["data"]
        page = browser.new_page()
        at_first_ms, *took_ms = (
            usable_ms(page, f"{viewer.url}/trace/{row['traceID']}") for _ in range(ROUNDS + 1)
        )
        frames_ms = sorted(scroll(page))
        page.close()
    print(
        f"a trace of {row['spans']:,} spans can be used after {statistics.median(took_ms):.0f} ms, "
        f"at most {max(took_ms):.0f}, and {at_first_ms:.0f} in a browser that has nothing of the "
        f"page yet; scrolled through it has a frame every "
        f"{statistics.median(frames_ms):.0f} ms, 99 % of them within "
        f"{frames_ms[int(len(frames_ms) * 0.99)]:.0f} ms"
    )


def usable_ms(page: Page, url: str) -> float:
    """Return how long it takes from the navigation until a key has moved the selection."""
    page.goto(url, wait_until="commit")
    page.locator(".row").first.wait_for()
    page.keyboard.press("j")
    page.locator('.row[aria-selected="true"]').wait_for()
    return float(page.evaluate("performance.now()"))


def scroll(page: Page) -> list[float]:
    """Scroll through all rows; return how long each frame took, in ms."""
    script = """() => new Promise((done) => {
        const rows = document.querySelector(".rows"), times = [];
        let last = performance.now();
        const step = (now) => {
            times.push(now - last);
            last = now;
            rows.scrollTop += 900;
            const rest = rows.scrollHeight - rows.scrollTop - rows.clientHeight;
            if (rest > 1) requestAnimationFrame(step);
            else done(times);
        };
        requestAnimationFrame(step);
    })"""
    return [float(each) for each in page.evaluate(script)]


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--send", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("parts", nargs="*", help="start, intake, search, memory, trace; or all")
    given = parser.parse_args()
    if given.send:
        how, address, rate, spans = given.send
        send(how, address, int(rate), int(spans))
        return
    wanted = given.parts or ["start", "intake", "search", "memory", "trace"]
    chromium = shutil.which("chromium") or sys.exit("this needs chromium: make browser")
    print(f"CPython {platform.python_version()}, {os.cpu_count()} CPUs, {platform.machine()}\n")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM))
        if "start" in wanted:
            measure_start(browser)
        if "intake" in wanted:
            measure_intake(browser)
        if "search" in wanted:
            measure_search()
        if "memory" in wanted:
            measure_memory()
        if "trace" in wanted:
            measure_trace(browser)
        browser.close()


if __name__ == "__main__":
    main()
