"""How the cost of one grows with how many there are: `python -m versus.growth WHAT`."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter, process_time
from typing import Any, NamedTuple

from .delivery import tracing_to_sink
from .holding import blocking_exporter
from .requests import SAMPLED, bare, scope_of, traced

_ROUNDS = 5
_SPANS = 20_000
_MANY = 100_000
_RECORDED = 500
_FLUSH_S = 60
_REQUESTS, _FLUSHED = 5_000, 250


def _record(root: Any, spans: int, attributes: int) -> None:
    keys = [f"key.{number}" for number in range(attributes)]
    for _ in range(spans):
        with root.child("child") as span:
            for key in keys:
                span.set_metadata(key, "some text")


def span_in_trace(spans: int) -> float:
    """Return the CPU of a span, in µs, until it is delivered; in traces of so many *spans*."""
    from iox_otel import Span, SpanRecorder

    tracing = tracing_to_sink("grpc")
    traces = max(1, _SPANS // spans)
    began_s = process_time()
    for _ in range(traces):
        with SpanRecorder(Span.root("root", tracing.collector)) as root:
            _record(root, spans - 1, 2)
    assert tracing.force_flush(_FLUSH_S)
    return (process_time() - began_s) / traces / spans * 1e6


def attribute_of_span(attributes: int) -> float:
    """Return the CPU of an attribute, in µs, until it is delivered, of a span with so many."""
    return (_span_with(attributes) - _span_with(0)) / attributes


def _span_with(attributes: int) -> float:
    from iox_otel import Span, SpanRecorder

    tracing = tracing_to_sink("grpc")
    spans = _SPANS // max(1, attributes // 8)
    root = SpanRecorder(Span.root("root", tracing.collector))
    began_s = process_time()
    _record(root, spans, attributes)
    assert tracing.force_flush(_FLUSH_S)
    took_s = process_time() - began_s
    root.finish()
    return took_s / spans * 1e6


def span_behind(queued: int) -> float:
    """Return what recording a span takes, in µs, behind so many that wait to be sent."""
    from iox_otel import Span, SpanRecorder
    from iox_otel_bridge import BridgeProcessor

    processor = BridgeProcessor(blocking_exporter(), max_queue_size=_MANY + _RECORDED)
    root = SpanRecorder(Span.root("root", processor))
    _record(root, queued, 2)
    gc.collect()
    began_s = perf_counter()
    _record(root, _RECORDED, 2)
    took_s = perf_counter() - began_s
    processor.shutdown(timeout_s=0)
    return took_s / _RECORDED * 1e6


def request_among(in_flight: int) -> float:
    """Return what tracing adds to a request, in µs, where so many are served at the same time."""
    gate = asyncio.Event()

    async def waiting(scope: Any, receive: Any, send: Any) -> None:
        await gate.wait()
        await bare(scope, receive, send)

    app, collector = traced(waiting)

    async def serve(served: Any) -> float:
        gate.clear()
        began_s = perf_counter()
        serving = [asyncio.create_task(_serve(served)) for _ in range(in_flight)]
        await asyncio.sleep(0)
        gate.set()
        for each in serving:
            await each
        return perf_counter() - began_s

    async def serve_both() -> float:
        added_s = 0.0
        for at in range(0, _REQUESTS, in_flight):
            added_s += await serve(app) - await serve(waiting)
            if at % _FLUSHED == 0:  # not each time: it would have to wake up for the next
                collector.force_flush()
        return added_s

    return asyncio.run(serve_both()) / _REQUESTS * 1e6


async def _serve(app: Any) -> None:
    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Any) -> None:
        return None

    await app(scope_of((SAMPLED,)), receive, send)


class Growth(NamedTuple):
    """What is measured, and of how many."""

    title: str
    cost_of: Callable[[int], float]
    sizes: tuple[int, ...]


GROWTH = {
    "trace": Growth(
        "CPU of a span until delivered, by spans in its trace",
        span_in_trace,
        (1, 10, 100, 1_000, 10_000, 100_000),
    ),
    "attributes": Growth(
        "CPU of an attribute until delivered, by attributes of its span",
        attribute_of_span,
        (4, 16, 64, 128),
    ),
    "queue": Growth(
        "recording a span, by spans that wait", span_behind, (0, 100, 1_000, 10_000, 100_000)
    ),
    "requests": Growth(
        "added to a sampled request, by requests in flight", request_among, (1, 10, 100, 1_000)
    ),
}


def main() -> None:
    """Print the figures for each size, as JSON; sizes take turns."""
    logging.disable()  # what is not sent is meant to be lost
    growth = GROWTH[sys.argv[1]]
    found: dict[int, list[float]] = {size: [] for size in growth.sizes}
    for _ in range(_ROUNDS):
        for size, figures in found.items():
            figures.append(growth.cost_of(size))
    print(json.dumps({size: median(figures) for size, figures in found.items()}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
