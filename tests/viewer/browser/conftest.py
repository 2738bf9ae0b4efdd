"""A running `iox-otel viewer`, and a real browser that looks at its page."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

from iox_otel.viewer import otlp_json
from iox_otel.viewer.stored import Batch

IOX_OTEL = (sys.executable, "-W", "error", "-c", "from iox_otel.cli import main; main()")
FREE_PORTS = ("--port", "--udp-port", "--otlp-grpc-port", "--otlp-http-port")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
)
TIMEOUT_S = 30
DEADLINE_MS = 15_000


class Viewer:
    """A viewer in a process of its own, on free ports, with an empty store in memory.

    Attributes:
        url: of its page, without a slash at the end.
        intake: addresses such as 127.0.0.1:6831 by `udp`, `grpc` and `http`.
    """

    def __init__(self, *flags: str) -> None:
        token = flags[flags.index("--token") + 1] if "--token" in flags else ""
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        ports = [text for flag in FREE_PORTS for text in (flag, "0")]
        ours = ("TRACES_", "OTEL_", "IOX_")
        self.process = subprocess.Popen(
            [*IOX_OTEL, "viewer", *ports, *flags],
            env={name: value for name, value in os.environ.items() if not name.startswith(ours)},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.ready_line = self.process.stderr.readline()
        assert self.ready_line.startswith("iox-otel viewer on "), self.ready_line
        self.url = self.ready_line.split()[3].rpartition("/")[0]
        self.err: list[str] = []
        self._reader = threading.Thread(target=self.err.extend, args=(self.process.stderr,))
        self._reader.start()
        self.intake: dict[str, str] = self.status()["intake"]  # type: ignore[assignment]

    def add(self, *batches: Batch) -> None:
        """Keep these spans, as if they had come in; they are stored when this returns."""
        body = json.dumps(otlp_json.json_of(batches))
        headers = {"Content-Type": "application/json", **self._headers}
        url = f"{self.url}/api/viewer/upload"
        httpx.post(url, content=body, headers=headers, timeout=TIMEOUT_S).raise_for_status()

    def status(self) -> dict[str, object]:
        """Return what it tells the page of itself."""
        url = f"{self.url}/api/viewer/status"
        answer: dict[str, object] = httpx.get(url, headers=self._headers).json()
        return answer

    def end(self) -> None:
        """End it as an operator would; it must do so well."""
        try:
            self.process.terminate()
            assert self.process.wait(TIMEOUT_S) == 0, self.err
        finally:
            self.process.kill()
            self._reader.join()
            assert self.process.stderr is not None
            self.process.stderr.close()


@pytest.fixture
def start_viewer() -> Iterator[Callable[..., Viewer]]:
    """Start viewers with the flags given; they end with the test."""
    started: list[Viewer] = []

    def start(*flags: str) -> Viewer:
        started.append(Viewer(*flags))
        return started[-1]

    yield start
    for each in started:
        each.end()


@pytest.fixture
def viewer(start_viewer: Callable[..., Viewer]) -> Viewer:
    """A viewer of its own for each test."""
    return start_viewer()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium without a window.

    For no longer than a module: while it is there an event loop runs, in which no other test could
    have one of its own.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium here to look at the page with; make browser installs it")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser, viewer: Viewer) -> Iterator[Page]:
    """A page of the browser.

    A script that fails, or that the policy stops, and a dialog of the browser fail the test.
    """
    context = browser.new_context(base_url=viewer.url, viewport={"width": 1400, "height": 800})
    context.set_default_timeout(DEADLINE_MS)
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)

    def refuse(dialog: Dialog) -> None:
        faults.append(f"a dialog says {dialog.message}")
        dialog.dismiss()

    opened.on("dialog", refuse)
    yield opened
    context.close()
    assert faults == []


MARKUP = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "'><iframe srcdoc='<script>parent.alert(1)</script>'></iframe>",
    "</style></title></textarea><script>alert(1)</script><!--",
    "]]><script>alert(1)</script>",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "{{constructor.constructor('alert(1)')()}} ${alert(1)} {{trace}} {{script}}",
    "&lt;b&gt; &amp; &#60;script&#62;",
)
ODD = (
    "\u202ereversed\u202c and \u2066isolated\u2069 \u200f",
    "nul \x00 bell \x07 escape \x1b[31m delete \x7f",
    "line\nline\r\nline\ttab\u2028line\u2029paragraph",
    "__proto__",
    "constructor",
    " \t ",
    "",
    "👩‍👩‍👧‍👦 e\u0301 Z\u0351\u036b\u0343\u036a\u0302 漢字 עברית العربية \ufeff\u200b",
)
LONG = ("x" * 100_000, "words with spaces " * 5_000, "\n" * 2_000)


def _hostile_span(trace: bytes, number: int, text: str) -> Span:
    """Return a span with *text* wherever a text may be; the others hang from the first."""
    start_ns = 1_700_000_000_000_000_000 + number * 1_000_000
    made = Span(
        trace_id=trace,
        span_id=number.to_bytes(8, "big"),
        parent_span_id=(1).to_bytes(8, "big") if number > 1 else b"",
        trace_state=text,
        name=text,
        start_time_unix_nano=start_ns,
        end_time_unix_nano=start_ns + (5_000_000 if number > 1 else 100_000_000),
        status=Status(code=Status.STATUS_CODE_ERROR, message=text),
    )
    link = made.links.add(trace_id=trace, span_id=number.to_bytes(8, "big"), trace_state=text)
    event = made.events.add(name=text, time_unix_nano=start_ns + 1_000_000)
    raised = made.events.add(name="exception", time_unix_nano=start_ns + 2_000_000)
    for key in ("exception.type", "exception.message", "exception.stacktrace"):
        raised.attributes.add(key=key).value.string_value = text
    for key, holder in ((text, made), ("url.full", made), (text, event), (text, link)):
        holder.attributes.add(key=key).value.string_value = text
    made.attributes.add(key="list").value.array_value.values.add().string_value = text
    made.attributes.add(key="map").value.kvlist_value.values.add(key=text).value.string_value = text
    return made


def _hostile_batch(trace: int, number: int, text: str) -> Batch:
    resource, scope = Resource(), InstrumentationScope(name=text, version=text)
    for key in ("service.name", text):
        resource.attributes.add(key=key).value.string_value = text
    span = _hostile_span(trace.to_bytes(16, "big"), number, text)
    return Batch(resource, scope, [span])


@pytest.fixture
def hostile_batches() -> list[Batch]:
    """Spans whose texts try to be more than text, or to break what shows them.

    A batch for each text. They are all of trace 0xbad; copies of those that are not long are also
    alone in a trace, 0xbad01 and on, so that each is a trace's service and name, too.
    """
    texts = (*MARKUP, *ODD, *LONG)
    together = [_hostile_batch(0xBAD, number, text) for number, text in enumerate(texts, 1)]
    alone = [_hostile_batch(0xBAD00 + n, 1, text) for n, text in enumerate((*MARKUP, *ODD), 1)]
    return together + alone
