"""What every intake does with spans before they are stored: check, cut, queue, count."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from iox_otel.viewer.counts import Counts
from iox_otel.viewer.stored import Batch, Schemas, batches_of
from iox_otel.viewer.writer import Writer
from iox_otel_bridge.wire.otlp_decode import Limits, cut, cut_context, read_request

MAX_MESSAGE_BYTES = 32 << 20
"""Of one request, unpacked."""

_OVERHEAD_BYTES = 500
"""Of a request that waits, beside its bytes."""

INVALID = "spans without a valid trace id and span id"


class Busy(Exception):
    """There is no room for a request; it may be sent again."""


class Accepting(NamedTuple):
    """Where an intake puts what it got."""

    writer: Writer
    counts: Counts
    limits: Limits = Limits()
    max_message_bytes: int = MAX_MESSAGE_BYTES

    def take(self, body: bytes, intake: str) -> int:
        """Queue a request of OTLP in protobuf; return how many of its spans are refused.

        It waits as it came: as messages it would take up to thirty times its bytes, and to read it
        again takes a microsecond a span.

        Raises:
            DecodeError: it is none.
            Busy: there is no room for it.
        """
        valid = [_has_ids(span) for batch in batches_of(read_request(body)) for span in batch.spans]
        refused = valid.count(False)
        waiting_bytes = len(body) + _OVERHEAD_BYTES
        if any(valid) and not self.writer.put(lambda: self._read(body), waiting_bytes):
            self.counts.postpone(intake)
            raise Busy
        if refused:
            self.counts.reject(intake, refused)
        return refused

    def checked(self, batches: Iterable[Batch]) -> tuple[list[Batch], int]:
        """Return what of *batches* can be kept, within the limits, and how many spans cannot."""
        kept, refused = [], 0
        for batch in batches:
            spans: Sequence[Span] = [span for span in batch.spans if _has_ids(span)]
            refused += len(batch.spans) - len(spans)
            for span in spans:
                cut(span, self.limits)
            if spans:
                cut_context(batch.resource, self.limits)
                cut_context(batch.scope, self.limits)
                schemas = Schemas(*(url[: self.limits.text] for url in batch.schemas))
                kept.append(Batch(batch.resource, batch.scope, spans, batch.source, schemas))
        return kept, refused

    def _read(self, body: bytes) -> list[Batch]:
        kept, _ = self.checked(batches_of(read_request(body)))
        return kept


def _has_ids(span: Span) -> bool:
    """Tell whether a span has ids, and none that is too long.

    Shorter ones than OTLP asks for are taken as if they had zeros on the left.
    """
    trace_id, span_id = span.trace_id, span.span_id
    return (
        len(trace_id) <= 16
        and len(span_id) <= 8
        and len(span.parent_span_id) <= 8
        and trace_id.count(0) < len(trace_id)
        and span_id.count(0) < len(span_id)
        and (not len(span.links) or all(map(_has_short_ids, span.links)))
    )


def _has_short_ids(link: Span.Link) -> bool:
    return len(link.trace_id) <= 16 and len(link.span_id) <= 8
