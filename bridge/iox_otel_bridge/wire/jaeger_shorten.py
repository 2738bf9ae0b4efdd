"""Cutting down a Jaeger Span, or a Process, that is too large for a datagram."""

from __future__ import annotations

from typing import Any

from .jaeger_types import LOG, PROCESS, SPAN, SPAN_REF, STRING, TAG, StructType, Tag
from .shorten import MARK, VALUES, number_to_lose, shorten_texts

_EVENTS = "events dropped"
_REFERENCES = "references dropped"
_TAGS = "tags dropped"

_MARK_GROWTH_BYTES = 64  # what one more loss adds, at most: the tag itself and a count
# What a viewer colours, filters and counts by: these tags go last.
_LAST_TAGS = frozenset(("error", "ok", "otel.status_code", "span.kind"))


def shorten_span(encoded: bytes, max_bytes: int) -> bytes | None:
    """Return an encoded Span in *max_bytes* at most, marked with what it lost; None if impossible.

    What goes, in this order, and each only as far as it must: the oldest events but for the newest
    one; the ends of the longest values and of the name, down to 32 bytes; the last event; the last
    references; the largest tags.
    """
    if len(encoded) <= max_bytes:
        return encoded
    return _Cut(SPAN, SPAN.decode(encoded), "operationName").to(max_bytes)


def shorten_process(encoded: bytes, max_bytes: int) -> bytes | None:
    """Return an encoded Process in *max_bytes* at most, as `shorten_span` does."""
    if len(encoded) <= max_bytes:
        return encoded
    return _Cut(PROCESS, PROCESS.decode(encoded), "serviceName").to(max_bytes)


class _Cut:
    """One struct on its way to becoming smaller.

    Args:
        kind: how it is encoded.
        struct: it is changed.
        name: the attribute that holds its name.
    """

    def __init__(self, kind: StructType, struct: Any, name: str) -> None:
        self._kind = kind
        self._struct = struct
        self._name = name
        self._losses = dict.fromkeys((_EVENTS, VALUES, _REFERENCES, _TAGS), 0)
        self._tags: list[Any] = []
        for tag in struct.tags or ():
            if tag.key == MARK:  # cut before, for a larger datagram
                self._add_losses(tag.vStr or "")
            else:
                self._tags.append(tag)

    def to(self, max_bytes: int) -> bytes | None:
        """Return the struct's encoding in *max_bytes* at most, or None."""
        for lose in (
            self._lose_older_events,
            self._lose_ends_of_values,
            self._lose_last_event,
            self._lose_references,
            self._lose_tags,
        ):
            excess = len(self._encoded()) - max_bytes
            if excess <= 0:
                break
            lose(excess + _MARK_GROWTH_BYTES)
        encoded = self._encoded()
        return encoded if len(encoded) <= max_bytes else None

    def _add_losses(self, mark: str) -> None:
        for loss in mark.split(", "):
            what, _, count = loss.partition(": ")
            if what in self._losses and count.isdecimal():
                self._losses[what] += int(count)

    def _encoded(self) -> bytes:
        mark = ", ".join(f"{what}: {count}" for what, count in self._losses.items() if count)
        marked = [*self._tags, Tag(MARK, STRING, mark)] if mark else self._tags
        self._struct.tags = sorted(marked, key=lambda tag: str(tag.key)) or None
        return self._kind.encode(self._struct)

    def _lose_older_events(self, excess: int) -> None:
        logs = getattr(self._struct, "logs", None) or []
        dropped = number_to_lose((len(LOG.encode(log)) for log in logs[:-1]), excess)
        if dropped:
            self._struct.logs = logs[dropped:]
            self._losses[_EVENTS] += dropped

    def _lose_ends_of_values(self, excess: int) -> None:
        texts = [(self._struct, self._name)]
        texts += [(tag, "vStr") for tag in self._tags]
        for log in getattr(self._struct, "logs", None) or ():
            texts += [(field, "vStr") for field in log.fields]
        self._losses[VALUES] += shorten_texts(texts, excess)

    def _lose_last_event(self, _excess: int) -> None:
        if logs := getattr(self._struct, "logs", None):
            self._struct.logs = None
            self._losses[_EVENTS] += len(logs)

    def _lose_references(self, excess: int) -> None:
        references = getattr(self._struct, "references", None) or []
        saved = 0
        while saved < excess and references:
            saved += len(SPAN_REF.encode(references.pop()))
            self._losses[_REFERENCES] += 1
        if not references:
            self._struct.references = None

    def _lose_tags(self, excess: int) -> None:
        by_size = sorted(
            (
                (tag.key in _LAST_TAGS, -len(TAG.encode(tag)), at)
                for at, tag in enumerate(self._tags)
            ),
        )
        count = number_to_lose((-negative_size for _, negative_size, _ in by_size), excess)
        lost = {at for _, _, at in by_size[:count]}
        self._tags = [tag for at, tag in enumerate(self._tags) if at not in lost]
        self._losses[_TAGS] += len(lost)
