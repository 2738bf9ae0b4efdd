"""Reading a datagram of Jaeger's agent protocol, as a client in any language sent it.

Pure. Source: jaeger-idl, `agent.thrift` and `jaeger.thrift`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .errors import DecodeError, one_line
from .jaeger_types import EMIT_BATCH_ARGS, reader


class ClientStats(NamedTuple):
    """What a client lost since it started, in spans."""

    full_queue_dropped_spans: int = 0
    too_large_dropped_spans: int = 0
    failed_to_emit_spans: int = 0


class Batch(NamedTuple):
    """A decoded datagram."""

    process: Any
    """`Process` of the generated types: serviceName, tags."""
    spans: list[Any]
    """`Span` of the generated types."""
    seq_no: int | None
    stats: ClientStats | None


def decode_batch(datagram: bytes) -> Batch:
    """Return what is in *datagram*, as a client in any language sent it.

    Raises:
        DecodeError: it is not an `emitBatch` message, or lacks a required field.
    """
    try:
        protocol = reader(datagram)
        name, _kind, _seq_id = protocol.readMessageBegin()
        if name != "emitBatch":
            raise DecodeError(f"expected a call of emitBatch, got one of {name[:40]!r}")
        batch = EMIT_BATCH_ARGS.read_from(protocol).batch
        _require_fields(batch)
    except DecodeError:
        raise
    except Exception as exc:
        reason = one_line(f"{type(exc).__name__}: {exc}")
        raise DecodeError(f"not an emitBatch message in compact Thrift: {reason}") from exc
    return Batch(batch.process, batch.spans, batch.seqNo, _client_stats(batch.stats))


def _require_fields(batch: Any) -> None:
    """Raise if *batch* lacks a field that `jaeger.thrift` requires: the C decoder does not."""
    tags = list(batch.process.tags or ())
    batch.process.validate()
    for span in batch.spans:
        span.validate()
        for reference in span.references or ():
            reference.validate()
        for log in span.logs or ():
            log.validate()
            tags += log.fields
        tags += span.tags or ()
    for tag in tags:
        tag.validate()


def _client_stats(stats: Any) -> ClientStats | None:
    if stats is None:
        return None
    return ClientStats(
        stats.fullQueueDroppedSpans or 0,
        stats.tooLargeDroppedSpans or 0,
        stats.failedToEmitSpans or 0,
    )
