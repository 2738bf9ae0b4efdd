"""Spans in OTLP's terms: as we send them, as the Collector reads Jaeger's, as its file says.

A form is a plain dictionary of comparable fields. A value is a pair of its type and itself, and a
double is its `repr`, so that 1 is not True, 1.0 or "1", and 0.0 is not -0.0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from iox_otel import Span, SpanKind, SpanStatus

Form = dict[str, Any]
Value = tuple[str, Any]

SCOPE = ("iox-trace", version("iox-otel"))
_LOCAL, _REMOTE = 0x100, 0x300
"""SpanFlags: it is known whether the parent, or the linked span, is remote; and it is."""
_SPAN = {"traceId", "spanId", "parentSpanId", "traceState", "flags", "name", "kind", "attributes"}
_SPAN |= {"startTimeUnixNano", "endTimeUnixNano", "events", "links", "status"}
_SPAN |= {"resource", "scope", "schemas"}  # of what is around it
_PARTS = {"timeUnixNano", "name", "attributes", "traceId", "spanId", "flags"}
_I64 = range(-(1 << 63), 1 << 63)


def as_text(text: str) -> str:
    """Return *text* with "?" for what UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()


def sent(span: Span, resource: Mapping[str, str]) -> Form:
    """Return a native span as TRACES_EXPORTER=otlp is to send it."""
    ctx = span.ctx
    assert span.start_ns is not None and span.end_ns is not None
    error = span.status is SpanStatus.ERR
    return {
        "trace id": f"{ctx.trace_id:032x}",
        "span id": f"{ctx.span_id:016x}",
        "parent id": f"{ctx.parent_span_id:016x}" if ctx.parent_span_id else "",
        "trace state": ctx.trace_state or "",
        "name": as_text(span.name),
        "kind": span.kind + 1,
        "start": span.start_ns,
        "end": span.end_ns,
        "attributes": attributes(span.metadata),
        "events": [
            (event.time_ns, as_text(event.msg), attributes(event.metadata)) for event in span.events
        ],
        "links": [(f"{trace:032x}", f"{id_:016x}", {}, _REMOTE) for trace, id_ in ctx.links],
        # OpenTelemetry's status: a description belongs to an error alone.
        "status": (int(span.status), as_text(span.status_message or "") if error else ""),
        "flags": _REMOTE if ctx.parent_is_remote else _LOCAL,
        "scope": SCOPE,
        "resource": attributes(resource),
    }


def of_jaeger(span: Span, resource: Mapping[str, str]) -> Form:
    """Return what the Collector's Jaeger receiver makes of a native span.

    It documents and does (pkg/translator/jaeger): times are microseconds; sequences are the JSON
    texts that we send in Jaeger's tags; the first link of a root into its own trace counts as its
    parent too; `error=true` becomes the status, while our `ok=true` is one
    tag among others; no `span.kind` is UNSPECIFIED; a link tells its type in an attribute
    `opentracing.ref_type`; the flags are the sampled one alone; there is no scope
    and no trace state.
    """
    form = sent(span, resource)
    start_us = form["start"] // 1_000
    length_us = (form["end"] - form["start"]) // 1_000
    error = span.status is SpanStatus.ERR
    events = [
        (event.time_ns // 1_000 * 1_000, as_text(event.msg), jaeger_tags(event.metadata))
        for event in span.events
    ]
    events += [(form["end"] // 1_000 * 1_000, message, {}) for message in last_words(span)]
    ok: dict[str, Value] = {"ok": ("bool", True)} if span.status is SpanStatus.OK else {}
    same_trace = [id_ for trace, id_, _, _ in form["links"] if trace == form["trace id"]]
    return form | {
        "parent id": form["parent id"] or (same_trace[0] if same_trace else ""),
        "trace state": "",
        "kind": 0 if span.kind is SpanKind.INTERNAL else form["kind"],
        "start": start_us * 1_000,
        "end": (start_us + length_us) * 1_000,
        "attributes": jaeger_tags(span.metadata) | ok,
        "events": events,
        "links": [
            (trace, id_, {"opentracing.ref_type": ("string", "follows_from")}, 0)
            for trace, id_, _, _ in form["links"]
        ],
        "status": (2 if error else 0, ""),
        "flags": 1,
        "scope": ("", ""),
    }


def last_words(span: Span) -> list[str]:
    """Return the status's message if no event says it: in Jaeger's form a log at the end does."""
    message = span.status_message
    said = {event.msg for event in span.events}
    said |= {str(event.metadata.get("exception.message")) for event in span.events}
    return [message] if message and message not in said else []


def received(span: Mapping[str, Any]) -> Form:
    """Return a span of the Collector's file; raises AssertionError if it says more than is read."""
    status = span.get("status", {})
    scope = span["scope"]
    assert span.keys() <= _SPAN, span.keys() - _SPAN
    assert status.keys() <= {"code", "message"} and scope.keys() <= {"name", "version"}
    assert span["resource"].keys() <= {"attributes"} and span["schemas"] == ("", "")
    for part in (*span.get("events", ()), *span.get("links", ())):
        assert part.keys() <= _PARTS, part.keys() - _PARTS
    return {
        "trace id": span["traceId"],
        "span id": span["spanId"],
        "parent id": span.get("parentSpanId", ""),
        "trace state": span.get("traceState", ""),
        "name": span.get("name", ""),
        "kind": span.get("kind", 0),
        "start": int(span["startTimeUnixNano"]),
        "end": int(span["endTimeUnixNano"]),
        "attributes": _received(span.get("attributes")),
        "events": [
            (int(event["timeUnixNano"]), event.get("name", ""), _received(event.get("attributes")))
            for event in span.get("events", ())
        ],
        "links": [
            (
                link["traceId"],
                link["spanId"],
                _received(link.get("attributes")),
                link.get("flags", 0),
            )
            for link in span.get("links", ())
        ],
        "status": (status.get("code", 0), status.get("message", "")),
        "flags": span.get("flags", 0),
        "scope": (scope.get("name", ""), scope.get("version", "")),
        "resource": _received(span["resource"].get("attributes")),
    }


def attributes(metadata: Mapping[str, Any]) -> dict[str, Value]:
    """Return metadata as attributes: an integer beyond 64 bits is text, in a sequence all are."""
    return {key: _value(value) for key, value in metadata.items()}


def jaeger_tags(metadata: Mapping[str, Any]) -> dict[str, Value]:
    """Return metadata as the attributes that Jaeger's tags can say: a sequence is a JSON text."""
    return {
        key: ("string", as_text(json.dumps(value, ensure_ascii=False, separators=(",", ":"))))
        if isinstance(value, tuple)
        else _value(value)
        for key, value in metadata.items()
    }


def _value(value: Any) -> Value:
    if isinstance(value, tuple):
        if any(type(item) is int and item not in _I64 for item in value):
            value = tuple(map(str, value))
        return "array", [_value(item) for item in value]
    if isinstance(value, bool):
        return "bool", value
    if isinstance(value, int):
        return ("int", value) if value in _I64 else ("string", str(value))
    if isinstance(value, float):
        return "double", repr(value)
    return "string", as_text(value)


def _received(listed: list[dict[str, Any]] | None) -> dict[str, Value]:
    values = {item.get("key", ""): _received_value(item["value"]) for item in listed or ()}
    assert len(values) == len(listed or ()), f"a key comes twice in {listed}"
    return values


def _received_value(value: Mapping[str, Any]) -> Value:
    ((kind, said),) = value.items()
    match kind:
        case "arrayValue":
            return "array", [_received_value(item) for item in said.get("values", ())]
        case "intValue":
            return "int", int(said)
        case "doubleValue":
            return "double", repr(float(said))
        case "boolValue":
            return "bool", said
    return "string", said
