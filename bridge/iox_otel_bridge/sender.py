"""Sender: the contract between the worker, which queues and retries, and what fills a wire."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from opentelemetry.sdk.trace import ReadableSpan

from iox_otel import Span

AnySpan = Span | ReadableSpan
"""What a queue holds: native spans, and spans of other OpenTelemetry libraries."""


class Verdict(Enum):
    """What became of one attempt to send a batch."""

    DELIVERED = "delivered"
    HELD = "held"
    """Kept by the sender, which will say by `Pipeline.settle` what became of the spans."""
    RETRY = "retry"
    """Not taken this time; the same batch may be taken later."""
    FATAL = "fatal"
    """Not taken and never will be."""
    TOO_LARGE = "too large"
    """Would be taken in smaller pieces."""


class Outcome(NamedTuple):
    """What became of one attempt to send a batch, and what the receiver said about it."""

    verdict: Verdict
    rejected: int = 0
    """Of a delivered batch, how many spans the receiver refused."""
    retry_after_s: float | None = None
    """How long the receiver asks to be left alone, in seconds."""
    detail: str = ""
    """For the log; holds no secrets. A RETRY without it is part of the plan and is not logged."""


class Batch(NamedTuple):
    """Spans as they wait for the wire."""

    payload: object
    """Encoded bytes, or whatever else the sender that made it can send."""
    span_count: int
    byte_count: int
    """What the payload costs in memory, in bytes; counted against TRACES_QUEUE_BYTES."""


class Stats(NamedTuple):
    """What became of the spans given to one processor. Exact whenever nobody is recording:

    recorded == delivered + dropped_queue_full + dropped_export_failed + dropped_shut_down + queued

    Among the queued are those that the sender holds (`Verdict.HELD`), beside `max_queue_size`.
    """

    recorded: int
    delivered: int
    dropped_queue_full: int
    dropped_export_failed: int
    dropped_shut_down: int
    queued: int


class Pipeline(Protocol):
    """What a sender may ask of the processor that it works for, on the thread that calls it."""

    def stats(self) -> Stats:
        """Return the processor's counters."""

    def settle(self, delivered: int, failed: int) -> None:
        """Count so many of the spans held, those of the `send` under way included, as *delivered*
        and so many as *failed*."""

    def meanwhile(self) -> float:
        """Do a little of what is to be done while a `send` or `flush` waits: encode a full batch.

        A sender that waits for long without it leaves what is recorded meanwhile as it is, bounded
        in number, but not in bytes. `encode` is called from here. Never raises.

        Returns:
            For how many seconds to wait before calling again; 0: at once.
        """


class Sender(Protocol):
    """Puts spans on a wire. All methods but `interrupt` run on one thread at a time, the worker's.

    Methods with a body here are optional: a class that derives from Sender need not have them.
    """

    def encode(self, spans: Sequence[AnySpan]) -> Iterable[Batch]:
        """Turn *spans* into batches ready to send; every span is in exactly one of them."""

    def send(self, batch: Batch, timeout_s: float) -> Outcome:
        """Try once to deliver *batch*, in *timeout_s* seconds at most. Never raises."""

    def split(self, batch: Batch) -> Sequence[Batch]:
        """Return *batch* in smaller pieces, or as it is if there are none: after TOO_LARGE."""
        return (batch,)

    def flush(self, timeout_s: float) -> bool:
        """Deliver, and settle, what the sender itself holds. True if nothing is left."""
        return True

    def idle(self) -> float | None:
        """Called when nothing waits to be sent; returns after how many seconds to call again."""
        return None

    def bind(self, pipeline: Pipeline) -> None:
        """Learn which processor this sender works for; called before anything else, and again in
        a forked child."""
        return None

    def interrupt(self) -> None:
        """Make a `send` that is under way on another thread return soon."""
        return None

    def close(self) -> None:
        """Let go of sockets and channels, and of what is held; nothing is sent any more."""
        return None
