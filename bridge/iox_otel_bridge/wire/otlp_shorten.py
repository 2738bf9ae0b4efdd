"""Cutting down an OTLP Span that is too large for a request."""

from __future__ import annotations

from collections.abc import Iterator

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from .shorten import MARK, VALUES, number_to_lose, shorten_texts

_MARK_GROWTH_BYTES = 96  # the mark, and counts that become longer


def shorten_span(encoded: bytes, max_bytes: int) -> bytes | None:
    """Return an encoded Span in *max_bytes* at most, marked with what it lost; None if impossible.

    What goes, in this order, and each only as far as it must: the oldest events but for the newest
    one; the ends of the longest texts; the links; the last event; the largest attributes. They are
    counted in the fields that OTLP has for it, shortened texts in the attribute `iox.truncated`.
    """
    if len(encoded) <= max_bytes:
        return encoded
    cut = _Cut(Span.FromString(encoded))
    for lose in (
        cut.lose_older_events,
        cut.lose_ends_of_texts,
        cut.lose_links,
        cut.lose_events,
        cut.lose_attributes,
    ):
        excess = cut.span.ByteSize() - max_bytes
        if excess <= 0:
            break
        lose(excess + _MARK_GROWTH_BYTES)
    return cut.span.SerializeToString() if cut.span.ByteSize() <= max_bytes else None


class _Cut:
    """A span on its way to becoming smaller."""

    def __init__(self, span: Span) -> None:
        self.span = span

    def lose_older_events(self, excess: int) -> None:
        events = self.span.events
        count = number_to_lose((event.ByteSize() for event in events[:-1]), excess)
        del events[:count]
        self.span.dropped_events_count += count

    def lose_ends_of_texts(self, excess: int) -> None:
        if shortened := shorten_texts([*self._texts()], excess):
            self.span.attributes.add(key=MARK).value.string_value = f"{VALUES}: {shortened}"

    def _texts(self) -> Iterator[tuple[Span | Span.Event | AnyValue, str]]:
        yield self.span, "name"
        attributes = [*self.span.attributes]
        for event in self.span.events:
            yield event, "name"
            attributes += event.attributes
        for attribute in attributes:
            yield from _texts_in(attribute.value)

    def lose_links(self, _excess: int) -> None:
        self.span.dropped_links_count += len(self.span.links)
        del self.span.links[:]

    def lose_events(self, _excess: int) -> None:
        self.span.dropped_events_count += len(self.span.events)
        del self.span.events[:]

    def lose_attributes(self, excess: int) -> None:
        attributes = self.span.attributes
        largest = sorted(
            ((each.ByteSize(), at) for at, each in enumerate(attributes) if each.key != MARK),
            reverse=True,
        )
        count = number_to_lose((size for size, _ in largest), excess)
        for at in sorted((at for _, at in largest[:count]), reverse=True):
            del attributes[at]
        self.span.dropped_attributes_count += count


def _texts_in(value: AnyValue) -> Iterator[tuple[AnyValue, str]]:
    if value.HasField("array_value"):
        for item in value.array_value.values:
            yield from _texts_in(item)
    elif value.HasField("string_value"):
        yield value, "string_value"
