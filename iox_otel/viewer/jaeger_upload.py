"""Traces from Jaeger's JSON, as its query API gives them and its page saves them.

`jaeger_json` gives out again what is read here. A span that had come as OTLP says so by its tag
`internal.span.format`; the tags that Jaeger makes of its other fields become these again.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Container, Iterator, Mapping
from typing import Any, NamedTuple

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from iox_otel_bridge.wire.jaeger_decode import REF_TYPE

from .fields import (
    NOTHING,
    as_flags,
    as_list,
    as_ns,
    as_span_id,
    as_text,
    as_texts,
    as_trace_id,
    get,
)
from .jaeger_warnings import add_warnings
from .stored import Batch, Source
from .tags import KINDS

_FORMAT = "internal.span.format"
_STATUSES = {"OK": Status.STATUS_CODE_OK, "ERROR": Status.STATUS_CODE_ERROR}
_ODD = {"NaN": math.nan, "+Inf": math.inf, "-Inf": -math.inf}


class _Reference(NamedTuple):
    is_child: bool
    """Or else it follows from what it refers to."""
    trace_id: bytes
    span_id: bytes


def spans_of(said: Mapping[str, Any]) -> Iterator[Batch]:
    """Give what is in Jaeger's JSON: an answer of its API, or one trace of it.

    Raises:
        DecodeError: it is none.
    """
    traces = get(said, "data", as_list) if "data" in said else [said]
    for trace in traces:
        yield from _batches(trace)


def _batches(trace: Any) -> Iterator[Batch]:
    processes = {key: _resource(each) for key, each in get(trace, "processes", dict).items()}
    for span in get(trace, "spans", as_list):
        resource = processes.get(get(span, "processID", str, ""))
        if resource is None:  # within the span, as Elasticsearch has it
            resource = get(span, "process", _resource)
        yield _batch(span, resource)


def _batch(said: Any, resource: Resource) -> Batch:
    attributes = _attributes(said, "tags")
    source = Source.OTLP if _take(attributes, _FORMAT, ("otlp",)) else Source.JAEGER
    if sum(each.key == _FORMAT for each in attributes) == 1 and source is Source.JAEGER:
        _take(attributes, _FORMAT, ("proto",))  # any other is kept with the span
    start_ns = get(said, "startTime", as_ns)
    span = Span(
        trace_id=get(said, "traceID", as_trace_id),
        span_id=get(said, "spanID", as_span_id),
        name=get(said, "operationName", as_text),
        start_time_unix_nano=start_ns,
        end_time_unix_nano=get(said, "duration", lambda value: as_ns(value, start_ns)),
        attributes=attributes,
    )
    for log in get(said, "logs", as_list, NOTHING):
        _add_event(span, log, source)
    scope = InstrumentationScope()
    _add_references(span, said, source)
    if source is Source.OTLP:
        _restore(span, scope)
    else:
        span.flags = get(said, "flags", as_flags, 0)
    add_warnings(span, get(said, "warnings", as_texts, NOTHING))
    return Batch(resource, scope, [span], source)


def _resource(process: Any) -> Resource:
    resource = Resource()
    name = get(process, "serviceName", as_text)
    resource.attributes.add(key="service.name").value.string_value = name
    resource.attributes.extend(_attributes(process, "tags"))
    return resource


def _add_event(span: Span, log: Any, source: Source) -> None:
    event = span.events.add(time_unix_nano=get(log, "timestamp", as_ns))
    fields = _attributes(log, "fields")
    named = [field for field in fields if field.key == "event"]
    # As OTLP, an attribute of that key stands in the name's place: several were attributes all.
    if named and named[0].value.string_value and (source is Source.JAEGER or len(named) == 1):
        event.name = _take(fields, "event")
    event.attributes.extend(fields)


def _add_references(span: Span, said: Any, source: Source) -> None:
    """Add the references, of which the one that Jaeger takes for the parent is it."""
    references = [_reference(each) for each in get(said, "references", as_list, NOTHING)]
    if parent_id := get(said, "parentSpanID", as_span_id, b""):  # as older versions have it
        references.insert(0, _Reference(True, span.trace_id, parent_id))
    same = [each for each in references if each.trace_id == span.trace_id]
    children = [each for each in same if each.is_child]
    parent = next(iter(children or same), None)
    if parent is not None:
        span.parent_span_id = parent.span_id
    for reference in references:
        if source is Source.OTLP and reference is parent and reference.is_child:
            continue
        link = span.links.add(trace_id=reference.trace_id, span_id=reference.span_id)
        if source is Source.JAEGER or reference.is_child:
            kind = "child_of" if reference.is_child else "follows_from"
            link.attributes.add(key=REF_TYPE).value.string_value = kind


def _reference(said: Any) -> _Reference:
    return _Reference(
        get(said, "refType", lambda kind: bool(kind == "CHILD_OF")),
        get(said, "traceID", as_trace_id),
        get(said, "spanID", as_span_id),
    )


def _restore(span: Span, scope: InstrumentationScope) -> None:
    """Make of the tags that stand for fields of OTLP these fields; of several the first one."""
    left = list(span.attributes)
    scope.name = _take(left, "otel.scope.name")
    scope.version = _take(left, "otel.scope.version")
    if kind := _take(left, "span.kind", KINDS[1:]):
        span.kind = KINDS.index(kind)  # type: ignore[assignment]  # a number is as good
    error = KeyValue(key="error", value=AnyValue(bool_value=True))
    # The one tag that Jaeger makes of an error goes with the other.
    statuses = ("OK", "ERROR") if error in left else ("OK",)
    if status := _take(left, "otel.status_code", statuses):
        span.status.code = _STATUSES[status]
    if message := _take(left, "otel.status_description"):
        span.status.message = message
    span.trace_state = _take(left, "w3c.tracestate")
    if span.status.code == Status.STATUS_CODE_ERROR:
        left.remove(error)
    del span.attributes[:]
    span.attributes.extend(left)


def _take(attributes: list[KeyValue], key: str, wanted: Container[str] | None = None) -> str:
    """Take the first text of *key* out of *attributes*, and return it; empty if there is none.

    It is one of *wanted*, if that is given.
    """
    for each in attributes:
        text = each.value.string_value
        if each.key == key and text and (wanted is None or text in wanted):
            attributes.remove(each)
            return text
    return ""


def _attributes(said: Any, field: str) -> list[KeyValue]:
    return [_attribute(tag) for tag in get(said, field, as_list, NOTHING)]


def _attribute(tag: Any) -> KeyValue:
    kind = get(tag, "type", str, "string").lower()
    value = get(tag, "value", lambda value: _value(kind, value))
    return KeyValue(key=get(tag, "key", as_text), value=value)


def _value(kind: str, said: Any) -> AnyValue:
    match kind:
        case "bool":
            return AnyValue(bool_value=said in (True, "true"))
        case "int64":
            return AnyValue(int_value=int(said))
        case "float64":
            return AnyValue(double_value=_ODD[said] if said in _ODD else float(said))
        case "binary":
            return AnyValue(bytes_value=base64.b64decode(said, validate=True))
    return AnyValue(string_value=str(said))
