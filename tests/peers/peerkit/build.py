"""`make peers`: build or fetch each peer once, into a cache folder outside the repository.

    python -m peerkit.build

The folder is `PEERS_DIR`, by default `~/.cache/iox-otel/peers`. A peer's folder there is named
after what went into it, so a new version or manifest builds anew and an old clone keeps its own.
Sources come from the package registries that Go and Maven are set up for. Exits with 3, naming what
is missing, on a machine without Go, Java or Maven.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from string import Template

HERE = Path(__file__).parents[1]
VERSIONS = tomllib.loads((HERE / "versions.toml").read_text())
MISSING_TOOLS = 3
"""The exit status where a tool is missing."""
TIMEOUT_S = 30 * 60


def peers_dir() -> Path:
    """Return the cache folder."""
    default = Path.home() / ".cache" / "iox-otel" / "peers"
    return Path(os.environ.get("PEERS_DIR") or default).absolute()


def _manifest() -> str:
    return Template((HERE / "manifest.yaml").read_text()).substitute(VERSIONS["collector"])


def _run(*command: str, cwd: Path) -> None:
    """Run *command* and show what it prints only if it fails."""
    environment = {**os.environ, "GOFLAGS": "-buildvcs=false -mod=mod", "CGO_ENABLED": "0"}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed with status {done.returncode}:\n{done.stdout}")


def _build_collector(folder: Path) -> None:
    builder = f"go.opentelemetry.io/collector/cmd/builder@v{VERSIONS['collector']['version']}"
    (folder / "manifest.yaml").write_text(_manifest())
    _run("go", "run", builder, "--config", "manifest.yaml", "--output-path", "built", cwd=folder)
    (folder / "built" / "otelcol").rename(folder / "otelcol")
    shutil.rmtree(folder / "built")


def _build_jaeger(folder: Path) -> None:
    package = "github.com/jaegertracing/jaeger/cmd/all-in-one"
    _run("go", "mod", "init", "peer", cwd=folder)
    _run("go", "get", f"{package}@v{VERSIONS['jaeger']['version']}", cwd=folder)
    _run("go", "build", "-ldflags=-s -w", "-o", "jaeger", package, cwd=folder)


def _fetch_zipkin(folder: Path) -> None:
    artifact = f"io.zipkin:zipkin-server:{VERSIONS['zipkin']['version']}:jar:exec"
    copy = f"org.apache.maven.plugins:maven-dependency-plugin:{VERSIONS['zipkin']['plugin']}:copy"
    _run("mvn", "-B", copy, f"-Dartifact={artifact}", "-DoutputDirectory=.", cwd=folder)
    (jar,) = folder.glob("*.jar")
    digest = hashlib.sha256(jar.read_bytes()).hexdigest()
    if digest != VERSIONS["zipkin"]["sha256"]:
        sys.exit(f"{jar.name} has sha256 {digest}, not {VERSIONS['zipkin']['sha256']}")
    jar.rename(folder / "zipkin.jar")


class Peer:
    """One thing to build.

    Args:
        name: the peer, as in versions.toml.
        file: what the tests run, in the peer's folder.
        recipe: builds it into the folder given.
        tools: the commands that the recipe and running need.
    """

    def __init__(
        self, name: str, file: str, recipe: Callable[[Path], None], tools: tuple[str, ...]
    ) -> None:
        self.name = name
        self.file = file
        self.recipe = recipe
        self.tools = tools

    @property
    def path(self) -> Path:
        """Where the built peer is, or will be."""
        made_from = repr(VERSIONS[self.name]) + (_manifest() if self.name == "collector" else "")
        digest = hashlib.sha256(made_from.encode()).hexdigest()[:12]
        return peers_dir() / f"{self.name}-{VERSIONS[self.name]['version']}-{digest}" / self.file

    def build(self) -> None:
        """Build the peer, unless it is there; a build cut short leaves nothing that looks whole."""
        if self.path.exists():
            print(f"{self.name}: {self.path}")
            return
        print(f"{self.name}: getting it, which can take minutes", flush=True)
        peers_dir().mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        with tempfile.TemporaryDirectory(dir=peers_dir(), prefix=f"{self.name}-") as scratch:
            folder = Path(scratch) / "made"
            folder.mkdir()
            self.recipe(folder)
            shutil.rmtree(self.path.parent, ignore_errors=True)
            folder.rename(self.path.parent)
        print(f"{self.name}: {self.path} (built in {time.monotonic() - start:.0f} s)")


COLLECTOR = Peer("collector", "otelcol", _build_collector, ("go",))
JAEGER = Peer("jaeger", "jaeger", _build_jaeger, ("go",))
ZIPKIN = Peer("zipkin", "zipkin.jar", _fetch_zipkin, ("java", "mvn"))
PEERS = (ZIPKIN, JAEGER, COLLECTOR)


def missing_tools() -> list[str]:
    """Return the commands that are needed and not on PATH; to build only if not built yet."""
    needed = {tool for peer in PEERS if not peer.path.exists() for tool in peer.tools}
    return sorted(tool for tool in needed | {"java"} if shutil.which(tool) is None)


def main() -> int:
    """Build every peer; return the exit status."""
    if missing := missing_tools():
        print(
            f"Not on PATH: {', '.join(missing)}. "
            "Go builds the Collector and Jaeger, Maven fetches Zipkin, Java runs it.",
            file=sys.stderr,
        )
        return MISSING_TOOLS
    for peer in PEERS:
        peer.build()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted; what was whole stays, the rest is built again next time")
