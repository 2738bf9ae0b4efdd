"""What `make fuzz` runs, on its seeds; and that it finds what it looks for."""

from __future__ import annotations

import time

import pytest

from fuzzkit import jaeger_thrift, otlp_protobuf, trace_json
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
