"""@traced: a span for each call, whatever kind of function it is."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from iox_otel import Span, SpanContext, SpanRecorder, SpanStatus, current, traced
from iox_otel.testing import CapturingTraceCollector


@traced("add")
def add(one: int, other: int = 2) -> int:
    """Return the sum."""
    return one + other


@traced
async def add_later(one: int) -> int:
    await asyncio.sleep(0)
    return add(one)


@traced("count")
def count(most: int) -> Iterator[int]:
    for number in range(most):
        assert isinstance(current.get(), Span)
        add(number)
        yield number


@traced("count later")
async def count_later(most: int) -> AsyncIterator[int]:
    for number in range(most):
        await add_later(number)
        yield number


async def listed(numbers: AsyncIterator[int]) -> list[int]:
    return [number async for number in numbers]


def test_each_call_has_a_span_under_the_current_one(traces: CapturingTraceCollector) -> None:
    """Functions and coroutines, one within the other."""
    with traces.root("request"):
        assert add(1, other=1) == 2
        assert asyncio.run(add_later(1)) == 3

    traces.assert_tree("""
        request
          add
          add_later
            add
    """)


def test_what_is_not_traced_goes_through(traces: CapturingTraceCollector) -> None:
    """Outside of a trace, and in one that is not sampled, which stays what is current."""
    unsampled = SpanContext(trace_id=1, span_id=1, collector=traces, sampled=False)

    def check() -> None:
        before = current.get()
        assert add(1) == 3
        assert asyncio.run(add_later(1)) == 3
        assert asyncio.run(listed(count_later(2))) == [0, 1]
        assert current.get() is before

    check()
    token = current.set(unsampled)
    try:
        check()
    finally:
        current.reset(token)
    assert not traces.spans


def test_a_generator_is_current_in_its_own_steps_only(traces: CapturingTraceCollector) -> None:
    """Its span lasts to its end, and what the caller does between the steps is not in it."""
    with traces.root("request") as request:
        for _ in count(2):
            assert current.get() is request.span
            add(10)

    traces.assert_tree("""
        request
          count
            add
            add
          add
          add
    """)


def test_an_async_generator_too(traces: CapturingTraceCollector) -> None:
    """Each step in the task that awaits it."""

    async def main() -> None:
        with traces.root("request") as request:
            async for _ in count_later(1):
                assert current.get() is request.span

    asyncio.run(main())
    traces.assert_tree("""
        request
          count later
            add_later
              add
    """)


def test_a_generator_is_what_it_was() -> None:
    """Sent and thrown values arrive, and what it returns."""

    @traced("echo")
    def echo() -> Any:
        got = None
        while got != "end":
            try:
                got = yield got
            except KeyError as error:
                got = f"caught {error.args[0]}"
        return "done"

    for make in (echo, inspect.unwrap(echo)):
        with SpanRecorder(Span.root("request", CapturingTraceCollector())):
            generator = make()
            assert next(generator) is None
            assert generator.send(1) == 1
            assert generator.throw(KeyError("x")) == "caught x"
            with pytest.raises(StopIteration) as stop:
                generator.send("end")
            assert stop.value.value == "done"


def test_an_async_generator_is_what_it_was() -> None:
    """Sent and thrown values arrive."""

    @traced("echo")
    async def echo() -> Any:
        got = None
        while got != "end":
            try:
                got = yield got
            except KeyError as error:
                got = f"caught {error.args[0]}"

    async def main() -> None:
        with SpanRecorder(Span.root("request", CapturingTraceCollector())):
            generator = echo()
            assert await anext(generator) is None
            assert await generator.asend(1) == 1
            assert await generator.athrow(KeyError("x")) == "caught x"
            with pytest.raises(StopAsyncIteration):
                await generator.asend("end")

    asyncio.run(main())


@pytest.mark.parametrize("end", [lambda generator: generator.close(), lambda generator: None])
def test_a_generator_that_is_left_in_the_middle_ends_its_span(
    traces: CapturingTraceCollector, end: Callable[[Any], None]
) -> None:
    """Closed or forgotten; its own clean-up is within the span."""

    @traced("rows")
    def rows() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            add(1)

    with traces.root("request"):
        generator = rows()
        next(generator)
        end(generator)
        del generator
        gc.collect()

    traces.assert_tree("""
        request
          rows
            * cancelled
            add
    """)


def test_an_async_generator_that_is_closed_by_another_task(
    traces: CapturingTraceCollector,
) -> None:
    """Its span ends there, and nothing is raised."""

    async def main() -> None:
        with traces.root("request"):
            generator: Any = count_later(3)
            await asyncio.create_task(anext(generator))
            await generator.aclose()

    asyncio.run(main())
    assert traces.find("count later").events[-1].msg == "cancelled"


def test_an_exception_is_recorded_and_goes_on(traces: CapturingTraceCollector) -> None:
    """Of each kind of function, once."""

    @traced("function")
    def function() -> None:
        raise LookupError("no such cart")

    @traced("coroutine")
    async def coroutine() -> None:
        raise LookupError("no such cart")

    @traced("generator")
    def generator() -> Iterator[int]:
        yield 1
        raise LookupError("no such cart")

    @traced("async generator")
    async def async_generator() -> AsyncIterator[int]:
        yield 1
        raise LookupError("no such cart")

    with traces.root("request"):
        for call in (
            function,
            lambda: asyncio.run(coroutine()),
            lambda: list(generator()),
            lambda: asyncio.run(listed(async_generator())),
        ):
            with pytest.raises(LookupError, match="no such cart"):
                call()

    for name in ("function", "coroutine", "generator", "async generator"):
        span = traces.find(name)
        assert span.status is SpanStatus.ERR
        assert [event.msg for event in span.events] == ["exception"]


def test_it_looks_like_the_function_it_is_on() -> None:
    """Name, documentation and kind, for whoever looks."""
    assert (add.__name__, add.__doc__) == ("add", "Return the sum.")
    assert inspect.iscoroutinefunction(add_later)
    assert inspect.isgeneratorfunction(count)
    assert inspect.isasyncgenfunction(count_later)
    assert str(inspect.signature(add)) == "(one: 'int', other: 'int' = 2) -> 'int'"


def test_on_methods_and_other_callables(traces: CapturingTraceCollector) -> None:
    """Bound as ever; called by its qualified name if it has no other."""

    class Cart:
        @traced
        def total(self) -> int:
            return 3

        @classmethod
        @traced("make")
        def make(cls) -> Cart:
            return cls()

    with traces.root("request"):
        assert Cart.make().total() == 3
        assert traced(functools.partial(add, 1))() == 3

    names = [span.name.rpartition(".")[2] for span in traces.spans]
    assert names == ["make", "total", "add", "partial", "request"]


def test_on_what_cannot_be_called() -> None:
    """One line that names it."""
    with pytest.raises(TypeError, match="@traced is for functions, got 7"):
        traced("x")(7)  # type: ignore[type-var]
