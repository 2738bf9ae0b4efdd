"""Spans as Jaeger's query API gives them: of those sent over UDP, of those that came as OTLP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from iox_otel import Span, SpanKind, SpanStatus

from . import gojson
from .otlp_form import Form, Value, as_text, attributes, jaeger_tags, last_words

Tag = tuple[str, str, Any]
Reference = tuple[str, str, str]

_KINDS = ("", "internal", "server", "client", "producer", "consumer")
_TYPES = {"string": "string", "bool": "bool", "int": "int64", "double": "float64"}
_STATUSES = {1: "OK", 2: "ERROR"}
_CLOCK = re.compile(
    "invalid parent span IDs=.*; skipping clock skew adj|clock skew adjustment disabled"
)
"""What the query service notes of a span whose parent is not there, or not around it."""
_SPAN = {"traceID", "spanID", "flags", "operationName", "references", "startTime", "duration"}
_SPAN |= {"tags", "logs", "processID", "process", "warnings"}
_SAFE = (1 << 53) - 1
"""Beyond this number of JavaScript's, the API writes integers as text."""


def of_udp(span: Span, resource: Mapping[str, str]) -> Form:
    """Return what Jaeger is to say of a native span that came over UDP.

    Times are microseconds. The status is a tag `ok` or `error`, the kind a tag but for INTERNAL,
    sequences are JSON texts, the status's message is a log at the end, links are FOLLOWS_FROM. The
    tag `internal.span.format` is Jaeger's own.
    """
    ctx = span.ctx
    assert span.start_ns is not None and span.end_ns is not None
    tags = jaeger_tags(span.metadata) | {"internal.span.format": ("string", "proto")}
    if span.status is not SpanStatus.UNKNOWN:
        tags["ok" if span.status is SpanStatus.OK else "error"] = ("bool", True)
    if span.kind is not SpanKind.INTERNAL:
        tags["span.kind"] = ("string", _KINDS[span.kind + 1])
    logs = [
        (event.time_ns // 1_000, as_text(event.msg), jaeger_tags(event.metadata))
        for event in span.events
    ]
    logs += [(span.end_ns // 1_000, message, {}) for message in last_words(span)]
    trace_id = _trace_id(f"{ctx.trace_id:032x}")
    parent = [("CHILD_OF", trace_id, f"{ctx.parent_span_id:016x}")] if ctx.parent_span_id else []
    links = [("FOLLOWS_FROM", _trace_id(f"{t:032x}"), f"{s:016x}") for t, s in ctx.links]
    return {
        "warnings": [],
        "trace id": trace_id,
        "span id": f"{ctx.span_id:016x}",
        "name": as_text(span.name),
        "references": _parent_first(parent + links, trace_id),
        "start": span.start_ns // 1_000,
        "duration": (span.end_ns - span.start_ns) // 1_000,
        "flags": 3 if ctx.debug else 1,
        "tags": _tags(tags),
        "logs": [_log(*log) for log in logs],
        "process": _process(attributes(resource)),
    }


def of_otlp(form: Form) -> Form:
    """Return what Jaeger is to say of a span that the Collector sent on over OTLP.

    As Jaeger translates (pkg/translator/jaeger) and its query service adjusts: times are cut to
    microseconds; kind, status and scope are tags; sequences are JSON texts; a link is FOLLOWS_FROM,
    and one to the parent takes the place of the parent's CHILD_OF; there are no flags.
    """
    trace_id = _trace_id(form["trace id"])
    tags = form["attributes"] | {"internal.span.format": ("string", "otlp")}
    for key, value in _facts(form).items():
        if value:
            tags[key] = ("string", value)
    if form["status"][0] == 2:
        tags["error"] = ("bool", True)
    return {
        "warnings": [],
        "trace id": trace_id,
        "span id": form["span id"],
        "name": form["name"],
        "references": _parent_first(_otlp_references(form, trace_id), trace_id),
        "start": form["start"] // 1_000,
        "duration": (form["end"] - form["start"]) // 1_000,
        "flags": 0,
        "tags": _tags(tags),
        "logs": [_log(time_ns // 1_000, name, tags) for time_ns, name, tags in form["events"]],
        "process": _process(form["resource"]),
    }


def received(span: Mapping[str, Any]) -> Form:
    """Return a span of the query API; raises AssertionError if it says more than is read."""
    assert span.keys() <= _SPAN, span.keys() - _SPAN
    return {
        "warnings": [text for text in span["warnings"] or () if not _CLOCK.match(text)],
        "trace id": span["traceID"],
        "span id": span["spanID"],
        "name": span["operationName"],
        "references": [(r["refType"], r["traceID"], r["spanID"]) for r in span["references"]],
        "start": span["startTime"],
        "duration": span["duration"],
        "flags": span.get("flags", 0),
        "tags": _received(span["tags"]),
        "logs": [(log["timestamp"], _received(log["fields"])) for log in span["logs"]],
        "process": (span["process"]["serviceName"], _received(span["process"]["tags"])),
    }


def _facts(form: Form) -> dict[str, str]:
    scope_name, scope_version = form["scope"]
    code, description = form["status"]
    return {
        "otel.scope.name": scope_name,
        "otel.scope.version": scope_version,
        "span.kind": _KINDS[form["kind"]],
        "otel.status_code": _STATUSES.get(code, ""),
        "otel.status_description": description,
        "w3c.tracestate": form["trace state"],
    }


def _otlp_references(form: Form, trace_id: str) -> list[Reference]:
    parent = ("CHILD_OF", trace_id, form["parent id"])
    references = [parent] if form["parent id"] else []
    for link_trace_id, span_id, _, _ in form["links"]:
        link = ("FOLLOWS_FROM", _trace_id(link_trace_id), span_id)
        if references and link[1:] == parent[1:]:
            references[0] = link
        else:
            references.append(link)
    return references


def _parent_first(references: list[Reference], trace_id: str) -> list[Reference]:
    """Swap to the front what the query service takes for the parent."""
    same = [at for at, reference in enumerate(references) if reference[1] == trace_id]
    children = [at for at in same if references[at][0] == "CHILD_OF"]
    for at in (children or same)[:1]:
        references[0], references[at] = references[at], references[0]
    return references


def _trace_id(hexadecimal: str) -> str:
    return hexadecimal.removeprefix("0" * 16)


def _tags(values: Mapping[str, Value]) -> list[Tag]:
    return sorted((key, *_tag(value)) for key, value in values.items())


def _tag(value: Value) -> tuple[str, Any]:
    kind, said = value
    if kind == "array":
        return "string", gojson.dumps([_plain(item) for item in said], escape_html=True)
    if kind == "int" and abs(said) > _SAFE:
        said = str(said)
    if kind == "double" and float(said) == 0:
        said = "0.0"  # proto3, in which Jaeger keeps spans, leaves out what is equal to zero
    return _TYPES[kind], said


def _plain(value: Value) -> Any:
    kind, said = value
    return float(said) if kind == "double" else said


def _log(time_us: int, event: str, fields: Mapping[str, Value]) -> tuple[int, list[Tag]]:
    return time_us, [("event", "string", event), *_tags(fields)]


def _process(resource: Mapping[str, Value]) -> tuple[str, list[Tag]]:
    tags = dict(resource)
    return tags.pop("service.name")[1], _tags(tags)


def _received(tags: list[dict[str, Any]]) -> list[Tag]:
    return [
        (tag["key"], tag["type"], repr(float(v)) if tag["type"] == "float64" else v)
        for tag in tags
        for v in (tag["value"],)
    ]
