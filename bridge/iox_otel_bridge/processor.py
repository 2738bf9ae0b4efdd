"""BridgeProcessor: native spans and OpenTelemetry's own, down one queue to one exporter."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TypeGuard

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter

from . import endings
from .backlog import Backlog
from .clock import monotonic_s
from .delivery import Delivery
from .foreign import ExporterSender
from .notices import Notices
from .sender import AnySpan, Sender, Stats
from .surroundings import SUB_INTERPRETER, is_sub_interpreter
from .waiter import Waiter
from .worker import Timing, Worker

Destination = SpanExporter | Sender
DEFAULT_TIMEOUT_MS = 30_000


class BridgeProcessor(SpanProcessor):
    """Delivers spans in the background: a native `TraceCollector` and an OpenTelemetry
    `SpanProcessor` in one, so that spans of both kinds go the same way, into the same trace.

    Recording costs the caller one append, and takes no lock: it may happen in `__del__` or in a
    signal handler. One daemon thread, started by the first span, does the rest. It sends full
    batches, and smaller ones after a while; it tries again, with growing pauses, what the receiver
    may take later.

    What may be lost, and is counted then (`stats`): new spans while the queue is full, spans that
    the receiver or the encoder refuses, and spans not delivered when the time given to `shutdown`
    ends. At a normal exit, and at a SIGTERM if `endings.install_sigterm` was called, waiting spans
    are delivered first. A forked child begins with an empty queue and counters at zero.

    Args:
        exporter: an OpenTelemetry `SpanExporter`, a `Sender`, or a function or class that makes
            one when called without arguments. A factory is called at once, and again in a forked
            child; without one a child shares the parent's sockets.
        max_queue_size: how many spans may wait.
        max_queue_bytes: how much memory those may take that wait encoded. All do but the last few,
            also while a `Sender` waits for its receiver; a `SpanExporter` is given objects, whose
            size is only guessed.
        max_batch_size: how many spans make a full batch.
        schedule_delay_s: how long a span waits for the batch to fill.
        resource: where native spans come from, for a `SpanExporter`; a `Sender` knows by itself.
            By default as for OpenTelemetry's own spans (`Resource.create`).
        exit_quiet_s: at exit, how long to go on without an accepted batch.
        exit_timeout_s: at exit, how long to go on in all.
        name: what log lines and the thread are called by; by default the exporter's class.

    Raises:
        TypeError: *exporter* is none of these.
        ValueError: a number is out of range.
        RuntimeError: this is a sub-interpreter.
        Exception: whatever the factory raises.
    """

    def __init__(
        self,
        exporter: Destination | Callable[[], Destination],
        *,
        max_queue_size: int = 100_000,
        max_queue_bytes: int = 128 * 1024 * 1024,
        max_batch_size: int = 512,
        schedule_delay_s: float = 0.2,
        resource: Resource | None = None,
        exit_quiet_s: float = 0.7,
        exit_timeout_s: float = 5.0,
        name: str | None = None,
    ) -> None:
        if is_sub_interpreter():
            raise RuntimeError(SUB_INTERPRETER)
        _check("max_queue_size", max_queue_size, 1)
        _check("max_queue_bytes", max_queue_bytes, 1)
        _check("max_batch_size", max_batch_size, 1)
        _check("schedule_delay_s", schedule_delay_s, 0)
        _check("exit_quiet_s", exit_quiet_s, 0)
        _check("exit_timeout_s", exit_timeout_s, 0)
        self._bounds = max_queue_size, max_queue_bytes
        self._timing = Timing(max_batch_size, schedule_delay_s, exit_quiet_s, exit_timeout_s)
        self._factory = None if _is_destination(exporter) else _checked(exporter)
        made = exporter if self._factory is None else self._factory()
        self._name = name or type(made).__name__
        self._resource = resource
        self._inherited: list[Sender] = []
        self._begin(_as_sender(made, resource))
        endings.register_fork(self)

    def export(self, span: AnySpan) -> None:
        """Queue *span*, native or OpenTelemetry's; or drop and count it if the queue is full."""
        backlog = self._backlog
        inbox = backlog.inbox
        inbox.append(span)
        if len(inbox) >= backlog.threshold:
            self._worker.attend(inbox)

    def on_end(self, span: ReadableSpan) -> None:
        """Queue *span* if its trace is sampled."""
        context = span.context
        if context is not None and context.trace_flags.sampled:
            self.export(span)

    def stats(self) -> Stats:
        """Return what became of the spans so far."""
        return self._backlog.stats()

    def begin_flush(self) -> None:
        """Ask for everything to be delivered now, and do not wait. Safe in a signal handler."""
        self._worker.begin_flush()

    def force_flush(
        self, timeout_millis: float | None = DEFAULT_TIMEOUT_MS, *, timeout_s: float | None = None
    ) -> bool:
        """Wait until all spans recorded so far are delivered; True if all of them were.

        False if the time ends first, or if spans were lost since the last answer told so.

        Args:
            timeout_millis: how long to wait at most; None is the default as well, as in the SDK.
            timeout_s: the same in seconds, instead.
        """
        return self._worker.flush(monotonic_s() + _seconds(timeout_millis, timeout_s))

    def flush_before_exit(
        self, timeout_millis: float | None = DEFAULT_TIMEOUT_MS, *, timeout_s: float | None = None
    ) -> bool:
        """As `force_flush`, but give up as an exit does: `exit_quiet_s` after the last accepted
        batch, and `exit_timeout_s` after the call.

        For a server's own way of ending, which should not take longer because a receiver is dead.
        """
        wait_s = min(_seconds(timeout_millis, timeout_s), self._timing.exit_timeout_s)
        return self._worker.flush(monotonic_s() + wait_s, quiet_s=self._timing.exit_quiet_s)

    def shutdown(  # type: ignore[override]  # the SDK's returns None, and nobody minds an answer
        self, timeout_millis: float | None = DEFAULT_TIMEOUT_MS, *, timeout_s: float | None = None
    ) -> bool:
        """Deliver what waits, let go of the exporter, and take no more; True if nothing was lost.

        What is not delivered in time, a call under way included, is counted as dropped. Called from
        an exit handler, as an OpenTelemetry `TracerProvider` does, without *timeout_s*: it waits no
        longer than the exit does. The second call only repeats the answer.

        Args:
            timeout_millis: how long to wait at most; None is the default as well, as in the SDK.
            timeout_s: the same in seconds, instead.
        """
        wait_s = _seconds(timeout_millis, timeout_s)
        if timeout_s is None and endings.process_is_ending():
            endings.begin_flush_all()  # the others need not wait for their turn
            return endings.end([self._worker], timeout_s=wait_s)
        waiter = Waiter(monotonic_s() + wait_s)
        self._worker.begin_shutdown(waiter)
        return self._worker.finish_shutdown(waiter)

    @property
    def ending(self) -> endings.Endable:
        """What brings this processor to its end together with others, see `endings.end`."""
        return self._worker

    def after_fork(self) -> None:
        """Begin anew in a forked child, with nothing queued or counted, and a sender of its own."""
        parents = self._worker
        parents.over = True  # if it was the exporter that forked, its loop goes on in the child
        self._retire.detach()
        sender = parents.delivery.sender
        if self._factory is not None and sender is not None:
            # Kept, for its sockets and channels are the parent's: nothing may close them here.
            self._inherited.append(sender)
            sender = None
        self._begin(sender)
        if parents.backlog.closed:
            self._worker.abandon()

    def _begin(self, sender: Sender | None) -> None:
        notices = Notices(self._name)
        factory, resource = self._factory, self._resource
        backlog = Backlog(*self._bounds)

        # Holds no reference to this processor: the worker must not keep it from being collected.
        def make_sender() -> Sender:
            assert factory is not None
            return _as_sender(factory(), resource)

        size = self._timing.max_batch_size
        delivery = Delivery(make_sender, backlog, notices, sender, max_batch_size=size)
        self._backlog = backlog
        self._worker = Worker(backlog, delivery, notices, self._timing, self._name)
        self._retire = weakref.finalize(self, self._worker.retire)
        self._retire.atexit = False  # there, the exit's own deadline rules
        endings.register_ending(self._worker)


def _is_destination(exporter: object) -> TypeGuard[Destination]:
    """Return whether *exporter* is one already. A class is not, though it has all its methods."""
    return not isinstance(exporter, type) and (_is_sender(exporter) or _is_exporter(exporter))


def _checked(factory: object) -> Callable[[], Destination]:
    if not callable(factory):
        raise TypeError(
            f"exporter must be a SpanExporter, a Sender, or a factory for one, got {factory!r}"
        )
    return factory


def _as_sender(made: object, resource: Resource | None) -> Sender:
    if _is_sender(made):
        return made
    if _is_exporter(made):
        return ExporterSender(made, Resource.create() if resource is None else resource)
    raise TypeError(f"the factory must make a SpanExporter or a Sender, it made {made!r}")


def _is_sender(made: object) -> TypeGuard[Sender]:
    return hasattr(made, "encode") and hasattr(made, "send")


def _is_exporter(made: object) -> TypeGuard[SpanExporter]:
    return hasattr(made, "export") and hasattr(made, "shutdown")


def _check(name: str, value: float, least: float) -> None:
    if not value >= least:  # NaN neither
        raise ValueError(f"{name} must be at least {least}, got {value!r}")


def _seconds(timeout_millis: float | None, timeout_s: float | None) -> float:
    if timeout_s is None:
        timeout_s = (DEFAULT_TIMEOUT_MS if timeout_millis is None else timeout_millis) / 1000
    return timeout_s if timeout_s > 0 else 0.0  # NaN is no time at all
