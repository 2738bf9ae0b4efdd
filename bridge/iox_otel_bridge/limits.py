"""OpenTelemetry's variables for the limits of spans, and of attributes in general."""

from __future__ import annotations

from collections.abc import Mapping

from iox_otel import SpanLimits

from .setting_types import checked, first_set, whole_number

_MOST = (1 << 31) - 1
VARIABLES: dict[str, tuple[str, ...]] = {
    "metadata": ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"),
    "events": ("OTEL_SPAN_EVENT_COUNT_LIMIT",),
    "links": ("OTEL_SPAN_LINK_COUNT_LIMIT",),
    "event_metadata": ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"),
    "value_chars": ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
}
"""By the fields of `SpanLimits`; the first that is set counts. (Links here have no metadata.)"""


def span_limits_of(environ: Mapping[str, str]) -> SpanLimits:
    """Return the limits that *environ* asks for, OpenTelemetry's defaults elsewhere.

    Raises:
        ConfigError: a value is no whole number; the line names the variable.
    """
    said = {}
    for name, variables in VARIABLES.items():
        variable, given = first_set(environ, variables)
        if given:
            said[name] = checked(whole_number(0, _MOST), given, variable)
    return SpanLimits(**said)
