"""Metadata and attributes as Jaeger Tags, and what of them Thrift cannot carry mended."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from math import isfinite
from operator import itemgetter
from typing import Any

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
    text, since Jaeger answers a query that finds one with an error for all its traces; so do
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
    if isfinite(value):
        return DoubleTag(key, value)
    return StrTag(key, "NaN" if value != value else "+Inf" if value > 0 else "-Inf")


_MAKERS: dict[type, Callable[[str, Any], AnyTag]] = {
    str: StrTag,
    float: _double,
    bool: BoolTag,
    int: LongTag,
}


def _converted(key: str, value: object) -> AnyTag:
    try:
        if isinstance(value, int):
            return LongTag(key, int(value))
        if isinstance(value, float):
            return _double(key, float(value))
        if isinstance(value, (list, tuple, dict)):
            return StrTag(key, _json(value))
    except Exception:  # a subclass of the application's, or a circle
        pass
    return StrTag(key, text_of(value))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=text_of)


def text_of(value: object) -> str:
    """Return *value* as text that has a UTF-8 form, "?" for a lone surrogate; never raises."""
    try:
        text = str.__str__(value) if isinstance(value, str) else str(value)
    except Exception:
        if isinstance(value, int):  # str() refuses more than 4,300 digits
            text = int.__format__(value, "#x")
        else:
            text = f"<{type(value).__name__}: unprintable>"
    return text.encode("utf-8", "replace").decode()


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
