"""One trace as one HTML file: the page's modules in one script, and no text that can get out."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from iox_otel.viewer import page_json
from iox_otel.viewer.export_html import START, bundle, export_html
from iox_otel.viewer.modules import ModuleError
from iox_otel.viewer.pages import PAGE
from iox_otel.viewer.store import Store

Make = Any
HOSTILE = [
    "</script><script>alert(1)</script>",
    "</SCRIPT\n>",
    "<!--<script>",
    "]]>",
    "{{script}} {{trace}}",
    "\u2028\u2029",
    "\\u003c/script>",
    "\"&quot;'\\1\\g<1>",
]


class Elements(html.parser.HTMLParser):
    """What a parser makes of a file: the names of elements, and what is in some."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.inner: list[tuple[str, dict[str, str | None], str]] = []
        self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        said = dict(attrs)
        if tag in ("script", "style"):
            self.inner.append((tag, said, ""))
        if said.get("http-equiv") == "Content-Security-Policy":
            self.policy = said["content"] or ""

    def handle_endtag(self, tag: str) -> None:
        self.names.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        if self.names[-1:] in (["script"], ["style"]):
            tag, said, text = self.inner[-1]
            self.inner[-1] = (tag, said, text + data)


def write(root: Path, **modules: str) -> Path:
    """Write modules into a folder."""
    for name, text in modules.items():
        (root / f"{name}.js").write_text(text)
    return root


def test_every_module_is_understood() -> None:
    """Whatever the page imports is in the script, and it is a script that a machine can read."""
    script = bundle(PAGE / "js", START)
    assert not re.search(r"^\s*(import|export)\b", script, re.MULTILINE)
    node = shutil.which("node")
    if node is not None:
        checked = subprocess.run([node, "--check", "-"], input=script, text=True, timeout=30)
        assert checked.returncode == 0


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts(store: Store, make: Make, text: str) -> None:
    """A trace's text stays text: the file has the same elements, and the trace is in it whole."""
    span = make.span(1, 1, name=text, key=text)
    span.attributes.add(key=text).value.string_value = text
    store.add([make.batch([span], text)])
    trace = page_json.trace_of(store.trace(make.trace_id(1)))
    plain = Elements(export_html({}))
    found = Elements(export_html(trace))

    assert found.names == plain.names
    (said,) = [inner for tag, at, inner in found.inner if at.get("id") == "trace"]
    assert json.loads(said) == trace
    assert "<" not in said


def test_the_policy_allows_what_is_there(store: Store, make: Make) -> None:
    """Its own script and styles by their hashes, and nothing else; nothing is loaded."""
    text = export_html({})
    found = Elements(text)
    run = [(tag, inner) for tag, at, inner in found.inner if not at.get("type")]
    for tag, inner in run:
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in found.policy
    assert [tag for tag, _ in run] == ["style", "script"]
    assert "default-src 'none'" in found.policy and "unsafe" not in found.policy
    assert not re.search(r"\b(src|href)=\"(?!#|data:)", text.partition("<script")[0])


def test_imports_and_exports(tmp_path: Path) -> None:
    """Modules come after those that they import, once each, with what they take and give."""
    write(
        tmp_path,
        main='import { one as uno,\n  two } from "./a.js";\nimport * as b from "./b.js";\n'
        "export function start() {\n  console.log(uno(), two, new b.Three().n);\n}\n",
        a="export function one() {\n  return 1;\n}\nexport const two = 2;\n",
        b='import { two } from "./a.js";\nexport class Three {\n  n = two + 1;\n}\n',
    )
    script = bundle(tmp_path, "main.js")
    assert script.count("// a.js") == 1
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node to run it")
    run = subprocess.run([node], input=script, capture_output=True, text=True, timeout=30)
    assert run.stdout == "1 2 3\n"


@pytest.mark.parametrize(
    "text",
    [
        'import a from "./a.js";',
        'import "./a.js";',
        '  import { one } from "./a.js";',
        "export default 1;",
        "export let one = 1;",
        "export { start };",
        'export * from "./a.js";',
        "export const { a } = b;",
        'const a = await import("./a.js");',
    ],
)
def test_what_is_not_understood(tmp_path: Path, text: str) -> None:
    """It is an error that names the module and the line, not a file that does not work."""
    write(tmp_path, main=f"export function start() {{}}\n{text}\n", a="export const one = 1;\n")
    with pytest.raises(ModuleError, match=r"main\.js: not understood"):
        bundle(tmp_path, "main.js")


def test_a_circle(tmp_path: Path) -> None:
    """It is an error that names the modules."""
    write(tmp_path, a='import { b } from "./b.js";\n', b='import { a } from "./a.js";\n')
    with pytest.raises(ModuleError, match=r"circle: a\.js → b\.js → a\.js"):
        bundle(tmp_path, "a.js")
