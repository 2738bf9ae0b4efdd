"""Terms: numbers that stand for what a search can ask for, so that it finds the traces with it.

A term is 64 bits of a hash, so two things may share one: what is found is looked at before it is
shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b

from .stored import StoredSpan
from .tags import log_fields, process_tags, span_tags


def digest_of(*parts: bytes) -> int:
    """Return 64 bits of a hash of *parts*, as SQLite's signed integer."""
    digest = blake2b(b"\0".join(parts), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def of_service(service: str) -> int:
    """Return the term of a span of *service*."""
    return _term("service", service)


def of_operation(service: str, name: str) -> int:
    """Return the term of a span that is called *name*, of *service* or of any."""
    return _term("operation", service, name)


def of_error(service: str = "") -> int:
    """Return the term of a span with an error, of *service* or of any."""
    return _term("error", service)


def of_tag(key: str, text: str) -> int:
    """Return the term of a tag, see `Tag.text`."""
    return _term("tag", key, text)


def terms_of(stored: StoredSpan, process_terms: frozenset[int]) -> Iterator[int]:
    """Give the terms of a span; *process_terms* are those of its resource."""
    service = stored.service
    yield of_service(service)
    yield of_operation(service, stored.span.name)
    yield of_operation("", stored.span.name)
    if stored.is_error:
        yield of_error()
        yield of_error(service)
    for tag in span_tags(stored):
        yield of_tag(tag.key, tag.text)
    for event in stored.span.events:
        for tag in log_fields(event, stored.source):
            yield of_tag(tag.key, tag.text)
    yield from process_terms


def process_terms_of(stored: StoredSpan) -> frozenset[int]:
    """Return the terms of a span's resource, which many spans share."""
    return frozenset(of_tag(tag.key, tag.text) for tag in process_tags(stored.resource))


@lru_cache(maxsize=65_536)
def _term(kind: str, *texts: str) -> int:
    return digest_of(kind.encode(), *(text.encode("utf-8", "replace") for text in texts))
