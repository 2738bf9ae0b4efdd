"""Terms: numbers that stand for what a search can ask for, so that it finds the spans with it.

A term is 64 bits of a hash, so two things may share one: what is found is looked at before it is
shown. The store keeps the terms of a trace's spans with the trace, and two bits of each with the
span, as its signature.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import NamedTuple

from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from .stored import Batch, StoredSpan
from .tags import Tag, log_fields, process_tags, span_tags, tag_of

_CACHED = 16_384
_MAX_CACHED_BYTES = 256
"""Of an attribute; longer ones are seldom seen twice."""
_HALF_BITS = 63
"""A signature has two halves, numbers that SQLite can hold."""


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
    return _hash("tag", service, key, text)


def signature_of(terms: Iterable[int]) -> int:
    """Return the bits that a span with these terms has, and others may have too."""
    signature = 0
    for term in terms:
        signature |= 1 << term % _HALF_BITS | 1 << _HALF_BITS + (term >> 32) % _HALF_BITS
    return signature


def halves_of(signature: int) -> tuple[int, int]:
    """Return a signature as the database has it."""
    return signature & (1 << _HALF_BITS) - 1, signature >> _HALF_BITS


class Terms(NamedTuple):
    """Terms, and the signature that they make."""

    terms: tuple[int, ...]
    signature: int


class KnownTerms:
    """The terms of what is seen again and again. Not thread-safe."""

    def __init__(self) -> None:
        self.facts: dict[tuple[object, ...], Terms] = {}
        self._attributes: dict[str, dict[bytes, Terms]] = {}
        self._left = _CACHED

    def attributes_of(self, service: str) -> dict[bytes, Terms]:
        """Return what is known of attributes of a service's spans, by their bytes."""
        return self._attributes.setdefault(service, {})

    def keep_facts(self, key: tuple[object, ...], terms: Terms) -> Terms:
        """Keep and return *terms*."""
        self._make_room()
        self.facts[key] = terms
        return terms

    def keep_attribute(self, service: str, said: bytes, terms: Terms) -> Terms:
        """Keep and return *terms*, unless the attribute is a long one."""
        if len(said) <= _MAX_CACHED_BYTES:
            self._make_room()
            self.attributes_of(service)[said] = terms
        return terms

    def _make_room(self) -> None:
        self._left -= 1
        if self._left < 0:
            self.facts.clear()
            self._attributes.clear()
            self._left = _CACHED


class BatchTerms:
    """Tells the terms of a batch's spans.

    Args:
        batch: that one.
        service: its resource's.
        resource: its resource's bytes.
        known: what earlier batches had.
    """

    def __init__(self, batch: Batch, service: str, resource: bytes, known: KnownTerms) -> None:
        self._service = service
        self._known = known
        scope = batch.scope
        self._scope = (service, batch.source, scope.name, scope.version)
        self.of_process = known.facts.get((service, resource)) or known.keep_facts(
            (service, resource), _of_tags(service, process_tags(batch.resource))
        )

    def add(
        self, stored: StoredSpan, said: Sequence[bytes], terms: set[int], *, is_error: bool
    ) -> int:
        """Add a span's terms to *terms*; return its signature. *said* are its attributes' bytes."""
        facts = self._of_facts(stored, is_error)
        signature = facts.signature | self.of_process.signature
        known = self._known.attributes_of(self._service)
        terms.update(facts.terms, self.of_process.terms)
        for at, text in enumerate(said):
            of_one = known.get(text) or self._of_attribute(stored.span.attributes[at], text)
            terms.add(of_one[0][0])
            signature |= of_one[1]
        for event in stored.span.events:
            fields = _of_tags(self._service, log_fields(event, stored.source))
            terms.update(fields.terms)
            signature |= fields.signature
        return signature

    def _of_facts(self, stored: StoredSpan, is_error: bool) -> Terms:
        span = stored.span
        status, trace_state = (span.status if span.HasField("status") else None), span.trace_state
        code, message = (status.code, status.message) if status else (0, "")
        key = (self._scope, span.name, span.kind, code, is_error, message, trace_state)
        if (known := self._known.facts.get(key)) is None:
            known = self._made_of_facts(stored, is_error)
            if not (message or trace_state):
                self._known.keep_facts(key, known)
        return known

    def _made_of_facts(self, stored: StoredSpan, is_error: bool) -> Terms:
        span, service = stored.span, self._service
        bare = Span(kind=span.kind, status=span.status, trace_state=span.trace_state)
        tags = span_tags(StoredSpan(bare, Resource(), stored.scope, stored.source))
        terms = [of_tag(service, tag.key, tag.text) for tag in tags]
        terms += [of_service(service), of_operation(service, span.name)]
        return _made([*terms, of_error(service)] if is_error else terms)

    def _of_attribute(self, attribute: KeyValue, said: bytes) -> Terms:
        tag = tag_of(attribute)
        term = of_tag(self._service, tag.key, tag.text)
        made = Terms((term,), signature_of((term,)))
        return self._known.keep_attribute(self._service, said, made)


def _of_tags(service: str, tags: Iterable[Tag]) -> Terms:
    return _made(of_tag(service, tag.key, tag.text) for tag in tags)


def _made(terms: Iterable[int]) -> Terms:
    made = tuple(terms)
    return Terms(made, signature_of(made))


def _hash(*texts: str) -> int:
    return digest_of("\0".join(texts).encode("utf-8", "replace"))
