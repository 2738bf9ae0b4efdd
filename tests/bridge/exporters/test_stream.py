"""Writing to standard output, whatever state it is in."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from iox_otel_bridge.exporters.stream import StreamWriter

LONG_S = 20.0


class Pipe:
    """A pipe: a text stream to write to, as sys.stdout is one, and what reads from it."""

    def __init__(self) -> None:
        self.read_fd, write_fd = os.pipe()
        self.stream: TextIO = os.fdopen(write_fd, "w", encoding="utf-8")
        self.is_open = True

    def fill(self) -> int:
        """Write until the pipe takes no more; return how many bytes it took."""
        fd = self.stream.fileno()
        os.set_blocking(fd, False)
        count = 0
        try:
            while True:
                count += os.write(fd, b"x")
        except BlockingIOError:
            os.set_blocking(fd, True)
            return count

    def read(self, count: int) -> bytes:
        got = b""
        while len(got) < count:
            got += os.read(self.read_fd, count - len(got))
        return got

    def close_reader(self) -> None:
        if self.is_open:
            self.is_open = False
            os.close(self.read_fd)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close_reader()
    try:
        pipe.stream.close()
    except BrokenPipeError:
        pass


def test_pipe(pipe: Pipe) -> None:
    """What is written arrives at once, after what the application printed before."""
    writer = StreamWriter(pipe.stream)
    pipe.stream.write("app\n")

    writer.write("größe\n", LONG_S)

    assert pipe.read(11) == "app\ngröße".encode()
    assert not writer.pending


def test_meanwhile(pipe: Pipe) -> None:
    """While a write waits for a reader something else is done, here the reading."""
    writer = StreamWriter(pipe.stream)
    filled = pipe.fill()
    calls = 0

    def meanwhile() -> float:
        nonlocal calls
        calls += 1
        if calls == 3:
            pipe.read(filled)
        return 0.0

    writer.meanwhile = meanwhile
    writer.write("text\n", LONG_S)

    assert calls >= 3
    assert not writer.pending
    assert (writer.written_bytes, writer.accepted_bytes) == (5, 5)
    assert pipe.read(5) == b"text\n"


def test_pipe_that_nobody_reads(pipe: Pipe) -> None:
    """A full pipe holds nobody up; what it did not take is written, once, when it is read again."""
    writer = StreamWriter(pipe.stream)
    filled = pipe.fill()

    writer.write("one\n", 0.01)
    writer.write("two\n", 0.01)

    assert writer.pending
    assert not writer.drain(0.01)
    assert (writer.written_bytes, writer.accepted_bytes) == (0, 8)
    pipe.read(filled)
    assert writer.drain(LONG_S)
    assert writer.written_bytes == 8
    assert pipe.read(8) == b"one\ntwo\n"
    assert not writer.pending


def test_slow_reader_gets_everything(pipe: Pipe) -> None:
    """More than a pipe holds arrives whole and in order."""
    text = "".join(f"line {n}\n" for n in range(50_000))
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read(len(text))))
    reader.start()

    StreamWriter(pipe.stream).write(text, LONG_S)
    reader.join(LONG_S)

    assert got == [text.encode()]


def test_lines_stay_whole(pipe: Pipe) -> None:
    """What another writes to the same pipe comes between lines."""
    text = "".join(f"{n:099d}\n" for n in range(3_000))
    done = threading.Event()

    def interfere() -> None:
        while not done.is_set():
            os.write(pipe.stream.fileno(), b"other\n")
            done.wait(0.001)

    got = bytearray()

    def read() -> None:
        while chunk := os.read(pipe.read_fd, 65_536):
            got.extend(chunk)

    threads = [threading.Thread(target=target) for target in (interfere, read)]
    for thread in threads:
        thread.start()
    StreamWriter(pipe.stream).write(text, LONG_S)
    done.set()
    threads[0].join(LONG_S)
    pipe.stream.close()
    threads[1].join(LONG_S)

    lines = got.decode().splitlines()
    assert [line for line in lines if line != "other"] == text.splitlines()


def test_interrupt(pipe: Pipe) -> None:
    """A write that hangs returns soon after it is interrupted, its text pending."""
    writer = StreamWriter(pipe.stream)
    pipe.fill()
    thread = threading.Thread(target=writer.write, args=("text\n", 600))
    thread.start()
    deadline_s = time.monotonic() + LONG_S
    while thread.is_alive() and time.monotonic() < deadline_s:
        writer.interrupt()
        thread.join(0.01)

    assert not thread.is_alive()
    assert writer.pending
    writer.forget()
    assert writer.drain(0)


def test_nothing_else_goes_on_while_a_stream_takes_text(tmp_path: Path) -> None:
    """What is done while a write waits must not hold up one that does not."""
    with (tmp_path / "out").open("w") as stream:
        writer = StreamWriter(stream)
        writer.meanwhile = lambda: pytest.fail("the stream was ready")
        writer.write("x\n" * 10_000, LONG_S)

        assert not writer.pending


def test_very_large_text(tmp_path: Path) -> None:
    """The time grows with the text, not with its square."""
    with (tmp_path / "out").open("w") as stream:
        writer = StreamWriter(stream)
        writer.write("x" * 40_000_000, LONG_S)

        assert not writer.pending
        assert writer.written_bytes == 40_000_000


def test_deadline_with_a_stream_that_takes_everything(tmp_path: Path) -> None:
    """A write that is never held up ends in time as well, and the rest is written later."""
    with (tmp_path / "out").open("w") as stream:
        writer = StreamWriter(stream)
        writer.write("x" * 1_000_000, 0.0)

        assert writer.pending
        assert writer.drain(LONG_S)
        assert writer.written_bytes == 1_000_000


def test_broken_pipe(pipe: Pipe) -> None:
    """A reader that is gone is an error, once for each write, and nothing stays pending."""
    writer = StreamWriter(pipe.stream)
    pipe.close_reader()

    for _ in range(2):
        with pytest.raises(BrokenPipeError):
            writer.write("text\n", LONG_S)

    assert not writer.pending


def test_broken_pipe_at_exit() -> None:
    """A program whose output is cut off ends as it would without us, with status 0."""
    program = (
        "import os, sys\n"
        "from iox_otel_bridge.exporters.stream import StreamWriter\n"
        "sys.stdin.read()\n"
        "try:\n"
        "    StreamWriter(None).write('text\\n', 5)\n"
        "except BrokenPipeError:\n"
        "    print('broken', file=sys.stderr)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        process.stdout.close()
        process.stdin.close()
        assert process.stderr is not None
        errors = process.stderr.read()
        assert process.wait(LONG_S) == 0

    assert errors == "broken\n"


def test_stuck_pipe_at_exit(pipe: Pipe) -> None:
    """A program that ends while a daemon thread waits for a stuck pipe ends all the same."""
    pipe.fill()
    program = (
        "import sys, threading, time\n"
        "from iox_otel_bridge.exporters.stream import StreamWriter\n"
        "writer = StreamWriter(None)\n"
        "threading.Thread(target=writer.write, args=('text\\n', 600), daemon=True).start()\n"
        "while not writer.pending:\n"
        "    time.sleep(0.001)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        stdout=pipe.stream,
        stderr=subprocess.PIPE,
        timeout=LONG_S,
        text=True,
    )

    assert (ended.returncode, ended.stderr) == (0, "")


def test_closed_and_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed stream, or none at all, is an error with a reason, and no terminal."""
    closed = io.StringIO()
    closed.close()
    for stream, reason in ((closed, "the stream is closed"), (None, "there is no standard output")):
        monkeypatch.setattr(sys, "stdout", None)
        writer = StreamWriter(stream)
        assert not writer.is_terminal()
        with pytest.raises(ValueError, match=reason):
            writer.write("text\n", 1)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_encoding(encoding: str) -> None:
    """What the stream cannot say is written as an escape."""
    raw = io.BytesIO()
    writer = StreamWriter(io.TextIOWrapper(raw, encoding=encoding))

    writer.write("表 \ud800\n", 1)

    assert (
        raw.getvalue()
        == {
            "utf-8": b"\xe8\xa1\xa8 \\ud800\n",
            "latin-1": b"\\u8868 \\ud800\n",
            "ascii": b"\\u8868 \\ud800\n",
        }[encoding]
    )


def test_stdout_of_the_moment(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a stream, it is whatever sys.stdout is when something is written."""
    writer = StreamWriter(None)
    for text in ("one\n", "two\n"):
        sys.stdout = stream = io.StringIO()
        writer.write(text, 1)
        sys.stdout = sys.__stdout__
        assert stream.getvalue() == text


def test_stream_of_somebodys_making() -> None:
    """A stand-in for standard output with no more than `write` and `flush` will do."""

    class Tee:
        def __init__(self) -> None:
            self.texts: list[str] = []

        def write(self, text: str) -> None:
            self.texts.append(text)

        def flush(self) -> None:
            self.texts.append("flush")

    tee = Tee()
    writer = StreamWriter(tee)  # type: ignore[arg-type]

    writer.write("text\n", 1)

    assert tee.texts == ["text\n", "flush"]
    assert not writer.is_terminal()


def test_full_disk() -> None:
    """A device that is full is an error, not a silent loss."""
    with open("/dev/full", "w") as stream:
        writer = StreamWriter(stream)
        with pytest.raises(OSError, match="No space left"):
            writer.write("text\n", 1)
        assert not writer.pending
