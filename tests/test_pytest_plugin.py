"""The fixture `traces`, as somebody's own tests have it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from iox_otel import SpanContext
from iox_otel.testing import CapturingTraceCollector

TESTS = """
    from iox_otel import traced

    @traced("load cart")
    def load_cart(number):
        return [number]

    def test_passes(traces):
        with traces.root("checkout") as checkout:
            checkout.set_metadata("items", 1)
            load_cart(1)
        traces.assert_tree('''
            checkout items=1
              load cart
        ''')

    def test_is_alone(traces):
        assert traces.spans == []

    def test_fails(traces):
        with traces.root("checkout"):
            load_cart(1)
        traces.assert_tree('''
            checkout
              load order
        ''')
"""


def test_it_is_there_once_it_is_installed(tmp_path: Path) -> None:
    """No import, no conftest; a test that fails shows the lines that differ."""
    (tmp_path / "test_shop.py").write_text(textwrap.dedent(TESTS))
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
    )

    assert "2 passed" in ran.stdout and "1 failed" in ran.stdout, ran.stdout
    assert "warning" not in ran.stdout
    assert "-   load order" in ran.stdout
    assert "+   load cart" in ran.stdout


def test_a_root_is_current(traces: CapturingTraceCollector) -> None:
    """Code that asks for its place finds it."""
    with traces.root() as root:
        context = SpanContext.current()
        assert root.span is not None and context is root.span.ctx

    assert traces.tree() == "test"


def test_a_tree_that_is_not_as_expected(traces: CapturingTraceCollector) -> None:
    """The message has all lines, those that differ marked."""
    with traces.root("request") as request:
        request.child("one").finish()
        request.child("two").finish()
    with pytest.raises(AssertionError) as failed:
        traces.assert_tree("""
            request
              one
              three
        """)

    lines = str(failed.value).splitlines()
    assert lines[0] == "the traces are not as expected:"
    assert sorted(lines[1:]) == sorted(["  request", "    one", "-   three", "+   two"])
