"""The pages in docs/ say what is so."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import textwrap
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import httpx
import opentelemetry.environment_variables as api_variables
import opentelemetry.instrumentation.environment_variables as instrumentation_variables
import opentelemetry.sdk.environment_variables as sdk_variables

from iox_otel import Span, SpanContext, SpanRecorder, current, traced
from iox_otel.http import TraceLayer
from iox_otel.testing import CapturingTraceCollector

DOCS = Path(__file__).parents[2] / "docs"


def code_of(page: str, heading: str) -> list[str]:
    """Return the code blocks under *heading* of docs/*page*."""
    section = (DOCS / page).read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"(?:^ {4}.*\n(?:\n(?= {4}))?)+", section, re.MULTILINE)
    return [textwrap.dedent(block) for block in blocks]


class StandInClient:
    """Starlette's TestClient as far as the page uses it; importing that one warns of httpx."""

    def __init__(self, app: Any) -> None:
        self._transport = httpx.ASGITransport(app)

    def get(self, path: str, *, headers: dict[str, str]) -> httpx.Response:
        """Send one request."""

        async def get() -> httpx.Response:
            async with httpx.AsyncClient(
                transport=self._transport, base_url="http://test"
            ) as client:
                return await client.get(path, headers=headers)

        return asyncio.run(get())


def example_app() -> Any:
    """Return the application of examples/fastapi_app.py, which exports nowhere here."""
    path = DOCS.parent / "examples" / "fastapi_app.py"
    spec = importlib.util.spec_from_file_location("fastapi_app", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app


def test_the_testing_examples_run() -> None:
    """What docs/library.md shows under Testing passes as it stands."""
    names = {
        "Span": Span,
        "SpanRecorder": SpanRecorder,
        "TestClient": StandInClient,
        "TraceLayer": TraceLayer,
        "app": example_app(),
    }
    blocks = code_of("library.md", "Testing")
    assert len(blocks) == 5
    for code in blocks[:2]:
        assert "assert " in code
        exec(compile(code, "docs/library.md", "exec"), names)


@traced("load cart")
def load_cart(number: int) -> None:
    """What the examples test."""
    live = current.get()
    assert isinstance(live, Span)
    live.set_metadata("cart", number)


@traced
def total(items: list[int]) -> None:
    """What the examples test."""
    for item in items:
        context = SpanContext.current()
        assert context is not None
        with context.recorder("price") as price:
            price.set_metadata("item", item)


def test_the_examples_with_the_fixture_run() -> None:
    """Three tests as somebody would write them."""
    names: dict[str, Any] = {
        "load_cart": load_cart,
        "total": total,
        "TestClient": StandInClient,
        "TraceLayer": TraceLayer,
        "app": example_app(),
    }
    for code in code_of("library.md", "Testing")[2:]:
        exec(compile(code, "docs/library.md", "exec"), names)
    tests = [name for name in names if name.startswith("test_")]
    assert len(tests) == 3
    for name in tests:
        names[name](CapturingTraceCollector())


def variables_table() -> list[tuple[list[str], str]]:
    """Return the rows of the table of OpenTelemetry's variables: their names, and how it goes."""
    section = (DOCS / "opentelemetry.md").read_text().partition("## OpenTelemetry's variables\n")[2]
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", section, re.MULTILINE)
    return [(re.findall(r"`(OTEL_[A-Z_*]+)`", names), honoured) for names, honoured in rows]


def test_every_variable_of_opentelemetry_is_in_the_table() -> None:
    """All that its packages name, each once."""
    listed = [name for names, _ in variables_table() for name in names]
    assert len(listed) == len(set(listed))
    known = {
        name
        for module in (api_variables, sdk_variables, instrumentation_variables)
        for name in vars(module)
        if name.startswith("OTEL_")
    }
    known -= {name for name in known if any(fnmatch(name, each) for each in listed)}
    # Of packages that are not ours: kept as names only, or made up for a default.
    assert known <= {"OTEL_EXPORTER_JAEGER_AGENT_HOST"}, sorted(known)


def test_every_variable_that_is_honoured_is_tested() -> None:
    """Each that the table says is honoured has a test that sets it."""
    tests = "".join(path.read_text() for path in (DOCS.parent / "tests").rglob("test_*.py"))
    honoured = [name for names, how in variables_table() if how == "yes" for name in names]
    assert len(honoured) > 20
    missing = [name for name in honoured if f'"{name}"' not in tests and f"{name}=" not in tests]
    assert not missing
