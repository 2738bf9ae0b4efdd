"""The official gRPC exporter with a channel for bytes, see `otlp_official`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import grpc._channel  # noqa: F401  # a first request would import it
from opentelemetry.exporter.otlp.proto.grpc.exporter import InvalidCompressionValueException
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

from .otlp_endpoint import checked_url, lowered
from .otlp_official import set_up

_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
# After an outage gRPC would wait up to two minutes. min_reconnect_backoff_ms is left alone, since
# it also bounds how long one attempt to connect may take.
_RECONNECT = (("grpc.initial_reconnect_backoff_ms", 200), ("grpc.max_reconnect_backoff_ms", 1000))


class GrpcExporter(OTLPSpanExporter):
    """The official exporter with a channel that takes bytes and is opened when first needed."""

    _export: Any = None

    def _initialize_channel_and_stub(self) -> None:
        """Do nothing: the constructor calls this, and a channel does not live through a fork."""

    @property
    def target(self) -> str:
        """Host and port, or what else gRPC takes to connect to."""
        return str(self._endpoint)

    @property
    def url(self) -> str:
        """The target, and whether there is TLS on the way: `https://localhost:4317`."""
        return f"{'http' if self._insecure else 'https'}://{self.target}"

    @property
    def timeout_s(self) -> float:
        """OTEL_EXPORTER_OTLP_TIMEOUT."""
        return float(self._timeout)

    @property
    def sent_headers(self) -> Sequence[tuple[str, str]]:
        """Names and values of the metadata of each call."""
        return tuple(self._headers)  # type: ignore[arg-type]  # the constructor makes pairs

    def start(self, body: bytes, timeout_s: float) -> Any:
        """Return the future of a call that sends *body*; gRPC starts a thread for it."""
        return self._opened().future(body, timeout=timeout_s, metadata=self.sent_headers)

    def call(self, body: bytes, timeout_s: float) -> bytes:
        """Send *body* and return the answer, on the calling thread; it cannot be cancelled."""
        return bytes(self._opened()(body, timeout=timeout_s, metadata=self.sent_headers))

    def close(self) -> None:
        """Close the channel, if one is open."""
        self.shutdown()

    def forget_channel(self) -> None:
        """Let the next call open a channel of its own."""
        self._channel = self._export = None

    def _opened(self) -> Any:
        if self._export is None:
            super()._initialize_channel_and_stub()  # type: ignore[no-untyped-call]
            channel: Any = self._channel
            self._export = channel.unary_unary(_EXPORT)
        return self._export


def grpc_exporter(endpoint: str | None, headers: Mapping[str, str] | None) -> GrpcExporter:
    """Return the exporter for *endpoint* and *headers*, or those of the environment.

    Raises:
        ValueError: something of that cannot be used.
    """
    insecure = None
    if endpoint is not None and "://" in endpoint:
        insecure = checked_url(endpoint).scheme == "http"
    options: dict[str, Any] = {
        "endpoint": endpoint,
        "insecure": insecure,
        "headers": lowered(headers),
        "channel_options": _RECONNECT,
    }

    def make() -> GrpcExporter:
        try:
            return GrpcExporter(**options)
        except InvalidCompressionValueException as error:
            if '"none"' not in str(error):
                raise
            # The specification has "none"; this exporter knows only of a variable that is not set.
            return GrpcExporter(**options, compression=grpc.Compression.NoCompression)

    exporter = set_up(make, headers)
    if "@" in exporter.target:
        raise ValueError("the OTLP endpoint of gRPC takes no user or password, use headers")
    return exporter
