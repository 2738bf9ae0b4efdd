"""traced: a span for each call of a function."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial, update_wrapper
from typing import Any, TypeVar, cast, overload

from ._context import SpanContext
from ._current import current, restore
from ._recorder import SpanRecorder

F = TypeVar("F", bound=Callable[..., Any])

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200
"""Of a code object's flags, as `inspect` has them; that module costs too much to import."""


@overload
def traced(name: str) -> Callable[[F], F]: ...
@overload
def traced(name: F) -> F: ...
def traced(name: Any) -> Any:
    """Record a span for each call of the function, under what is current where it is called.

        @traced("load cart")
        async def load_cart(number): ...

        @traced                     # called by the function's qualified name
        def total(items): ...

    For functions, async functions, generators and async generators. Of a generator the span lasts
    from its first step to its end, whoever ends it, and is current within its own steps only. Where
    nothing is traced, or not sampled, the call goes through as it is. An exception is recorded as
    `with SpanRecorder(...)` does. The function's arguments and results are not looked at.

    Args:
        name: what each span is called.

    Raises:
        TypeError: it is on what cannot be called (a classmethod or staticmethod: put it below).
    """
    if isinstance(name, str):
        return partial(_traced, name)
    return _traced(getattr(name, "__qualname__", type(name).__qualname__), name)


def _traced(name: str, function: F) -> F:
    if not callable(function):
        raise TypeError(f"@traced is for functions, got {function!r:.80}")
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    wrap = _wrap
    if flags & _ASYNC_GENERATOR:
        wrap = _wrap_async_generator
    elif flags & _COROUTINE:
        wrap = _wrap_async
    elif flags & _GENERATOR:
        wrap = _wrap_generator
    return cast(F, update_wrapper(wrap(name, function), function))


def _recorder(name: str) -> SpanRecorder:
    context = SpanContext.current()
    return SpanRecorder(None) if context is None else context.recorder(name)


def _wrap(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with _recorder(name):
            return function(*args, **kwargs)

    return call


def _wrap_async(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        with _recorder(name):
            return await function(*args, **kwargs)

    return call


class _Step:
    """Has the span be current during one step of a generator, and records what leaves it."""

    __slots__ = ("_recorder", "_token")

    def __init__(self, recorder: SpanRecorder) -> None:
        self._recorder = recorder
        self._token = None if recorder.span is None else current.set(recorder.span)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._token is not None:
            restore(self._token)
        if error is not None and not isinstance(error, (StopIteration, StopAsyncIteration)):
            self._recorder.exception(error)


def _wrap_generator(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def steps(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        recorder = _recorder(name)
        generator = function(*args, **kwargs)
        if recorder.span is None:
            return (yield from generator)
        step: Callable[..., Any] = generator.send
        arguments: tuple[Any, ...] = (None,)
        try:
            while True:
                try:
                    with _Step(recorder):
                        item = step(*arguments)
                except StopIteration as stop:
                    return stop.value
                try:
                    step, arguments = generator.send, ((yield item),)
                except GeneratorExit as error:
                    recorder.exception(error)
                    with _Step(recorder):
                        generator.close()
                    raise
                except BaseException as error:
                    step, arguments = generator.throw, (error,)
        finally:
            recorder.finish()

    return steps


def _wrap_async_generator(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    async def steps(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        recorder = _recorder(name)
        generator = function(*args, **kwargs)
        step: Callable[..., Any] = generator.asend
        arguments: tuple[Any, ...] = (None,)
        try:
            while True:
                try:
                    with _Step(recorder):
                        item = await step(*arguments)
                except StopAsyncIteration:
                    return
                try:
                    step, arguments = generator.asend, ((yield item),)
                except GeneratorExit as error:
                    recorder.exception(error)
                    with _Step(recorder):
                        await generator.aclose()
                    raise
                except BaseException as error:
                    step, arguments = generator.athrow, (error,)
        finally:
            recorder.finish()

    return steps
