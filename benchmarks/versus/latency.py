"""What tracing adds to the latency of `iox-otel run`, at 200 requests a second, all sampled."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from urllib.request import Request, urlopen

from .sink import sink

_RATE = 200
_WARM_S, _RUN_S = 1.0, 6.0
_CONNECTIONS = 8
_DEAD = "http://127.0.0.1:9"
_LINE = b"cpu,host=a usage=0.5"


@contextmanager
def _conductor(**settings: str) -> Iterator[int]:
    """Run the server; give its port."""
    command = [sys.executable, "-c", "from iox_otel.cli import main; main()"]
    command += ["run", "--server-id=1", "--http-bind=127.0.0.1:0"]
    environment = {**os.environ, **settings}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, text=True)
    assert process.stderr is not None
    while "listening on" not in (line := process.stderr.readline()):
        assert process.poll() is None, line
    url = line.split("listening on ")[1].split(";")[0].strip("/")
    try:
        create = Request(
            f"{url}/api/v3/configure/database",
            data=b'{"db": "bench"}',
            headers={"Content-Type": "application/json"},
        )
        urlopen(create).close()
        yield int(url.rpartition(":")[2])
    finally:
        process.kill()
        process.communicate()


def _request() -> bytes:
    trace = f"{random.getrandbits(128) | 1:032x}:{random.getrandbits(64) | 1:016x}:0:1"
    return (
        f"POST /api/v3/write_lp?db=bench HTTP/1.1\r\nHost: localhost\r\nuber-trace-id: {trace}\r\n"
        f"Content-Length: {len(_LINE)}\r\n\r\n"
    ).encode() + _LINE


async def _connect(port: int, due: asyncio.Queue[float], took_s: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while True:
        due_s = await due.get()
        writer.write(_request())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 204"), head
        took_s.append(perf_counter() - due_s)


async def _load(port: int, seconds: float) -> list[float]:
    """Return how long each request took, from the moment that it was due."""
    due: asyncio.Queue[float] = asyncio.Queue()
    took_s: list[float] = []
    tasks = [asyncio.create_task(_connect(port, due, took_s)) for _ in range(_CONNECTIONS)]
    began_s = perf_counter()
    count = int(seconds * _RATE)
    for number in range(count):
        due_s = began_s + number / _RATE
        await asyncio.sleep(max(0.0, due_s - perf_counter()))
        due.put_nowait(due_s)
    while len(took_s) < count:
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return took_s


def _p99_ms(**settings: str) -> float:
    with _conductor(**settings) as port:
        asyncio.run(_load(port, _WARM_S))
        took_s = sorted(asyncio.run(_load(port, _RUN_S)))
    return took_s[int(len(took_s) * 0.99)] * 1e3


def off() -> float:
    """Measure without tracing."""
    return _p99_ms(TRACES_EXPORTER="none")


def healthy() -> float:
    """Measure with OTLP to a receiver that takes it."""
    with sink("grpc") as endpoint:
        return _p99_ms(TRACES_EXPORTER="otlp", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)


def dead() -> float:
    """Measure with OTLP to where nobody is."""
    return _p99_ms(TRACES_EXPORTER="otlp", OTEL_EXPORTER_OTLP_ENDPOINT=_DEAD)
