"""TraceLayer: a span for each request of an ASGI application. Agrees with IOx `trace_http`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from iox_otel import Span, SpanContext, SpanKind, current
from iox_otel._current import restore
from iox_otel._report import report

from ._disconnect import debug_logger
from ._exchange import Exchange
from ._flush import flush
from ._measure import Measure
from ._session import Session
from .headers import HeaderError
from .parser import Extracted, TraceHeaderParser

if TYPE_CHECKING:
    from iox_otel import TraceCollector

    from ._asgi import ASGIApp, Message, Receive, Scope, Send
    from .metrics import RequestMetrics
    from .parser import HeaderParser
    from .sampler import Sampler

_KEY = "iox_otel"
"""Where the scope keeps (incoming context, the span's context), or None for an untraced request.
It is there as soon as a layer has seen the request, so that one inside it passes through."""

_MAX_METHOD_CHARS = 64
_MAX_PATH_CHARS = 8192
_NOT_EXTRACTED = "error extracting trace context from request"
_NOT_SAMPLED = "the sampler raised, a request was traced as its headers say"
_SHUTDOWN = frozenset(("lifespan.shutdown.complete", "lifespan.shutdown.failed"))


class TraceLayer:
    """Opens a span for each request whose trace context says so. Pure ASGI.

        app = TraceLayer(app, collector=collector, name="IOx http")

    or in Starlette's and FastAPI's `middleware=[Middleware(TraceLayer, collector=…, name=…)]`.

    A request is traced if its headers carry a sampled context or a debug id, or if it is served
    within a sampled span of OpenTelemetry's (which then is the parent, whatever the headers say),
    and there is a collector; with a *sampler*, if that says so. Its span is of kind SERVER, ends
    when the body has been sent, and carries OpenTelemetry's HTTP metadata (never the query string);
    the response gets a header `trace-id`. While it runs, `current` is the span, or the incoming
    context if that is not sampled, or an unsampled context of its own if the *sampler* does not
    want it, so that nothing that it calls begins a trace in the middle.

    The layer never raises into the application, never holds a body, and re-raises the
    application's exceptions as they were. Malformed headers are logged and counted in
    `header_errors`, and the request is served untraced, or with a debug id as a trace of its own.
    A websocket has one span for the whole session, which counts its messages. At the end of the
    lifespan a collector with `force_flush` is flushed, on a thread, before the server hears of it.

    Args:
        app: any ASGI 3 application.
        collector: takes the spans, and those of the application under them; None traces nothing.
        header_parser: finds the context in the headers; `TraceHeaderParser()` if not given.
        name: what each span is called.
        metrics: told of each request at its end, traced or not.
        sampler: decides about requests that carry no trace context, and may overrule one that is
            carried; if not given, headers alone decide, as in IOx.
        exclude: paths that are passed straight to the application; as `url.path` has them, exact,
            or a prefix when it ends in `*`.
        flush_timeout_s: how long the end of the lifespan may wait for the flush.

    Raises:
        ValueError: *exclude* is one text instead of several, or holds something else than text.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        collector: TraceCollector | None,
        header_parser: HeaderParser | None = None,
        name: str,
        metrics: RequestMetrics | None = None,
        sampler: Sampler | None = None,
        exclude: Collection[str] = (),
        flush_timeout_s: float = 5.0,
    ) -> None:
        self.app = app
        self.header_errors = 0
        """How many requests had headers that could not be parsed."""
        self._collector = collector
        self._parser = TraceHeaderParser() if header_parser is None else header_parser
        self._header_names = self._parser.header_names
        self._name = name
        self._measure = None if metrics is None else Measure(metrics)
        self._sampler = None if collector is None else sampler
        self._excluded, self._excluded_prefixes = _exclusions(exclude)
        self._flush_timeout_s = flush_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        kind = scope["type"]
        if (kind != "http" and kind != "websocket") or _KEY in scope or self._is_excluded(scope):
            if kind == "lifespan" and _KEY not in scope:
                send = self._flushing(scope, send)
            elif self._sampler is not None and self._begins_here(scope):
                await self._leave_alone(scope, receive, send)
                return
            await self.app(scope, receive, send)
            return
        scope[_KEY] = None
        context = span = None
        try:
            outer = None if current.get() is None else _outer()
            if outer is not None or self._has_context(scope):
                context, span = self._open(scope, outer)
            if self._sampler is not None and context is None and not _is_decided():
                context, span = self._begin(scope, self._sampler)
        except Exception as error:
            self.header_errors += 1
            report(_NOT_EXTRACTED, error)
        if context is None and (self._measure is None or kind != "http"):
            await self.app(scope, receive, send)
        else:
            await self._observe(scope, receive, send, context, span)

    async def _observe(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        context: SpanContext | None,
        span: Span | None,
    ) -> None:
        exchange: Exchange | Session | None = None
        try:
            if scope["type"] == "websocket":
                exchange = None if span is None else Session(scope, receive, send, span=span)
            elif span is not None or self._measure is not None or debug_logger() is not None:
                exchange = Exchange(
                    scope, receive, send, span=span, context=context, measure=self._measure
                )
            if exchange is not None:
                receive, send = exchange.receive, exchange.send
        except Exception:
            report("a request could not be traced")
        token = current.set(span or context) if context is not None else None
        try:
            await self.app(scope, receive, send)
        except BaseException as error:
            if exchange is not None:
                exchange.failed(error)
            raise
        finally:
            if token is not None:
                restore(token)
            if exchange is not None:
                exchange.close()

    def _begins_here(self, scope: Scope) -> bool:
        return scope["type"] != "lifespan" and _KEY not in scope and current.get() is None

    async def _leave_alone(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve an excluded request; what is instrumented in it begins no trace either."""
        context = SpanContext.new(None)
        context.sampled = False
        token = current.set(context)
        try:
            await self.app(scope, receive, send)
        finally:
            restore(token)

    def _has_context(self, scope: Scope) -> bool:
        names = self._header_names
        if names is None:
            return True
        for name, _ in scope["headers"]:  # noqa: SIM110  a generator costs more than the loop
            if name in names:
                return True
        return False

    def _open(
        self, scope: Scope, outer: SpanContext | None
    ) -> tuple[SpanContext | None, Span | None]:
        """Return the request's context and the span opened under it, if any."""
        found = self._extract(scope)
        if outer is not None:
            found = Extracted(outer, None if found is None else found.debug_id)
        if found is None:
            return None, None
        context, debug_id = found
        collector, sampler = self._collector, self._sampler
        span = None
        if context is not None:
            context.collector = collector
            if sampler is not None and outer is None and not context.debug:
                span = self._ask(sampler, context.child(self._name), context, scope)
            elif context.sampled and collector is not None:
                span = context.child(self._name)
                self._describe(span, scope, debug_id)
        elif debug_id is not None and collector is not None:
            span = Span.root(self._name, collector)
            span.ctx.debug = True
            context = span.ctx
            self._describe(span, scope, debug_id)
        scope[_KEY] = (context, None if span is None else span.ctx)
        return context, span

    def _begin(self, scope: Scope, sampler: Sampler) -> tuple[SpanContext, Span | None]:
        """Return the context of a new trace, and its root span if the sampler wants it."""
        root = Span.root(self._name, self._collector)
        span = self._ask(sampler, root, None, scope)
        scope[_KEY] = (root.ctx, None if span is None else root.ctx)
        return root.ctx, span

    def _ask(
        self, sampler: Sampler, span: Span, parent: SpanContext | None, scope: Scope
    ) -> Span | None:
        """Return *span* if the sampler wants it; else None, with the contexts unsampled."""
        self._describe(span, scope, None)
        try:
            sampled = sampler.sample(span, parent)
        except Exception as error:
            report(_NOT_SAMPLED, error)
            sampled = parent is not None and parent.sampled
        span.ctx.sampled = bool(sampled)
        if sampled:
            return span
        if parent is not None:
            parent.sampled = False
            parent.trace_state = span.ctx.trace_state
        return None

    def _extract(self, scope: Scope) -> Extracted | None:
        """Return what the headers say; of malformed ones only a debug id beside them."""
        client = scope.get("client")
        try:
            return self._parser.parse(scope["headers"], peer=client[0] if client else None)
        except HeaderError as error:
            malformed = error
        # Reported out here: a traceback would say no more.
        self.header_errors += 1
        report(_NOT_EXTRACTED, malformed)
        return None if malformed.debug_id is None else Extracted(None, malformed.debug_id)

    def _describe(self, span: Span, scope: Scope, debug_id: str | None) -> None:
        span.kind = SpanKind.SERVER
        path = scope["path"][:_MAX_PATH_CHARS]
        if not path.isascii():  # bytes that are no UTF-8 may have come as lone surrogates
            path = path.encode(errors="replace").decode()
        # Straight into the dict: it is empty, and these are short texts.
        metadata = span.metadata
        metadata["http.request.method"] = scope.get("method", "GET")[:_MAX_METHOD_CHARS]
        metadata["url.path"] = path
        metadata["url.scheme"] = scope.get("scheme", "http")
        if debug_id is not None:
            metadata["jaeger-debug-id"] = debug_id

    def _is_excluded(self, scope: Scope) -> bool:
        if not self._excluded and not self._excluded_prefixes:
            return False
        path = scope.get("path", "")
        return path in self._excluded or path.startswith(self._excluded_prefixes)

    def _flushing(self, scope: Scope, send: Send) -> Send:
        """Return *send*, with a flush before the server hears that the application has ended."""
        scope[_KEY] = None
        force_flush = getattr(self._collector, "flush_before_exit", None) or getattr(
            self._collector, "force_flush", None
        )
        if force_flush is None:
            return send

        async def send_flushed(message: Message) -> None:
            if message["type"] in _SHUTDOWN:
                await flush(force_flush, timeout_s=self._flush_timeout_s)
            await send(message)

        return send_flushed


def _outer() -> SpanContext | None:
    """Return the sampled span of OpenTelemetry's that this request is served within, if any."""
    if isinstance(current.get(), Span | SpanContext):  # of whoever calls the application
        return None
    context = SpanContext.current()
    return context if context is not None and context.sampled else None


def _is_decided() -> bool:
    """Return whether this request is served within an unsampled span of OpenTelemetry's."""
    return not isinstance(current.get(), Span | SpanContext) and SpanContext.current() is not None


class HasScope(Protocol):
    """A request of Starlette's or FastAPI's, or of any framework that keeps the ASGI scope."""

    @property
    def scope(self) -> Mapping[str, Any]:
        """The ASGI scope."""


def span_context(request: HasScope | Mapping[str, Any]) -> SpanContext | None:
    """Return the context of the span that TraceLayer opened for *request*; None if it did not.

    Open the spans of the application's own work under it.
    """
    entry = _entry(request)
    return None if entry is None else entry[1]


def request_log_context(request: HasScope | Mapping[str, Any]) -> SpanContext | None:
    """Return the context that came in with *request*, sampled or not, for its log lines.

    Of a request that begins a trace here it is its own: one with only a debug id, and one that a
    sampler was asked about, wanted or not. Else None.
    """
    entry = _entry(request)
    return None if entry is None else entry[0]


def _entry(
    request: HasScope | Mapping[str, Any],
) -> tuple[SpanContext | None, SpanContext | None] | None:
    # A request of Starlette's is a mapping too, of its scope.
    scope: Any = getattr(request, "scope", request)
    entry: tuple[SpanContext | None, SpanContext | None] | None = scope.get(_KEY)
    return entry


def _exclusions(exclude: Collection[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    if isinstance(exclude, str) or not all(isinstance(path, str) for path in exclude):
        raise ValueError(f"exclude must be a collection of paths, got {exclude!r}")
    prefixes = tuple(path[:-1] for path in exclude if path.endswith("*"))
    return frozenset(path for path in exclude if not path.endswith("*")), prefixes
