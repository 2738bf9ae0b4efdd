"""JaegerExporter: Jaeger over UDP for programs that use OpenTelemetry's SDK and nothing of ours."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from iox_otel_bridge.config import TracingConfig
from iox_otel_bridge.notices import Notices
from iox_otel_bridge.sender import Batch, Verdict

from .jaeger import JaegerSender

_EXPORT_S = 10.0
"""How long one export may wait for the rate limit, or for a name to be found."""


class JaegerExporter(SpanExporter):
    """Sends the SDK's spans to a Jaeger agent: `OTEL_TRACES_EXPORTER=iox_jaeger`.

    The variables TRACES_EXPORTER_JAEGER_* say where, see docs/settings.md; the service's name and
    its attributes are those of the spans' Resource. Under `BridgeProcessor` use
    `TRACES_EXPORTER=jaeger` instead, which tries again and counts.

    Args:
        config: instead of the environment.

    Raises:
        ConfigError: a variable cannot be used.
    """

    def __init__(self, config: TracingConfig | None = None) -> None:
        self._config = TracingConfig.from_env() if config is None else config
        self._lock = threading.Lock()
        self._notices = Notices("iox_jaeger")
        self._is_shut = False
        self._begin()

    def _begin(self) -> None:
        config = self._config
        self._pid = os.getpid()
        self._sender = JaegerSender(
            host=config.jaeger_agent_host,
            port=config.jaeger_agent_port,
            resource=Resource.create(),
            max_packet_bytes=config.jaeger_max_packet_bytes,
            max_msgs_per_second=config.jaeger_max_msgs_per_second,
        )

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send *spans*; blocks for 10 s at most. FAILURE if one of them is known to be lost."""
        with self._lock:
            if self._is_shut:
                return SpanExportResult.FAILURE
            if self._pid != os.getpid():  # a forked child numbers its datagrams by itself
                self._begin()
            deadline_s = time.monotonic() + _EXPORT_S
            sent = [self._send(batch, deadline_s) for batch in self._sender.encode(spans)]
        return SpanExportResult.SUCCESS if all(sent) else SpanExportResult.FAILURE

    def _send(self, batch: Batch, deadline_s: float) -> bool:
        while True:
            left_s = max(0.0, deadline_s - time.monotonic())
            outcome = self._sender.send(batch, left_s)
            if outcome.verdict is Verdict.DELIVERED:
                return True
            if outcome.verdict is Verdict.TOO_LARGE:
                sent = [self._send(piece, deadline_s) for piece in self._sender.split(batch)]
                return all(sent)
            pause_s = outcome.retry_after_s
            if outcome.verdict is not Verdict.RETRY or pause_s is None or pause_s > left_s:
                self._notices.warn("spans are lost", outcome.detail)
                return False
            time.sleep(pause_s)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return True: nothing is held back."""
        return True

    def shutdown(self) -> None:
        """Close the socket; what is exported from now on is lost."""
        with self._lock:
            self._is_shut = True
            self._sender.close()
