"""Spans as Zipkin's API gives them, of those that the Collector translated for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import gojson
from .otlp_form import Form, Value

_KINDS = ("", "", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_SPAN = {"traceId", "id", "parentId", "kind", "name", "timestamp", "duration", "localEndpoint"}
_SPAN |= {"annotations", "tags"}
_STATUSES = {1: "STATUS_CODE_OK", 2: "STATUS_CODE_ERROR"}


def of_otlp(form: Form) -> Form:
    """Return what Zipkin is to say of a span that the Collector sent on.

    As the Collector translates (pkg/translator/zipkin, zipkin-go): times are rounded to
    microseconds, and a duration under one is one; names are in lower case; attributes of the span,
    the scope and the resource are tags, all of them text; kind INTERNAL, the status and the links
    are tags; an event with attributes is `name|JSON|0`. Zipkin
    keeps annotations that are equal in time and text once.
    """
    return {
        "trace id": form["trace id"].removeprefix("0" * 16),
        "span id": form["span id"],
        "parent id": form["parent id"],
        "kind": _KINDS[form["kind"]],
        "name": form["name"].lower(),
        "start": _rounded(form["start"]),
        "duration": _duration(form["end"] - form["start"]),
        "service": form["resource"]["service.name"][1].lower(),
        "annotations": sorted({_annotation(*event) for event in form["events"]}),
        "tags": _tags(form),
    }


def received(span: Mapping[str, Any]) -> Form:
    """Return a span of the API; raises AssertionError if it says more than is read."""
    assert span.keys() <= _SPAN, span.keys() - _SPAN
    assert span["localEndpoint"].keys() == {"serviceName"}
    return {
        "trace id": span["traceId"],
        "span id": span["id"],
        "parent id": span.get("parentId", ""),
        "kind": span.get("kind", ""),
        "name": span.get("name", ""),
        "start": span["timestamp"],
        "duration": span.get("duration", 0),
        "service": span["localEndpoint"]["serviceName"],
        "annotations": sorted((a["timestamp"], a["value"]) for a in span.get("annotations", ())),
        "tags": span.get("tags", {}),
    }


def _rounded(time_ns: int) -> int:
    return (time_ns + 500) // 1_000


def _duration(length_ns: int) -> int:
    return 1 if 0 < length_ns < 1_000 else _rounded(length_ns) if length_ns else 0


def _annotation(time_ns: int, name: str, attributes: Mapping[str, Value]) -> tuple[int, str]:
    if not attributes:
        return _rounded(time_ns), name
    return _rounded(time_ns), f"{name}|{_json(attributes)}|0"


def _tags(form: Form) -> dict[str, str]:
    tags = {key: _text(value) for key, value in (form["resource"] | form["attributes"]).items()}
    del tags["service.name"]
    scope_name, scope_version = form["scope"]
    code, description = form["status"]
    facts = {
        "otel.library.name": scope_name,
        "otel.library.version": scope_version,
        "span.kind": "internal" if form["kind"] == 1 else "",
        "otel.status_code": _STATUSES.get(code, ""),
        "otel.status_description": description,
        "w3c.tracestate": form["trace state"],
        "error": "true" if code == 2 else "",
    }
    for at, (trace_id, span_id, attributes, _) in enumerate(form["links"]):
        facts[f"otlp.link.{at}"] = f"{trace_id}|{span_id}||{_json(attributes)}|0"
    return tags | {key: text for key, text in facts.items() if text}


def _text(value: Value) -> str:
    kind, said = value
    return said if kind == "string" else gojson.dumps(_plain(value))


def _json(attributes: Mapping[str, Value]) -> str:
    plain = {key: _plain(value) for key, value in attributes.items()}
    return gojson.dumps(plain, escape_html=True)


def _plain(value: Value) -> Any:
    kind, said = value
    if kind == "array":
        return [_plain(item) for item in said]
    return float(said) if kind == "double" else said
