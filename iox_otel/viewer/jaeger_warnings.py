"""What a Jaeger thinks of a span: its JSON has a field for that, a span of OTLP has none.

Kept in the attribute that Jaeger 2 has for it, see its `internal/jptrace/attributes.go`.
"""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

KEY = "@jaeger@warnings"


def add_warnings(span: Span, warnings: Iterable[str]) -> None:
    """Keep *warnings* with *span*."""
    if texts := list(warnings):
        values = span.attributes.add(key=KEY).value.array_value.values
        for text in texts:
            values.add(string_value=text)


def take_warnings(span: Span) -> tuple[list[str], Span]:
    """Return the warnings of *span*, and the span without them."""
    kept = [attribute for attribute in span.attributes if not _is_warnings(attribute)]
    if len(kept) == len(span.attributes):
        return [], span
    warnings = [
        value.string_value
        for attribute in filter(_is_warnings, span.attributes)
        for value in attribute.value.array_value.values
    ]
    bare = Span()
    bare.CopyFrom(span)
    del bare.attributes[:]
    bare.attributes.extend(kept)
    return warnings, bare


def _is_warnings(attribute: KeyValue) -> bool:
    if attribute.key != KEY or not attribute.value.HasField("array_value"):
        return False
    return all(value.HasField("string_value") for value in attribute.value.array_value.values)
