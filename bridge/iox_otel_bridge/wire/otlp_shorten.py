"""Cutting down an OTLP Span that is too large for a request."""

from __future__ import annotations

from collections.abc import Iterator

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from .shorten import ELLIPSIS, MARK, level_of

_MARK_GROWTH_BYTES = 96  # the mark, and counts that become longer
_VALUES = "values shortened"


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
        count = saved = 0
        while saved < excess and count < len(events) - 1:
            saved += events[count].ByteSize()
            count += 1
        del events[:count]
        self.span.dropped_events_count += count

    def lose_ends_of_texts(self, excess: int) -> None:
        holders = [(*text, getattr(*text).encode()) for text in self._texts()]
        level = level_of([len(text) for _, _, text in holders], excess)
        shortened = 0
        for holder, field, text in holders:
            if len(text) > level:
                kept = text[: level - len(ELLIPSIS.encode())].decode(errors="ignore")
                setattr(holder, field, kept + ELLIPSIS)
                shortened += 1
        if shortened:
            self.span.attributes.add(key=MARK).value.string_value = f"{_VALUES}: {shortened}"

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
        lost: set[int] = set()
        for size, at in sorted(
            ((each.ByteSize(), at) for at, each in enumerate(attributes) if each.key != MARK),
            reverse=True,
        ):
            if excess <= 0:
                break
            excess -= size
            lost.add(at)
        for at in sorted(lost, reverse=True):
            del attributes[at]
        self.span.dropped_attributes_count += len(lost)


def _texts_in(value: AnyValue) -> Iterator[tuple[AnyValue, str]]:
    if value.HasField("array_value"):
        for item in value.array_value.values:
            yield from _texts_in(item)
    elif value.HasField("string_value"):
        yield value, "string_value"
