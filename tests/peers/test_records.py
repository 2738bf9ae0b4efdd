"""The Collector's file is read whole, whatever a killed Collector has left in it."""

from __future__ import annotations

import json

from peerkit.records import START, records


def record(name: str) -> str:
    """Return a record with one span, as the file exporter writes it."""
    spans = [{"spans": [{"name": name}]}]
    record = {"resourceSpans": [{"resource": {}, "scopeSpans": spans}]}
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def names(text: str) -> list[str]:
    """Return the names of the spans in *text*."""
    return [each["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"] for each in records(text)]


def test_a_record_after_a_torn_one_is_read() -> None:
    """Wherever the write was cut short, at its line's end too, the others are all there."""
    first, torn, last = record("first"), record("torn"), record("last")
    for length in range(len(torn)):
        text = f"{first}\n{torn[:length]}{last}\n"
        assert names(text) == ["first", "last"], torn[:length]
    assert names(f"{first}\n{torn}{last}\n") == ["first", "torn", "last"]


def test_no_text_in_a_span_looks_like_the_start_of_a_record() -> None:
    """A name may hold a record's start, and what other readers take for a line's end."""
    for name in (START, "a\u2028b\x85c", '{"', "\\" + START):
        assert names(record(name) + "\n") == [name]
