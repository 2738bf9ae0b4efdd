"""The console exporter, on real pipes and terminals."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TextIO

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, TraceFlags, set_span_in_context
from opentelemetry.trace import SpanContext as OtelSpanContext

from iox_otel import Span, SpanContext
from iox_otel.tree import SpanRecord
from iox_otel_bridge.exporters.console import ConsoleFormat, ConsoleSender
from iox_otel_bridge.processor import BridgeProcessor
from iox_otel_bridge.sender import AnySpan, Batch, Pipeline, Stats, Verdict

LONG_S = 20.0
RESOURCE = Resource({"service.name": "shop"})


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the machine's own terminal settings out of the tests."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")


def sender(
    stream: TextIO | None, format: ConsoleFormat = "tree", clock: Clock | None = None
) -> ConsoleSender:
    return ConsoleSender(resource=RESOURCE, format=format, stream=stream, clock=clock or Clock())


def root(name: str = "root") -> Span:
    span = Span.root(name, None)
    span.start_ns, span.end_ns = 0, 16_000_000
    return span


def child(parent: Span, name: str = "child") -> Span:
    span = parent.child(name)
    span.start_ns, span.end_ns = 4_000_000, 8_000_000
    return span


class Books(Pipeline):
    """What a processor counts of the spans that a sender holds."""

    def __init__(self, console: ConsoleSender) -> None:
        self.delivered = self.failed = 0
        console.bind(self)

    def stats(self) -> Stats:
        raise NotImplementedError

    def settle(self, delivered: int, failed: int) -> None:
        self.delivered += delivered
        self.failed += failed

    def meanwhile(self) -> float:
        return LONG_S


def send(console: ConsoleSender, *spans: AnySpan) -> list[Verdict]:
    return [console.send(batch, 1.0).verdict for batch in console.encode(spans)]


def test_json(stream: io.StringIO) -> None:
    """As JSON, every span is written at once, on a line of its own."""
    parent = root()
    console = sender(stream, "json")
    books = Books(console)

    assert send(console, child(parent), parent) == [Verdict.HELD]
    assert (books.delivered, books.failed) == (2, 0)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["name"] for line in lines] == ["child", "root"]
    assert lines[0]["parent_span_id"] == lines[1]["span_id"]
    assert (lines[0]["service"], lines[0]["scope"]["name"]) == ("shop", "iox-trace")


def test_json_batches_are_bounded(stream: io.StringIO) -> None:
    """Many spans make several batches, with every span in one of them, sizes counted in bytes."""
    spans = [root("ü" * 1_000) for _ in range(500)]

    batches = list(sender(stream, "json").encode(spans))

    assert len(batches) > 2
    assert sum(batch.span_count for batch in batches) == 500
    for batch in batches:
        assert isinstance(batch.payload, str)
        assert len(batch.payload.splitlines()) == batch.span_count
        assert batch.byte_count == len(batch.payload.encode()) < 300 << 10


def test_tree_when_the_root_has_ended(stream: io.StringIO, clock: Clock) -> None:
    """A trace is written 0.2 s after its root, with stragglers, and `idle` says when."""
    console = sender(stream, clock=clock)
    parent = root()
    assert console.idle() is None

    assert send(console, child(parent, "a")) == [Verdict.HELD]
    assert console.idle() == pytest.approx(10)
    assert send(console, parent) == [Verdict.HELD]
    assert console.idle() == pytest.approx(0.2)
    assert send(console, child(parent, "b")) == [Verdict.HELD]
    assert stream.getvalue() == ""
    clock.now_s += 0.21
    assert console.idle() is None

    lines = stream.getvalue().splitlines()
    assert f"── trace {parent.ctx.trace_id:032x} ─ shop ─ 3 spans ─" in lines[0]
    assert [line.split()[0] for line in lines[1:]] == ["root", "├╴a", "└╴b"]


def test_busy_sender_shows_finished_traces_too(stream: io.StringIO, clock: Clock) -> None:
    """Where there is always something to send, and never an idle moment, traces still appear."""
    console = sender(stream, clock=clock)
    send(console, root("first"))
    clock.now_s += 0.3

    send(console, root("second"))

    assert "first" in stream.getvalue()
    assert "second" not in stream.getvalue()


def test_late_span(stream: io.StringIO, clock: Clock) -> None:
    """A span that ends after its trace was written appears under its parent's name."""
    console = sender(stream, clock=clock)
    parent = root("handle")
    send(console, parent)
    clock.now_s += 1
    console.idle()
    stream.truncate(0)

    send(console, child(parent, "cleanup"))
    clock.now_s += 1
    console.idle()

    lines = stream.getvalue().lstrip("\0").splitlines()
    assert " ─ late ─ 1 span ─" in lines[0]
    assert lines[1] == "handle (shown before)"
    assert lines[2].startswith("└╴cleanup  4 ms  █")


def test_root_that_never_ends(stream: io.StringIO, clock: Clock) -> None:
    """Spans whose root does not end are written in the end, as an incomplete trace."""
    console = sender(stream, clock=clock)
    send(console, child(root()))
    clock.now_s += 10

    console.idle()

    assert " ─ incomplete ─ 1 span ─" in stream.getvalue()


def test_remote_parent_is_a_local_root(stream: io.StringIO, clock: Clock) -> None:
    """The span of a request with a trace context ends its trace here, though it has a parent."""
    console = sender(stream, clock=clock)
    ctx = SpanContext(trace_id=1, span_id=2)
    ctx.is_remote = True
    span = ctx.child("IOx http")
    span.start_ns, span.end_ns = 0, 1

    send(console, span)
    clock.now_s += 0.3
    console.idle()

    assert "IOx http" in stream.getvalue()
    assert "incomplete" not in stream.getvalue()


def other_library(parent: Span) -> Sequence[ReadableSpan]:
    """Return a span of an OpenTelemetry library below *parent*."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "db"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    context = OtelSpanContext(
        parent.ctx.trace_id, parent.ctx.span_id, is_remote=False, trace_flags=TraceFlags(1)
    )
    tracer = provider.get_tracer("sql")
    with tracer.start_as_current_span(
        "SELECT", set_span_in_context(NonRecordingSpan(context)), attributes={"rows": 3}
    ):
        pass
    provider.shutdown()
    return exporter.get_finished_spans()


def test_spans_of_both_kinds_in_one_tree(stream: io.StringIO) -> None:
    """Native spans and those of OpenTelemetry libraries stand in the same tree."""
    console = sender(stream)
    parent = root("handle")

    send(console, *other_library(parent), parent)
    assert console.flush(1)

    lines = stream.getvalue().splitlines()
    assert " ─ shop, db ─ 2 spans ─" in lines[0]
    assert lines[1].startswith("handle shop ")
    assert lines[2].startswith("└╴SELECT db ")
    assert lines[3].strip() == "rows=3"


def test_everything_held_is_written_in_the_end(stream: io.StringIO) -> None:
    """`flush` writes what is held, finished or not, and it counts as delivered from then on."""
    console = sender(stream)
    books = Books(console)
    send(console, root("one"), child(root(), "two"))
    assert books.delivered == 0

    assert console.flush(1)

    assert "one" in stream.getvalue() and "two" in stream.getvalue()
    assert (books.delivered, books.failed) == (2, 0)
    assert console.flush(1)
    console.close()
    assert stream.getvalue().count("one") == 1


def test_what_is_held_is_not_written_after_the_end(stream: io.StringIO) -> None:
    """`close` lets go of it: it has been counted as lost by then."""
    console = sender(stream)
    books = Books(console)
    send(console, root())

    console.close()

    assert stream.getvalue() == ""
    assert (books.delivered, books.failed) == (0, 0)


class Terminal:
    """A real terminal, of which this is the other side."""

    def __init__(self) -> None:
        self.fd, inner = pty.openpty()
        self.stream: TextIO = os.fdopen(inner, "w", encoding="utf-8")

    def read_until(self, text: str) -> str:
        got = b""
        deadline_s = time.monotonic() + LONG_S
        while text.encode() not in got:
            assert select.select([self.fd], [], [], deadline_s - time.monotonic())[0], got
            got += os.read(self.fd, 65_536)
        return got.decode()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.stream.close()
    os.close(terminal.fd)


def test_auto_on_a_terminal(terminal: Terminal) -> None:
    """On a terminal "auto" draws trees, in colours."""
    console = sender(terminal.stream, "auto")
    send(console, root())
    assert console.flush(LONG_S)

    text = terminal.read_until("16 ms")

    assert "\x1b[1mroot\x1b[0m" in text
    assert "── " in text


def test_auto_elsewhere(stream: io.StringIO) -> None:
    """Elsewhere "auto" writes JSON lines."""
    send(sender(stream, "auto"), root())

    assert json.loads(stream.getvalue())["name"] == "root"


def test_tree_into_a_file_has_no_colours(stream: io.StringIO) -> None:
    """A tree that was asked for where there is no terminal is plain text."""
    console = sender(stream)
    send(console, root())
    console.flush(1)

    assert "\x1b" not in stream.getvalue()
    assert max(map(len, stream.getvalue().splitlines())) == 80


def test_unknown_format() -> None:
    """A format that does not exist is refused."""
    with pytest.raises(ValueError, match="format must be one of auto, tree, json, got 'xml'"):
        ConsoleSender(resource=RESOURCE, format="xml")  # type: ignore[arg-type]


@pytest.mark.parametrize("format", ["tree", "json"])
def test_ascii_stream(format: ConsoleFormat) -> None:
    """A stream that knows ASCII only gets all of it, escaped where need be."""
    raw = io.BytesIO()
    console = sender(io.TextIOWrapper(raw, "ascii"), format)

    assert send(console, root("größe 表")) == [Verdict.HELD]
    assert console.flush(1)

    assert b"gr\\xf6\\xdfe \\u8868" in raw.getvalue()


def broken_pipe() -> TextIO:
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    return os.fdopen(write_fd, "w")


def closed_stream() -> TextIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("make", [broken_pipe, closed_stream])
def test_broken_stream_as_json(make: type[TextIO], caplog: pytest.LogCaptureFixture) -> None:
    """A stream that is closed or broken fails each batch, with a reason, and raises nothing."""
    stream = make()
    console = sender(stream, "json")

    for _ in range(2):
        (batch,) = console.encode([root()])
        outcome = console.send(batch, 1)
        assert outcome.verdict is Verdict.FATAL
        assert outcome.detail.startswith("cannot write to standard output: ")

    assert not caplog.records  # the worker logs what the outcomes say
    assert console.flush(1)  # what failed was said to have failed; nothing is held
    console.close()
    stream.close()


@pytest.mark.parametrize("make", [broken_pipe, closed_stream])
def test_broken_stream_as_tree(
    make: type[TextIO], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Spans that were held when the stream broke have failed; later ones fail at once."""
    stream = make()
    console = sender(stream, "tree", clock)
    books = Books(console)
    assert send(console, root()) == [Verdict.HELD]

    clock.now_s += 1
    assert console.idle() is None
    assert books.failed == 1
    assert send(console, root(), root()) == [Verdict.HELD]
    assert books.failed == 3
    assert send(console, child(root())) == [Verdict.HELD]
    assert (books.delivered, books.failed) == (0, 4)

    assert console.flush(1)
    assert len(caplog.records) == 1
    assert "cannot write to standard output (" in caplog.text
    assert "spans lost: 1" in caplog.text
    console.close()
    stream.close()


def test_held_spans_and_a_stream_that_breaks_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """Spans whose last chance fails have failed."""
    stream = broken_pipe()
    console = sender(stream)
    books = Books(console)
    send(console, root())

    assert console.flush(1)
    assert (books.delivered, books.failed) == (0, 1)
    stream.close()


def test_stream_that_works_again(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """When standard output is replaced by one that works, spans are written again."""
    console = sender(None, "tree", clock)
    books = Books(console)
    for number in (1, 2):
        monkeypatch.setattr(sys, "stdout", None)
        assert send(console, root("lost")) == [Verdict.HELD]
        clock.now_s += 1
        console.idle()
        monkeypatch.setattr(sys, "stdout", stream := io.StringIO())
        assert send(console, root("tried at once")) == [Verdict.HELD]
        assert "tried at once" in stream.getvalue()
        send(console, root("held as ever"))
        assert "held as ever" not in stream.getvalue()
        assert console.flush(1)
        assert (books.delivered, books.failed) == (2 * number, number)

    assert len(caplog.records) == 2


@pytest.mark.parametrize("format", ["tree", "json"])
def test_pipe_that_nobody_reads(
    format: ConsoleFormat, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """While nobody reads, batches wait; what was taken is written as soon as somebody does."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    stream = os.fdopen(write_fd, "w", encoding="utf-8")
    filled = 0
    try:
        while True:
            filled += os.write(write_fd, b"x" * 4_096)
    except BlockingIOError:
        pass
    console = sender(stream, format, clock)
    books = Books(console)

    (first,) = console.encode([root("first")])
    assert console.send(first, 0.01).verdict is Verdict.HELD
    clock.now_s += 1
    console.idle()
    (second,) = console.encode([root("second")])
    assert console.send(second, 0.01).verdict is Verdict.RETRY
    assert not console.flush(0.01)
    assert console.idle() == pytest.approx(0.2)
    assert (books.delivered, books.failed) == (0, 0)
    while filled:
        filled -= len(os.read(read_fd, filled))
    assert console.send(second, LONG_S).verdict is Verdict.HELD
    assert console.flush(LONG_S)

    assert (books.delivered, books.failed) == (2, 0)
    text = os.read(read_fd, 65_536).decode()
    assert text.index("first") < text.index("second")
    assert not caplog.records
    stream.close()
    os.close(read_fd)


@pytest.mark.parametrize("format", ["tree", "json"])
def test_pipe_that_nobody_ever_reads(format: ConsoleFormat) -> None:
    """Delivered is what went into the pipe; at the deadline the rest is dropped by the shutdown."""
    read_fd, write_fd = os.pipe()
    stream = os.fdopen(write_fd, "w", encoding="utf-8")
    processor = BridgeProcessor(sender(stream, format), schedule_delay_s=0, name="test")
    for _ in range(2_000):
        processor.export(root("span"))
    began_s = time.monotonic()
    assert not processor.shutdown(timeout_s=0.5)
    assert time.monotonic() - began_s < LONG_S / 4

    stats = processor.stats()
    stream.close()
    with os.fdopen(read_fd, encoding="utf-8") as pipe:
        text = pipe.read()
    assert stats == Stats(2_000, stats.delivered, 0, 0, 2_000 - stats.delivered, 0)
    whole = text.count("16 ms" if format == "tree" else '"scope"')
    assert stats.delivered <= whole < 1_000
    if format == "tree":
        assert stats.delivered > 0


def test_processor_knows_what_is_held(stream: io.StringIO) -> None:
    """What is held is queued, beside the size of the queue: a small one takes the root as well."""
    processor = BridgeProcessor(
        sender(stream), max_queue_size=2, max_batch_size=1, schedule_delay_s=0, name="test"
    )
    parent = root()
    for number in range(10):
        processor.export(child(parent, f"child {number}"))
        deadline_s = time.monotonic() + LONG_S
        while processor._backlog.waiting():
            assert time.monotonic() < deadline_s
    assert processor.stats() == Stats(10, 0, 0, 0, 0, 10)

    processor.export(parent)
    assert processor.force_flush(timeout_s=LONG_S)

    assert processor.stats() == Stats(11, 11, 0, 0, 0, 0)
    assert " ─ 11 spans ─" in stream.getvalue()
    assert processor.shutdown(timeout_s=LONG_S)


@pytest.mark.parametrize("make", [broken_pipe, closed_stream])
def test_processor_of_a_broken_stream(make: type[TextIO], caplog: pytest.LogCaptureFixture) -> None:
    """What was held has failed, and a flush tells of it once."""
    stream = make()
    processor = BridgeProcessor(sender(stream), schedule_delay_s=0, name="test")
    parent = root()
    processor.export(child(parent))
    processor.export(parent)

    assert not processor.force_flush(timeout_s=LONG_S)
    assert processor.stats() == Stats(2, 0, 0, 2, 0, 0)
    assert processor.force_flush(timeout_s=LONG_S)
    assert not processor.shutdown(timeout_s=LONG_S)
    assert "test: 2 of 2 spans were lost: 0 queue full, 2 export failed" in caplog.messages[-1]
    stream.close()


def test_unreadable_span(stream: io.StringIO) -> None:
    """A span of a class that cannot be read is named as such, and takes no other with it."""

    class Odd(ReadableSpan):
        @property
        def name(self) -> str:
            raise RuntimeError("no")

    formats: tuple[ConsoleFormat, ...] = ("tree", "json")
    for format in formats:
        console = sender(stream, format)
        assert send(console, Odd("x"), root("good")) == [Verdict.HELD]
        assert console.flush(1)
        assert "<unreadable Odd>" in stream.getvalue()
        assert "good" in stream.getvalue()


def test_trace_that_cannot_be_drawn(stream: io.StringIO) -> None:
    """A trace whose drawing fails costs no other trace; it is named, and has failed."""
    console = sender(stream)
    books = Books(console)
    (batch,) = console.encode([root("before"), root("odd"), root("after")])
    assert isinstance(batch.payload, tuple)
    before, odd, after = batch.payload
    odd = odd._replace(name=b"odd")
    console.send(Batch((before, odd, after), 3, 1), 1)

    assert console.flush(1)

    assert (books.delivered, books.failed) == (2, 1)
    assert "a trace cannot be drawn (" in stream.getvalue()
    assert "before" in stream.getvalue()
    assert "after" in stream.getvalue()


def test_very_large_trace(stream: io.StringIO) -> None:
    """A trace of very many spans is written in part, with the number of the rest."""
    console = sender(stream)
    books = Books(console)
    parent = root()
    count = 20_000
    for _ in range(count // 500):
        send(console, *(child(parent) for _ in range(500)))
    send(console, parent)

    assert console.flush(LONG_S)

    assert (books.delivered, books.failed) == (count + 1, 0)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1_002
    assert lines[1].startswith("root ")
    assert lines[-1] == f"… and {count + 1 - 1_000:,} more spans"


def test_large_values_are_not_held(stream: io.StringIO) -> None:
    """Of a text of megabytes only what the picture can show is kept."""
    span = root()
    span.set_metadata("query", "x" * 10_000_000)
    span.event("y" * 10_000_000)

    (batch,) = sender(stream).encode([span])

    assert batch.byte_count < 20_000


def test_forked_child_writes_nothing_of_its_parent() -> None:
    """What the parent holds is written by the parent only."""
    program = (
        "import os, sys\n"
        "from opentelemetry.sdk.resources import Resource\n"
        "from iox_otel import Span\n"
        "from iox_otel_bridge.exporters.console import ConsoleSender\n"
        "console = ConsoleSender(resource=Resource({}), format='tree')\n"
        "def send(name):\n"
        "    span = Span.root(name, None); span.start_ns, span.end_ns = 0, 1\n"
        "    for batch in console.encode([span]): console.send(batch, 1)\n"
        "send('parent')\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    send('child')\n"
        "if pid: os.waitpid(pid, 0)\n"
        "console.flush(1)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=LONG_S
    )

    assert ended.returncode == 0, ended.stderr
    assert len(re.findall("^parent", ended.stdout, re.MULTILINE)) == 1
    assert len(re.findall("^child", ended.stdout, re.MULTILINE)) == 1


def test_worker_imports_nothing() -> None:
    """All that writing needs is imported with the module, not by the worker that makes a sender."""
    program = (
        "import io, sys\n"
        "from opentelemetry.sdk.resources import Resource\n"
        "from iox_otel import Span\n"
        "from iox_otel_bridge.exporters.console import ConsoleSender\n"
        "class Terminal(io.StringIO):\n"
        "    def isatty(self): return True\n"
        "before = set(sys.modules)\n"
        "consoles = [ConsoleSender(resource=Resource({}), format=format, stream=stream())\n"
        "    for format in ('tree', 'json') for stream in (io.StringIO, Terminal)]\n"
        "for console in consoles:\n"
        "    span = Span.root('w' * 200 + '\\u8868\\U0001f469\\u200d\\U0001f4bb', None)\n"
        "    span.start_ns, span.end_ns = 0, 1\n"
        "    span.set_metadata('k', [1.5, 'v' * 300]); span.error('boom')\n"
        "    for batch in console.encode([span]): console.send(batch, 1)\n"
        "    console.idle(); console.flush(1); console.close()\n"
        "print(sorted(set(sys.modules) - before))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=LONG_S
    )

    assert (ended.returncode, ended.stdout) == (0, "[]\n"), ended.stderr


def test_failures_while_idle_are_logged_once(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """However often writing fails, the log has one line, at WARNING, until it works again."""
    console = sender(closed_stream(), "tree", clock)
    for _ in range(100):
        console._held.add([SpanRecord(1, 1, None, "x")], clock())
        assert console.flush(1)

    assert [record.levelno for record in caplog.records] == [logging.WARNING]
