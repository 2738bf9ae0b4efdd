"""What spans cost while they wait, and what many threads cost each other."""

from __future__ import annotations

import gc
import sys
import threading
import tracemalloc
from collections.abc import Callable, Sequence
from time import process_time
from typing import Any

from . import peers
from .timing import Measure

_QUEUED = 20_000
_THREADS = 8
_SPANS = 16_000


def _bytes_each(record: Callable[[int], object]) -> float:
    """Return what each of many spans takes that *record* queues."""
    record(100)  # what is there once is not theirs
    gc.collect()
    tracemalloc.start()
    record(_QUEUED)
    gc.collect()
    return tracemalloc.get_traced_memory()[0] / _QUEUED


def blocking_exporter() -> Any:
    """Return an exporter of OpenTelemetry that never gets done."""
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Block(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            threading.Event().wait()
            return SpanExportResult.FAILURE

    return Block()


def memory_ours() -> float:
    """Measure spans of ours, as objects: what an `SpanExporter` is to be given."""
    from iox_otel_bridge import BridgeProcessor

    return _bytes_each(_native(BridgeProcessor(blocking_exporter())))


def memory_encoded_ours() -> float:
    """Measure spans of ours where OTLP's receiver is away: all but the last are encoded."""
    from iox_otel_bridge import TracingConfig

    tracing = TracingConfig(exporter="otlp", otlp_endpoint="http://127.0.0.1:9").build()
    record = _native(tracing.collector)

    def record_and_wait(count: int) -> None:
        record(count)
        tracing.force_flush(1.0)

    return _bytes_each(record_and_wait)


def _native(collector: Any) -> Callable[[int], None]:
    from iox_otel import Span, SpanRecorder

    root = Span.root("root", collector)

    def record(count: int) -> None:
        for number in range(count):
            with SpanRecorder(root.child("child")) as span:
                span.set_metadata("table", "metrics")
                span.set_metadata("rows", number)
                span.set_metadata("took", number / 3)

    return record


def memory_otel() -> float:
    """Measure spans of the SDK."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    processor = BatchSpanProcessor(blocking_exporter(), max_queue_size=100_000)
    provider.add_span_processor(processor)
    return _bytes_each(_otel(provider))


def _otel(provider: Any) -> Callable[[int], None]:
    tracer = provider.get_tracer("bench")

    def record(count: int) -> None:
        for number in range(count):
            with tracer.start_as_current_span("child") as span:
                span.set_attribute("table", "metrics")
                span.set_attribute("rows", number)
                span.set_attribute("took", number / 3)

    return record


def _by(threads: int, record: Callable[[int], object]) -> float:
    """Return the CPU that a span costs when so many threads record."""
    share = _SPANS // threads
    made = [threading.Thread(target=record, args=(share,)) for _ in range(threads)]
    began_s = process_time()
    for each in made:
        each.start()
    for each in made:
        each.join()
    return (process_time() - began_s) / _SPANS


def _times_dearer(record: Callable[[int], object], flush: Callable[[], object]) -> Measure:
    def measure(loops: int) -> float:
        one = many = 0.0
        for _ in range(loops):
            many += _by(_THREADS, record)
            flush()
            one += _by(1, record)
            flush()
        return many / one

    return measure


def threads_ours() -> float:
    """Measure how many times more CPU a span costs where eight threads record."""
    processor = peers.bridge()
    return _times_dearer(_native(processor), processor.force_flush)(5)


def threads_otel() -> float:
    """Measure the same of the SDK."""
    provider = peers.otel_provider()
    return _times_dearer(_otel(provider), provider.force_flush)(5)


def blocks_ours() -> float:
    """Count blocks of memory that a hundred thousand unwanted spans leave behind."""
    from .recording import noop_ours, unsampled_ours

    measures = (noop_ours(), unsampled_ours())
    counts = [0] * 3  # the first is of the interpreter's own, at its first time
    for at in range(len(counts)):
        for measure in measures:
            measure(100_000)
        gc.collect()
        counts[at] = sys.getallocatedblocks()
    return max(0, counts[-1] - counts[-2])
