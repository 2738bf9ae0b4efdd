"""HeaderParser: what finds the trace context in a request's headers. TraceHeaderParser: ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from iox_otel import SpanContext

from . import headers as wire

Get = Callable[[str], Sequence[str] | None]
"""Returns all values of the header with that lower-case name, in order; None or none at all if it
is not there."""

MAX_HEADER_CHARS = 1024
"""A trace context that is longer is malformed; the longest that says something has 200. (A
`tracestate` and a debug header have limits of their own.)"""

FORMATS = ("jaeger", "b3multi", "tracecontext", "b3")
"""The formats there are, named as OTEL_PROPAGATORS names them, in the order they are tried."""


class Extracted(NamedTuple):
    """What the headers of a request say."""

    context: SpanContext | None
    """The caller's context; its collector is None. None if there was only a debug id."""
    debug_id: str | None
    """The text of the debug header, capped in length: the request is to be traced in any case. It
    may be empty."""


class HeaderParser(Protocol):
    """Finds the trace context in a request's headers. One instance serves all requests."""

    header_names: frozenset[bytes] | None
    """Every header name it reads, lower case. A request with none of them is not parsed; with None
    every request is."""

    def parse(
        self, headers: Iterable[tuple[bytes, bytes]], *, peer: str | None = None
    ) -> Extracted | None:
        """Return what *headers* (names in lower case, as ASGI has them) say, None if nothing.

        Args:
            headers: the pairs of an ASGI scope.
            peer: the address of the client, where it is known.

        Raises:
            HeaderError: a header is there but malformed.
        """


class TraceHeaderParser:
    """Reads Jaeger, B3 and W3C headers. The native `HeaderParser`, as IOx `trace_http` has it.

    The first format present wins, read or not: a malformed header is an error even if another
    format is beside it. A debug id makes the context found sampled and debug. Of a header that is
    there more than once the first counts, but two `traceparent` are malformed and all `tracestate`
    are one list.

    A debug id beside a malformed header is kept on the error, as `HeaderError.debug_id`.

    Args:
        header_name: the header with a Jaeger trace context.
        debug_name: the header whose presence, with any text, asks for this request to be traced.
        formats: names out of `FORMATS`, in the order to try them.

    Raises:
        ValueError: a header name is no RFC 9110 token or stands for two things; an unknown format.
    """

    header_names: frozenset[bytes] | None
    trace_states_dropped: int
    """How many `tracestate` were malformed or beyond W3C's limits, and so left out."""

    def __init__(
        self,
        *,
        header_name: str = wire.JAEGER_HEADER,
        debug_name: str = wire.JAEGER_DEBUG_HEADER,
        formats: Sequence[str] = FORMATS,
    ) -> None:
        self.header_name = _check_name(header_name)
        self.debug_name = _check_name(debug_name)
        self.trace_states_dropped = 0
        self._debug_key = debug_name.lower()
        chosen = [self._format(name) for name in formats]
        self._readers = [(keys[0], reader) for keys, reader in chosen]
        names = [self._debug_key, *(key for keys, _ in chosen for key in keys)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"header name {name!r:.80} stands for two things")
        self._names = {name.encode(): name for name in names}
        self.header_names = frozenset(self._names)

    def _format(self, name: str) -> tuple[tuple[str, ...], _Reader]:
        """Return the headers of the format *name*, first the one that makes it present, and what
        reads them.
        """
        formats: dict[str, tuple[tuple[str, ...], _Reader]] = {
            "jaeger": ((self.header_name.lower(),), self._read_jaeger),
            "b3multi": ((_TRACE_ID, _SPAN_ID, _PARENT_SPAN_ID, _SAMPLED, _FLAGS), _read_b3_multi),
            "tracecontext": ((wire.TRACEPARENT_HEADER, wire.TRACESTATE_HEADER), self._read_w3c),
            "b3": ((wire.B3_HEADER,), _read_b3_single),
        }
        if name not in formats:
            raise ValueError(f"unknown header format {name!r:.80}; there are {', '.join(FORMATS)}")
        return formats[name]

    def parse(
        self, headers: Iterable[tuple[bytes, bytes]], *, peer: str | None = None
    ) -> Extracted | None:
        """Return what *headers* (names in lower case, as ASGI has them) say, None if nothing.

        Raises:
            HeaderError: the header of the first format present is malformed.
        """
        names = self._names
        found: dict[str, list[str]] = {}
        for name, value in headers:
            if name in names:
                key = names[name]
                text = value.decode("utf-8", "surrogateescape")
                if key in found:
                    found[key].append(text)
                else:
                    found[key] = [text]
        return self.read(found.get) if found else None

    def read(self, get: Get) -> Extracted | None:
        """As `parse`, for headers that *get* looks up: the way in for other kinds of carrier."""
        debug_values = get(self._debug_key)
        debug_id = wire.parse_debug_id(debug_values[0]) if debug_values else None
        context = None
        try:
            for key, reader in self._readers:
                values = get(key)
                if values:
                    context = reader(values, get)
                    break
        except wire.HeaderError as error:
            error.debug_id = debug_id
            raise
        if debug_id is None:
            return None if context is None else Extracted(context, None)
        if context is not None:
            context.sampled = context.debug = True
        return Extracted(context, debug_id)

    def _read_jaeger(self, values: Sequence[str], get: Get) -> SpanContext:
        name = self.header_name
        return wire.parse_jaeger_trace_context(_utf8(values[0], name), header=name)

    def _read_w3c(self, values: Sequence[str], get: Get) -> SpanContext:
        if len(values) > 1:
            raise wire.HeaderDecodeError(wire.TRACEPARENT_HEADER, "there is more than one")
        context = wire.parse_traceparent(_utf8(values[0], wire.TRACEPARENT_HEADER))
        states = get(wire.TRACESTATE_HEADER)
        if states:
            context.trace_state = wire.parse_tracestate(states)
            if context.trace_state is None and any(state.strip(" \t,") for state in states):
                self.trace_states_dropped += 1
        return context


_Reader = Callable[[Sequence[str], Get], SpanContext | None]
"""Reads one format, given the values of the header that makes it present."""

_TRACE_ID = wire.B3_TRACE_ID_HEADER.lower()
_SPAN_ID = wire.B3_SPAN_ID_HEADER.lower()
_PARENT_SPAN_ID = wire.B3_PARENT_SPAN_ID_HEADER.lower()
_SAMPLED = wire.B3_SAMPLED_HEADER.lower()
_FLAGS = wire.B3_FLAGS_HEADER.lower()


def _read_b3_multi(values: Sequence[str], get: Get) -> SpanContext:
    return wire.parse_b3_multi(
        _utf8(values[0], wire.B3_TRACE_ID_HEADER),
        _first(get, _SPAN_ID, wire.B3_SPAN_ID_HEADER),
        parent_span_id=_first(get, _PARENT_SPAN_ID, wire.B3_PARENT_SPAN_ID_HEADER),
        sampled=_first(get, _SAMPLED, wire.B3_SAMPLED_HEADER),
        flags=_first(get, _FLAGS, wire.B3_FLAGS_HEADER),
    )


def _read_b3_single(values: Sequence[str], get: Get) -> SpanContext | None:
    return wire.parse_b3_single(_utf8(values[0], wire.B3_HEADER))


def _first(get: Get, key: str, name: str) -> str | None:
    """Return the first value of the header *key*, None if it is not there."""
    values = get(key)
    return _utf8(values[0], name) if values else None


def _utf8(value: str, name: str) -> str:
    """Return *value* of the header *name* if it came from valid UTF-8 and is of bearable length."""
    if len(value) > MAX_HEADER_CHARS:
        raise wire.HeaderDecodeError(name, f"longer than {MAX_HEADER_CHARS} characters")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise wire.HeaderEncodingError(name) from None
    return value


_NAME_CHARS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~"


def _check_name(name: str) -> str:
    """Return *name* if it can be the name of an HTTP header (RFC 9110, section 5.1)."""
    if not isinstance(name, str) or not name or name.strip(_NAME_CHARS):
        raise ValueError(
            f"invalid header name {name!r:.80}, may have letters, digits and !#$%&'*+-.^_`|~ only"
        )
    return name
