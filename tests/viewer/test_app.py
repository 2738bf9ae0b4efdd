"""Viewer: what holds its parts together, from the first span to the last."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from iox_otel.viewer.app import Viewer

Make = Any


def test_closing_stores_what_came_in(tmp_path: Path, make: Make) -> None:
    """All that waits in the queue is in the file afterwards."""
    path = tmp_path / "traces.db"
    with Viewer(path) as viewer, viewer.store.reading():
        for trace in range(1, 3_001):
            batches = [make.batch([make.span(trace, 1)])]
            assert viewer.writer.put(partial(list, batches), 1_000)
    with Viewer(path) as viewer:
        assert viewer.store.kept().traces == 3_000


def test_the_status_of_an_empty_viewer() -> None:
    """It tells its limits, and that nothing is listened on or lost."""
    with Viewer(max_spans=5, max_mb=3) as viewer:
        viewer.listen({})
        status = viewer.status()
    none = {"udp": 0, "grpc": 0, "http": 0}
    assert status["version"] == version("iox-otel")
    assert status["traces"] == {"kept": 0, "seen": 0}
    assert status["spans"] == {"kept": 0, "seen": 0, "max": 5, "cut": 0}
    assert status["bytes"]["max"] == 3 << 20
    assert status["intake"] == dict.fromkeys(none)
    assert status["isEmbedded"] is False
    assert status["loss"] == {
        "datagrams": 0,
        "processes": [],
        "rejected": none,
        "postponed": {"grpc": 0, "http": 0},
        "notStored": 0,
    }


def test_what_is_beyond_the_limit_is_told(make: Make) -> None:
    """Spans of a trace that is larger than all there may be are counted, not kept."""
    with Viewer(max_spans=5) as viewer:
        viewer.store.add([make.batch([make.span(1, number) for number in range(1, 9)])])
        spans = viewer.status()["spans"]
    assert (spans["kept"], spans["cut"]) == (5, 3)
