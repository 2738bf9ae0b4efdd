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
from playwright.sync_api import Browser, Page, sync_playwright

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
        headers = {"Content-Type": "application/json"}
        url = f"{self.url}/api/viewer/upload"
        httpx.post(url, content=body, headers=headers, timeout=TIMEOUT_S).raise_for_status()

    def status(self) -> dict[str, object]:
        """Return what it tells the page of itself."""
        answer: dict[str, object] = httpx.get(f"{self.url}/api/viewer/status").json()
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
    """A page of the browser; a script that fails, or that the policy stops, fails the test."""
    context = browser.new_context(base_url=viewer.url, viewport={"width": 1400, "height": 800})
    context.set_default_timeout(DEADLINE_MS)
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    yield opened
    context.close()
    assert faults == []
