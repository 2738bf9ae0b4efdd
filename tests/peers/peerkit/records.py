"""The records of the file that the Collector's file exporter writes, also after it was killed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from . import gojson

START = b'{"resourceSpans":['
"""How a record starts. Nothing inside one reads like this: in a JSON text `"` stands as `\\"`."""


def records(written: bytes) -> Iterator[dict[str, Any]]:
    """Give the records in *written*, one a line, but those that a Collector died of writing.

    The kernel ends the write of a killed process at the edge of a page, and the Collector that
    comes after goes on from there: one line then holds what was written of one record, and the
    whole of the next. What was cut short was not acknowledged, and was sent again.
    """
    for line in written.split(b"\n"):
        for rest in line.split(START)[1:]:
            try:
                yield gojson.loads(START + rest)
            except ValueError:
                continue
