"""The OpenTelemetry side of iox-otel: spans out as Jaeger UDP, OTLP or to the terminal.

Nothing is imported before it is used: a program that only reads its settings loads no exporter.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import TracingConfig
    from .jaeger_remote import JaegerRemoteSampler
    from .processor import BridgeProcessor
    from .propagator import IoxPropagator, JaegerPropagator, PropagatorHeaderParser
    from .sampler import RequestSampler
    from .sender import Stats
    from .setting_types import ConfigError
    from .span import BridgedSpan
    from .tracing import Tracing

__all__ = [
    "BridgeProcessor",
    "BridgedSpan",
    "ConfigError",
    "IoxPropagator",
    "JaegerPropagator",
    "JaegerRemoteSampler",
    "PropagatorHeaderParser",
    "RequestSampler",
    "Stats",
    "Tracing",
    "TracingConfig",
]

_MODULES = {
    "BridgeProcessor": "processor",
    "BridgedSpan": "span",
    "ConfigError": "setting_types",
    "IoxPropagator": "propagator",
    "JaegerPropagator": "propagator",
    "JaegerRemoteSampler": "jaeger_remote",
    "PropagatorHeaderParser": "propagator",
    "RequestSampler": "sampler",
    "Stats": "sender",
    "Tracing": "tracing",
    "TracingConfig": "config",
}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
