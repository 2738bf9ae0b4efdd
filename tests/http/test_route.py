"""Tests of the route's template, for scopes as routers leave them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from iox_otel.http._route import route_template

ITEM = SimpleNamespace(
    path="/items/{id:int}", path_format="/items/{id}", param_convertors={"id": 0}
)
MOUNT = SimpleNamespace(path="/sub", path_format="/sub/{path}", param_convertors={"path": 0})


@pytest.mark.parametrize(
    ("scope", "template"),
    [
        ({}, None),
        ({"route": None}, None),
        ({"route": object()}, None),
        ({"route": SimpleNamespace(path=3)}, None),
        ({"route": SimpleNamespace(path="/only/path")}, "/only/path"),
        ({"route": ITEM}, "/items/{id}"),
        ({"route": ITEM, "root_path": None}, "/items/{id}"),
        ({"route": ITEM, "root_path": "/sub", "path_params": {"id": 7}}, "/sub/items/{id}"),
        ({"route": MOUNT, "root_path": "/sub"}, "/sub/{path}"),
        # A value of the route's own parameter may look like a part of the mount.
        (
            {"route": ITEM, "root_path": "/7/x", "path_params": {"tenant": "x", "id": 7}},
            "/7/{tenant}/items/{id}",
        ),
        # What the server was told to serve under is not searched for values.
        (
            {
                "route": ITEM,
                "root_path": "/x/x",
                "app_root_path": "/x",
                "path_params": {"tenant": "x"},
            },
            "/x/{tenant}/items/{id}",
        ),
        (
            {
                "route": ITEM,
                "root_path": "/other",
                "app_root_path": "/x",
                "path_params": {"tenant": "other"},
            },
            "/other/items/{id}",
        ),
        # FastAPI's record of an earlier match says nothing about this route.
        ({"route": ITEM, "fastapi": {"effective_route_context": MOUNT}}, "/items/{id}"),
        ({"route": ITEM, "fastapi": None}, "/items/{id}"),
    ],
)
def test_route_template(scope: dict[str, Any], template: str | None) -> None:
    """The innermost route's template, under the mounts around it."""
    assert route_template(scope) == template
