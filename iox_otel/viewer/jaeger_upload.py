"""Traces from Jaeger's JSON, as its query API gives them and its page saves them.

`jaeger_json` gives out again what is read here. A span that had come as OTLP says so by its tag
`internal.span.format`; the tags that Jaeger makes of its other fields become these again.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Container, Iterator, Mapping
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from iox_otel_bridge.wire.errors import DecodeError
from iox_otel_bridge.wire.jaeger_decode import REF_TYPE

from .jaeger_warnings import add_warnings
from .stored import Batch, Source
from .tags import KINDS

_FORMAT = "internal.span.format"
_STATUSES = {"OK": Status.STATUS_CODE_OK, "ERROR": Status.STATUS_CODE_ERROR}
_ODD = {"NaN": math.nan, "+Inf": math.inf, "-Inf": -math.inf}


def spans_of(said: Mapping[str, Any]) -> Iterator[Batch]:
    """Give what is in Jaeger's JSON: an answer of its API, or one trace of it.

    Raises:
        DecodeError: it is none.
    """
    try:
        for trace in said.get("data", [said]):
            yield from _batches(trace)
    except DecodeError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as exc:
        raise DecodeError(f"not a trace in Jaeger's JSON: {exc!r}"[:300]) from exc


def _batches(trace: Mapping[str, Any]) -> Iterator[Batch]:
    processes = {key: _resource(process) for key, process in trace["processes"].items()}
    for span in trace["spans"]:
        resource = processes.get(span.get("processID", ""))
        if resource is None:  # within the span, as Elasticsearch has it
            resource = _resource(span["process"])
        yield _batch(span, resource)


def _batch(said: Mapping[str, Any], resource: Resource) -> Batch:
    attributes = [_attribute(tag) for tag in said.get("tags") or ()]
    source = Source.OTLP if _take(attributes, _FORMAT, ("otlp",)) else Source.JAEGER
    if sum(each.key == _FORMAT for each in attributes) == 1 and source is Source.JAEGER:
        _take(attributes, _FORMAT, ("proto",))  # any other is kept with the span
    start_ns = int(said["startTime"]) * 1_000
    span = Span(
        trace_id=_id(said["traceID"], 16),
        span_id=_id(said["spanID"], 8),
        name=said["operationName"],
        start_time_unix_nano=start_ns,
        end_time_unix_nano=start_ns + int(said["duration"]) * 1_000,
        attributes=attributes,
    )
    for log in said.get("logs") or ():
        _add_event(span, log, source)
    scope = InstrumentationScope()
    _add_references(span, said, source)
    if source is Source.OTLP:
        _restore(span, scope)
    else:
        span.flags = int(said.get("flags") or 0)
    add_warnings(span, said.get("warnings") or ())
    return Batch(resource, scope, [span], source)


def _resource(process: Mapping[str, Any]) -> Resource:
    resource = Resource()
    resource.attributes.add(key="service.name").value.string_value = process["serviceName"]
    resource.attributes.extend(_attribute(tag) for tag in process.get("tags") or ())
    return resource


def _add_event(span: Span, log: Mapping[str, Any], source: Source) -> None:
    event = span.events.add(time_unix_nano=int(log["timestamp"]) * 1_000)
    fields = [_attribute(field) for field in log.get("fields") or ()]
    named = [field for field in fields if field.key == "event"]
    # As OTLP, an attribute of that key stands in the name's place: several were attributes all.
    if named and named[0].value.string_value and (source is Source.JAEGER or len(named) == 1):
        event.name = _take(fields, "event")
    event.attributes.extend(fields)


def _add_references(span: Span, said: Mapping[str, Any], source: Source) -> None:
    """Add the references, of which the one that Jaeger takes for the parent is it."""
    references = list(said.get("references") or ())
    if said.get("parentSpanID"):  # as older versions have it
        references.insert(
            0,
            {"refType": "CHILD_OF", "traceID": said["traceID"], "spanID": said["parentSpanID"]},
        )
    same = [each for each in references if _id(each["traceID"], 16) == span.trace_id]
    children = [each for each in same if each["refType"] == "CHILD_OF"]
    parent = next(iter(children or same), None)
    if parent is not None:
        span.parent_span_id = _id(parent["spanID"], 8)
    for reference in references:
        is_child = reference["refType"] == "CHILD_OF"
        if source is Source.OTLP and reference is parent and is_child:
            continue
        link = span.links.add(
            trace_id=_id(reference["traceID"], 16), span_id=_id(reference["spanID"], 8)
        )
        if source is Source.JAEGER or is_child:
            kind = "child_of" if is_child else "follows_from"
            link.attributes.add(key=REF_TYPE).value.string_value = kind


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


def _attribute(tag: Mapping[str, Any]) -> KeyValue:
    made = KeyValue(key=tag["key"])
    value = tag["value"]
    match str(tag.get("type", "string")).lower():
        case "bool":
            made.value.bool_value = value in (True, "true")
        case "int64":
            made.value.int_value = int(value)
        case "float64":
            made.value.double_value = _ODD[value] if value in _ODD else float(value)
        case "binary":
            made.value.bytes_value = base64.b64decode(value, validate=True)
        case _:
            made.value.string_value = str(value)
    return made


def _id(text: str, length: int) -> bytes:
    digits = text.rjust(2 * length, "0")
    if len(digits) != 2 * length:
        raise DecodeError(f"{text[:40]!r} is longer than {2 * length} hexadecimal digits")
    return bytes.fromhex(digits)
