"""The official OTLP exporters, for what they read from the environment and set up.

They give configuration (every OTEL_EXPORTER_OTLP_* variable), credentials, channel and session.
Their `export()` cannot serve: it retries by itself, takes a redirect and a partial success for a
success, and cannot be interrupted. So a subclass of each sends bytes through what it has set up.
This module alone uses names that they keep private; hence the pin to their minor version, and a
test that fails on the upgrade which breaks one of them.
"""

from __future__ import annotations

# What a first request would import, imported now: on the worker of a process that was forked, or
# that is about to end, an import can wait for ever.
import netrc  # noqa: F401
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import grpc
import grpc._channel  # noqa: F401
import requests
from opentelemetry.exporter.otlp.proto.grpc.exporter import InvalidCompressionValueException
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
    OTLPSpanExporter as OfficialGrpcExporter,
)
from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
    OTLPSpanExporter as OfficialHttpExporter,
)
from opentelemetry.util.re import parse_env_headers

from .otlp_endpoint import checked_headers, checked_url, headers_unlogged, lowered, traces_url
from .otlp_outcome import HttpAnswer

_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
# After an outage gRPC would wait up to two minutes. min_reconnect_backoff_ms is left alone, since
# it also bounds how long one attempt to connect may take.
_RECONNECT = (("grpc.initial_reconnect_backoff_ms", 200), ("grpc.max_reconnect_backoff_ms", 1000))
_MAX_ANSWER_BYTES = 64 << 10

_Exporter = TypeVar("_Exporter", "GrpcExporter", "HttpExporter")


class GrpcExporter(OfficialGrpcExporter):
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


class HttpExporter(OfficialHttpExporter):
    """The official exporter with a session that is used for one POST at a time."""

    @property
    def url(self) -> str:
        """Where it posts to, with all the secrets in it."""
        return str(self._endpoint)

    @property
    def timeout_s(self) -> float:
        """OTEL_EXPORTER_OTLP_TIMEOUT."""
        return float(self._client._timeout)

    @property
    def sent_headers(self) -> Sequence[tuple[str, str]]:
        """Names and values of the headers of each request."""
        return tuple(self._client._headers.items())

    def post(self, body: bytes, timeout_s: float) -> HttpAnswer:
        """Send *body*, each step of it in *timeout_s*, and return the answer.

        Raises:
            OSError: there is none. The kinds that are ValueErrors as well never got to the network.
        """
        with self._session.post(
            self.url,
            data=self._client._compress(body),
            headers=self._client._headers,
            timeout=timeout_s,
            verify=self._session.verify,  # or else REQUESTS_CA_BUNDLE would go before it
            allow_redirects=False,
            stream=True,
        ) as response:
            read = _read(response)
            return HttpAnswer(response.status_code, response.reason or "", response.headers, read)

    def close(self) -> None:
        """Close the idle connections."""
        self.shutdown()  # type: ignore[no-untyped-call]

    def forget_connections(self) -> None:
        """Let the next request open a connection of its own."""
        self._session.close()

    @property
    def _session(self) -> requests.Session:
        transport: Any = self._client._transport
        session: requests.Session = transport._session
        return session


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

    exporter = _set_up(make, headers)
    if "@" in exporter.target:
        raise ValueError("the OTLP endpoint of gRPC takes no user or password, use headers")
    return exporter


def http_exporter(endpoint: str | None, headers: Mapping[str, str] | None) -> HttpExporter:
    """Return the exporter for *endpoint*, a base URL, and *headers*, or those of the environment.

    Raises:
        ValueError: something of that cannot be used.
    """
    url = None if endpoint is None else traces_url(endpoint)
    exporter = _set_up(lambda: HttpExporter(endpoint=url, headers=lowered(headers)), headers)
    checked_url(exporter.url)
    return exporter


def _set_up(make: Callable[[], _Exporter], headers: Mapping[str, str] | None) -> _Exporter:
    try:
        with headers_unlogged():
            if not headers:
                _check_header_lists()
            exporter = make()
    except Exception as error:  # each variable that cannot be used raises something else
        raise ValueError(f"the OTLP exporter cannot be set up: {error}") from error
    checked_headers(exporter.sent_headers)
    return exporter


def _check_header_lists() -> None:
    """Raise ValueError if a header list has a pair that would be left out; the text has no value.

    The receiver would refuse every span that comes without its credentials.
    """
    for variable in ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"):
        if pairs := os.environ.get(variable, "").strip():
            for pair in filter(str.strip, pairs.split(",")):
                if not parse_env_headers(pair, liberal=True):
                    raise ValueError(f"{variable} is not name=value,name=value")
            return


def _read(response: requests.Response) -> bytes:
    """Return the body of *response*, or its beginning if it is too long or breaks off."""
    body = b""
    try:
        for part in response.iter_content(8 << 10):
            body += part
            if len(body) > _MAX_ANSWER_BYTES:
                break
    except OSError:
        pass  # the status, which says what became of the spans, has arrived
    return body
