"""A trace as Jaeger's query API gives it, by its spans and as a tree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from .jaeger import Jaeger
from .process import wait_for


class Seen(NamedTuple):
    """One span, as Jaeger has it."""

    span_id: str
    parent_id: str | None
    name: str
    service: str
    process: dict[str, Any]
    flags: int
    start_us: int
    tags: dict[str, Any]
    events: list[dict[str, Any]]
    """The fields of each log, in the order of Jaeger."""

    @property
    def kind(self) -> str | None:
        """The kind in its tags."""
        return self.tags.get("span.kind")


def find(
    jaeger: Jaeger, service: str, tags: Mapping[str, str], *, spans: int, timeout_s: float = 30
) -> tuple[str, list[Seen]]:
    """Return the id and the spans of the one trace with a span of *service* with *tags*.

    Looks as Jaeger's UI does, until there are as many *spans* as given.

    Raises:
        TimeoutError: they did not arrive in time.
    """

    def whole() -> dict[str, Any] | None:
        traces = jaeger.api("traces", service=service, tags=json.dumps(dict(tags)))
        assert len(traces) <= 1, [trace["traceID"] for trace in traces]
        return next((trace for trace in traces if len(trace["spans"]) >= spans), None)

    trace = wait_for(f"trace of {spans} spans with {dict(tags)} of {service}", whole, timeout_s)
    return trace["traceID"], spans_of(trace)


def fetch(jaeger: Jaeger, trace_id: str, *, spans: int, timeout_s: float = 30) -> list[Seen]:
    """Return the spans of the trace with that id, once there are as many *spans* as given.

    Raises:
        TimeoutError: they did not arrive in time.
    """

    def whole() -> dict[str, Any] | None:
        traces = jaeger.api(f"traces/{trace_id}")
        return next((trace for trace in traces if len(trace["spans"]) >= spans), None)

    return spans_of(wait_for(f"{spans} spans of trace {trace_id}", whole, timeout_s))


def spans_of(trace: dict[str, Any]) -> list[Seen]:
    """Return the spans of *trace* in the order of their start."""
    seen = [_seen(span, trace["processes"][span["processID"]]) for span in trace["spans"]]
    return sorted(seen, key=lambda span: span.start_us)


def _seen(span: dict[str, Any], process: dict[str, Any]) -> Seen:
    assert {reference["refType"] for reference in span["references"]} <= {"CHILD_OF"}
    assert {reference["traceID"] for reference in span["references"]} <= {span["traceID"]}
    parents = [reference["spanID"] for reference in span["references"]]
    assert len(parents) <= 1
    return Seen(
        span_id=span["spanID"],
        parent_id=parents[0] if parents else None,
        name=span["operationName"],
        service=process["serviceName"],
        process=_values(process["tags"]),
        flags=span.get("flags", 0),
        start_us=span["startTime"],
        tags=_values(span["tags"]),
        events=[_values(log["fields"]) for log in span["logs"]],
    )


def _values(tags: list[dict[str, Any]]) -> dict[str, Any]:
    values = {tag["key"]: tag["value"] for tag in tags}
    assert len(values) == len(tags), "a key is there twice"
    return values


def roots(spans: list[Seen]) -> list[Seen]:
    """Return those of *spans* whose parent is not among them."""
    known = {span.span_id for span in spans}
    return [span for span in spans if span.parent_id not in known]


def root(spans: list[Seen]) -> Seen:
    """Return the only one of *spans* whose parent is not among them."""
    (only,) = roots(spans)
    return only


def outline(spans: list[Seen]) -> str:
    """Return *spans* as a tree in text, `service: name (kind)` a line.

    Children come in the order of *spans*.
    """
    return "\n".join(line for each in roots(spans) for line in _lines(each, spans, ""))


def _lines(span: Seen, spans: list[Seen], indent: str) -> list[str]:
    lines = [f"{indent}{span.service}: {span.name}" + (f" ({span.kind})" if span.kind else "")]
    for child in spans:
        if child.parent_id == span.span_id:
            lines += _lines(child, spans, indent + "  ")
    return lines
