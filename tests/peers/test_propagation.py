"""Three processes in a row, ours, plain OpenTelemetry and ours, make one trace in Jaeger."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from iox_otel import SpanContext
from iox_otel.http import format_jaeger_trace_context
from iox_otel.http.headers import format_b3_multi, format_b3_single, format_traceparent
from peerkit.jaeger import Jaeger
from peerkit.outline import fetch, find, outline, root
from peerkit.service import Service, settings

APPS = Path(__file__).parent / "apps"
TIMEOUT_S = 30
SPANS = 6
CHAIN = """\
front: front http (server)
  front: GET (client)
    middle: GET / (server)
      middle: GET (client)
        back: back http (server)
          back: look up (internal)"""

STATE = "vendor=one"
WRITE: dict[str, Callable[[SpanContext], dict[str, str]]] = {
    "jaeger": lambda ctx: {"uber-trace-id": format_jaeger_trace_context(ctx)},
    "b3": lambda ctx: {"b3": format_b3_single(ctx)},
    "b3multi": format_b3_multi,
    "tracecontext": lambda ctx: {"traceparent": format_traceparent(ctx), "tracestate": STATE},
}


@contextmanager
def three_services(front: str, propagators: str, jaeger: Jaeger, folder: Path) -> Iterator[str]:
    """Run them; yield the URL of the first, an application in apps/.

    The first one's spans go to Jaeger over UDP, the others' by OTLP.
    """

    def service(name: str, environment: dict[str, str]) -> str:
        running = Service(
            f"uvicorn {name}:app",
            source=APPS,
            folder=folder,
            ready="/ready",
            environment=environment,
        )
        return stack.enter_context(running).url

    with ExitStack() as stack:
        back = service("back", settings("otlp", jaeger))
        middle = service(
            "middle",
            {
                "NEXT": back,
                "OTEL_SERVICE_NAME": "middle",
                "OTEL_PROPAGATORS": propagators,
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{jaeger.otlp_grpc}",
                "OTEL_BSP_SCHEDULE_DELAY": "100",
            },
        )
        ours = settings("jaeger", jaeger)
        yield service(front, {"NEXT": middle, "SEND": propagators, **ours})


@pytest.mark.parametrize(
    ("front", "propagators"),
    [
        ("front", "jaeger"),
        ("front", "b3"),
        ("front", "b3multi"),
        ("front", "tracecontext"),
        ("front_installed", "jaeger"),
        ("front_installed", "tracecontext,baggage"),  # OpenTelemetry's default
    ],
)
def test_three_services_make_one_trace(
    front: str, propagators: str, jaeger: Jaeger, tmp_path: Path, compared: list[str]
) -> None:
    """What the first is told, sampled, debug or not sampled, holds for all three."""
    form = propagators.partition(",")[0]
    write, state = WRITE[form], STATE if form == "tracecontext" else None
    not_sampled, sampled = (remote_context(sampled=choice) for choice in (False, True))
    debug_id = {"jaeger-debug-id": f"{front} {propagators}"}
    with three_services(front, propagators, jaeger, tmp_path) as url:
        # The first to be asked: its spans, if there were any, would arrive before the others'.
        silent = httpx.get(url, headers=write(not_sampled), timeout=TIMEOUT_S)
        continued = httpx.get(url, headers=write(sampled), timeout=TIMEOUT_S)
        started = httpx.get(url, headers=debug_id, timeout=TIMEOUT_S)
        spans_continued = fetch(jaeger, f"{sampled.trace_id:032x}", spans=SPANS)
        trace_id, spans_started = find(jaeger, "front", debug_id, spans=SPANS)

    assert outline(spans_continued) == outline(spans_started) == CHAIN
    assert root(spans_continued).parent_id == f"{sampled.span_id:016x}"
    assert root(spans_started).parent_id is None
    assert root(spans_started).flags == 3  # sampled and debug
    assert continued.json() == saw(sampled.trace_id, sampled=True, state=state)
    assert started.json() == saw(int(trace_id, 16), sampled=True)
    assert started.headers["trace-id"] == trace_id

    assert silent.json() == saw(not_sampled.trace_id, sampled=False, state=state)
    assert "trace-id" not in silent.headers
    assert jaeger.api(f"traces/{not_sampled.trace_id:032x}") == []
    compared.append(
        f"{front} → middle ({propagators}) → back: one trace of {SPANS} spans with a sampled "
        "parent, one with a debug id, none where the parent is not sampled"
    )


def remote_context(*, sampled: bool) -> SpanContext:
    """Return what a caller of the first service sends."""
    return SpanContext(
        trace_id=random.randrange(1, 2**128), span_id=random.randrange(1, 2**64), sampled=sampled
    )


def saw(trace_id: int, *, sampled: bool, state: str | None = None) -> dict[str, object]:
    """Return what the last service answers if that context came through."""
    return {"trace_id": f"{trace_id:032x}", "sampled": sampled, "trace_state": state}
