"""Propagators: trace context through OpenTelemetry's interface, in and out.

`JaegerPropagator` and `IoxPropagator` read headers as `TraceHeaderParser` does and never raise from
`extract`; what they cannot express as a span they leave in the OpenTelemetry Context, under
`HEADER_ERROR_KEY` and `DEBUG_ID_KEY`. `PropagatorHeaderParser` puts any propagator to work for
`TraceLayer`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from opentelemetry import baggage, trace
from opentelemetry.context import Context, create_key, get_value, set_value
from opentelemetry.propagators import jaeger
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)

from iox_otel import SpanContext
from iox_otel.http import Extracted, HeaderError, TraceHeaderParser, format_jaeger_trace_context
from iox_otel.http.headers import (
    JAEGER_DEBUG_HEADER,
    JAEGER_HEADER,
    TRACEPARENT_HEADER,
    TRACESTATE_HEADER,
    format_traceparent,
    format_tracestate,
)

from .remote import RemoteSpan, is_debug, native_context
from .trust import Trust

HEADER_ERROR_KEY = create_key("iox-otel-header-error")
"""Under this a Context holds the `HeaderError` of a header that could not be read."""

DEBUG_ID_KEY = create_key("iox-otel-debug-id")
"""Under this a Context holds the text of a debug header."""

_DEBUG_TRACE_KEY = create_key("iox-otel-debug-trace")
"""Under this a Context holds the trace id of a debug trace, for the spans below the remote one."""


class CarrierError(HeaderError):
    """A propagator or a getter raised: what the headers say is not known."""

    def __str__(self) -> str:
        return f"headers cannot be read: {self.args[1]}"


class _Reading:
    """Extraction for our propagators: from a carrier into a Context."""

    _parser: TraceHeaderParser
    _trust: Trust | None

    @property
    def header_names(self) -> frozenset[bytes] | None:
        """Every header name that `extract` reads, lower case."""
        return self._parser.header_names

    @property
    def trace_states_dropped(self) -> int:
        """How many `tracestate` were malformed or beyond W3C's limits, and so left out."""
        return self._parser.trace_states_dropped

    def _extract(
        self, carrier: CarrierT, context: Context, getter: Getter[CarrierT]
    ) -> tuple[Context, bool]:
        """Return *context* with what *carrier* says, and whether that is a span. Never raises."""
        try:
            extracted = self._parser.read(lambda name: _texts(getter.get(carrier, name)))
            if extracted is not None and self._trust is not None:
                extracted = self._trust.judge(extracted, None)
        except HeaderError as error:
            _judge_error(error, self._trust, None)
            return _with_error(context, error), False
        except Exception as exc:  # from a getter that does not suit the carrier
            return _with_error(context, CarrierError("", type(exc).__name__)), False
        if extracted is None:
            return context, False
        return _with_extracted(context, extracted), extracted.context is not None


class JaegerPropagator(_Reading, jaeger.JaegerPropagator):
    """Jaeger's trace context header, the debug header, and Jaeger's baggage.

    A propagator in the place of the one it derives from, and unlike it: a sampled trace is not
    marked as debug on the way out, a debug flag that came in goes out again, flag 2 alone means
    sampled, the debug header counts, the names are settings, and malformed ids are errors (left in
    the Context, see the module) rather than read somehow.

    Args:
        header_name: the header with the trace context.
        debug_name: the header whose presence asks for this request to be traced.
        trust: whose headers count when `extract` reads them, and how often; everybody's if None.
            The client's address is not known there.

    Raises:
        ValueError: a name is no RFC 9110 token, or both are the same.
    """

    def __init__(
        self,
        *,
        header_name: str = JAEGER_HEADER,
        debug_name: str = JAEGER_DEBUG_HEADER,
        trust: Trust | None = None,
    ) -> None:
        self._trust = trust
        self._parser = TraceHeaderParser(
            header_name=header_name, debug_name=debug_name, formats=("jaeger",)
        )
        self.TRACE_ID_KEY = header_name.lower()

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """Return *context* with the remote span, the debug id or the error in *carrier*."""
        context, found = self._extract(carrier, Context() if context is None else context, getter)
        if not found:
            return context
        try:
            return self._extract_baggage(getter, carrier, context)
        except Exception:  # a carrier whose keys cannot be listed has no baggage to read
            return context

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Write the current span and baggage of *context* into *carrier*; nothing if no span."""
        current = _current(context)
        if current is None:
            return
        setter.set(carrier, self.TRACE_ID_KEY, format_jaeger_trace_context(current))
        entries = baggage.get_all(context=context)
        if entries:
            self._inject_baggage(setter, carrier, entries)


class IoxPropagator(_Reading, TextMapPropagator):
    """Reads Jaeger, B3, W3C and the debug header, writes Jaeger and W3C.

    In: the first format present, in `TraceHeaderParser`'s order. Out: `uber-trace-id`,
    `traceparent` and `tracestate` with the same ids. Baggage is not its business.

    Args and raises as `JaegerPropagator`.
    """

    def __init__(
        self,
        *,
        header_name: str = JAEGER_HEADER,
        debug_name: str = JAEGER_DEBUG_HEADER,
        trust: Trust | None = None,
    ) -> None:
        self._trust = trust
        self._parser = TraceHeaderParser(header_name=header_name, debug_name=debug_name)
        self._jaeger_key = header_name.lower()

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """Return *context* with the remote span, the debug id or the error in *carrier*."""
        return self._extract(carrier, Context() if context is None else context, getter)[0]

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Write the current span of *context* into *carrier*; nothing if there is none."""
        current = _current(context)
        if current is None:
            return
        setter.set(carrier, self._jaeger_key, format_jaeger_trace_context(current))
        setter.set(carrier, TRACEPARENT_HEADER, format_traceparent(current))
        trace_state = format_tracestate(current)
        if trace_state is not None:
            setter.set(carrier, TRACESTATE_HEADER, trace_state)

    @property
    def fields(self) -> set[str]:
        """The headers that `inject` writes; `header_names` are those that `extract` reads."""
        return {self._jaeger_key, TRACEPARENT_HEADER, TRACESTATE_HEADER}


class AsgiGetter(Getter[Sequence[tuple[bytes, bytes]]]):
    """Reads the header pairs of an ASGI scope; names match whatever their case.

    Bytes that are not UTF-8 become lone surrogates (Python's "surrogateescape").
    """

    def get(self, carrier: Sequence[tuple[bytes, bytes]], key: str) -> list[str] | None:
        """Return all values of the header *key*, None if it is not there."""
        wanted = key.lower().encode("utf-8", "surrogateescape")
        values = None
        for name, value in carrier:
            if name == wanted or name.lower() == wanted:
                values = values or []
                values.append(value.decode("utf-8", "surrogateescape"))
        return values

    def keys(self, carrier: Sequence[tuple[bytes, bytes]]) -> list[str]:
        """Return the names of all headers, in lower case."""
        return [name.lower().decode("utf-8", "surrogateescape") for name, _ in carrier]


_ASGI_GETTER = AsgiGetter()


class PropagatorHeaderParser:
    """A `HeaderParser` over any OpenTelemetry propagator.

    Ours tell it of debug ids and malformed headers too, and are asked directly, unless they are
    derived from. Of another it takes the remote span it
    finds; such a propagator drops what it cannot read without a word.

    Args:
        propagator: reads the headers.
        header_names: every name that *propagator* reads, in lower case. If not given: those of one
            of ours, else None, so that every request is parsed. (`propagator.fields` says what it
            writes, which may be less than what it reads.)
        trust: whose headers count, and how often; everybody's if None.
    """

    header_names: frozenset[bytes] | None

    def __init__(
        self,
        propagator: TextMapPropagator,
        *,
        header_names: Iterable[bytes] | None = None,
        trust: Trust | None = None,
    ) -> None:
        self.propagator = propagator
        self.trust = trust
        self._parser: TraceHeaderParser | None = None
        if header_names is not None:
            self.header_names = frozenset(name.lower() for name in header_names)
        else:
            # It finds the same without a Context to put it into, at a third of the cost.
            if type(propagator) is JaegerPropagator or type(propagator) is IoxPropagator:
                self._parser = propagator._parser
            self.header_names = (
                propagator.header_names if isinstance(propagator, _Reading) else None
            )

    def parse(
        self, headers: Iterable[tuple[bytes, bytes]], *, peer: str | None = None
    ) -> Extracted | None:
        """Return what *headers* (names in lower case, as ASGI has them) say, None if nothing.

        Raises:
            HeaderError: one of our propagators found a malformed header, or another one raised.
        """
        parser, trust = self._parser, self.trust
        try:
            found = self._propagated(headers) if parser is None else parser.parse(headers)
        except HeaderError as error:
            _judge_error(error, trust, peer)
            raise
        if found is not None and trust is not None:
            context, debug_id = found
            if debug_id is not None or (context is not None and context.sampled):
                return trust.judge(found, peer)
        return found

    def _propagated(self, headers: Iterable[tuple[bytes, bytes]]) -> Extracted | None:
        names = self.header_names
        if names is None:
            pairs = list(headers)
        else:
            pairs = [pair for pair in headers if pair[0] in names]
            if not pairs:
                return None
        try:
            context = self.propagator.extract(pairs, Context(), _ASGI_GETTER)
        except Exception as exc:
            raise CarrierError("", type(exc).__name__) from exc
        return _extracted(context)


def _judge_error(error: HeaderError, trust: Trust | None, peer: str | None) -> None:
    """Leave *error* the debug id that was beside the malformed header, if it counts."""
    if trust is not None and error.debug_id is not None:
        judged = trust.judge(Extracted(None, error.debug_id), peer)
        error.debug_id = None if judged is None else judged.debug_id


def _texts(values: Iterable[object] | None) -> list[str]:
    """Return what a getter found as text; carriers are known to hold bytes and numbers, too."""
    if not values:
        return []
    if isinstance(values, str):
        return [values]
    return [value if type(value) is str else _text(value) for value in values]


def _text(value: object) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def _with_error(context: Context, error: HeaderError) -> Context:
    # Without the traceback, which would keep this request's frames alive with the Context.
    context = set_value(HEADER_ERROR_KEY, error.with_traceback(None), context)
    if error.debug_id is not None:
        context = set_value(DEBUG_ID_KEY, error.debug_id, context)
    return context


def _with_extracted(context: Context, extracted: Extracted) -> Context:
    remote, debug_id = extracted
    if debug_id is not None:
        context = set_value(DEBUG_ID_KEY, debug_id, context)
    if remote is not None:
        if remote.debug:
            context = set_value(_DEBUG_TRACE_KEY, remote.trace_id, context)
        context = trace.set_span_in_context(RemoteSpan(remote), context)
    return context


def _extracted(context: Context) -> Extracted | None:
    """Return what a propagator has left in *context*. Raises the `HeaderError` if there is one."""
    error = context.get(HEADER_ERROR_KEY)
    if isinstance(error, HeaderError):
        raise error
    debug_id = context.get(DEBUG_ID_KEY)
    span = trace.get_current_span(context)
    remote = span.context if type(span) is RemoteSpan else native_context(span.get_span_context())
    if remote is None and debug_id is None:
        return None
    return Extracted(remote, debug_id if isinstance(debug_id, str) else None)


def _current(context: Context | None) -> SpanContext | None:
    """Return the current span of *context* as a native context to write; None if there is none."""
    span = trace.get_current_span(context)
    if type(span) is RemoteSpan:
        return span.context
    native = native_context(span.get_span_context())
    if native is not None:
        parent = getattr(span, "parent", None)
        if isinstance(parent, trace.SpanContext) and parent.is_valid:
            native.parent_span_id = parent.span_id
        native.debug = is_debug(span) or get_value(_DEBUG_TRACE_KEY, context) == native.trace_id
    return native
