"""Sampler: what decides whether a request is traced that nobody insists on."""

from __future__ import annotations

from typing import Protocol

from iox_otel import Span, SpanContext


class Sampler(Protocol):
    """Decides which requests `TraceLayer` traces. One instance serves all requests.

    It is asked about every request but those with a debug id or a debug flag, which are traced in
    any case, and those that are served within a span of OpenTelemetry's, which are traced as that
    is. IOx has none: there only headers start traces.
    """

    def sample(self, span: Span, parent: SpanContext | None) -> bool:
        """Return whether *span*, the request's, is recorded.

        Runs on the event loop: it must not block. What it raises is logged, and then the request is
        traced as its headers say.

        Args:
            span: has its name, its kind, its ids and OpenTelemetry's metadata of the request. A
                sampler may add metadata, and set `span.ctx.trace_state`, which goes to the spans
                below and to what is called in turn, whatever the decision.
            parent: the caller's context, sampled or not; None where the trace begins here.
        """
