"""The page's modules: which a module needs, by itself and through those it imports."""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import dirname, join, normpath

IMPORT = re.compile(
    r'^import (?:\{(?P<names>[^}]*)\}|\* as (?P<whole>\w+)) from "(?P<path>[^"]+)";$', re.MULTILINE
)


class ModuleError(Exception):
    """A module of the page is written in a way that is not understood here."""


def order_of(root: Path, *starts: str) -> list[str]:
    """Return the modules *starts* and all they import, each after those that it imports itself.

    They are paths relative to *root*. Raises ModuleError if some import in a circle.
    """
    order: list[str] = []
    for start in starts:
        _visit(root, start, order, ())
    return order


def source_of(root: Path, path: str) -> str:
    """Return the text of a module."""
    return (root / path).read_text("utf-8")


def resolved(path: str, relative: str) -> str:
    """Return what the module *path* imports as *relative*."""
    return normpath(join(dirname(path), relative))


def _visit(root: Path, path: str, order: list[str], above: tuple[str, ...]) -> None:
    if path in above:
        raise ModuleError(f"modules import in a circle: {' → '.join((*above, path))}")
    if path in order:
        return
    for found in IMPORT.finditer(source_of(root, path)):
        _visit(root, resolved(path, found["path"]), order, (*above, path))
    order.append(path)
