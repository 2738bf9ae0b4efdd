"""Metadata and attributes as Jaeger Tags, and what of them Thrift cannot carry mended."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from math import isfinite
from operator import itemgetter
from typing import Any

from iox_otel_bridge.plain import scalar_of, text_of

from .jaeger_types import (
    AnyTag,
    BoolTag,
    DoubleTag,
    LogStruct,
    LongTag,
    SpanStruct,
    StrTag,
)

_I64_MIN = -(1 << 63)
_I64_MAX = (1 << 63) - 1
_by_key = itemgetter(0)


def tags_of(values: Mapping[str, object]) -> list[AnyTag]:
    """Return *values* as tags, sorted by key.

    Text, floats, booleans and integers become tags of that type. NaN and the infinities become
    text, within sequences too: they are no JSON, and Jaeger answers a query that finds one with an
    error for all its traces; so do
    integers beyond 64 bits, once encoding has failed (`mend_tags`). Sequences and mappings become
    JSON text (OpenTelemetry to Jaeger Transformation, "Attributes"), anything else its `str()`.
    """
    try:
        items = sorted(values.items())
    except TypeError:  # keys that are not all text: put there past `set_metadata`
        items = sorted(((text_of(key), value) for key, value in values.items()), key=_by_key)
    return [tag_of(key, value) for key, value in items]


def tag_of(key: str, value: object) -> AnyTag:
    """Return the tag of one value; never raises."""
    if type(key) is not str:
        key = text_of(key)
    make = _MAKERS.get(type(value))
    return make(key, value) if make is not None else _converted(key, value)


def _double(key: str, value: float) -> AnyTag:
    return DoubleTag(key, value) if isfinite(value) else StrTag(key, _not_finite(value))


def _not_finite(value: float) -> str:
    return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"


_MAKERS: dict[type, Callable[[str, Any], AnyTag]] = {
    str: StrTag,
    float: _double,
    bool: BoolTag,
    int: LongTag,
}


def _converted(key: str, value: object) -> AnyTag:
    if issubclass(type(value), list | tuple | dict):
        return StrTag(key, _json(value))
    scalar = scalar_of(value)
    return _MAKERS[type(scalar)](key, scalar)


_encode_json = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=text_of
).encode


def _json(value: object) -> str:
    try:
        try:
            return _encode_json(value)
        except ValueError:  # NaN and the infinities are no JSON
            return _encode_json(_finite(value))
    except Exception:  # a circle, or keys that no object of JSON has
        return text_of(value)


def _finite(value: object) -> object:
    """Return *value* with NaN and the infinities in it as text."""
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return _not_finite(value) if isinstance(value, float) and not isfinite(value) else value


def mend_span(span: SpanStruct) -> None:
    """Change *span*, which failed to encode, so that it does not: texts, numbers, times."""
    span.operationName = text_of(span.operationName)
    span.startTime = _clamped(span.startTime)
    span.duration = _clamped(span.duration)
    span.tags = mend_tags(span.tags)
    for log in span.logs or ():
        _mend_log(log)


def _mend_log(log: LogStruct) -> None:
    log.timestamp = _clamped(log.timestamp)
    log.fields = mend_tags(log.fields) or []


def mend_tags(tags: list[AnyTag] | None) -> list[AnyTag] | None:
    """Return *tags* with valid text, and integers beyond 64 bits as text."""
    return tags and [_mended(tag) for tag in tags]


def _mended(tag: AnyTag) -> AnyTag:
    key = text_of(tag.key)
    if isinstance(tag, StrTag):
        return StrTag(key, text_of(tag.vStr))
    if isinstance(tag, LongTag) and not _I64_MIN <= tag.vLong <= _I64_MAX:
        return StrTag(key, text_of(tag.vLong))
    tag.key = key
    return tag


def _clamped(number: float) -> int:
    return max(_I64_MIN, min(int(number), _I64_MAX))
