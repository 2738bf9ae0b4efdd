"""What becomes of waiting spans at every way a process can end, in real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

PRELUDE = """
    import atexit, multiprocessing, os, signal, sys, threading, time
    from iox_otel import Span
    from iox_otel_bridge import BridgeProcessor, endings
    from iox_otel_bridge.sender import Batch, Outcome, Sender, Verdict

    class File(Sender):
        \"\"\"Appends a line a span to the file, or does not come back while it is "blocked".\"\"\"

        verdict = Verdict.DELIVERED

        def encode(self, spans):
            return [Batch([span.name for span in spans], len(spans), 1)]

        def send(self, batch, timeout_s):
            if self.verdict is Verdict.DELIVERED:
                with open(sys.argv[1], "a") as file:
                    file.writelines(name + "\\n" for name in batch.payload)
            return Outcome(self.verdict)

    class Dead(File):
        verdict = Verdict.RETRY

    class BlackHole(File):
        def send(self, batch, timeout_s):
            time.sleep(timeout_s)
            return Outcome(Verdict.RETRY)

    def record(processor, *names):
        for name in names:
            processor.export(Span.root(name, None))

    def await_signal():
        # Not signal.pause(): Python never sees a signal that comes just before it blocks.
        for _ in range(1000):
            time.sleep(0.02)

    def tell():
        stats = processor.stats()
        assert stats.recorded == sum(stats[1:])
        print(*stats, flush=True)

    processor = BridgeProcessor(File, schedule_delay_s=60, name="file")
"""


class Ended:
    """A process that came to its end."""

    def __init__(self, path: Path, process: subprocess.CompletedProcess[str], took_s: float):
        self.status = process.returncode
        self.stdout = process.stdout
        self.stderr = process.stderr
        self.took_s = took_s
        self.spans = path.read_text().split() if path.exists() else []


def script(body: str) -> list[str]:
    return [sys.executable, "-W", "error", "-c", textwrap.dedent(PRELUDE) + textwrap.dedent(body)]


def run(tmp_path: Path, body: str) -> Ended:
    """Run *body* to its end."""
    path = tmp_path / "spans"
    began_s = time.monotonic()
    process = subprocess.run(
        [*script(body), str(path)], capture_output=True, text=True, timeout=30, check=False
    )
    return Ended(path, process, time.monotonic() - began_s)


def terminate(tmp_path: Path, body: str) -> Ended:
    """Run *body* until it prints a line, send it SIGTERM, and wait for its end."""
    path = tmp_path / "spans"
    with subprocess.Popen(
        [*script(body), str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        began_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            stdout, stderr = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        completed = subprocess.CompletedProcess((), process.returncode, first + stdout, stderr)
        return Ended(path, completed, time.monotonic() - began_s)


# Normal ends


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("raise RuntimeError('unhandled')", 1),
        ("threading.Thread(target=lambda: record(processor, 'thread') or 1 / 0).start()", 0),
        ("signal.raise_signal(signal.SIGINT)", -signal.SIGINT),
    ],
    ids=["end", "sys.exit", "exception", "thread", "interrupt"],
)
def test_what_waits_is_delivered_when_the_process_ends(
    tmp_path: Path, end: str, status: int
) -> None:
    """Whichever way the interpreter leaves, nothing that was recorded is lost."""
    ended = run(tmp_path, "record(processor, 'a', 'b')\n" + end)

    assert ended.status == status
    assert ended.spans[:2] == ["a", "b"]
    assert ended.spans[2:] == (["thread"] if "thread" in end else [])
    assert "were lost" not in ended.stderr


def test_spans_of_other_exit_handlers_are_delivered(tmp_path: Path) -> None:
    """A handler registered after the import runs earlier, and may still record; even the first
    span of all, for which some interpreters start no thread any more."""
    ended = run(tmp_path, "atexit.register(lambda: record(processor, 'at exit'))")

    assert (ended.status, ended.stderr) == (0, "")
    assert ended.spans == ["at", "exit"]


def test_the_counters_are_exact_at_exit(tmp_path: Path) -> None:
    """The sum holds in the last moment too, with spans delivered, dropped and too late."""
    ended = run(
        tmp_path,
        """
        small = BridgeProcessor(File, max_queue_size=10, schedule_delay_s=60, name="small")
        processor, big = small, processor
        record(small, *"abcdefghijklm")
        endings.end_all()
        record(small, "late")
        tell()
        """,
    )

    assert ended.status == 0
    assert ended.stdout == "14 10 3 0 1 0\n"
    assert "small: 3 of 13 spans were lost: 3 queue full" in ended.stderr


def test_os_exit_loses_only_what_was_not_sent(tmp_path: Path) -> None:
    """os._exit runs no handler: what was delivered before stays delivered."""
    ended = run(
        tmp_path,
        """
        record(processor, "sent")
        assert processor.force_flush(timeout_s=5)
        record(processor, "unsent")
        os._exit(4)
        """,
    )

    assert ended.status == 4
    assert ended.spans == ["sent"]


# Deadlines


@pytest.mark.parametrize("sink", ["Dead", "BlackHole"])
def test_a_dead_receiver_delays_the_exit_by_the_quiet_time(tmp_path: Path, sink: str) -> None:
    """After 0.8 s without an accepted batch the process ends; the others' spans are delivered, and
    three dead ones take no longer than one."""
    ended = run(
        tmp_path,
        f"""
        dead = [BridgeProcessor({sink}, name=f"dead {{n}}", exit_quiet_s=0.8) for n in range(3)]
        for each in dead:
            record(each, "lost")
        record(processor, "kept")
        began_s = time.monotonic()
        endings.end_all()
        print(time.monotonic() - began_s)
        """,
    )

    assert ended.status == 0
    assert ended.spans == ["kept"]
    assert 0.8 <= float(ended.stdout) < 1.6
    for number in range(3):
        assert f"dead {number}: 1 of 1 spans were lost: " in ended.stderr


def test_a_slow_receiver_gets_the_whole_time(tmp_path: Path) -> None:
    """As long as batches are accepted the quiet time begins anew, up to the time in all."""
    ended = run(
        tmp_path,
        """
        class Slow(File):
            def send(self, batch, timeout_s):
                time.sleep(0.2)
                return super().send(batch, timeout_s)

        slow = BridgeProcessor(Slow, max_batch_size=1, exit_quiet_s=0.4, exit_timeout_s=1.5)
        record(slow, *(str(number) for number in range(100)))
        began_s = time.monotonic()
        endings.end_all()
        print(time.monotonic() - began_s)
        """,
    )

    assert ended.status == 0
    assert 1.5 <= float(ended.stdout) < 1.9
    assert len(ended.spans) >= 3
    assert ended.spans == [str(number) for number in range(len(ended.spans))]


def test_the_exit_of_a_tracer_provider_does_not_wait_longer(tmp_path: Path) -> None:
    """The SDK's own exit handler calls shutdown without a time; the exit's deadline rules."""
    ended = run(
        tmp_path,
        """
        from opentelemetry.sdk.trace import TracerProvider
        began_s = time.monotonic()
        atexit.register(lambda: print(time.monotonic() - began_s))  # runs after the provider's
        provider = TracerProvider()
        dead = BridgeProcessor(Dead, name="dead")
        provider.add_span_processor(dead)
        with provider.get_tracer("library").start_as_current_span("span"):
            record(processor, "native")
        """,
    )

    assert ended.status == 0
    assert ended.spans == ["native"]
    assert float(ended.stdout) < 3
    assert "dead: 1 of 1 spans were lost" in ended.stderr


# SIGTERM


def test_sigterm_delivers_and_then_kills(tmp_path: Path) -> None:
    """With the default action: everything is delivered, and the status tells of the signal."""
    ended = terminate(
        tmp_path,
        """
        assert endings.install_sigterm()
        record(processor, "a", "b")
        print("ready", flush=True)
        await_signal()
        """,
    )

    assert ended.status == -signal.SIGTERM
    assert ended.spans == ["a", "b"]


def test_sigterm_kills_within_the_deadline(tmp_path: Path) -> None:
    """A receiver that is a black hole does not keep the process alive."""
    ended = terminate(
        tmp_path,
        """
        endings.install_sigterm()
        hole = BridgeProcessor(BlackHole, name="hole", schedule_delay_s=0)
        record(hole, "lost")
        record(processor, "kept")
        print("ready", flush=True)
        while True:
            record(processor, "kept")
            time.sleep(0.01)
        """,
    )

    assert ended.status == -signal.SIGTERM
    assert set(ended.spans) == {"kept"}
    assert ended.took_s < 3
    assert "hole: 1 of 1 spans were lost: 0 queue full, 0 export failed, 1 not" in ended.stderr


def test_sigterm_begins_a_flush_and_calls_the_handler_that_was_there(tmp_path: Path) -> None:
    """The application's handler decides how to end, and gets the arguments of the signal."""
    ended = terminate(
        tmp_path,
        """
        def handler(signum, frame):
            assert signum == signal.SIGTERM and frame is not None
            while not processor.stats().delivered:
                time.sleep(0.001)
            print("handled", flush=True)
            os._exit(7)

        signal.signal(signal.SIGTERM, handler)
        assert endings.install_sigterm()
        assert endings.install_sigterm()  # once is enough
        record(processor, "a")
        print("ready", flush=True)
        await_signal()
        """,
    )

    assert ended.status == 7
    assert ended.stdout == "ready\nhandled\n"
    assert ended.spans == ["a"]


def test_an_ignored_sigterm_stays_ignored(tmp_path: Path) -> None:
    """SIG_IGN is the application's decision."""
    ended = run(
        tmp_path,
        """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        assert not endings.install_sigterm()
        os.kill(os.getpid(), signal.SIGTERM)
        record(processor, "alive")
        """,
    )

    assert ended.status == 0
    assert ended.spans == ["alive"]


def test_off_the_main_thread_no_handler_is_installed(tmp_path: Path) -> None:
    """Python allows none there: the answer is False, not an exception."""
    ended = run(
        tmp_path,
        """
        answers = []
        thread = threading.Thread(target=lambda: answers.append(endings.install_sigterm()))
        thread.start()
        thread.join()
        print(answers, signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
        """,
    )

    assert ended.stdout == "[False] True\n"


def test_without_install_sigterm_is_not_touched(tmp_path: Path) -> None:
    """A processor alone leaves the process's signals as they are."""
    ended = terminate(tmp_path, "record(processor, 'a')\nprint(1, flush=True)\nawait_signal()")

    assert ended.status == -signal.SIGTERM
    assert ended.spans == []


# Children


FORKING = "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n"


def test_a_forked_child_delivers_its_own_spans_at_its_exit(tmp_path: Path) -> None:
    """sys.exit in the child flushes the child's queue, and nothing of the parent's."""
    ended = run(
        tmp_path,
        FORKING
        + textwrap.dedent("""
        record(processor, "parent")
        if os.fork() == 0:
            record(processor, "child")
            sys.exit(0)
        _, status = os.wait()
        sys.exit(os.waitstatus_to_exitcode(status))
        """),
    )

    assert (ended.status, ended.stderr) == (0, "")
    assert ended.spans == ["child", "parent"]


def test_a_forked_child_does_not_wait_for_what_only_the_parent_delivers(tmp_path: Path) -> None:
    """A worker that outlives its processor, trying on, is the parent's; its spans are lost once."""
    ended = run(
        tmp_path,
        FORKING
        + textwrap.dedent("""
        dead = BridgeProcessor(Dead, name="dead", schedule_delay_s=0)
        record(dead, "lost")
        del dead
        if os.fork() == 0:
            sys.exit(0)
        os.wait()
        """),
    )

    assert ended.status == 0
    assert ended.stderr.count("dead: 1 of 1 spans were lost") == 1


def test_a_forked_child_dies_of_sigterm_with_its_spans_delivered(tmp_path: Path) -> None:
    """The handler is inherited; it ends the child with the child's queue."""
    ended = run(
        tmp_path,
        FORKING
        + textwrap.dedent("""
        endings.install_sigterm()
        record(processor, "parent")
        if os.fork() == 0:
            record(processor, "child")
            os.kill(os.getpid(), signal.SIGTERM)
            await_signal()
        _, status = os.wait()
        print(os.waitstatus_to_exitcode(status))
        """),
    )

    assert (ended.status, ended.stdout) == (0, "-15\n")
    assert ended.spans == ["child", "parent"]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_deliver_their_spans(tmp_path: Path, method: str) -> None:
    """By whichever method: what the target recorded is delivered when the child ends."""
    module = tmp_path / "work.py"
    module.write_text(
        textwrap.dedent(PRELUDE)
        + textwrap.dedent(f"""
        def target():
            record(processor, "child")

        if __name__ == "__main__":
            record(processor, "parent")
            context = multiprocessing.get_context({method!r})
            child = context.Process(target=target)
            child.start()
            child.join()
            sys.exit(child.exitcode)
        """)
    )
    path = tmp_path / "spans"
    process = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", module, path],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (process.returncode, process.stderr) == (0, "")
    assert path.read_text().split() == ["child", "parent"]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_target_may_set_tracing_up_itself(tmp_path: Path, method: str) -> None:
    """A processor made inside the target, whose import comes last, is ended with the child."""
    module = tmp_path / "work.py"
    module.write_text(
        textwrap.dedent(f"""
        import multiprocessing, sys

        def target():
            scope = {{}}
            exec({textwrap.dedent(PRELUDE)!r} + "record(processor, 'child')", scope)
            globals().update(scope)

        if __name__ == "__main__":
            child = multiprocessing.get_context({method!r}).Process(target=target)
            child.start()
            child.join()
            sys.exit(child.exitcode)
        """)
    )
    path = tmp_path / "spans"
    subprocess.run([sys.executable, "-W", "error", module, path], timeout=30, check=True)

    assert path.read_text().split() == ["child"]


def test_a_preloaded_server_delivers_from_parent_and_children(tmp_path: Path) -> None:
    """As under `gunicorn --preload`: workers forked while the parent delivers, ended by SIGTERM."""
    ended = run(
        tmp_path,
        FORKING
        + textwrap.dedent("""
        endings.install_sigterm()
        record(processor, "parent")
        assert processor.force_flush(timeout_s=5)
        ready, children = os.pipe(), []
        for number in range(4):
            pid = os.fork()
            if pid == 0:
                record(processor, *(["child"] * 100))
                os.write(ready[1], b"x")
                await_signal()
            children.append(pid)
        for _ in children:
            os.read(ready[0], 1)
        for pid in children:
            os.kill(pid, signal.SIGTERM)
        print(sorted(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children))
        """),
    )

    assert (ended.status, ended.stdout) == (0, "[-15, -15, -15, -15]\n")
    assert sorted(ended.spans) == ["child"] * 400 + ["parent"]
