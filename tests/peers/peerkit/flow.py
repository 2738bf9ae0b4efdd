"""A flow of numbered spans out of an application process, and what of it has arrived where."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Self

from iox_otel_bridge.sender import Stats

from .collector import Collector
from .flow_app import SPANS_PER_TRACE
from .jaeger import Jaeger
from .process import clean_environment, wait_for

PEERKIT_PATH = Path(__file__).parents[1]


class Told(NamedTuple):
    """What the application has told at one moment."""

    at_s: float
    """On the machine's monotonic clock."""
    slowest_s: float
    """The longest that recording one span has taken it so far."""
    ended: bool
    stats: Stats


class Flow:
    """An application that records *count* spans, *per_second* of them, in traces of 100.

    It ends when all have left it, or when it is told to stop. Nobody records at the moments at
    which it tells its counters, so they add up exactly; that they do is checked here.

    Args:
        folder: for what it logs.
        environment: where the spans go.
    """

    def __init__(
        self, folder: Path, *, count: int, per_second: int, environment: dict[str, str]
    ) -> None:
        self.count = count
        self.log = folder / "flow.log"
        self.told: list[Told] = []
        self._prefix = random.getrandbits(63) | 1
        self._command = [
            *(sys.executable, "-m", "peerkit.flow_app"),
            *map(str, (self._prefix, count, per_second)),
        ]
        self._environment = environment
        self._process: subprocess.Popen[str] | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=clean_environment(PYTHONPATH=str(PEERKIT_PATH), **self._environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._reader.join()
        self._process.communicate()

    def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            self.told.append(Told(**{**told, "stats": Stats(**told["stats"])}))

    def stop(self) -> None:
        """Let it end without waiting for what is queued, once it has recorded all."""
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.close()
        self._process.stdin = None

    def wait_until(self, what: str, is_so: Callable[[Told], bool], timeout_s: float = 30) -> Told:
        """Return what it has told last, or tells after that, once *is_so* holds of it."""
        seen = max(0, len(self.told) - 1)

        def look() -> Told | None:
            return next((told for told in self.told[seen:] if is_so(told)), None)

        try:
            return wait_for(what, look, timeout_s)
        except TimeoutError as error:
            log = self.log.read_text()[-3_000:]
            raise TimeoutError(f"{error}; last told {self.told[-1:]}\n{log}") from None

    def next_told(self) -> Told:
        """Return what it tells of a moment after the call."""
        now_s = time.monotonic()
        return self.wait_until("counters", lambda told: told.at_s > now_s)

    def wait_until_delivered(self, count: int) -> Told:
        """Return what it tells once so many spans have been delivered."""
        return self.wait_until("delivery", lambda told: told.stats.delivered >= count)

    def wait_for_end(self, timeout_s: float = 30) -> Told:
        """Return what it tells at its end."""
        end = self.wait_until("end of the flow", lambda told: told.ended, timeout_s)
        for told in self.told:
            recorded, *became = told.stats
            assert recorded == sum(became), told
        return end

    def in_file(self, collector: Collector) -> Counter[int]:
        """Return how often each span of the flow is in the Collector's file."""
        found: Counter[int] = Counter()
        for span in collector.file_spans():
            if int(span["traceId"], 16) >> 64 == self._prefix:
                attributes = {item["key"]: item["value"] for item in span["attributes"]}
                number = int(attributes["number"]["intValue"])
                self._check(number, span["traceId"], span["spanId"], span["name"])
                found[number] += 1
        return found

    def in_jaeger(self, jaeger: Jaeger) -> Counter[int]:
        """Return how often each span of the flow is in Jaeger."""
        found: Counter[int] = Counter()
        for span in jaeger.spans(self._trace_ids()):
            number = next(tag["value"] for tag in span["tags"] if tag["key"] == "number")
            self._check(number, span["traceID"], span["spanID"], span["operationName"])
            found[number] += 1
        return found

    def _trace_ids(self) -> Iterable[int]:
        traces = -(-self.count // SPANS_PER_TRACE)
        return (self._prefix << 64 | trace + 1 for trace in range(traces))

    def _check(self, number: int, trace_id: str, span_id: str, name: str) -> None:
        expected = self._prefix << 64 | number // SPANS_PER_TRACE + 1
        assert (int(trace_id, 16), int(span_id, 16), name) == (
            expected,
            number + 1,
            f"span {number}",
        )


def missing(found: Iterable[int], expected: Iterable[int]) -> list[int]:
    """Return the numbers *expected* that were not *found*, in order."""
    return sorted(set(expected) - set(found))


def repeated(found: Counter[int]) -> int:
    """Return how many times a span was *found* that had been found already."""
    return found.total() - len(found)
