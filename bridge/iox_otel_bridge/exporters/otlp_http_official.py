"""The official HTTP exporter with its session for bytes, see `otlp_official`."""

from __future__ import annotations

import netrc  # noqa: F401  # a first request would import it
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from requests.adapters import HTTPAdapter

from .otlp_endpoint import checked_url, lowered, traces_url
from .otlp_http_outcome import HttpAnswer
from .otlp_official import set_up

_MAX_ANSWER_BYTES = 64 << 10


class HttpExporter(OTLPSpanExporter):
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
        for pool in _pools(self._session):
            pool.close()
        self.shutdown()  # type: ignore[no-untyped-call]

    def forget_connections(self) -> None:
        """Let the next request open a connection of its own."""
        self._session.close()

    @property
    def _session(self) -> requests.Session:
        transport: Any = self._client._transport
        session: requests.Session = transport._session
        return session


def http_exporter(endpoint: str | None, headers: Mapping[str, str] | None) -> HttpExporter:
    """Return the exporter for *endpoint*, a base URL, and *headers*, or those of the environment.

    Raises:
        ValueError: something of that cannot be used.
    """
    url = None if endpoint is None else traces_url(endpoint)
    exporter = set_up(lambda: HttpExporter(endpoint=url, headers=lowered(headers)), headers)
    checked_url(exporter.url)
    return exporter


def _pools(session: requests.Session) -> Iterator[Any]:
    """Yield the pools of *session*. Closing it only forgets them, and a pool that an exception
    remembers would keep its connections until garbage is collected.
    """
    for adapter in session.adapters.values():
        if isinstance(adapter, HTTPAdapter):
            for manager in (adapter.poolmanager, *adapter.proxy_manager.values()):
                pools: Any = manager.pools
                yield from map(pools.get, pools.keys())


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
