"""The Resource: which service, on which host, the spans come from."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

UNKNOWN_SERVICE = "unknown_service"


def attributes_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME and HOSTNAME say.

    A malformed OTEL_RESOURCE_ATTRIBUTES counts as empty and is logged (OpenTelemetry, Resource
    SDK, "Specifying resource information via an environment variable").
    """
    attributes: dict[str, str] = {}
    if hostname := environ.get("HOSTNAME"):
        attributes["host.name"] = hostname
    attributes.update(_pairs(environ.get("OTEL_RESOURCE_ATTRIBUTES", "")))
    if service_name := environ.get("OTEL_SERVICE_NAME"):
        attributes["service.name"] = service_name
    return attributes


def _pairs(listed: str) -> dict[str, str]:
    try:
        return dict(_pair(item) for item in listed.split(",") if item.strip())
    except ValueError:
        logging.getLogger("iox_otel").warning(
            "OTEL_RESOURCE_ATTRIBUTES is not key=value,key=value and is ignored"
        )
        return {}


def _pair(item: str) -> tuple[str, str]:
    key, equals, value = item.partition("=")
    if not equals or not key.strip():
        raise ValueError("expected key=value")
    return unquote(key.strip(), errors="strict"), unquote(value.strip(), errors="strict")


def make_resource(
    attributes: Mapping[str, str],
    *,
    service_name: str | None,
    tags: Mapping[str, str],
    server_id: int | None,
) -> Resource:
    """Return the Resource of all spans; the environment is not read.

    The name `telemetry.sdk.name` stays OpenTelemetry's, since its SDK makes and exports the spans;
    `telemetry.distro.name` says that it does so as part of iox-otel.

    Args:
        attributes: have the lowest precedence.
        service_name: None: what *attributes* say, else "unknown_service".
        tags: beat *attributes* and *server_id*.
        server_id: becomes `service.instance.id`.
    """
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.version import __version__ as sdk_version

    from .span import SCOPE

    merged: dict[str, str] = {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": sdk_version,
        "telemetry.distro.name": "iox-otel",
        "telemetry.distro.version": SCOPE.version or "0",
        "service.name": UNKNOWN_SERVICE,
    }
    merged |= attributes
    if server_id is not None:
        merged["service.instance.id"] = str(server_id)
    merged |= tags
    if service_name is not None:
        merged["service.name"] = service_name
    return Resource(merged)
