"""A running `iox-otel viewer`, and a real browser that looks at its page."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

from iox_otel.viewer.stored import Batch
from peerkit.viewer import Viewer
from tests.viewer.conftest import Receiving

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
)
DEADLINE_MS = 15_000
OPENED = pytest.StashKey[Browser]()
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa"]},
    "resultTypes": ["violations"],  # to gather what is right, too, takes two thirds of the time
}


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
def viewer(receiving: Receiving) -> Receiving:
    """A viewer of its own for each test; in this process, where it is there at once."""
    return receiving


@pytest.fixture
def browser(request: pytest.FixtureRequest) -> Browser:
    """A Chromium without a window, which all tests of this folder share.

    For no longer than they run: while it is there an event loop runs, in which no other test could
    have one of its own. Fixtures have no such scope, but a folder has an end.
    """
    folder: pytest.Dir = request.node.getparent(pytest.Dir)
    if (opened := folder.stash.get(OPENED, None)) is None:
        stack = ExitStack()
        folder.addfinalizer(stack.close)
        folder.stash[OPENED] = opened = stack.enter_context(_chromium())
        stack.callback(folder.stash.__delitem__, OPENED)
    return opened


@contextmanager
def _chromium() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium here to look at the page with; make browser installs it")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture
def page(
    browser: Browser, viewer: Receiving | Viewer, start_viewer: Callable[..., Viewer]
) -> Iterator[Page]:
    """A page of the browser, which is closed before any viewer ends.

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


@pytest.fixture
def violations(page: Page) -> Callable[[], list[str]]:
    """Return what of the page, as it is shown, breaks the rules of WCAG's level AA."""
    axe = Axe()

    def find() -> list[str]:
        found = axe.run(page, options=RULES).response["violations"]
        return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]

    return find


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
