"""Runs one decoder under atheris, LLVM's coverage-guided fuzzer for Python, in this process."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import atheris

SUMMARY = "summary.json"
MAX_INPUT_BYTES = 4_096
_INSTRUMENTED = ["iox_otel", "iox_otel_bridge", "thrift", "google.protobuf.json_format"]


def main(module: str, runs: int, folder: Path, max_s: int) -> None:
    """Fuzz; does not return. What fails is left in *folder*, and the last summary.

    Args:
        module: of `fuzzkit`, with a DECODER.
        runs: so many inputs.
        folder: has the corpus, to which inputs that reach something new are added.
        max_s: after so many seconds it is over, with fewer inputs.
    """
    with atheris.instrument_imports(include=_INSTRUMENTED, enable_loader_override=False):
        decoder = importlib.import_module(f"fuzzkit.{module}").DECODER
        from fuzzkit.watch import Watch
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    watch = Watch(decoder.run)
    for number, seed in enumerate(decoder.seeds()):
        (corpus / f"seed{number}").write_bytes(seed)
        watch(seed)
    words = folder / "words.txt"
    words.write_text("# what libFuzzer puts into inputs\n" + "\n".join(map(_quoted, decoder.words)))
    summary = folder / SUMMARY

    def run(body: bytes) -> None:
        watch(body)
        if watch.inputs % 1_000 == 0 or watch.inputs >= runs:
            summary.write_text(json.dumps({k: v for k, v in vars(watch).items() if k[0] != "_"}))

    options = [
        f"-atheris_runs={runs}",
        f"-max_total_time={max_s}",
        f"-max_len={MAX_INPUT_BYTES}",
        f"-artifact_prefix={folder}/",
        f"-dict={words}",
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        str(corpus),
    ]
    atheris.Setup([sys.argv[0], *options], run)
    atheris.Fuzz()


def _quoted(word: str) -> str:
    """Return *word* as a line of one of libFuzzer's dictionaries has it."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in word.encode()) + '"'


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
