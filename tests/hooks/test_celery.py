"""Tasks of Celery, in a worker's own processes: in the trace of whoever sent them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iox_otel_bridge.wire.jaeger import decode_batch
from peerkit.process import clean_environment

EXAMPLES = Path(__file__).parents[2] / "examples"
TASKS = """
from celery_app import app, tracing
from iox_otel import Span, SpanContext, SpanRecorder

@app.task(bind=True, max_retries=2, name="flaky")
def flaky(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0, exc=LookupError("not yet"))
    return SpanContext.current() is not None

@app.task(name="failing")
def failing():
    raise LookupError("no such cart")

if __name__ == "__main__":
    failing.delay()                      # outside of any trace
    with SpanRecorder(Span.root("checkout", tracing.collector)):
        flaky.delay()
        failing.delay()
"""


@pytest.fixture
def agent() -> Iterator[socket.socket]:
    """A Jaeger agent's socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(30)
        yield receiver


@pytest.fixture
def environment(agent: socket.socket, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "tasks_of_test.py").write_text(TASKS)
    return clean_environment(
        TASKS=str(tmp_path),
        TRACES_EXPORTER="jaeger",
        TRACES_EXPORTER_JAEGER_AGENT_HOST="127.0.0.1",
        TRACES_EXPORTER_JAEGER_AGENT_PORT=str(agent.getsockname()[1]),
        PYTHONPATH=os.pathsep.join((str(EXAMPLES), str(tmp_path), *sys.path[1:])),
    )


def run_tasks(
    agent: socket.socket, environment: dict[str, str], module: str, *, count: int
) -> list[Any]:
    """Send what *module* sends to a worker, and return *count* spans of both."""
    command = [sys.executable, "-m", "celery", "-A", module, "worker", "-c", "2", "-l", "WARNING"]
    worker = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    spans: list[Any] = []
    try:
        subprocess.run([sys.executable, "-m", module], env=environment, check=True, timeout=30)
        while len(spans) < count:
            spans += decode_batch(agent.recv(65_536)).spans
        worker.send_signal(signal.SIGTERM)
        worker.wait(30)
    finally:
        worker.kill()
        worker.communicate()
    agent.settimeout(0.2)
    with pytest.raises(TimeoutError):  # and no more than that
        spans += decode_batch(agent.recv(65_536)).spans
    assert len(spans) == count
    return spans


def tags_of(span: Any) -> dict[str, Any]:
    return {
        tag.key: next(
            value for value in (tag.vStr, tag.vLong, tag.vDouble, tag.vBool) if value is not None
        )
        for tag in span.tags
    }


def test_the_example(agent: socket.socket, environment: dict[str, str]) -> None:
    """A task is a child of the span that sent it, and what it calls is under it."""
    spans = run_tasks(agent, environment, "celery_app", count=3)

    by_name = {span.operationName: span for span in spans}
    sent, task, render = (by_name[name] for name in ("checkout", "celery_app.send_mail", "render"))
    assert len({span.traceIdLow for span in spans}) == 1
    assert task.parentSpanId == sent.spanId
    assert render.parentSpanId == task.spanId
    tags = tags_of(task)
    assert (tags["span.kind"], tags["messaging.system"]) == ("consumer", "celery")
    assert (tags["celery.state"], tags["celery.retries"], tags["ok"]) == ("SUCCESS", 0, True)


def test_retries_and_failures(agent: socket.socket, environment: dict[str, str]) -> None:
    """Each attempt has a span in the one trace; a task outside of any trace has none."""
    spans = run_tasks(agent, environment, "tasks_of_test", count=5)

    (sent,) = (span for span in spans if span.operationName == "checkout")
    attempts = [span for span in spans if span.operationName == "flaky"]
    (failed,) = (span for span in spans if span.operationName == "failing")
    assert {span.traceIdLow for span in spans} == {sent.traceIdLow}
    told = sorted(
        (tags_of(span)["celery.retries"], tags_of(span)["celery.state"]) for span in attempts
    )
    assert told == [(0, "RETRY"), (1, "RETRY"), (2, "SUCCESS")]
    assert tags_of(failed)["error"] is True
    assert failed.parentSpanId == sent.spanId
    fields = {field.key: field.vStr for log in failed.logs for field in log.fields}
    assert fields["exception.message"] == "no such cart"
