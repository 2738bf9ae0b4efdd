"""Delivery: what is done with a sender, contained: encode, try, try again later, split, give up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random

# The SDK's own batch processor suppresses instrumentation by this key; it has no public name.
from opentelemetry.context import (
    _SUPPRESS_INSTRUMENTATION_KEY,  # noqa: PLC2701
    attach,
    detach,
    set_value,
)
from opentelemetry.trace import NonRecordingSpan, set_span_in_context
from opentelemetry.trace import SpanContext as OtelSpanContext

from iox_otel import SpanContext, current

from .backlog import Backlog
from .clock import monotonic_s
from .notices import Notices
from .sender import AnySpan, Batch, Outcome, Sender, Stats, Verdict
from .waiter import MAX_WAIT_S

SEND_TIMEOUT_S = 10.0
"""How long one attempt may take, as OTLP's exporters have it."""
MEANWHILE_S = 0.02
"""How often to look, while the sender waits, whether a batch has come together."""
FIRST_RETRY_S = 0.1
LAST_RETRY_S = 1.0
"""An attempt costs little, and a receiver that is back should not have to wait."""
LONGEST_PATIENCE_S = 300.0
"""A receiver that asks for longer is tried again after this time all the same."""


class Delivery:
    """Moves spans from the backlog through the sender. One thread at a time calls it.

    Whatever the sender raises costs the spans it was raised for, and is logged.

    Args:
        make_sender: called once, at the first use, unless there is a *sender*.
        backlog: where the spans wait.
        notices: where to say what went wrong.
        sender: the one to use.
        max_batch_size: how many spans to encode at a time, at most.
    """

    def __init__(
        self,
        make_sender: Callable[[], Sender],
        backlog: Backlog,
        notices: Notices,
        sender: Sender | None = None,
        *,
        max_batch_size: int = 512,
    ) -> None:
        self.sender = sender
        self.accepted_s = 0.0
        """Monotonic time of the last accepted batch."""
        self.sending = False
        """Whether a call of the sender is under way that `interrupt` may end."""
        self.hurried = False
        """Whether to try at once, whatever the backoff says."""
        self._make_sender = make_sender
        self._backlog = backlog
        self._notices = notices
        self._max_batch_size = max_batch_size
        self._retries = 0
        self._retry_s = 0.0
        self._asked_to_wait = False
        self._random = Random()  # noqa: S311  for pauses; not shared, as an application may seed it
        if sender is not None:
            sender.bind(self)

    def retry_in_s(self) -> float:
        """Return in how many seconds the next attempt is due; 0 or less: now."""
        return 0.0 if self.hurried else self._retry_s - monotonic_s()

    def hurry(self, *, closing: bool) -> None:
        """Try at once, and when *closing* as if it were the first time.

        A receiver that asked to be left alone is left alone, unless *closing*.
        """
        if closing:
            self._retries = 0
        self.hurried = closing or not self._asked_to_wait

    def stats(self) -> Stats:
        """Return the counters, for the sender."""
        return self._backlog.stats()

    def settle(self, delivered: int, failed: int) -> None:
        """Count spans that the sender held; see `sender.Pipeline`."""
        self._backlog.settle_held(delivered, failed)
        if delivered:
            self.accepted_s = monotonic_s()
            self._notices.delivering()

    def meanwhile(self) -> float:
        """Encode a batch if one is full, while the sender waits; see `sender.Pipeline`.

        Where its bytes have no room, the spans of one batch may wait as they are; more are dropped.
        """
        backlog = self._backlog
        excess = len(backlog.inbox) - self._max_batch_size
        if not self.sending or excess < 0:
            return MEANWHILE_S
        if not backlog.fits():
            if backlog.closed:  # there will be no more of them, and perhaps time for all
                return MEANWHILE_S
            backlog.shut_door()
        if backlog.bytes_full:
            backlog.drop_newest(excess)
            return MEANWHILE_S
        self.encode_next()
        return 0.0

    def encode_next(self) -> None:
        """Encode the oldest spans, a batch of them at most; drop them if there is no room."""
        spans = self._backlog.take(self._max_batch_size)
        if self._backlog.bytes_full:
            self._backlog.discard()
            return
        batches = self._encode(spans)
        if batches is None:
            # One of them is to blame; the others are not to go with it.
            alone = [self._encode([span]) or () for span in spans] if len(spans) > 1 else []
            batches = [batch for of_span in alone for batch in of_span]
        encoded = sum(batch.span_count for batch in batches)
        self._backlog.put(batches, failed=len(spans) - encoded)

    def _encode(self, spans: Sequence[AnySpan]) -> list[Batch] | None:
        """Return *spans* in batches, None if that cannot be done with all of them."""
        try:
            batches = [_checked_batch(batch) for batch in self._sender().encode(spans)]
            if sum(batch.span_count for batch in batches) != len(spans):
                raise ValueError("not every span is in exactly one batch")
            return batches
        except KeyboardInterrupt:  # on a caller's thread, who is to have it
            raise
        except BaseException as error:
            if len(spans) == 1:
                self._notices.warn("a span could not be encoded", error, trace=True)
            return None

    def send_next(self, timeout_s: float) -> None:
        """Try once to send the oldest batch."""
        self.hurried = False
        batch = self._backlog.ready[0]
        outcome = self._try(batch, timeout_s)
        if self._backlog.ended:
            return  # the deadline came first, all is counted
        if outcome is not None and outcome.verdict is Verdict.RETRY:
            self._back_off(outcome)
            return
        self._retries, self._retry_s, self._asked_to_wait = 0, 0.0, False
        if outcome is None:
            self._backlog.settle(0, failed=batch.span_count)
        elif outcome.verdict is Verdict.DELIVERED:
            self._delivered(batch, outcome)
        elif outcome.verdict is Verdict.HELD:
            self.accepted_s = monotonic_s()
            self._backlog.hold()
        elif outcome.verdict is Verdict.TOO_LARGE:
            self._split(batch, outcome)
        else:
            self._backlog.settle(0, failed=batch.span_count)
            self._notices.warn("spans were refused and are lost", outcome.detail)

    def _try(self, batch: Batch, timeout_s: float) -> Outcome | None:
        """Return what the sender says, None if it raised."""
        self.sending = True
        try:
            self.meanwhile()  # so that what waits is encoded behind many short waits, too
            outcome = self._sender().send(batch, min(max(timeout_s, 0.01), SEND_TIMEOUT_S))
            return _checked(outcome)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._notices.warn("sending failed, spans are lost", error, trace=True)
            return None
        finally:
            self.sending = False

    def _delivered(self, batch: Batch, outcome: Outcome) -> None:
        rejected = min(max(outcome.rejected, 0), batch.span_count)
        self.accepted_s = monotonic_s()
        self._backlog.settle(batch.span_count - rejected, failed=rejected)
        self._notices.delivering()
        if rejected:
            self._notices.warn("some spans were refused and are lost", outcome.detail)

    def _back_off(self, outcome: Outcome) -> None:
        delay_s = min(LAST_RETRY_S, FIRST_RETRY_S * 2 ** min(self._retries, 10))
        delay_s *= self._random.uniform(0.8, 1.2)
        self._asked_to_wait = outcome.retry_after_s is not None
        if outcome.retry_after_s is not None:
            delay_s = min(max(FIRST_RETRY_S, outcome.retry_after_s), LONGEST_PATIENCE_S)
        self._retries += 1
        self._retry_s = monotonic_s() + delay_s
        if outcome.detail:
            self._notices.stuck(outcome.detail)

    def _split(self, batch: Batch, outcome: Outcome) -> None:
        try:
            pieces = [_checked_batch(piece) for piece in self._sender().split(batch)]
            pieces = [piece for piece in pieces if piece.span_count]
        except Exception as error:
            self._notices.warn("a batch could not be split", error, trace=True)
            pieces = []
        same_spans = sum(piece.span_count for piece in pieces) == batch.span_count
        if len(pieces) > 1 and same_spans:
            self._backlog.split(pieces)
        else:
            self._backlog.settle(0, failed=batch.span_count)
            self._notices.warn("spans are too large for the receiver and lost", outcome.detail)

    def flush(self, timeout_s: float) -> bool:
        """Make the sender deliver what it holds back itself. True if nothing is left."""
        if self.sender is None:
            return True
        self.sending = True
        try:
            return bool(self.sender.flush(min(max(0.0, timeout_s), MAX_WAIT_S)))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._notices.warn("flushing failed", error, trace=True)
            return False
        finally:
            self.sending = False

    def idle(self) -> float | None:
        """Return after how many seconds the sender wants to be called again, None if never."""
        try:
            return None if self.sender is None else self.sender.idle()
        except Exception as error:
            self._notices.warn("the exporter failed while idle", error, trace=True)
            return None

    def interrupt(self) -> None:
        """End a call of the sender that is under way; called from another thread."""
        sender = self.sender
        try:
            if self.sending and sender is not None:
                sender.interrupt()
        except Exception as error:
            self._notices.warn("the exporter could not be interrupted", error, trace=True)

    def close(self) -> None:
        """Let go of the sender, for good."""
        sender, self.sender = self.sender, None
        try:
            if sender is not None:
                sender.close()
        except Exception as error:
            self._notices.warn("closing failed", error, trace=True)

    def _sender(self) -> Sender:
        if self.sender is None:
            made = self._make_sender()
            made.bind(self)
            self.sender = made
        return self.sender


def _checked_batch(batch: Batch) -> Batch:
    """Return *batch* as it should be; raises if a sender made something else altogether."""
    payload, span_count, byte_count = batch
    return Batch(payload, int(span_count), int(byte_count))


def _checked(outcome: Outcome) -> Outcome:
    """Return *outcome* as it should be; raises if a sender gave something else altogether."""
    verdict, rejected, retry_after_s, detail = outcome
    after_s = None if retry_after_s is None else float(retry_after_s)
    return Outcome(Verdict(verdict), int(rejected), after_s, detail)


@contextmanager
def suppressed_instrumentation() -> Iterator[None]:
    """Let what an exporter does go untraced, inside the block: tracing it would never end.

    Instrumentation libraries look for the key. Those that do not find an unsampled span, natively
    and as OpenTelemetry's current one, under which neither starts a trace.
    """
    unsampled = set_span_in_context(_UNSAMPLED)
    token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True, unsampled))
    native_token = current.set(_UNSAMPLED_NATIVE)
    try:
        yield
    finally:
        current.reset(native_token)
        detach(token)


_UNSAMPLED_NATIVE = SpanContext(trace_id=1, span_id=1, sampled=False)
_UNSAMPLED = NonRecordingSpan(OtelSpanContext(1, 1, is_remote=False))
