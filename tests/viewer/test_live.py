"""The event stream: a page is told of what arrives, and ends with the server."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from iox_otel.viewer.live import Live, Rows

Make = Any
Receiving = Any
LONG_S = 10


@pytest.fixture
def events(receiving: Receiving) -> Iterator[Iterator[tuple[str, Any]]]:
    """The events of a stream, by name; the first one has come."""
    with httpx.stream("GET", f"{receiving.url}/api/viewer/stream", timeout=LONG_S) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        yield _events(answer.iter_lines())


def _events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    for line in lines:
        if line.startswith("event: "):
            yield line.removeprefix("event: "), json.loads(next(lines).removeprefix("data: "))


def store(receiving: Receiving, make: Make, *traces: int) -> None:
    """Have the viewer store traces as an intake does."""
    batch = make.batch([make.span(trace, 1) for trace in traces])
    assert receiving.viewer.writer.put(lambda: [batch], 1)


def test_a_new_trace(receiving: Receiving, make: Make, events: Iterator[tuple[str, Any]]) -> None:
    """Within a second a page knows its row, which is that of the list."""
    assert next(events) == ("status", receiving.viewer.status())
    put_s = time.monotonic()
    store(receiving, make, 1)
    name, row = next(events)
    assert time.monotonic() - put_s < 1
    assert name == "trace"
    assert httpx.get(f"{receiving.url}/api/viewer/traces").json()["data"] == [row]


def test_the_status_when_it_changes(
    receiving: Receiving, events: Iterator[tuple[str, Any]]
) -> None:
    """What was lost is told of without a reload."""
    assert next(events)[1]["loss"]["rejected"]["udp"] == 0
    receiving.viewer.counts.reject("udp", 2)
    said = next(said for name, said in events if name == "status" and said["loss"]["rejected"])
    while said["loss"]["rejected"]["udp"] != 2:
        said = next(events)[1]


def test_many_traces_at_once(
    receiving: Receiving, make: Make, events: Iterator[tuple[str, Any]]
) -> None:
    """A page is told of the newest hundred of a moment; the status has the number of all."""
    next(events)
    live = receiving.viewer.live
    for first in (1, 251):
        batch = make.batch([make.span(trace, 1) for trace in range(first, first + 250)])
        live.note(receiving.viewer.store.add([batch]))
    told: list[int] = []
    while not {401, 500} <= set(told):
        name, said = next(events)
        told += [int(said["traceID"], 16)] if name == "trace" else []
    assert set(range(401, 501)) <= set(told)
    for trace in range(1, 501):
        live.note([make.trace_id(trace)])
        assert len(live._pending) <= 100


def test_a_slow_reader(receiving: Receiving, make: Make) -> None:
    """What it does not read is not kept for it beyond a bound, and others are served."""
    host, _, port = receiving.url.removeprefix("http://").rpartition(":")
    live = receiving.viewer.live
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        slow.connect((host, int(port)))
        slow.sendall(b"GET /api/viewer/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        receiving.wait_until(lambda: live._pages)
        (queue,) = live._pages
        name = "n" * 50_000
        store_s = time.monotonic() + LONG_S
        trace = 0
        while not queue.full():
            assert time.monotonic() < store_s
            for _ in range(50):
                trace += 1
                receiving.viewer.store.add([make.batch([make.span(trace, 1, name=name)])])
                live.note([make.trace_id(trace)])
            threading.Event().wait(0.05)
        for trace in range(1, 500):
            live.note([make.trace_id(trace)])
        assert queue.qsize() == queue.maxsize
        with httpx.stream("GET", f"{receiving.url}/api/viewer/stream", timeout=LONG_S) as other:
            events = _events(other.iter_lines())
            assert next(events)[0] == "status"
            live.note([make.trace_id(1)])
            assert next(events)[0] == "trace"
    receiving.wait_until(lambda: queue not in live._pages)


def test_it_ends_with_the_server(receiving: Receiving, events: Iterator[tuple[str, Any]]) -> None:
    """A stream that is open ends by itself, and does not hold up the end."""
    next(events)
    receiving.viewer.live.close()
    assert [name for name, _ in events if name == "trace"] == []
    receiving.wait_until(lambda: not receiving.viewer.live._pages)


def test_an_error_of_the_database(
    receiving: Receiving, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and what is stored afterwards is told of again."""
    live, faults = receiving.viewer.live, [OSError("the disk is gone")]
    of_store: Rows = live._rows_of

    def rows(trace_ids: list[bytes]) -> list[dict[str, Any]]:
        if faults and trace_ids:
            raise faults.pop()
        return of_store(trace_ids)

    live._rows_of = rows
    with httpx.stream("GET", f"{receiving.url}/api/viewer/stream", timeout=LONG_S) as answer:
        events = _events(answer.iter_lines())
        next(events)
        store(receiving, make, 1)
        receiving.wait_until(lambda: not faults)
        store(receiving, make, 2)
        assert next(row["traceID"] for name, row in events if name == "trace") == f"{2:032x}"
    assert [each.message for each in caplog.records if each.name == "iox_otel.viewer"] == [
        "cannot tell the pages of new traces: the disk is gone"
    ]


def test_nothing_is_noted_without_pages() -> None:
    """What nobody looks at costs nothing."""
    live = Live(lambda _: [], dict)
    live.note([b"\1" * 16])
    assert not live._pending
