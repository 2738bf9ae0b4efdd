"""ClientTracer: a span for each request that goes out, and the headers that carry its context.

Agrees with the client side of IOx `trace_http::tower` and with OpenTelemetry's semantic conventions
for HTTP client spans. `iox_otel.hooks` puts it to work in httpx, requests and urllib3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import SplitResult, urlsplit

from iox_otel import SpanContext, SpanKind, SpanRecorder, SpanStatus, _clock, current
from iox_otel._report import report
from iox_otel._values import qualified_name

from .classify import classify_status
from .headers import (
    B3_HEADER,
    JAEGER_HEADER,
    TRACEPARENT_HEADER,
    TRACESTATE_HEADER,
    format_b3_multi,
    format_b3_single,
    format_jaeger_trace_context,
    format_traceparent,
    format_tracestate,
)
from .metrics import STANDARD_METHODS, RequestMetrics, status_of

DEFAULT_FORMATS = ("jaeger", "tracecontext")
"""As `IoxPropagator` writes them."""

_MAX_URL_CHARS = 8192
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SECRET_PARAMETERS = frozenset(("AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature"))
"""Whose values semantic conventions want redacted."""
_NOT_DESCRIBED = "an outgoing request could not be described"


def trace_headers(
    ctx: SpanContext, formats: Sequence[str] = DEFAULT_FORMATS, *, header_name: str = JAEGER_HEADER
) -> dict[str, str]:
    """Return the headers that carry *ctx* to another service.

    Args:
        formats: names out of `iox_otel.http.parser.FORMATS`; all of them are written.
        header_name: of the one with Jaeger's trace context.

    Raises:
        ValueError: an unknown format.
    """
    headers: dict[str, str] = {}
    for name in formats:
        _writer(name)(ctx, headers, header_name)
    return headers


class ClientTracer:
    """Opens a span of kind CLIENT for each request that goes out from within a trace.

    The span is a child of what is current, and is called by the method alone. An unsampled context
    goes out in the headers, without a span; outside of any trace nothing is done. It never raises
    into the request.

    Args:
        formats: of the headers, names out of `iox_otel.http.parser.FORMATS`; all are written.
        header_name: of the one with Jaeger's trace context.
        metrics: told of each request at its end, traced or not.

    Raises:
        ValueError: an unknown format.
    """

    def __init__(
        self,
        *,
        formats: Sequence[str] = DEFAULT_FORMATS,
        header_name: str = JAEGER_HEADER,
        metrics: RequestMetrics | None = None,
    ) -> None:
        self._metrics = metrics
        for name in formats:
            _writer(name)
        self._formats = tuple(formats)
        self._header_name = header_name

    def begin(self, method: str, url: str) -> ClientCall:
        """Return what follows a request from now on; its `headers` are to be sent along."""
        measure = None if self._metrics is None else _Measure(self._metrics, method)
        context = SpanContext.current()
        if context is None:
            return ClientCall(_NOT_RECORDED, {}, measure)
        recorder = context.recorder(method if method in STANDARD_METHODS else "HTTP")
        headers: dict[str, str] = {}
        try:
            if recorder.span is not None:
                context = recorder.span.ctx
                _describe(recorder, method, url)
            headers = trace_headers(context, self._formats, header_name=self._header_name)
        except Exception:
            report(_NOT_DESCRIBED)
        return ClientCall(recorder, headers, measure)


class ClientCall:
    """One request that goes out.

    Args:
        recorder: of its span; the no-op for none.
        headers: to send along, in place of what is there under their names.
    """

    __slots__ = ("_measure", "_status", "headers", "recorder")

    def __init__(
        self, recorder: SpanRecorder, headers: dict[str, str], measure: _Measure | None
    ) -> None:
        self.recorder = recorder
        self.headers = headers
        self._measure = measure
        self._status: int | None = None

    @property
    def is_followed(self) -> bool:
        """Whether anybody wants to know how it ends."""
        return self.recorder.span is not None or self._measure is not None

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Have the span be current inside the block, which sends the request; an exception that
        leaves it is noted, and ends the span.
        """
        span = self.recorder.span
        token = None if span is None else current.set(span)
        try:
            yield
        except BaseException as error:
            self.failed(error)
            raise
        finally:
            if token is not None:
                current.reset(token)

    def resent(self, count: int) -> None:
        """Note that the request was sent again so many times, because of redirects or failures."""
        if count:
            self.recorder.set_metadata("http.request.resend_count", count)

    def answered(self, status: int) -> None:
        """Note the status of the answer. One of 400 and above is the caller's error."""
        self._status = status
        self.recorder.set_metadata("http.response.status_code", status)
        if status >= 400:
            self.recorder.set_metadata("error.type", str(status))
            self.recorder.status(SpanStatus.ERR)

    def failed(self, error: BaseException) -> None:
        """Note that there is no answer, or not all of it, and end the span."""
        if self.recorder.span is not None:
            self.recorder.set_metadata("error.type", qualified_name(type(error)))
            self.recorder.exception(error)
            self.recorder.finish()
        self._measured(None, 0)

    def finish(self, body_bytes: int | None = None) -> None:
        """End the span; does nothing the second time.

        Args:
            body_bytes: of the answer's body, as it came over the wire; None if it is not known.
        """
        if body_bytes is not None:
            self.recorder.set_metadata("http.response.body.size", body_bytes)
        self.recorder.finish()
        self._measured(self._status, body_bytes or 0)

    def _measured(self, status: int | None, body_bytes: int) -> None:
        measure, self._measure = self._measure, None  # once
        if measure is not None:
            measure.ended(status, body_bytes)


_NOT_RECORDED = SpanRecorder(None)


class _Measure:
    """Tells *metrics* of one request; one without an answer counts as aborted."""

    def __init__(self, metrics: RequestMetrics, method: str) -> None:
        self._metrics = metrics
        self._method = method if method in STANDARD_METHODS else None
        self._began_ns = _clock.monotonic_ns()

    def ended(self, status: int | None, body_bytes: int) -> None:
        try:
            classification = None if status is None else classify_status(status).classification
            self._metrics.request_ended(
                family="http",
                side="client",
                path=None,  # which is as the caller makes it up
                method=self._method,
                status=status_of(classification),
                status_code=status,
                duration_ns=_clock.monotonic_ns() - self._began_ns,
                response_body_bytes=body_bytes,
            )
        except Exception:
            report("request metrics raised, a request is not counted")


def _describe(recorder: SpanRecorder, method: str, url: str) -> None:
    assert recorder.span is not None
    recorder.span.kind = SpanKind.CLIENT
    known = method in STANDARD_METHODS
    recorder.set_metadata("http.request.method", method if known else "_OTHER")
    if not known:
        recorder.set_metadata("http.request.method_original", method[:64])
    parts = urlsplit(url)
    recorder.set_metadata("url.full", _shown(parts)[:_MAX_URL_CHARS])
    if parts.hostname:
        recorder.set_metadata("server.address", parts.hostname)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    if port:
        recorder.set_metadata("server.port", port)


def _shown(parts: SplitResult) -> str:
    """Return an URL without what is secret in it."""
    _, at, place = parts.netloc.rpartition("@")
    netloc = f"REDACTED:REDACTED@{place}" if at else place
    pairs = []
    for pair in parts.query.split("&"):
        key, equals, _ = pair.partition("=")
        pairs.append(f"{key}=REDACTED" if equals and key in _SECRET_PARAMETERS else pair)
    return parts._replace(netloc=netloc, query="&".join(pairs)).geturl()


_Writer = Callable[[SpanContext, dict[str, str], str], None]


def _writer(name: str) -> _Writer:
    if name not in _WRITERS:
        known = ", ".join(_WRITERS)
        raise ValueError(f"unknown header format {name!r:.80}; there are {known}")
    return _WRITERS[name]


def _write_jaeger(ctx: SpanContext, headers: dict[str, str], header_name: str) -> None:
    headers[header_name] = format_jaeger_trace_context(ctx)


def _write_w3c(ctx: SpanContext, headers: dict[str, str], header_name: str) -> None:
    headers[TRACEPARENT_HEADER] = format_traceparent(ctx)
    trace_state = format_tracestate(ctx)
    if trace_state is not None:
        headers[TRACESTATE_HEADER] = trace_state


def _write_b3_multi(ctx: SpanContext, headers: dict[str, str], header_name: str) -> None:
    headers |= format_b3_multi(ctx)


def _write_b3_single(ctx: SpanContext, headers: dict[str, str], header_name: str) -> None:
    headers[B3_HEADER] = format_b3_single(ctx)


_WRITERS: dict[str, _Writer] = {
    "jaeger": _write_jaeger,
    "b3multi": _write_b3_multi,
    "tracecontext": _write_w3c,
    "b3": _write_b3_single,
}
