"""OTLP over HTTP. The session is set up by the official exporter, see `otlp_official`."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.sdk.resources import Resource

from iox_otel_bridge.sender import Outcome, Verdict

from .attempt import Attempt, GivenUp
from .otlp import MAX_BATCH_BYTES, OtlpSender
from .otlp_endpoint import Redactor, shown_url
from .otlp_http_official import http_exporter
from .otlp_http_outcome import HttpAnswer, http_failure, http_outcome

_MAX_GIVEN_UP = 4


class OtlpHttpSender(OtlpSender):
    """Sends spans by OTLP/HTTP, as protobuf.

    Args:
        resource: what native spans come from.
        endpoint: base URL; spans go to /v1/traces under it, unless it ends so. None: as the
            environment has it (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT),
            else http://localhost:4318.
        headers: sent along, over those of OTEL_EXPORTER_OTLP_HEADERS.
        max_batch_bytes: where a batch ends, before compression.

    Raises:
        ValueError: the endpoint, a header or an OTEL_EXPORTER_OTLP_* variable cannot be used.
    """

    def __init__(
        self,
        *,
        resource: Resource,
        endpoint: str | None = None,
        headers: Mapping[str, str] | None = None,
        max_batch_bytes: int = MAX_BATCH_BYTES,
    ) -> None:
        super().__init__(resource, max_batch_bytes)
        self._exporter = http_exporter(endpoint, headers)
        self.endpoint = shown_url(self._exporter.url)
        self._timeout_s = self._exporter.timeout_s
        self._redact = Redactor(self._exporter.sent_headers, self._exporter.url)
        self._under_way: Attempt[HttpAnswer] | None = None
        self._given_up: list[Attempt[HttpAnswer]] = []

    def _attempt(self, body: bytes, span_count: int, timeout_s: float) -> Outcome:
        self._given_up = [attempt for attempt in self._given_up if attempt.running()]
        if len(self._given_up) >= _MAX_GIVEN_UP:
            return Outcome(Verdict.RETRY, detail="too many attempts that were given up still run")
        attempt = self._under_way = Attempt(lambda: self._exporter.post(body, timeout_s))
        try:
            return http_outcome(attempt.result(timeout_s, self._meanwhile), span_count)
        except GivenUp as error:
            self._given_up.append(attempt)
            return Outcome(Verdict.RETRY, detail=str(error))
        except ValueError as error:  # an URL or header it cannot use, and some are OSErrors as well
            return Outcome(Verdict.FATAL, detail=type(error).__name__)
        except OSError as error:
            return http_failure(error)
        finally:
            self._under_way = None

    def interrupt(self) -> None:
        """Give up the attempt that is under way, if there is one."""
        attempt = self._under_way
        if attempt is not None:
            attempt.interrupt()

    def close(self) -> None:
        """Close the idle connections; in a forked child that leaves the parent's alone."""
        self._closed = True
        self._exporter.close()

    def _forget_connections(self) -> None:
        self._exporter.forget_connections()
