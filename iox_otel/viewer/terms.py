"""Terms: numbers that stand for what a search can ask for, so that it finds the spans with it.

A term is 64 bits of a hash, so two things may share one: what is found is looked at before it is
shown. The store keeps the terms of a trace's spans with the trace, and a signature with each span.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from sys import getsizeof
from typing import NamedTuple

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from . import signature as signatures
from .room import Room
from .stored import Batch, Source, StoredSpan
from .tags import KINDS, Tag, kind_of, log_fields, process_tags, span_tags, tag_of

_CACHED_BYTES = 6 << 20
_MAX_CACHED_BYTES = 256
"""Of an attribute; longer ones are seldom seen twice."""

_MARKS = frozenset(
    KeyValue(key=key, value=value).SerializeToString()
    for key, value in (
        ("error", AnyValue(bool_value=True)),
        ("error", AnyValue(string_value="true")),
        *(("span.kind", AnyValue(string_value=kind)) for kind in KINDS[1:]),
    )
)
"""The tags of a Jaeger client that `StoredSpan.is_error` and `kind_of` look for, as bytes."""
# An attribute that holds a text, as bytes: the key, the value, and therein the text; each has a
# byte that says what follows and, up to 127, one for its length.
_KEY, _VALUE, _STRING = 0x0A, 0x12, 0x0A
_MAX_SHORT_BYTES = 127
_KIND = b"\x0a\x09span.kind"
"""How a tag of a kind begins: one that is none hides those after it from `kind_of`."""

_Term = tuple[int, int]
"""A term, and the bits of its tag in a signature."""


def digest_of(body: bytes) -> int:
    """Return 64 bits of a hash of *body*, as SQLite's signed integer."""
    return int.from_bytes(blake2b(body, digest_size=8).digest(), "big", signed=True)


def of_service(service: str) -> int:
    """Return the term of a span of *service*."""
    return _hash("service", service)


def of_operation(service: str, name: str) -> int:
    """Return the term of a span of *service* that is called *name*."""
    return _hash("operation", service, name)


def of_error(service: str) -> int:
    """Return the term of a span of *service* with an error."""
    return _hash("error", service)


def of_tag(service: str, key: str, text: str) -> int:
    """Return the term of a span of *service* with a tag, see `Tag.text`."""
    return of_service(service) ^ _of_tag(key, text)


def signature_of(tags: Iterable[tuple[str, str]]) -> int:
    """Return the bits that a span with these tags has, whatever its service."""
    return _signature_of(_of_tag(*tag) for tag in tags)


class Terms(NamedTuple):
    """Terms, and the signature that their tags make."""

    terms: tuple[int, ...]
    signature: int


class Facts(NamedTuple):
    """What all spans have in common that are alike in their name, kind and status."""

    kind: str
    """See `kind_of`."""
    is_error: bool
    terms: tuple[int, ...]
    signature: int


class KnownTerms:
    """The terms of what is seen again and again. Not thread-safe."""

    def __init__(self) -> None:
        self.facts: dict[tuple[object, ...], Facts] = {}
        self.processes: dict[tuple[str, bytes], Terms] = {}
        self._attributes: dict[str, dict[bytes, _Term]] = {}
        self.room = Room(_CACHED_BYTES, self._forget)

    def attributes_of(self, service: str) -> dict[bytes, _Term]:
        """Return what is known of attributes of a service's spans, by their bytes."""
        return self._attributes.get(service) or {}

    def add_attribute(self, service: str, said: bytes, term: _Term) -> None:
        """Know an attribute of a service's spans by its bytes."""
        if len(said) <= _MAX_CACHED_BYTES and self.room.takes(len(service) + len(said)):
            self._attributes.setdefault(service, {})[said] = term

    def _forget(self) -> None:
        self.facts.clear()
        self.processes.clear()
        self._attributes.clear()


class BatchTerms:
    """Tells the terms of a batch's spans.

    Args:
        batch: that one.
        service: its resource's.
        resource: its resource's bytes.
        known: what earlier batches had.
    """

    def __init__(self, batch: Batch, service: str, resource: bytes, known: KnownTerms) -> None:
        self._batch = batch
        self._service = service
        self._service_term = of_service(service)
        self._known = known
        scope = batch.scope
        self._is_of_jaeger = batch.source is Source.JAEGER
        self._scope = (service, batch.source, scope.name, scope.version)
        self._process = known.processes.get((service, resource)) or self._of_process(resource)

    def facts_of(self, span: Span, said: Sequence[bytes]) -> Facts:
        """Return what *span* has in common with many; *said* are its attributes' bytes."""
        key: tuple[object, ...]
        marks: tuple[bytes, ...] = ()
        message = trace_state = ""
        if self._is_of_jaeger:
            if not _MARKS.isdisjoint(said):
                kept = (each for each in said if each in _MARKS or each.startswith(_KIND))
                marks = tuple(each[:_MAX_SHORT_BYTES] for each in kept)
            key = (self._scope, span.name, marks)
        else:
            trace_state, code = span.trace_state, 0
            if span.HasField("status"):
                code, message = span.status.code, span.status.message
            key = (self._scope, span.name, span.kind, code, message, trace_state)
        if (facts := self._known.facts.get(key)) is None:
            facts = self._made_of(span)
            byte_count = sum(map(getsizeof, (*self._scope, span.name, *marks)))
            if not (message or trace_state) and self._known.room.takes(byte_count):
                self._known.facts[key] = facts
        return facts

    def add(self, span: Span, said: Sequence[bytes], facts: Facts, terms: set[int]) -> int:
        """Add a span's terms to *terms*; return its signature."""
        terms.update(facts.terms, self._process.terms)
        signature = facts.signature | self._process.signature
        known = self._known.attributes_of(self._service)
        for each in said:
            term, bits = known.get(each) or self._of_attribute(each)
            terms.add(term)
            signature |= bits
        for event in span.events if len(span.events) else ():  # to go through nothing is slow
            fields = _of_tags(self._service, log_fields(event, self._batch.source))
            terms.update(fields.terms)
            signature |= fields.signature
        return signature

    def _of_process(self, resource: bytes) -> Terms:
        made = _of_tags(self._service, process_tags(self._batch.resource))
        parts = (self._service, resource, made.terms, *made.terms)
        if self._known.room.takes(sum(map(getsizeof, parts))):
            self._known.processes[self._service, resource] = made
        return made

    def _made_of(self, span: Span) -> Facts:
        batch, service = self._batch, self._service
        stored = StoredSpan(span, batch.resource, batch.scope, batch.source)
        bare = Span(kind=span.kind, status=span.status, trace_state=span.trace_state)
        tags = span_tags(StoredSpan(bare, Resource(), batch.scope, batch.source))
        made = _of_tags(service, tags)
        terms = (*made.terms, of_service(service), of_operation(service, span.name))
        if stored.is_error:
            terms = (*terms, of_error(service))
        return Facts(kind_of(stored), stored.is_error, terms, made.signature)

    def _of_attribute(self, said: bytes) -> _Term:
        tag = _of_short_text(said)
        if tag is None:
            read = tag_of(KeyValue.FromString(said))
            tag = _of_tag(read.key, read.text)
        made = (self._service_term ^ tag, signatures.bits_of(tag))
        self._known.add_attribute(self._service, said, made)
        return made


def _of_tags(service: str, tags: Iterable[Tag]) -> Terms:
    made = {_of_tag(tag.key, tag.text) for tag in tags}
    service_term = of_service(service)
    return Terms(tuple(service_term ^ tag for tag in made), _signature_of(made))


def _signature_of(tags: Iterable[int]) -> int:
    signature = 0
    for tag in tags:
        signature |= signatures.bits_of(tag)
    return signature


def _of_tag(key: str, text: str) -> int:
    return _hash("tag", key, text)


def _of_short_text(said: bytes) -> int | None:
    """Return what `_of_tag` does, from the bytes of a text as they are; None if it is not one.

    Values that never come again are mostly short texts, and no cache helps with them.
    """
    size = len(said)
    if size > _MAX_SHORT_BYTES or size < 2 or said[0] != _KEY:
        return None
    at = 2 + said[1]
    if size < at + 4 or said[at] != _VALUE or said[at + 1] != size - at - 2:
        return None
    if said[at + 2] != _STRING or said[at + 3] != size - at - 4:
        return None
    key, text = said[2:at], said[at + 4 :]
    parts = (_TAG_HEAD, _SIZES[len(key)], key, _SIZES[len(text)], text)
    return digest_of(b"".join(parts))


def _hash(*texts: str) -> int:
    return digest_of(b"".join(map(_sized, texts)))


def _sized(text: str) -> bytes:
    """Return *text* as bytes that are those of no other texts, whatever stands behind them."""
    encoded = text.encode("utf-8", "surrogatepass")
    return _size(len(encoded)) + encoded


def _size(number: int) -> bytes:
    return number.to_bytes(4, "big")


_SIZES = [_size(number) for number in range(_MAX_SHORT_BYTES)]
_TAG_HEAD = _sized("tag")
