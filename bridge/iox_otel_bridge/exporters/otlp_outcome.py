"""What an OTLP receiver's answer means, where the protocols agree.

Agrees with the OTLP specification 1.10, as `otlp_grpc_outcome` and `otlp_http_outcome` do. Where it
leaves something open: no connection, a broken one, a timeout and a certificate that does not verify
are each worth another attempt, since certificates and clocks are mended while the spans wait. (gRPC
says UNAVAILABLE.)
"""

from __future__ import annotations

from iox_otel_bridge.sender import Outcome, Verdict
from iox_otel_bridge.wire.otlp import PartialSuccess

_DAY_S = 86_400.0


def delivered(answer: PartialSuccess, span_count: int) -> Outcome:
    """Return the outcome of a request of *span_count* spans that was taken, maybe in part."""
    detail = answer.message
    if answer.rejected:
        detail = f"{answer.rejected} of {span_count} spans were rejected: {answer.message}"
    return Outcome(
        Verdict.DELIVERED, rejected=min(max(answer.rejected, 0), span_count), detail=detail
    )


def hint(spoken: str, protocol: str) -> str:
    """Return advice for who has reached a port that is for *spoken*, the other protocol."""
    return f" (if that port is for {spoken}: TRACES_EXPORTER_OTLP_PROTOCOL={protocol})"


def positive(seconds: float) -> float | None:
    """Return *seconds*, a day at most; None for "now", or else we would retry in a busy loop."""
    return min(seconds, _DAY_S) if seconds > 0 else None
