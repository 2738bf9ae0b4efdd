"""What this task is doing right now, as far as tracing is concerned."""

from __future__ import annotations

from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

P = ParamSpec("P")
T = TypeVar("T")

current: ContextVar[object] = ContextVar("iox_otel_current", default=None)
"""The live `Span` of this task, else the incoming `SpanContext`, sampled or not, else None.

Set by `TraceLayer` for a request and by `with SpanRecorder(...)` for a block. It also holds an
unsampled incoming context, so that other instrumentation does not start new roots beneath it. While
a span of OpenTelemetry's is the current one (`iox_otel_bridge.Tracing.install`), it holds something
else whose `ctx` is that span's `SpanContext`, or None; `SpanContext.current` deals with them all.
"""


def restore(token: Token[object]) -> None:
    """Have be current again what was before *token*."""
    try:
        current.reset(token)
    except ValueError:
        pass  # closed in another context (an async generator's): nothing to restore there


def in_context(function: Callable[P, T]) -> Callable[P, T]:
    """Return *function* so that it runs with what is current now, on whatever thread.

        pool.submit(in_context(work), 1)
        list(pool.map(in_context(work), (1, 2)))

    Threads of a pool, unlike tasks and `asyncio.to_thread`, do not take the current span along.
    Each call has a copy of all context variables of this moment; what it sets is gone with it.
    """
    context = copy_context()

    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        # A copy each time: a context cannot be entered by two threads at once.
        return context.copy().run(function, *args, **kwargs)

    return run
