"""The Collector's file is read whole, whatever a killed Collector has left in it."""

from __future__ import annotations

import json

from peerkit.records import START, records


def record(name: str) -> bytes:
    """Return a record with one span, as the file exporter writes it."""
    spans = [{"spans": [{"name": name}]}]
    record = {"resourceSpans": [{"resource": {}, "scopeSpans": spans}]}
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


def names(*lines: bytes) -> list[str]:
    """Return the names of the spans in *lines*."""
    found = records(b"".join(line + b"\n" for line in lines))
    return [each["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"] for each in found]


def test_a_record_after_a_torn_one_is_read() -> None:
    """Wherever the write was cut short, at its line's end too, the others are all there."""
    first, torn, last = record("first"), record("törn"), record("last")
    for length in range(len(torn)):
        assert names(first, torn[:length] + last) == ["first", "last"], torn[:length]
    assert names(first, torn + last) == ["first", "törn", "last"]


def test_no_text_in_a_span_looks_like_the_start_of_a_record() -> None:
    """A name may hold a record's start, and what other readers take for a line's end."""
    for name in (START.decode(), "\\" + START.decode(), '{"', "a\u2028b\x85c"):
        assert names(record(name)) == [name]
