"""What the viewer needs to be installed."""

from __future__ import annotations

import subprocess
import sys
import urllib.request

from peerkit.process import clean_environment

ONLY_VIEWER = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"datafusion", "pyarrow", "line_protocol_parser", "fastapi"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from iox_otel.cli import main
main()
"""
FLAGS = ("--port", "0", "--udp-port", "0", "--otlp-grpc-port", "0", "--otlp-http-port", "0")


def test_the_viewer_does_without_what_the_server_needs() -> None:
    """With the extra `viewer` alone it serves its page, and the terminal can ask it."""
    command = [sys.executable, "-W", "error", "-c", ONLY_VIEWER]
    viewer = subprocess.Popen(
        [*command, "viewer", *FLAGS], env=clean_environment(), stderr=subprocess.PIPE, text=True
    )
    try:
        assert viewer.stderr is not None
        url = viewer.stderr.readline().split()[3].removesuffix("/search;")
        with urllib.request.urlopen(f"{url}/search") as page:
            assert b"/js/app.js" in page.read()
        traces = subprocess.run(
            [*command, "traces", "--url", url],
            env=clean_environment(),
            capture_output=True,
            text=True,
        )
        assert (traces.returncode, traces.stderr) == (0, "No traces of the last 2d fit\n")
    finally:
        viewer.terminate()
        viewer.communicate(timeout=20)
