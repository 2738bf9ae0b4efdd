"""The ways in which a process can end: a table of programs, and what is to arrive of each."""

from __future__ import annotations

import signal
from typing import NamedTuple

PRELUDE = """
import asyncio, atexit, itertools, multiprocessing, os, signal, sys, threading, time
import logging; logging.basicConfig(level=logging.WARNING)

def tell():
    # Not by print: a signal may have come within one.
    if "tracing" in globals():
        books = " ".join(str(number) for stats in tracing.stats().values() for number in stats)
        os.write(1, f"STATS {os.getpid()} {books}\\n".encode())

def stop():
    "End what still records, as the books are exact when nobody does."

# Registered first, so the last of all to run.
atexit.register(lambda: (stop(), tell()))

def die_of(number, raise_signal=signal.raise_signal):
    # What dies of its signal has no exit handlers: this is the last that it does.
    tell()
    raise_signal(number)
signal.raise_signal = die_of

from iox_otel import Span, SpanRecorder
from iox_otel_bridge import TracingConfig

def record(count, name="work"):
    for _ in range(count):
        with SpanRecorder(Span.root(name, tracing.collector)) as recorder:
            recorder.set_metadata("rows", 3)

def ready():
    print("READY", flush=True)

def wait():
    # Not signal.pause(): Python never sees a signal that comes just before it blocks.
    for _ in range(1000):
        time.sleep(0.02)
"""

IF_MAIN = """
if __name__ == "__main__":
"""

SET_UP = """
    tracing = TracingConfig.from_env().build()
    tracing.install()
    # Registered last, so the first to run: main has ended.
    atexit.register(lambda: print("END", time.monotonic(), flush=True))
"""

MAIN = IF_MAIN + SET_UP

SERVER = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

tracing = TracingConfig.from_env().build()
tracing.install()
app = Starlette(
    routes=[Route("/", lambda request: PlainTextResponse("hello"))],
    middleware=[tracing.middleware("request")],
)
"""

SDK = """
import signal, sys, time
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.{protocol}.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("a")
for _ in range(20):
    with tracer.start_as_current_span("work"):
        pass
print("READY", flush=True)
time.sleep(20)
"""


class Ending(NamedTuple):
    """One way to end.

    Its program prints READY when somebody else is to end it.
    """

    name: str
    body: str
    expected: dict[str, int]
    """How many spans of each name are to arrive, everywhere."""
    status: int = 0
    by: int | None = None
    """The signal that is sent to it when it is ready; None: it ends by itself."""
    server: tuple[str, ...] = ()
    """Arguments of Python that run `app` of the module `program`; requests are sent to it."""
    requests: int = 20
    service: str = ""
    """What its service's name begins with."""
    before: str = ""
    """What its main does before tracing is set up."""
    exact: bool = True
    """Whether just those are to arrive; else the program says MADE and how many more it recorded,
    some of them too late."""


UVICORN = ("-m", "uvicorn", "--log-level", "warning", "--port", "{port}", "program:app")
GUNICORN = (
    *("-m", "gunicorn", "--log-level", "warning", "-k", "uvicorn_worker.UvicornWorker"),
    *("--bind", "127.0.0.1:{port}", "--worker-tmp-dir", "/dev/shm", "program:app"),  # noqa: S108
)

GOES_ON = """
    def before(number, frame):
        # What an application of that kind does in the end.
        signal.signal(number, signal.SIG_DFL)
        threading.Timer(0.3, signal.raise_signal, (number,)).start()
    signal.signal(signal.SIGTERM, before)
"""

ENDINGS = [
    Ending("return from main", "    record(20)", {"work": 20}),
    Ending("sys.exit(3)", "    record(20); sys.exit(3)", {"work": 20}, status=3),
    Ending("unhandled exception", "    record(20); 1 / 0", {"work": 20}, status=1),
    Ending(
        "exception in a thread",
        """
    def work():
        record(20)
        1 / 0
    threading.Thread(target=work).start()
        """,
        {"work": 20},
    ),
    Ending(
        "SIGTERM, default action",
        "    record(20); ready(); wait()",
        {"work": 20},
        status=-signal.SIGTERM,
        by=signal.SIGTERM,
    ),
    Ending(
        "SIGTERM, a handler of the application's that exits",
        """
    signal.signal(signal.SIGTERM, lambda *_: (record(5, "in handler"), sys.exit(5)))
    record(20); ready(); wait()
        """,
        {"work": 20, "in handler": 5},
        status=5,
        by=signal.SIGTERM,
    ),
    Ending(
        "SIGTERM, a handler that was there before and goes on",
        "    record(20); ready(); wait()",
        {"work": 20},
        status=-signal.SIGTERM,
        by=signal.SIGTERM,
        before=GOES_ON,
    ),
    Ending(
        "SIGTERM under uvicorn",
        "",
        {"request": 20},
        status=-signal.SIGTERM,  # it raises the signal once more when it is done
        by=signal.SIGTERM,
        server=UVICORN,
    ),
    Ending("SIGTERM under gunicorn", "", {"request": 20}, by=signal.SIGTERM, server=GUNICORN),
    Ending(
        "gunicorn --preload, 4 workers",
        "",
        {"request": 40},
        by=signal.SIGTERM,
        server=(*GUNICORN, "--preload", "--workers", "4"),
        requests=40,
    ),
    Ending(
        "gunicorn, workers recycled after 5 requests",
        "",
        {"request": 40},
        by=signal.SIGTERM,
        server=(*GUNICORN, "--workers", "2", "--max-requests", "5"),
        requests=40,
    ),
    Ending(
        "SIGINT",
        "    record(20); ready(); wait()",
        {"work": 20},
        status=-signal.SIGINT,
        by=signal.SIGINT,
    ),
    Ending(
        "os.fork, the child exits",
        """
    record(10)
    if os.fork() == 0:
        record(20, "child")
        sys.exit(0)
    os.wait()
    record(10)
        """,
        {"work": 20, "child": 20},
    ),
    Ending(
        "os.fork, the child ends by os._exit half a second later",
        """
    record(10)
    if os.fork() == 0:
        record(20, "child")
        time.sleep(0.5)
        tell()
        os._exit(0)
    os.wait()
    record(10)
        """,
        {"work": 20, "child": 20},
    ),
    *(
        Ending(
            f"multiprocessing, {method}",
            f"""
    context = multiprocessing.get_context("{method}")
    workers = [context.Process(target=in_child) for _ in range(2)]
    record(10)
    for each in workers: each.start()
    for each in workers: each.join()
    record(10)
            """,
            {"work": 20, "child": 40},
        )
        for method in ("fork", "spawn", "forkserver")
    ),
    Ending(
        "asyncio.run cancelled",
        """
    async def main():
        record(20)
        asyncio.get_running_loop().call_later(0.05, asyncio.current_task().cancel)
        with SpanRecorder(Span.root("cancelled", tracing.collector)):
            await asyncio.sleep(10)
    asyncio.run(main())
        """,
        {"work": 20, "cancelled": 1},
        status=1,
    ),
    Ending(
        "exit with the worker within an export",
        """
    record(600)
    time.sleep(0.1)
    record(600)
        """,
        {"work": 1200},
        service="slow-",
    ),
    Ending(
        "exit with daemon threads still recording",
        """
    made, stopped = itertools.count(), threading.Event()
    def work():
        while not stopped.is_set():
            record(1, "daemon")
            next(made)  # one step, which no other thread can see half of
            time.sleep(0.0005)
    def stop():
        stopped.set()
        for each in threads: each.join()
        print("MADE", next(made), flush=True)
    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for each in threads: each.start()
    time.sleep(0.1)
    record(20)
        """,
        {"work": 20},
        exact=False,
    ),
]

CHILD = """
def in_child():
    global tracing
    if "tracing" not in globals():  # spawned: nothing of the parent's is here
        tracing = TracingConfig.from_env().build()
    # It has no exit handlers, but finalizers: this is the last of them.
    from multiprocessing.util import Finalize
    Finalize(None, tell, exitpriority=-1000)
    record(20, "child")
"""


def program_of(ending: Ending) -> str:
    """Return the text of its program."""
    if ending.server:
        return PRELUDE + SERVER
    return PRELUDE + CHILD + IF_MAIN + ending.before + SET_UP + ending.body
