"""mount: the viewer within an application, in processes of their own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from iox_otel import Span, SpanRecorder
from iox_otel.viewer import mount
from iox_otel_bridge import Tracing, TracingConfig

DEADLINE_S = 20
APP = """
import os

from {module} import {framework}
from starlette.responses import PlainTextResponse

from iox_otel.viewer import mount
from iox_otel_bridge import TracingConfig

tracing = TracingConfig(service_name="shop", exporter="none").build()
app = {framework}(middleware=[tracing.middleware("shop http")])
mount(app, "/debug/traces/", tracing{options})
tracing.install()


async def hello(request):
    return PlainTextResponse("hello")


app.add_route("/hello", hello)
"""


class Served:
    """An application under uvicorn."""

    def __init__(self, folder: Path, framework: str, options: str, flags: tuple[str, ...]) -> None:
        module = "fastapi" if framework == "FastAPI" else "starlette.applications"
        text = APP.format(module=module, framework=framework, options=options)
        (folder / "shop.py").write_text(text)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "shop:app", "--port", "0", *flags],
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.url = ""
        for line in self.process.stderr:
            if found := re.search(r"running on (http://\S+)", line):
                self.url = found[1]
                break
        self._reader = threading.Thread(target=list, args=(self.process.stderr,))
        self._reader.start()

    def end(self) -> int:
        """End it by SIGTERM; return its status."""
        try:
            self.process.send_signal(signal.SIGTERM)
            return self.process.wait(DEADLINE_S)
        finally:
            self.process.kill()
            self._reader.join()
            assert self.process.stderr is not None
            self.process.stderr.close()


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Serves the application until the test ends."""
    started: list[Served] = []

    def start(framework: str = "Starlette", options: str = "", *flags: str) -> Served:
        started.append(Served(tmp_path, framework, options, flags))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.end()


def traces(url: str) -> list[dict[str, Any]]:
    """Return the traces that the viewer lists, as soon as there are some."""
    deadline_s = time.monotonic() + DEADLINE_S
    while True:
        answer = httpx.get(f"{url}/debug/traces/api/viewer/traces").raise_for_status().json()
        if answer["data"] or time.monotonic() > deadline_s:
            return list(answer["data"])
        time.sleep(0.01)


@pytest.mark.parametrize("framework", ["Starlette", "FastAPI"])
def test_the_applications_traces_are_at_the_path_it_chose(serve: Serve, framework: str) -> None:
    """The page is there, and the traces, but none of the requests for them."""
    url = serve(framework).url
    debug = {"jaeger-debug-id": "hello"}
    assert httpx.get(f"{url}/hello", headers=debug).text == "hello"
    page = httpx.get(f"{url}/debug/traces", headers=debug, follow_redirects=True)
    assert page.url.path == "/debug/traces/search"
    assert '<base href="/debug/traces/">' in page.text
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    script = httpx.get(f"{url}/debug/traces/static/js/app.js")
    assert script.headers["Content-Type"].startswith("text/javascript")

    (row,) = traces(url)

    assert (row["service"], row["name"], row["spans"]) == ("shop", "shop http", 1)
    jaeger = httpx.get(f"{url}/debug/traces/api/services").json()
    assert jaeger["data"] == ["shop"]


async def status_of(app: Starlette) -> dict[str, Any]:
    """Return the status of the viewer in an application that nobody serves."""
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/debug/traces/api/viewer/status")
        return dict(answer.raise_for_status().json())


def test_what_the_application_lost_is_shown() -> None:
    """Its spans that found the queue to the viewer full."""
    tracing = TracingConfig(service_name="shop", exporter="none", queue_size=16).build()
    app = Starlette()
    mount(app, "/debug/traces", tracing)
    for _ in range(5_000):
        with SpanRecorder(Span.root("work", tracing.collector)):
            pass
    tracing.force_flush(DEADLINE_S)
    lost = tracing.stats()["viewer"].dropped_queue_full
    status = asyncio.run(status_of(app))
    loss = status["loss"]
    tracing.shutdown()
    assert status["isEmbedded"] is True
    assert lost > 0
    told = {"service": "shop", "client": "this process", "queue_full": lost}
    assert [each | told for each in loss["processes"]] == loss["processes"] != []


def test_a_page_that_is_open_does_not_hold_up_the_applications_end(serve: Serve) -> None:
    """Its stream of news ends when the server is asked to end."""
    served = serve()
    with httpx.stream("GET", f"{served.url}/debug/traces/api/viewer/stream") as stream:
        assert next(stream.iter_text()).startswith(": hello")
        assert served.end() in (0, -signal.SIGTERM)


def test_it_answers_its_own_machine_only(serve: Serve) -> None:
    """Neither a name that was made to lead here nor another machine is answered."""
    url = serve("Starlette", "", "--forwarded-allow-ips", "127.0.0.1").url
    status = f"{url}/debug/traces/api/viewer/status"
    assert httpx.get(status).status_code == 200
    assert httpx.get(status, headers={"Host": "evil.example"}).status_code == 403
    assert httpx.get(status, headers={"Via": "1.1 proxy"}).status_code == 403
    far = httpx.get(status, headers={"X-Forwarded-For": "192.0.2.7"})
    assert far.status_code == 403
    assert far.json() == {
        "error": "this viewer answers its own machine only, unless it has a token"
    }


def test_a_token_lets_others_in(serve: Serve) -> None:
    """Who has it may come from anywhere; nobody may come without."""
    url = serve("Starlette", ", token='s3cret'").url
    status = f"{url}/debug/traces/api/viewer/status"
    other = {"Host": "shop.example", "X-Forwarded-For": "192.0.2.7"}
    assert httpx.get(status, headers=other).status_code == 401
    bearer = {"Authorization": "Bearer s3cret"}
    assert httpx.get(status, headers=other | bearer).status_code == 200


@pytest.fixture
def tracing() -> Iterator[Tracing]:
    """Tracing without an exporter of its own."""
    with TracingConfig(service_name="shop").build() as built:
        yield built


def test_what_is_recorded_is_counted_as_delivered(tracing: Tracing) -> None:
    """Spans of the application arrive in the viewer, and the counters say so."""
    mount(Starlette(), "/traces", tracing)
    assert tracing.collector is not None
    with SpanRecorder(Span.root("work", tracing.collector)) as recorder:
        recorder.set_metadata("rows", 3)
    assert tracing.force_flush()
    stats = tracing.stats()["viewer"]
    assert (stats.recorded, stats.delivered) == (1, 1)
    assert tracing.destinations() == {"viewer": "the viewer at /traces"}


def test_a_forked_child_has_a_viewer_of_its_own(tracing: Tracing) -> None:
    """It begins empty, and takes what the child records, whatever the parent's was doing."""
    mount(Starlette(), "/traces", tracing)
    collector = tracing.collector
    assert collector is not None
    for _ in range(25):
        for _ in range(200):
            SpanRecorder(Span.root("parent's", collector)).finish()
        assert tracing.force_flush()  # its viewer is storing them now
        child = os.fork()
        if not child:  # pragma: no cover
            SpanRecorder(Span.root("child's", collector)).finish()
            stats = tracing.stats()["viewer"] if tracing.force_flush() else None
            os._exit(0 if stats and stats.delivered == 1 else 1)
        assert os.waitpid(child, 0)[1] == 0
    assert tracing.stats()["viewer"].delivered == 25 * 200


@pytest.mark.parametrize("path", ["", "/", "traces", "//"])
def test_a_path_that_would_hide_the_application_is_refused(tracing: Tracing, path: str) -> None:
    """The error names the path."""
    with pytest.raises(ValueError, match="path must begin with / and be more than that"):
        mount(Starlette(), path, tracing)


def test_a_second_viewer_is_refused(tracing: Tracing) -> None:
    """Spans would be kept twice."""
    mount(Starlette(), "/traces", tracing)
    with pytest.raises(ValueError, match="there is an exporter 'viewer' already"):
        mount(Starlette(), "/again", tracing)
