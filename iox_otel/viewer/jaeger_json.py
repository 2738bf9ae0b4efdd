"""Traces as Jaeger's query API gives them.

Agrees with Jaeger 1.62: `model/json`, and what its query service does to a trace before it answers
(sorted tags, the parent's reference first). It does not note what it thinks of clocks.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from iox_otel_bridge.wire.jaeger_decode import REF_TYPE

from .jaeger_warnings import take_warnings
from .stored import Source, StoredSpan
from .tags import Tag, log_fields, process_tags, span_tags

_SAFE = (1 << 53) - 1
"""Beyond this number of JavaScript's, integers are text."""
_TYPES = ("string", "bool", "int64", "float64", "binary")


def hex_of(trace_id: bytes) -> str:
    """Return a trace id in hex: 16 digits if it has 64 bits, else 32."""
    digits = trace_id.hex()
    return digits[16:] if digits.startswith("0" * 16) else digits


def trace_of(spans: Iterable[StoredSpan]) -> dict[str, Any]:
    """Return the trace of *spans*, which must be of one and at least one."""
    ordered = sorted(spans, key=lambda stored: stored.span.start_time_unix_nano)
    processes: dict[bytes, str] = {}
    listed = []
    for stored in ordered:
        key = stored.resource.SerializeToString(deterministic=True)
        process = processes.setdefault(key, f"p{len(processes) + 1}")
        listed.append(_span(stored, process))
    by_process = {
        processes[stored.resource.SerializeToString(deterministic=True)]: stored
        for stored in ordered
    }
    return {
        "traceID": hex_of(ordered[0].trace_id),
        "spans": listed,
        "processes": {
            key: {
                "serviceName": stored.service,
                "tags": _key_values(process_tags(stored.resource)),
            }
            for key, stored in by_process.items()
        },
        "warnings": None,
    }


def _span(kept: StoredSpan, process: str) -> dict[str, Any]:
    warnings, span = take_warnings(kept.span)
    stored = kept._replace(span=span)
    flags = span.flags & 0xFF if stored.source is Source.JAEGER else 0
    return {
        "traceID": hex_of(stored.trace_id),
        "spanID": stored.span_id.hex(),
        **({"flags": flags} if flags else {}),
        "operationName": span.name,
        "references": _references(stored),
        "startTime": span.start_time_unix_nano // 1_000,
        "duration": stored.duration_ns // 1_000,
        "tags": _key_values(span_tags(stored)),
        "logs": [
            {
                "timestamp": event.time_unix_nano // 1_000,
                "fields": _fields(list(log_fields(event, stored.source))),
            }
            for event in span.events
        ],
        "processID": process,
        "warnings": warnings or None,
    }


def _references(stored: StoredSpan) -> list[dict[str, str]]:
    trace_id, parent_id = hex_of(stored.trace_id), stored.parent_id.hex()
    parent = {"refType": "CHILD_OF", "traceID": trace_id, "spanID": parent_id}
    listed = [_reference(link) for link in stored.span.links]
    at = [(reference["traceID"], reference["spanID"]) for reference in listed]
    if stored.source is Source.JAEGER:
        # The parent has a field of its own, and is a reference only if none leads to it.
        if parent_id and (trace_id, parent_id) not in at:
            listed.insert(0, parent)
    elif parent_id:
        # A link to the parent stands for it.
        same = [
            link for link in listed if (link["traceID"], link["spanID"]) == (trace_id, parent_id)
        ]
        listed = [link for link in listed if link not in same]
        listed.insert(0, same[-1] if same else parent)
    return _parent_first(listed, trace_id)


def _reference(link: Any) -> dict[str, str]:
    kinds = [item.value.string_value for item in link.attributes if item.key == REF_TYPE]
    return {
        "refType": "CHILD_OF" if kinds[:1] == ["child_of"] else "FOLLOWS_FROM",
        "traceID": hex_of(link.trace_id.rjust(16, b"\0")),
        "spanID": link.span_id.rjust(8, b"\0").hex(),
    }


def _parent_first(references: list[dict[str, str]], trace_id: str) -> list[dict[str, str]]:
    """Swap to the front what Jaeger takes for the parent."""
    same = [at for at, reference in enumerate(references) if reference["traceID"] == trace_id]
    children = [at for at in same if references[at]["refType"] == "CHILD_OF"]
    for at in (children or same)[:1]:
        references[0], references[at] = references[at], references[0]
    return references


def _fields(fields: list[Tag]) -> list[dict[str, Any]]:
    """Return the fields of a log: the first text `event`, then the others sorted."""
    first = next((tag for tag in fields if tag.key == "event" and tag.type == "string"), None)
    if first is None:
        return _key_values(fields)
    rest = list(fields)
    rest.remove(first)
    return [_key_value(first), *_key_values(rest)]


def _key_values(tags: Iterable[Tag]) -> list[dict[str, Any]]:
    """Return tags sorted by key, then type, then value."""
    ordered = sorted(tags, key=lambda tag: (tag.key.encode(), _TYPES.index(tag.type), tag.value))
    return [_key_value(tag) for tag in ordered]


def _key_value(tag: Tag) -> dict[str, Any]:
    value: Any = tag.value
    if isinstance(value, bytes):
        value = base64.b64encode(value).decode()
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > _SAFE:
        value = str(value)
    elif isinstance(value, float) and value - value != 0:  # no JSON has NaN or the infinities
        value = tag.text
    return {"key": tag.key, "type": tag.type, "value": value}
