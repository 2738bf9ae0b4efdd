"""What makes the sender of each exporter, and imports what only that exporter uses."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from .notices import Notices
from .surroundings import GREENLETS_STOP, greenlets_stop_for_grpc

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from .config import TracingConfig
    from .exporters.otlp_grpc import OtlpGrpcSender
    from .exporters.otlp_http import OtlpHttpSender
    from .sender import Sender


class Sink(NamedTuple):
    """Where spans can go."""

    make_sender: Callable[[], Sender]
    """Called again in every forked child, which needs sockets and channels of its own."""
    destination: str
    """In words, for the operator; holds no secrets."""


def sink(exporter: str, config: TracingConfig, resource: Resource) -> Sink:
    """Return the sink that *exporter* names, with everything imported that it will use.

    Raises:
        ValueError: it cannot be set up, for instance because of an OTEL_EXPORTER_OTLP_* variable.
    """
    return _SINKS[exporter](config, resource)


def _jaeger(config: TracingConfig, resource: Resource) -> Sink:
    from .exporters.jaeger import JaegerSender

    host, port = config.jaeger_agent_host, config.jaeger_agent_port
    make_sender = partial(
        JaegerSender,
        host=host,
        port=port,
        resource=resource,
        max_packet_bytes=config.jaeger_max_packet_bytes,
        max_msgs_per_second=config.jaeger_max_msgs_per_second,
    )
    return Sink(make_sender, f"udp://[{host}]:{port}" if ":" in host else f"udp://{host}:{port}")


def _otlp(config: TracingConfig, resource: Resource) -> Sink:
    sender_class = _otlp_sender_class(config.otlp_protocol)
    make_sender = partial(sender_class, resource=resource, endpoint=config.otlp_endpoint)
    first = make_sender()  # what its variables hold shows here, not on the worker
    return Sink(_beginning_with(first, make_sender), f"{first.endpoint} by {config.otlp_protocol}")


def _otlp_sender_class(protocol: str) -> type[OtlpGrpcSender | OtlpHttpSender]:
    if protocol == "grpc":
        from .exporters.otlp_grpc import OtlpGrpcSender

        if greenlets_stop_for_grpc():
            Notices("otlp").say(GREENLETS_STOP)
        return OtlpGrpcSender
    from .exporters.otlp_http import OtlpHttpSender

    return OtlpHttpSender


def _beginning_with(first: Sender, make_sender: Callable[[], Sender]) -> Callable[[], Sender]:
    """Return what gives *first* away, and later calls *make_sender*."""
    made = [first]
    return lambda: made.pop() if made else make_sender()


def _console(config: TracingConfig, resource: Resource) -> Sink:
    from .exporters.console import ConsoleFormat, ConsoleSender

    # TracingConfig has checked that it is one of these.
    format = cast("ConsoleFormat", config.console_format)
    make_sender = partial(ConsoleSender, resource=resource, format=format)
    return Sink(make_sender, "stdout")


_SINKS = {"jaeger": _jaeger, "otlp": _otlp, "console": _console}
