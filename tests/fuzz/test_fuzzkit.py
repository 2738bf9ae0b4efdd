"""What `make fuzz` runs, on its seeds; and that it finds what it looks for."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from fuzzkit import jaeger_thrift, otlp_protobuf, summary, trace_json
from fuzzkit.decoder import Decoder, read
from fuzzkit.watch import MAX_EXTRA_BYTES, TooMuchMemory, TooSlow, Watch
from iox_otel.viewer.stored import Batch
from iox_otel_bridge.wire.errors import DecodeError

DECODERS = (jaeger_thrift.DECODER, otlp_protobuf.DECODER, trace_json.DECODER)


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.name)
def test_seeds_are_read(decoder: Decoder) -> None:
    """Each is read, as it is what a client sends; cut in two or turned round, nothing raises."""
    watch = Watch(decoder.run)
    seeds = decoder.seeds()
    for seed in seeds:
        watch(seed)
    assert watch.was_read == watch.inputs == len(seeds)
    for seed in seeds:
        for damaged in (seed[: len(seed) // 2], seed[::-1], seed + seed):
            watch(damaged)


def test_what_is_slow_fails() -> None:
    """An input that takes longer than its length allows is a failure."""

    def slow(_: bytes) -> bool:
        end_s = time.thread_time() + 0.2
        while time.thread_time() < end_s:
            pass
        return True

    with pytest.raises(TooSlow, match=r"3 bytes took 2\d\d ms"):
        Watch(slow)(b"abc")


def test_what_takes_memory_fails() -> None:
    """So is one that takes more memory than it may; here in a block that the heap never keeps."""

    def large(body: bytes) -> bool:
        return len(b"x" * (4 * MAX_EXTRA_BYTES)) > len(body)

    watch = Watch(large)
    with pytest.raises(TooMuchMemory, match="0 bytes took"):
        watch(b"")


def test_a_long_refusal_fails() -> None:
    """So is a refusal of more than a short line."""

    def refusing(body: bytes) -> list[Batch]:
        raise DecodeError(body.decode())

    assert read(refusing, b"no") is None
    for bad in (b"", b"a\nb", b"x" * 501):
        with pytest.raises(AssertionError):
            read(refusing, bad)


def test_the_page_has_full_runs_only(tmp_path: Path) -> None:
    """A table is made of a million inputs for each decoder, and of no fewer."""
    path = tmp_path / "build" / "summary.json"
    assert summary.table(path) == []
    found = [
        summary.Found(module, summary.FULL_RUNS, 7_000, 1_234, 125_400_000, 3 << 19, 0)
        for module in summary.NAMES
    ]
    summary.save(found, path)
    lines = summary.table(path)
    cells = "| 1,000,000 | 7,000 | 1,234 | 125 ms | 1.5 MB | 0 |"
    assert sum(line.endswith(cells) for line in lines) == len(summary.NAMES)
    assert re.fullmatch(r"\(Run on \d{4}-\d\d-\d\d\.\)", lines[-1])
    summary.save([*found[:2], found[2]._replace(inputs=summary.FULL_RUNS - 1)], path)
    assert summary.table(path) == []
