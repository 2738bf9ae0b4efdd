"""Traces in JSON: OTLP's bodies over HTTP, and files of Jaeger or OTLP that the page uploads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from iox_otel.viewer import jaeger_json, otlp_json
from iox_otel.viewer.stored import Batch, StoredSpan, batches_of
from iox_otel.viewer.uploads import read_upload
from iox_otel_bridge.wire.otlp_decode import read_json_request, read_request

from . import otlp_protobuf
from .decoder import Decoder, Keeper, read

_keeper = Keeper()


def _decode_request(body: bytes) -> Iterator[Batch]:
    yield from batches_of(read_json_request(body))


def _run(body: bytes) -> bool:
    """Run it through both ways in."""
    is_read = False
    for decode in (_decode_request, read_upload):
        batches = read(decode, body)
        if batches:
            _keeper.keep(batches, body)
        is_read |= batches is not None
    return is_read


def _files() -> Iterator[Any]:
    for body in otlp_protobuf.seeds()[1:]:  # without the one that has all spans: it is long
        batches = list(batches_of(read_request(body)))
        yield otlp_json.json_of(batches)
        traces: dict[bytes, list[StoredSpan]] = {}
        for batch in batches:
            for span in batch.spans:
                kept = StoredSpan(span, batch.resource, batch.scope, batch.source, batch.schemas)
                traces.setdefault(kept.trace_id, []).append(kept)
        yield {"data": list(map(jaeger_json.trace_of, traces.values()))}


def _seeds() -> Sequence[bytes]:
    files = [json.dumps(said).encode() for said in _files()]
    return [*files, b"\n".join(files[:2])]


def _words(said: Any) -> set[str]:
    """Return the keys and the texts of *said*, as JSON has them."""
    if isinstance(said, dict):
        return {f'"{key}"' for key in said}.union(*map(_words, said.values()))
    if isinstance(said, list):
        return set().union(*map(_words, said))
    return {json.dumps(said)}


_ODD = {"-0", "1e400", "NaN", "null", "[]", "{}", '"\\ud800"', '"\\u0000"', "9" * 30, "[[[[", "1.5"}
DECODER = Decoder(
    "trace-json",
    _run,
    _seeds,
    tuple(sorted(word for word in _ODD.union(*map(_words, _files())) if len(word) < 60)),
)
