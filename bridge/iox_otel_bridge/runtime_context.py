"""One current span for both sides: OpenTelemetry's runtime context over the native `current`."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import cast

import opentelemetry.context
from opentelemetry import trace
from opentelemetry.context import (
    _SUPPRESS_INSTRUMENTATION_KEY,  # noqa: PLC2701  what other libraries' exporters set
    Context,
)
from opentelemetry.context.context import (
    _RuntimeContext,  # noqa: PLC2701  there is no public way to have a native current span
)

from iox_otel import Span, SpanContext, TraceCollector, current

from .live import LiveSpan
from .remote import RemoteSpan, is_debug, native_context


def install(collector: TraceCollector | None) -> None:
    """Let OpenTelemetry and native code have the same current span, in this process.

    Args:
        collector: takes the native spans that are opened under OpenTelemetry's; that of the last
            call counts.
    """
    runtime = opentelemetry.context._RUNTIME_CONTEXT
    if isinstance(runtime, IoxRuntimeContext):
        runtime.collector = collector
    else:
        opentelemetry.context._RUNTIME_CONTEXT = IoxRuntimeContext(runtime, collector)


class Attached:
    """What `current` holds while OpenTelemetry's current Context is one that was attached.

    Args:
        context: that one.
        runtime: what it was attached to.
        beneath: the token of the runtime context beneath, which has it, too.
    """

    __slots__ = ("_ctx", "beneath", "context", "runtime", "token")

    token: Token[object]
    """Of `current`."""

    def __init__(
        self, context: Context, runtime: IoxRuntimeContext, beneath: Token[Context]
    ) -> None:
        self.context = context
        self.runtime = runtime
        self.beneath = beneath
        self._ctx: SpanContext | None = None

    @property
    def ctx(self) -> SpanContext | None:
        """Its span's context as a native one; None if it has no span."""
        if self._ctx is None:
            self._ctx = _native(self.context, self.runtime.collector)
        return self._ctx


class IoxRuntimeContext(_RuntimeContext):
    """Keeps OpenTelemetry's current Context, and finds the native span in it.

    Native code sets and resets `current` and no more; the Context with the native span is made when
    somebody asks for it. What is attached is attached to *beneath*, too, and stays there below a
    native span, with all that it carries. Detaching never raises: what is closed in another
    context, say an async generator, has nothing to restore there.

    Args:
        beneath: what was the runtime context so far; what is attached to it stays so.
        collector: takes the native spans under OpenTelemetry's.
    """

    def __init__(self, beneath: _RuntimeContext, collector: TraceCollector | None) -> None:
        self._beneath = beneath
        self.collector = collector

    def attach(self, context: Context) -> Token[Context]:
        """Make *context* the current one; returns what `detach` wants."""
        attached = Attached(context, self, self._beneath.attach(context))
        attached.token = current.set(attached)
        return cast("Token[Context]", attached)  # which nobody looks into

    def detach(self, token: Token[Context]) -> None:
        """Go back to what was current before; never raises."""
        attached: object = token  # or one that was made before this runtime context was there
        try:
            if isinstance(attached, Attached):
                token = attached.beneath
                current.reset(attached.token)
        except (ValueError, RuntimeError):  # of another context, or the second time
            pass
        try:
            self._beneath.detach(token)
        except (ValueError, RuntimeError):
            pass

    def get_current(self) -> Context:
        """Return the attached Context, or one with the native span that was opened within it."""
        working_on = current.get()
        if type(working_on) is Attached:
            return working_on.context
        beneath = self._beneath.get_current()
        if working_on is None:
            return beneath
        made = _made.get()
        if made is None or made[0] is not working_on or made[1] is not beneath:
            made = (working_on, beneath, _with_native(working_on, beneath))
            _made.set(made)
        return made[2]


_made: ContextVar[tuple[object, Context, Context] | None] = ContextVar(
    "iox_otel_context", default=None
)
"""The Context that was made last in this task: for what, over what, and it."""


def _with_native(working_on: object, beneath: Context) -> Context:
    if isinstance(working_on, Span):
        return trace.set_span_in_context(LiveSpan(working_on), beneath)
    if isinstance(working_on, SpanContext):
        return trace.set_span_in_context(RemoteSpan(working_on), beneath)
    return beneath


def _native(context: Context, collector: TraceCollector | None) -> SpanContext | None:
    """Return the span of *context* as a native one, to open spans under."""
    span = trace.get_current_span(context)
    if type(span) is LiveSpan:
        native = span.native.ctx
    elif type(span) is RemoteSpan:
        native = span.context
        native.collector = native.collector or collector
    else:
        span_context = span.get_span_context()
        made = native_context(span_context)
        if made is None:
            return None
        native = made
        native.is_remote = span_context.is_remote
        native.debug = is_debug(span)
        native.collector = collector
    if context.get(_SUPPRESS_INSTRUMENTATION_KEY) and native.sampled:
        return SpanContext(trace_id=native.trace_id, span_id=native.span_id, sampled=False)
    return native
