"""Test doubles for code that records spans: a collector to look into, a clock that stands still."""

from __future__ import annotations

import time
from collections import deque
from difflib import ndiff
from textwrap import dedent
from types import TracebackType

from iox_otel import Span, SpanRecorder, _clock

from .tree import SpanRecord, trace_text

_POLL_S = 0.002


class CapturingTraceCollector:
    """A `TraceCollector` that keeps every span, in the order they were finished.

        >>> from iox_otel import Span, SpanRecorder
        >>> collector = CapturingTraceCollector()
        >>> with SpanRecorder(Span.root("handle", collector)) as recorder:
        ...     with recorder.child("query") as query:
        ...         query.set_metadata("rows", 3)
        ...         query.event("cache miss", table="cpu")
        ...     recorder.ok()
        >>> print(collector.tree())
        handle [ok]
          query rows=3
            * cache miss table=cpu
        >>> collector.find("query").metadata
        {'rows': 3}

    It may be shared by threads. It grows with every span until `clear`.
    """

    def __init__(self) -> None:
        self._spans: deque[Span] = deque()

    def export(self, span: Span) -> None:
        """Keep *span*."""
        self._spans.append(span)

    @property
    def spans(self) -> list[Span]:
        """The spans so far, in the order they were finished; a list of its own."""
        while True:
            try:
                return list(self._spans)
            except RuntimeError:  # another thread appended while this one copied
                continue

    def find(self, name: str) -> Span:
        """Return the one span called *name*.

        Raises:
            AssertionError: there is none, or more than one; says what there is instead.
        """
        spans = self.spans
        found = [span for span in spans if span.name == name]
        if len(found) == 1:
            return found[0]
        if found:
            raise AssertionError(
                f"{len(found)} spans are named {name!r}, find() is for one; see find_all()"
            )
        raise AssertionError(f"no span is named {name!r}; {_listing(spans)}")

    def find_all(self, name: str) -> list[Span]:
        """Return all spans called *name*, in the order they were finished."""
        return [span for span in self.spans if span.name == name]

    def tree(self) -> str:
        """Return all traces as text, without times and ids, so that one assert compares it all.

        See `iox_otel.tree.trace_text` for how to read it.
        """
        return trace_text(SpanRecord.of(span) for span in self.spans)

    def root(self, name: str = "test") -> SpanRecorder:
        """Return the recorder of a new root span; as a context manager it is current inside.

        For code that finds its place by `SpanContext.current`, as `@traced` does:

            with traces.root():
                load_cart(1)
            traces.find("load cart")
        """
        return SpanRecorder(Span.root(name, self))

    def assert_tree(self, expected: str) -> None:
        """Assert that `tree` is *expected*, of which indentation and blank lines around go.

        Raises:
            AssertionError: it is not; shows line by line what is missing (-) and what is new (+).
        """
        want, have = dedent(expected).strip().splitlines(), self.tree().splitlines()
        if want != have:
            lines = ndiff(want, have)
            diff = "\n".join(line for line in lines if not line.startswith("?"))
            raise AssertionError(f"the traces are not as expected:\n{diff}")

    def clear(self) -> None:
        """Forget all spans."""
        self._spans.clear()

    def wait_for(self, count: int = 1, *, timeout_s: float = 5.0) -> list[Span]:
        """Block until there are *count* spans, and return all there are.

        For spans finished by other threads, say a server's. In a coroutine use
        `await asyncio.to_thread(collector.wait_for, count)`: this call blocks the event loop.

        Raises:
            AssertionError: they did not come in *timeout_s* seconds; says what came.
        """
        # Polls, since `export` must take no lock and so cannot wake anybody; by the real clock,
        # which a FakeClock leaves alone.
        deadline_s = time.monotonic() + timeout_s
        while len(spans := self.spans) < count:
            if time.monotonic() >= deadline_s:
                raise AssertionError(
                    f"{len(spans)} of {count} spans came in {timeout_s:g} s; {_listing(spans)}"
                )
            time.sleep(_POLL_S)
        return spans


def _listing(spans: list[Span]) -> str:
    if not spans:
        return "none were recorded"
    names = list(dict.fromkeys(span.name for span in spans))
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"recorded were {', '.join(map(repr, names[:20]))}{more}"


class FakeClock:
    """A clock that stands still until it is told to go on, and that all spans are timed by.

        >>> from iox_otel import Span, SpanRecorder
        >>> collector = CapturingTraceCollector()
        >>> with FakeClock() as clock, SpanRecorder(Span.root("work", collector)):
        ...     clock.advance(0.25)
        >>> span = collector.find("work")
        >>> span.end_ns - span.start_ns
        250000000

    As a context manager it stands in for the clock of the whole process, all its threads; leaving
    the block brings back the clock that was there before.

    Args:
        now_ns: what the wall clock says at first, in Unix nanoseconds; 2023-11-14T22:13:20Z.
    """

    def __init__(self, *, now_ns: int = 1_700_000_000_000_000_000) -> None:
        self._wall_ns = now_ns
        self._monotonic_ns = 0
        self._replaced: list[tuple[object, object]] = []

    def wall_ns(self) -> int:
        """Return the Unix time in nanoseconds."""
        return self._wall_ns

    def monotonic_ns(self) -> int:
        """Return the nanoseconds since this clock was made."""
        return self._monotonic_ns

    def advance(self, seconds: float = 0, *, ns: int = 0) -> None:
        """Let time go by, *seconds* and *ns* nanoseconds of it.

        Raises:
            ValueError: it would go backwards; only the wall clock does that, see `step_wall`.
        """
        passed_ns = round(seconds * 1_000_000_000) + ns
        if passed_ns < 0:
            raise ValueError(f"time cannot go back by {-passed_ns} ns; see step_wall()")
        self._wall_ns += passed_ns
        self._monotonic_ns += passed_ns

    def step_wall(self, seconds: float = 0, *, ns: int = 0) -> None:
        """Set the wall clock forward or back while no time goes by, as an operator or NTP does."""
        self._wall_ns += round(seconds * 1_000_000_000) + ns

    def __enter__(self) -> FakeClock:
        self._replaced.append((_clock.wall_ns, _clock.monotonic_ns))
        _clock.wall_ns = self.wall_ns
        _clock.monotonic_ns = self.monotonic_ns
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _clock.wall_ns, _clock.monotonic_ns = self._replaced.pop()  # type: ignore[assignment]
