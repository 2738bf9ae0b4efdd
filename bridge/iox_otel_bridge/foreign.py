"""ExporterSender: any OpenTelemetry SpanExporter, as a Sender."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from iox_otel import Span

from .sender import AnySpan, Batch, Outcome, Sender, Verdict
from .span import BridgedSpan

SPAN_BYTES = 1024
"""What a span costs in memory while it waits, roughly: an exporter's spans stay objects."""


class ExporterSender(Sender):
    """Hands spans to *exporter*, native ones as `BridgedSpan`: one try, and a failure is final.

    An exporter says neither whether a failure may pass nor how long it will take, and retries by
    itself if it does at all.

    Args:
        exporter: is shut down at the end.
        resource: where the native spans come from; the others bring their own.
    """

    def __init__(self, exporter: SpanExporter, resource: Resource) -> None:
        self._exporter = exporter
        self._resource = resource

    def encode(self, spans: Sequence[AnySpan]) -> Iterable[Batch]:
        """Return one batch of ReadableSpans."""
        readable = [
            BridgedSpan(span, self._resource) if isinstance(span, Span) else span for span in spans
        ]
        return (Batch(readable, len(readable), SPAN_BYTES * len(readable)),)

    def send(self, batch: Batch, timeout_s: float) -> Outcome:
        """Export *batch*. The exporter knows no timeout but its own."""
        result = self._exporter.export(cast("Sequence[ReadableSpan]", batch.payload))
        if result is SpanExportResult.SUCCESS:
            return Outcome(Verdict.DELIVERED)
        return Outcome(Verdict.FATAL, detail=f"{type(self._exporter).__name__} failed")

    def flush(self, timeout_s: float) -> bool:
        """Flush the exporter. One without a flush of its own says None: it keeps nothing back."""
        answer: object = self._exporter.force_flush(max(0, int(min(timeout_s, 86_400.0) * 1000)))
        return answer is None or bool(answer)

    def close(self) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown()
