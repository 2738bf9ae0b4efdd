"""What the application's own classes may do wrong without harm: collectors, values, exceptions."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from iox_otel import (
    FanOutTraceCollector,
    LogTraceCollector,
    RingBufferTraceCollector,
    Span,
    SpanContext,
    SpanEvent,
    SpanRecorder,
    _report,
    failures,
)

LOST = "a trace collector raised, its span is lost"


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_report, "_last_ns", {})
    monkeypatch.setattr(_report, "_steps", {})
    monkeypatch.setattr(_report, "_said", {})


@pytest.fixture
def collector() -> RingBufferTraceCollector:
    return RingBufferTraceCollector(10_000)


class Raising:
    """A collector that raises what it is given."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def export(self, span: Span) -> None:
        raise self.error


# Collectors


@pytest.mark.parametrize("error", [RuntimeError("broken"), RecursionError(), MemoryError()])
def test_a_collector_that_raises_changes_neither_result_nor_exception(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """The work's own result and its own exceptions arrive; 100 failures are counted, one logged."""
    context = SpanContext.new(Raising(error))

    def work(number: int) -> int:
        with context.recorder("work"):
            if number % 2:
                raise KeyError(number)
            return number

    for number in range(0, 100, 2):
        assert work(number) == number
        with pytest.raises(KeyError, match=str(number + 1)):
            work(number + 1)

    assert failures() == {LOST: 100}
    assert [record.getMessage() for record in caplog.records] == [LOST]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_the_end_of_the_process_goes_through_a_collector(error: BaseException) -> None:
    """Ctrl-C may strike inside a collector; the program that it is meant for hears of it."""
    with pytest.raises(type(error)), SpanContext.new(Raising(error)).recorder("work"):
        pass


def test_one_collector_that_raises_keeps_nothing_from_the_others(
    collector: RingBufferTraceCollector,
) -> None:
    """Each of several gets every span."""
    fan_out = FanOutTraceCollector([Raising(ValueError()), collector, Raising(OSError())])
    SpanContext.new(fan_out).recorder("work").finish()

    assert [span.name for span in collector.spans()] == ["work"]
    assert failures() == {LOST: 2}


# Values


class NamelessType(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("no name")


class Nameless(metaclass=NamelessType):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Endless:
    def __str__(self) -> str:
        return str(self)


class NoText:
    def __str__(self) -> Any:
        return 3


class Odd(str):
    """Text that lies about itself; an exporting thread must never meet it."""

    def __len__(self) -> int:
        raise RuntimeError("no length")

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no equality")

    def __hash__(self) -> int:
        raise RuntimeError("no hash")


class Oddly:
    def __str__(self) -> str:
        return Odd("odd")


class SaysInt:
    __class__ = int  # type: ignore[assignment]

    def __str__(self) -> str:
        return "text"


class SaysList:
    __class__ = list  # type: ignore[assignment]
    __str__ = SaysInt.__str__


def _no_class(self: object) -> Any:
    raise RuntimeError("no class")


class NoClass:
    __class__ = property(_no_class)
    __eq__ = __hash__ = __len__ = __bool__ = _no_class  # type: ignore[assignment]
    __str__ = Nameless.__str__


VALUES = [
    (Nameless(), "<Nameless: unprintable>"),
    (Endless(), "<Endless: unprintable>"),
    (NoText(), "<NoText: unprintable>"),
    (Odd("odd"), "odd"),
    (Oddly(), "odd"),
    (SaysInt(), "text"),
    (SaysList(), "text"),
    (NoClass(), "<NoClass: unprintable>"),
]


@pytest.mark.parametrize(
    ("value", "text"), [pytest.param(*each, id=type(each[0]).__qualname__) for each in VALUES]
)
def test_a_value_that_lies_about_itself_is_kept_as_plain_text(
    value: Any, text: str, collector: RingBufferTraceCollector
) -> None:
    """As name, key, value, message and status; nothing raises, and nothing of it is left inside."""
    recorder = SpanContext.new(collector).recorder(value)
    recorder.set_metadata("value", value)
    recorder.set_metadata("list", [value])
    recorder.set_metadata(value, 1)
    recorder.event(value, value=value)
    recorder.event(SpanEvent(value, {"value": value}))
    recorder.error(value)
    recorder.link(value)
    recorder.finish()

    (span,) = collector.spans()
    assert span.name == span.status_message == text
    # Where a number or a list is looked for, one that only says it is one has no text to show.
    assert span.metadata["value"] in (text, f"<{type(value).__qualname__}: unprintable>")
    assert span.metadata[text] == 1
    texts: list[object] = [span.name, span.status_message]
    texts += [*span.metadata, span.metadata["value"]]
    for event in span.events:
        texts += [event.msg, *event.metadata, *event.metadata.values()]
    assert {type(each) for each in texts} == {str}


def test_metadata_that_is_no_mapping_costs_only_itself(
    collector: RingBufferTraceCollector,
) -> None:
    """An event whose metadata cannot be read is kept without it, and counted."""
    recorder = SpanContext.new(collector).recorder("work")
    recorder.event(SpanEvent("read", NoClass()))  # type: ignore[arg-type]
    recorder.event(SpanEvent("read", [1]))  # type: ignore[arg-type]
    recorder.finish()

    (span,) = collector.spans()
    assert [event.metadata for event in span.events] == [{}, {}]
    assert failures() == {"the metadata of an event could not be read": 2}


# Exceptions


class NamelessError(Exception, metaclass=NamelessType):
    __str__ = __repr__ = Nameless.__str__


class Closed(Exception):
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("closed")


@pytest.mark.parametrize("kind", [NamelessError, Closed], ids=["nameless", "closed"])
def test_an_exception_that_cannot_be_looked_at_is_recorded_and_goes_on(
    kind: type[Exception], collector: RingBufferTraceCollector
) -> None:
    """The same object leaves the block, and the span has the event and the status Err."""
    error = kind()
    caught = None
    try:
        with SpanContext.new(collector).recorder("work"):
            raise error
    except Exception as exc:
        caught = exc

    assert caught is error
    (span,) = collector.spans()
    assert [event.msg for event in span.events] == ["exception"]
    assert span.status.name == "ERR"


def depth() -> int:
    frame, count = sys._getframe(), 0
    while frame := frame.f_back:  # type: ignore[assignment]
        count += 1
    return count


def test_an_exception_where_no_stack_is_left_is_the_applications_own(
    collector: RingBufferTraceCollector,
) -> None:
    """However deep it is raised: what leaves is either it or the RecursionError of a call of the
    application's, and each span is exported but for the few that have no stack left for it."""

    class Own(Exception):
        pass

    context = SpanContext.new(collector)

    def descend(levels: int) -> None:
        with context.recorder("level"):
            if not levels:
                raise Own
            descend(levels - 1)

    outcomes = []
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(depth() + 80)
    try:
        for levels in range(60, 90):
            before = len(collector.spans())
            try:
                descend(levels)
            except (Own, RecursionError) as error:
                outcomes.append((type(error), levels + 1 - len(collector.spans()) + before))
    finally:
        sys.setrecursionlimit(limit)

    kinds = [kind for kind, _ in outcomes]
    assert Own in kinds and RecursionError in kinds
    assert kinds == sorted(kinds, key=lambda kind: kind is RecursionError)
    assert max(lost for kind, lost in outcomes if kind is Own) <= 3


def test_a_deep_recursion_through_spans_takes_no_time_by_the_square(
    collector: RingBufferTraceCollector,
) -> None:
    """Each of 400 nested spans keeps the innermost frames of the exception, not all of them."""

    def down(levels: int) -> None:
        with SpanRecorder(Span.root("level", collector)):
            if not levels:
                raise ValueError("at the bottom")
            further(levels - 1)

    def further(levels: int) -> None:  # two, as Python writes repeated frames once only
        down(levels)

    with pytest.raises(ValueError, match="at the bottom"):
        down(400)

    stacks = [str(span.events[0].metadata["exception.stacktrace"]) for span in collector.spans()]
    assert len(stacks) == 401
    assert all("at the bottom" in stack for stack in stacks)
    assert max(stack.count("File ") for stack in stacks) == 100


# Logging


class Listening(logging.Handler):
    """A handler of the application's that records a span for every line."""

    def __init__(self, context: SpanContext) -> None:
        super().__init__()
        self.context = context
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.context.recorder("log").finish()


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("iox_otel")
    level = logger.level
    logger.setLevel(logging.INFO)
    yield logger
    logger.setLevel(level)
    for handler in [each for each in logger.handlers if isinstance(each, Listening | Broken)]:
        logger.removeHandler(handler)


class Broken(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("broken handler")


def test_a_logging_handler_that_raises_harms_nobody(logger: logging.Logger) -> None:
    """Neither through the collector that logs nor through the line that tells of it."""
    logger.addHandler(Broken())
    for _ in range(3):
        SpanContext.new(LogTraceCollector()).recorder("work").finish()

    assert failures() == {LOST: 3}


def test_a_logging_handler_that_records_spans_does_not_log_them_for_ever(
    logger: logging.Logger,
) -> None:
    """A collector that logs, and a handler that records: one line each, and it ends."""
    context = SpanContext.new(LogTraceCollector())
    handler = Listening(context)
    logger.addHandler(handler)
    for _ in range(3):
        context.recorder("work").finish()

    assert sum(line.startswith("span Span('work'") for line in handler.lines) == 3
    assert len(handler.lines) == 4  # and once that the handler's own are not logged
    assert failures()["a span recorded by a logging handler is not logged"] >= 3


def test_a_logging_handler_that_records_into_a_broken_collector_comes_to_an_end(
    logger: logging.Logger,
) -> None:
    """The line about the failure is followed by the next failure, which has no line."""
    context = SpanContext.new(Raising(RuntimeError()))
    handler = Listening(context)
    logger.addHandler(handler)
    context.recorder("work").finish()

    assert handler.lines == [LOST]
    assert failures() == {LOST: 2}
