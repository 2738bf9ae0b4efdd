"""The template of the route that served a request, from what the router left in the scope."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def route_template(scope: Mapping[str, Any]) -> str | None:
    """Return OpenTelemetry's `http.route`, say `/sub/items/{id}`; None if no route matched.

    Starlette leaves the innermost route in the scope, and the path of the mounts around it in
    `root_path`. A mount that is followed by no route of its own gives `/sub/{path}`. Litestar
    leaves the template itself.
    """
    route = scope.get("route")
    if route is None:
        template = scope.get("path_template")
        return template if isinstance(template, str) else None
    path = _path_format(scope, route)
    if path is None:
        return None
    if path == f"{getattr(route, 'path', None)}/{{path}}":  # a Mount: `root_path` has it already
        return _mounted_at(scope, ()) + "/{path}"
    return _mounted_at(scope, getattr(route, "param_convertors", ())) + path


def _path_format(scope: Mapping[str, Any], route: object) -> str | None:
    # The routes of a router that a FastAPI application includes do not know its prefix; FastAPI
    # keeps the whole in a record of its own.
    fastapi = scope.get("fastapi")
    if isinstance(fastapi, Mapping):
        effective = fastapi.get("effective_route_context")
        if getattr(effective, "original_route", None) is route:
            route = effective
    for attribute in ("path_format", "path"):
        path = getattr(route, attribute, None)
        if isinstance(path, str):
            return path
    return None


def _mounted_at(scope: Mapping[str, Any], own_params: Collection[str]) -> str:
    """Return `root_path` with the values of mounts' parameters turned back into their names."""
    root: str = scope.get("root_path") or ""
    params = scope.get("path_params")
    if not root or not params:
        return root
    served_under: str = scope.get("app_root_path") or ""  # no mount's: where the server put us
    if not root.startswith(served_under):
        return root
    segments = root[len(served_under) :].split("/")
    for name, value in params.items():
        if name not in own_params and (text := str(value)) in segments:
            segments[segments.index(text)] = f"{{{name}}}"
    return served_under + "/".join(segments)
