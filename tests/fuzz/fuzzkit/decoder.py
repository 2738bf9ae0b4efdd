"""What the decoders have in common: an input is refused in one line, or kept, shown and let go."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from iox_otel.viewer import jaeger_json, otlp_json, page_json
from iox_otel.viewer.counts import Counts
from iox_otel.viewer.intake.accepting import Accepting
from iox_otel.viewer.outline import outline_of
from iox_otel.viewer.store import Store
from iox_otel.viewer.stored import Batch
from iox_otel.viewer.uploads import read_upload
from iox_otel.viewer.writer import Writer
from iox_otel_bridge.wire.errors import DecodeError

LONGEST_REFUSAL = 500
_STORED = 64
"""One of so many inputs that are read is stored and shown too, which takes longest."""


class Decoder(NamedTuple):
    """Something to fuzz."""

    name: str
    run: Callable[[bytes], bool]
    """Decodes an input, with all that the viewer does to it; tells whether it was read. Raises if
    there is a defect."""
    seeds: Callable[[], Sequence[bytes]]
    """Returns inputs to begin with."""
    words: Sequence[str] = ()
    """What is worth putting into an input."""


def read(decode: Callable[[bytes], Iterable[Batch]], body: bytes) -> list[Batch] | None:
    """Return what *decode* makes of *body*; None if it refuses it, as it may: in one short line."""
    try:
        return list(decode(body))
    except DecodeError as refusal:
        line = str(refusal)
        assert line and len(line) <= LONGEST_REFUSAL, f"refused with {len(line)} letters"
        assert "\n" not in line, f"refused with more than a line: {line!r}"
        return None


class Keeper:
    """Does what the viewer does to spans once they are decoded."""

    def __init__(self) -> None:
        self.counts = Counts()
        self._store = Store(max_spans=1_000, max_mb=8)
        self._accepting = Accepting(writer := Writer(self._store), self.counts)
        writer.close()  # for what is checked it is not needed, nor a thread when the process ends

    def keep(self, batches: Iterable[Batch], body: bytes) -> None:
        """Check and cut *batches*, and store and show some of them; *body* is where they were."""
        kept, refused = self._accepting.checked(batches)
        assert refused >= 0
        if zlib.crc32(body) % _STORED == 0:
            for trace_id in self._store.add(kept):
                self._show(trace_id)

    def _show(self, trace_id: bytes) -> None:
        spans = self._store.trace(trace_id)
        json.dumps(page_json.trace_of(spans))
        outline_of(spans)
        for written in (jaeger_json.trace_of(spans), otlp_json.trace_of(spans)):
            again = read_upload(json.dumps(written).encode())
            assert sum(len(batch.spans) for batch in again) == len(spans), "spans are lost"
