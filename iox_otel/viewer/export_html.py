"""One trace as one HTML file, which needs no server: the page's own modules, styles and the trace.

A browser loads no module from a file, so the modules become one script: each a function that
returns what it exports, in an order in which every module comes after those it imports. The policy
of the file allows that script and its styles by their hashes, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from .modules import IMPORT, ModuleError, order_of, resolved, source_of
from .pages import PAGE

START = "trace/standalone.js"
SHEETS = ("base", "colours", "controls", "shell", "trace")

_EXPORT = re.compile(
    r"^export (?=(?:async )?function\*? (\w+)|const (\w+)|class (\w+))", re.MULTILINE
)
_LEFT_OVER = re.compile(r"^\s*(?:import\b(?!\()|export\b).*$|\bimport\(", re.MULTILINE)


class _Parts(NamedTuple):
    style: str
    script: str
    policy: str


def export_html(trace: Mapping[str, object]) -> str:
    """Return *trace*, as the page's API gives it, as an HTML file.

    Raises ModuleError if the page's modules import in a circle or in a form unknown here.
    """
    parts = _parts()
    values = {**parts._asdict(), "trace": _json_in_html(trace)}
    template = (PAGE / "export.html").read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], template)


@cache
def _parts() -> _Parts:
    style = "\n".join((PAGE / f"css/{name}.css").read_text("utf-8") for name in SHEETS)
    script = bundle(PAGE / "js", START)
    for text in (style, script):
        if re.search(r"</(?:style|script)|<!--", text, re.IGNORECASE):
            raise ModuleError("a module or a style sheet would end its own element")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return _Parts(style, script, policy)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _json_in_html(value: object) -> str:
    """JSON that no HTML parser takes for markup."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def bundle(root: Path, start: str) -> str:
    """Return the module *start* and all it imports, relative to *root*, as one script.

    The script calls the function `start` that the first module exports. Raises ModuleError.
    """
    order = order_of(root, start)
    numbers = {path: f"m{index}" for index, path in enumerate(order)}
    modules = [_function(root, path, numbers) for path in order]
    return "\n".join(['(() => {\n"use strict";', *modules, f"{numbers[start]}.start();\n}})();"])


def _function(root: Path, path: str, numbers: Mapping[str, str]) -> str:
    def bound(found: re.Match[str]) -> str:
        module = numbers[resolved(path, found["path"])]
        names = found["whole"] or "{" + re.sub(r"\s+as\s+", ": ", found["names"]) + "}"
        return f"const {names} = {module};"

    source = IMPORT.sub(bound, source_of(root, path))
    exported = [next(filter(None, found.groups())) for found in _EXPORT.finditer(source)]
    source = _EXPORT.sub("", source)
    if odd := _LEFT_OVER.search(source):
        raise ModuleError(f"{path}: not understood: {odd[0].strip()}")
    returned = f"return {{{', '.join(exported)}}};"
    return f"const {numbers[path]} = (() => {{ // {path}\n{source}\n{returned}\n}})();"
