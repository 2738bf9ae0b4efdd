"""`iox-otel check`: whether the settings are right, and a test span arrives."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from iox_otel import Span, SpanRecorder
from iox_otel_bridge.config import TracingConfig

from .http_client import ApiError, shown_url
from .run import trace_options
from .traces import Jaeger, jaeger_of

if TYPE_CHECKING:
    from iox_otel_bridge import Stats, Tracing

FLUSH_S = 4.0
"""How long the receivers may take."""
_REFUSED_S = 0.1
"""So long it takes the system to hear that nobody listens on a port of UDP."""
_ARRIVE_S = 5.0
_POLL_S = 0.1
_WHY = "will go on trying: "
_DISABLED = "valid, but OTEL_SDK_DISABLED=true turns every exporter off"
_NOWHERE = "valid, but spans go nowhere: set TRACES_EXPORTER (otlp, jaeger, console)"


@click.command()
@click.option(
    "--url",
    metavar="URL",
    help="Of a viewer or Jaeger: ask it whether the test span has arrived there.",
)
@click.option("--token", metavar="TEXT", help="What the viewer's --token is.")
@trace_options
def check(url: str | None, token: str | None, **flags: str | None) -> None:
    """Check the settings of tracing, and send a test span with them.

    A line for the settings, one for each exporter, and with --url one for what has arrived. The
    status is 0 if all of it is well, 1 if not, 2 for a setting that cannot be. The settings are the
    variables that a program would have here, or flags.
    """
    jaeger = None if url is None else jaeger_of(url, token)
    config = TracingConfig.from_env(flags=flags)
    with _log_lines() as lines:
        tracing = config.build()
        if tracing.collector is None:
            is_off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
            _say("settings", _DISABLED if is_off else _NOWHERE, is_well=False)
            raise click.exceptions.Exit(1)
        _say("settings", f"{_service(tracing)}, exporters {', '.join(config.exporters)}")
        trace_id, took_ms = _record(tracing)
        stats = tracing.stats()
        all_well = True
        for name, where in tracing.destinations().items():
            all_well &= _tell_of(name, where, stats[name], took_ms, lines)
        if jaeger is not None:
            all_well &= _tell_of_arrival(jaeger, trace_id)
        tracing.shutdown(timeout_s=0.1)
    raise click.exceptions.Exit(0 if all_well else 1)


def _service(tracing: Tracing) -> str:
    name = str(tracing.resource.attributes["service.name"])
    unset = " (OTEL_SERVICE_NAME is not set)" if name.startswith("unknown_service") else ""
    return f"service {name!r}{unset}"


def _record(tracing: Tracing) -> tuple[str, float]:
    """Record two spans and wait for them; returns their trace id, and how long it took in ms.

    Two, since the system tells of a port of UDP that nobody listens on when it is used again.
    """
    root = SpanRecorder(Span.root("iox-otel check", tracing.collector))
    assert root.span is not None
    trace_id = root.span.ctx.trace_id
    began_s = time.monotonic()
    root.child("first").finish()
    tracing.force_flush(FLUSH_S)
    took_s = time.monotonic() - began_s
    time.sleep(_REFUSED_S)
    root.ok()
    root.finish()
    tracing.force_flush(FLUSH_S)
    return f"{trace_id:032x}", took_s * 1000


def _tell_of(name: str, where: str, stats: Stats, took_ms: float, lines: list[str]) -> bool:
    """Say what became of the spans of one exporter; returns whether they were delivered."""
    if stats.delivered == stats.recorded:
        if name == "jaeger":
            _say(name, f"{where} was sent a test span; whether anybody took it UDP does not say")
        else:
            _say(name, f"{where} accepted a test span in {took_ms:.0f} ms")
        return True
    why = next((line for line in lines if line.startswith(f"{name}: ")), f"{name}: no answer")
    _say(name, f"{where}: {why.partition(': ')[2].rpartition(_WHY)[2]}", is_well=False)
    return False


def _tell_of_arrival(jaeger: Jaeger, trace_id: str) -> bool:
    """Say whether the trace can be found; returns that."""
    place = f"{shown_url(jaeger.url)}/trace/{trace_id}"
    deadline_s = time.monotonic() + _ARRIVE_S
    try:
        with jaeger.open() as client:
            while client.trace(trace_id) is None:
                if time.monotonic() > deadline_s:
                    _say("arrived", f"nothing within {_ARRIVE_S:g} s at {place}", is_well=False)
                    return False
                time.sleep(_POLL_S)
    except ApiError as exc:
        _say("arrived", str(exc), is_well=False)
        return False
    _say("arrived", place)
    return True


def _say(what: str, text: str, *, is_well: bool = True) -> None:
    click.echo(f"{'ok  ' if is_well else 'FAIL'}  {what}: {text}", err=False)


@contextmanager
def _log_lines() -> Iterator[list[str]]:
    """Keep what tracing logs, for the reasons that are in it, instead of printing it."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger, handler = logging.getLogger("iox_otel"), Keep()
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
