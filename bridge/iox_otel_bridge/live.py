"""LiveSpan: a native span as OpenTelemetry's current span, while it is being recorded."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.util.types import Attributes, AttributeValue

from iox_otel import Span, SpanContext, SpanEvent, SpanStatus

from .remote import otel_context
from .span import attributes

_KINDS = {kind.value: kind for kind in trace.SpanKind}


class LiveSpan(trace.Span):
    """What OpenTelemetry's API finds as the current span within a native one.

    Whatever is set reaches the native span, by the API's own rules (Trace API, "Span operations"):
    an Ok status is final, an Err one may be replaced, Unset is ignored; once the native span is
    finished nothing has an effect. `end` has none at all: who opened the native span ends it. The
    attributes of links are left out, since native links have none.

    Args:
        native: is being recorded.
    """

    def __init__(self, native: Span) -> None:
        self.native = native
        """The same span."""
        self._context: trace.SpanContext | None = None

    def get_span_context(self) -> trace.SpanContext:
        """Return the span's identity."""
        if self._context is None:
            ctx = self.native.ctx
            self._context = otel_context(ctx, ctx.span_id, is_remote=False)
        return self._context

    @property
    def context(self) -> trace.SpanContext:
        """As `get_span_context`, under the name that the SDK's spans have it."""
        return self.get_span_context()

    @property
    def parent(self) -> trace.SpanContext | None:
        """The parent's identity, None for the root of a trace."""
        ctx: SpanContext = self.native.ctx
        if ctx.parent_span_id is None:
            return None
        return otel_context(ctx, ctx.parent_span_id, is_remote=ctx.parent_is_remote)

    @property
    def name(self) -> str:
        """What it is called at the moment."""
        return self.native.name

    @property
    def kind(self) -> trace.SpanKind:
        """What side of a call it is."""
        return _KINDS.get(self.native.kind, trace.SpanKind.INTERNAL)

    @property
    def attributes(self) -> Attributes:
        """A copy of what was set so far."""
        return attributes(self.native.metadata)

    @property
    def start_time(self) -> int | None:
        """Unix time in nanoseconds."""
        return self.native.start_ns

    @property
    def end_time(self) -> int | None:
        """As `start_time`; None while it is being recorded."""
        return self.native.end_ns

    def is_recording(self) -> bool:
        """Return whether it is not finished."""
        return self.native.end_ns is None

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Set one attribute; a value of None is ignored, as the SDK does."""
        if value is not None and self.is_recording():
            self.native.set_metadata(key, value)

    def set_attributes(self, attributes: Attributes) -> None:
        """Set several."""
        for key, value in (attributes or {}).items():
            self.set_attribute(key, value)

    def add_event(
        self, name: str, attributes: Attributes = None, timestamp: int | None = None
    ) -> None:
        """Add an event, of this moment unless *timestamp* (Unix time in nanoseconds) is given."""
        if self.is_recording():
            self.native.event(SpanEvent(name, attributes, time_ns=timestamp))

    def add_link(self, context: trace.SpanContext, attributes: Attributes = None) -> None:
        """Add a link to the span *context*; an invalid one is ignored."""
        if context is not None and context.is_valid and self.is_recording():
            self.native.link(SpanContext(trace_id=context.trace_id, span_id=context.span_id))

    def update_name(self, name: str) -> None:
        """Call the span something else."""
        if self.is_recording():
            self.native.name = name

    def set_status(
        self, status: trace.Status | trace.StatusCode, description: str | None = None
    ) -> None:
        """Set the status, unless it is Ok already; only an error keeps its description."""
        code = status
        if isinstance(code, trace.Status):
            description = code.description
            code = code.status_code
        native = self.native
        is_final = native.status is SpanStatus.OK or not self.is_recording()
        if is_final or code is trace.StatusCode.UNSET:
            return
        native.status = SpanStatus.UNKNOWN  # else the first one would stay
        if code is trace.StatusCode.OK:
            native.set_status(SpanStatus.OK)
        else:
            native.set_status(SpanStatus.ERR, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Add the event "exception" with *attributes* over its own; the status stays."""
        if not self.is_recording():
            return
        event = SpanEvent.of_exception(exception, time_ns=timestamp)
        if escaped:
            event.set_metadata("exception.escaped", True)
        for key, value in (attributes or {}).items():
            event.set_metadata(key, value)
        self.native.event(event)

    def end(self, end_time: int | None = None) -> None:
        """Do nothing: the native span is ended by who opened it."""

    def __repr__(self) -> str:
        return f"LiveSpan({self.native!r})"
