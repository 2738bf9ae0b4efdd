"""Hostile input costs what its length costs: twice as much takes no more than about twice as long.

Times are CPU time of this thread, the least of several runs. They may grow by three with each of
four doublings, 81 in all, as large blocks of memory make a step somewhere: what is linear grows by
16, what is quadratic by 256. Memory is what Python's allocators give.
"""

from __future__ import annotations

import gc
import resource
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from iox_otel.conductor.lineprotocol import Precision, parse
from iox_otel.conductor.partitions import QueryError
from iox_otel.conductor.sql_limits import check_chains
from iox_otel.http import HeaderError, TraceHeaderParser
from iox_otel.viewer.uploads import read_upload
from iox_otel_bridge.propagator import IoxPropagator, JaegerPropagator, PropagatorHeaderParser
from iox_otel_bridge.wire.errors import DecodeError
from iox_otel_bridge.wire.jaeger_decode import decode_datagram
from iox_otel_bridge.wire.otlp_decode import read_json_request, read_request

DOUBLINGS = 4
FACTOR = 3
RUNS = 3
ENOUGH_S = 0.001
"""A run that takes less is too short to measure: the input is made larger first."""
MOST = 50_000
MAX_EXTRA_BYTES = 16 << 20

Work = Callable[[int], Callable[[], object]]
"""Returns, for a size, what to measure: the input is made before."""


def outcome(work: Callable[[], object]) -> object:
    """Do it; a refusal is as good as a result."""
    try:
        return work()
    except (HeaderError, DecodeError, QueryError):
        return None


def least_s(work: Callable[[], object]) -> float:
    """Return the CPU time that it takes when nothing disturbs it."""
    times = []
    for _ in range(RUNS):
        start_s = time.thread_time()
        outcome(work)
        times.append(time.thread_time() - start_s)
    return min(times)


def growth(work: Work, size: int) -> float:
    """Return by what the time grows with so many doublings, begun where it can be measured."""
    gc.collect()
    gc.disable()
    try:
        while (before_s := least_s(work(size))) < ENOUGH_S and size < MOST:
            size *= 2
        return least_s(work(size << DOUBLINGS)) / max(before_s, ENOUGH_S / 4)
    finally:
        gc.enable()


def headers(name: bytes, unit: bytes) -> Work:
    """One header of a long value."""

    def of(size: int) -> Callable[[], object]:
        pairs = [(name, unit * size)]
        return lambda: TraceHeaderParser().parse(pairs)

    return of


def many_headers(parser: Any, name: bytes, value: bytes) -> Work:
    """Many small headers."""

    def of(size: int) -> Callable[[], object]:
        pairs = [(b"uber-trace-id", b"1:1:0:1"), *[(name, value)] * size]
        return lambda: parser.parse(pairs)

    return of


@dataclass(frozen=True)
class Body:
    """A body that repeats something."""

    read: Callable[[bytes], Any]
    before: bytes
    unit: bytes
    after: bytes = b""

    def __call__(self, size: int) -> Callable[[], object]:
        whole = self.before + self.unit * size + self.after
        return lambda: list(self.read(whole)) if self.read is read_upload else self.read(whole)


def lines(unit: str, after: str = "") -> Work:
    """A text of line protocol that repeats something."""

    def of(size: int) -> Callable[[], object]:
        text = unit * size + after
        return lambda: sum(1 for _ in parse(text, precision=Precision.AUTO, now_ns=0))

    return of


def sql(before: str, unit: str) -> Work:
    """A query that repeats something; {} in it is each time another number."""

    def of(size: int) -> Callable[[], object]:
        text = before + "".join(unit.replace("{}", str(number)) for number in range(size))
        return lambda: check_chains(text)

    return of


def nested(depth: int) -> bytes:
    """Return a request in protobuf with an attribute of lists in lists, so many."""
    value = b""
    for tag in [*b"\x0a\x2a" * depth, 0x12, 0x0A, 0x0A, 0x0A]:
        value = bytes((tag,)) + _varint(len(value)) + value
    return value


def too_deep(size: int) -> Callable[[], object]:
    """Lists in lists, as many as there is room for."""
    whole = b"\x2a\x7f\x0a\x7d" * size
    return lambda: read_request(b"\x0a\x7f\x0a\x7d\x0a\x7b\x12\x79" + whole)


def _varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes((number & 0x7F | 0x80,))
        number >>= 7
    return out + bytes((number,))


EMIT = b"\x82\x81\x00\x09emitBatch"
SPANS = b'{"resourceSpans": [{"scopeSpans": [{"spans": ['
SPAN = b'{"traceId": "%s", "spanId": "%s", "links": [{"traceId": "12"}]}' % (b"1" * 32, b"2" * 16)
JAEGER = (
    b'{"traceID": "1", "spanID": "2", "processID": "p", "operationName": "o", "startTime": 1, '
    b'"duration": 1}'
)
DERIVED = type("Derived", (JaegerPropagator,), {"header_names": None})()
"""Has all headers put into a Context, baggage too."""
HOSTILE: dict[str, Work] = {
    "colons": headers(b"uber-trace-id", b":"),
    "encoded colons": headers(b"uber-trace-id", b"%3A"),
    "zeros": headers(b"uber-trace-id", b"0"),
    "dashes": headers(b"b3", b"-"),
    "a long traceparent": headers(b"traceparent", b"00-"),
    "blanks": headers(b"traceparent", b" \t"),
    "a long debug id": headers(b"jaeger-debug-id", b"\xff"),
    "members of a tracestate": headers(b"tracestate", b"a=1,"),
    "many tracestates": many_headers(TraceHeaderParser(), b"tracestate", b"a=1"),
    "many headers": many_headers(PropagatorHeaderParser(IoxPropagator()), b"x-a", b""),
    "the same header": many_headers(TraceHeaderParser(), b"uber-trace-id", b":"),
    "much baggage": many_headers(PropagatorHeaderParser(DERIVED), b"uberctx-a", b"1"),
    "open JSON lists": Body(read_upload, b"", b"["),
    "JSON lists": Body(read_upload, b"[", b"[],", b"[]]"),
    "JSON of unknown fields": Body(read_json_request, b'{"x":[', b'{"y":1},', b"1]}"),
    "JSON spans": Body(read_json_request, SPANS, SPAN + b",", SPAN + b"]}]}]}"),
    "JSON spans of a file": Body(read_upload, SPANS, SPAN + b",", SPAN + b"]}]}]}"),
    "Jaeger's spans": Body(
        read_upload,
        b'{"processes": {"p": {"serviceName": "s"}}, "spans": [',
        JAEGER + b",",
        JAEGER + b"]}",
    ),
    "JSON lines": Body(read_upload, b"", b'{"data": []}\n'),
    "broken JSON lines": Body(read_upload, b"", b'{"data": []}\n', b"{"),
    "JSON digits": Body(read_upload, b"[", b"9", b"]"),
    "JSON escapes": Body(read_upload, b'["', b"\\u0000", b'"]'),
    "protobuf depth": Body(read_request, b"", nested(40)),
    "too much protobuf depth": too_deep,
    "protobuf resources": Body(read_request, b"", b"\x0a\x00" * 50),
    "protobuf varints": Body(read_request, b"", b"\xff"),
    "protobuf unknown fields": Body(read_request, b"", b"\x78\x01"),
    "lines": lines("m,t=a f=1\n"),
    "open quotes": lines('m f="\n'),
    "quotes": lines('m f="a", "=\n'),
    "escapes": lines("\\,"),
    "backslashes": lines("m\\\\ f=1\n"),
    "fields": lines("a=1u,", "b=1"),
    "tags": lines("m,", " f=1"),
    "equals signs": lines("m f=" + "=" * 50 + "\n"),
    "tiny floats": lines("m a=1e-310,b=1e-320 1\n"),
    "blank lines": lines("\n \t\r\n"),
    "comments": lines('# "\n'),
    "SQL columns": sql("select ", "f + 1,"),
    "SQL brackets": sql("", "("),
    "SQL words": sql("", "e"),
    "SQL digits": sql("?", "1"),
    "SQL letters of a tag": sql("$", "a"),
    "SQL signs": sql("", "#"),
    "open SQL comments": sql("", "/* , "),
    "SQL comments": sql("", "/**/ , "),
    "ends of SQL comments": sql("/*", "*/ , "),
    "open SQL tags": sql("", "$a{}$ , "),
    "SQL tags": sql("$a$", " $aa"),
    **{
        f"open SQL text: {quote}": sql(quote, unit)
        for quote in ("'", '"', "`", "$$", "E'", "x'", "r'''", 'R"""')
        for unit in (", \\", f"{quote[-1] * 2} , ")
    },
}


@pytest.mark.parametrize("what", HOSTILE)
def test_time_grows_with_the_input(what: str) -> None:
    """Twice as much takes less than three times as long."""
    assert growth(HOSTILE[what], 500) < FACTOR**DOUBLINGS


BODIES = {what: work for what, work in HOSTILE.items() if isinstance(work, Body)}
BODY_BYTES = 64 << 10


@pytest.mark.parametrize("what", BODIES)
def test_no_body_takes_much(what: str) -> None:
    """One of 64 KB, read or refused, takes no more than 16 MB beside."""
    body = BODIES[what]
    assert extra_bytes(body(BODY_BYTES // len(body.unit))) < MAX_EXTRA_BYTES


def test_no_body_takes_much_of_the_process() -> None:
    """Nor do all of them, one after the other, with what C libraries take for themselves."""
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)
    assert int(done.stdout) < MAX_EXTRA_BYTES


DATAGRAM_BYTES = 65_000
DATAGRAMS: dict[str, Callable[[int], bytes]] = {
    "deep structs": lambda size: EMIT + b"\x5c" + b"\x1c" * size,
    "deep lists": lambda size: EMIT + b"\x59" + b"\x19" * size,
    "a long varint": lambda size: EMIT + b"\x56" + b"\xff" * size,
    "a huge list": lambda size: EMIT + b"\x1c\x29\xfc\xff\xff\xff\xff\x07" + b"\0" * size,
    "a list as long as it can be": lambda size: (
        EMIT + b"\x1c\x29\xfc" + _varint(size) + b"\0" * size
    ),
    "a huge text": lambda size: EMIT + b"\x1c\x1c\x18\xff\xff\xff\xff\x07" + b"x" * size,
    "a long name": lambda size: b"\x82\x81\x00" + _varint(size) + b"\xff" * size,
    "lists of lists": lambda size: EMIT + b"\x59" + b"\xf9\x10" * (size // 2),
    "zeros": lambda size: EMIT + bytes(size),
}


@pytest.mark.parametrize("what", DATAGRAMS)
def test_no_datagram_takes_long_or_much(what: str) -> None:
    """Time as for other input, beyond what one can hold; the longest takes no more than 16 MB."""
    whole = DATAGRAMS[what]
    assert growth(lambda size: partial(decode_datagram, whole(size)), 500) < FACTOR**DOUBLINGS
    assert extra_bytes(partial(decode_datagram, whole(DATAGRAM_BYTES))) < MAX_EXTRA_BYTES


LONG_LINES = {
    "tags": "m," * 500_000 + " f=1",
    "escapes": "\\," * 500_000 + " f=1",
    "fields": "m " + "a=1u," * 160_000 + "b=1",
    "a string": 'm f="' + "x" * 1_000_000 + '"',
    "quotes": 'm f="' + '"' * 1_000_000,
}


@pytest.mark.parametrize("what", LONG_LINES)
def test_no_line_takes_much(what: str) -> None:
    """One of 1 MB, read or refused, takes no more than 16 MB beside."""
    text = LONG_LINES[what]
    work = lines(text)(1)
    assert extra_bytes(work) < MAX_EXTRA_BYTES


def extra_bytes(work: Callable[[], object]) -> int:
    """Return what Python's allocator gave for it at most."""
    tracemalloc.start()
    try:
        outcome(work)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    outcome(BODIES["protobuf depth"](1))
    before = _peak_bytes()
    for each in BODIES.values():
        outcome(each(BODY_BYTES // len(each.unit)))
    print(_peak_bytes() - before)
