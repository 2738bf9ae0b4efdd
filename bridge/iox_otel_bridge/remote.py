"""Spans of another process: as OpenTelemetry sees them, and back."""

from __future__ import annotations

from opentelemetry import trace

from iox_otel import SpanContext

from .trace_state import trace_state_of


class RemoteSpan(trace.NonRecordingSpan):
    """A span recorded elsewhere, mostly the parent that a request names: its native context.

    To OpenTelemetry it is a NonRecordingSpan. The span context is made when somebody asks for it,
    which for most requests nobody does.
    """

    context: SpanContext
    """The same, natively."""

    def __init__(self, context: SpanContext) -> None:
        self.context = context
        self._made: trace.SpanContext | None = None

    def get_span_context(self) -> trace.SpanContext:
        """Return the remote span's identity."""
        if self._made is None:
            self._made = otel_context(
                self.context, self.context.span_id, is_remote=self.context.is_remote
            )
        return self._made

    def __repr__(self) -> str:
        return f"RemoteSpan({self.context!r})"


def native_context(span_context: trace.SpanContext) -> SpanContext | None:
    """Return *span_context* as a native one, remote; None if it is invalid."""
    if not span_context.is_valid:
        return None
    flags = span_context.trace_flags
    native = SpanContext(
        trace_id=span_context.trace_id,
        span_id=span_context.span_id,
        sampled=flags.sampled,
        trace_state=span_context.trace_state.to_header() or None,
        random_trace_id=flags.random_trace_id,
    )
    native.is_remote = True
    return native


class DebugSpanContext(trace.SpanContext):
    """The span context of a debug trace: the class is the mark, since W3C's flags have no bit for
    it. So the mark goes wherever the span context goes, into other spans and other threads.
    """


def is_debug(span: trace.Span) -> bool:
    """Tell whether *span*, or its parent, carries the mark of a debug trace."""
    return isinstance(span.get_span_context(), DebugSpanContext) or isinstance(
        getattr(span, "parent", None), DebugSpanContext
    )


def otel_context(context: SpanContext, span_id: int, *, is_remote: bool) -> trace.SpanContext:
    """Return *span_id* of the trace of *context*, its parent or itself, as OpenTelemetry has it."""
    flags = trace.TraceFlags.SAMPLED if context.sampled else trace.TraceFlags.DEFAULT
    if context.random_trace_id:
        flags |= trace.TraceFlags.RANDOM_TRACE_ID
    return (DebugSpanContext if context.debug else trace.SpanContext)(
        trace_id=context.trace_id,
        span_id=span_id,
        is_remote=is_remote,
        trace_flags=trace.TraceFlags(flags),
        trace_state=trace_state_of(context.trace_state),
    )
