"""The plain values a span is made of: kinds, statuses, metadata, events."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from itertools import islice

from . import _clock, _limits, _report

MetaValue = (
    str | float | int | bool | Sequence[str] | Sequence[float] | Sequence[int] | Sequence[bool]
)
"""What metadata may hold: text, numbers, booleans, and sequences of one of these."""


class SpanKind(IntEnum):
    """What side of a call a span is; OpenTelemetry's span kinds, under the same numbers."""

    INTERNAL = 0
    SERVER = 1
    CLIENT = 2
    PRODUCER = 3
    CONSUMER = 4


class SpanStatus(IntEnum):
    """How the work of a span ended."""

    UNKNOWN = 0
    OK = 1
    ERR = 2


_PLAIN_TYPES = frozenset((str, int, float, bool))
SHORT_TYPES = _PLAIN_TYPES - {str}
"""Those that may be kept as they are, whatever the value."""


def meta_value(value: object) -> MetaValue:
    """Return *value* in the form that metadata keeps; never raises.

    A list or tuple of one plain type is copied, a `timedelta` becomes `"{n}ms"` as in IOx, and
    anything else its `str()`; a value whose `str()` raises becomes `"<TypeName: unprintable>"`.
    """
    if type(value) in _PLAIN_TYPES:
        return value  # type: ignore[return-value]
    try:
        return _convert(value)
    except Exception:
        return _unprintable(type(value))


def fitted(value: object) -> tuple[MetaValue, int]:
    """Return *value* as `meta_value` does, with texts no longer than `SpanLimits` has them.

    Returns:
        The value, and how many texts were shortened: one, or several in a sequence.
    """
    value = meta_value(value)
    most = _limits.MAX_CHARS
    if type(value) is str:
        return (_shortened(value, most), 1) if len(value) > most else (value, 0)
    if type(value) is tuple and value and type(value[0]) is str:
        shortened = tuple(_shortened(text, most) for text in value)
        return shortened, sum(len(text) > most for text in value)
    return value, 0


def message_of(message: object, lose: Callable[[int], object]) -> str:
    """Return a *message* as text of bearable length; *lose* is called if it was shortened."""
    text = message if type(message) is str else text_of(message)
    if len(text) > _limits.MAX_MESSAGE_CHARS:
        lose(_limits.VALUES)
        text = _shortened(text, _limits.MAX_MESSAGE_CHARS)
    return text


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else (text[: most - 1] + "…")[:most]


def _convert(value: object) -> MetaValue:
    if isinstance(value, list | tuple):
        items = tuple(value)
        element = type(items[0]) if items else str
        if element in _PLAIN_TYPES and all(type(item) is element for item in items):
            return items
        return _exact(str(value))
    # If it was never imported this is none of its; importing it costs 2 ms.
    datetime = sys.modules.get("datetime")
    if datetime is not None and isinstance(value, datetime.timedelta):
        return f"{value // datetime.timedelta(milliseconds=1)}ms"
    # A subclass is reduced to the plain type, since its own methods would run later, on the
    # exporting thread. (bool has no subclasses.)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return _exact(value)  # its own __str__ may say something else, as Enum's does
    return _exact(str(value))  # which may be a subclass of str, too


_exact = str.__str__
_name_of = type.__dict__["__name__"].__get__  # a metaclass may have another, and that may raise


def _unprintable(kind: type) -> str:
    return f"<{_name_of(kind)}: unprintable>"


def qualified_name(kind: type) -> str:
    """Return the name of *kind* with its module's, unless that is `builtins`; never raises."""
    try:
        return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    except Exception:
        return str(_name_of(kind))


def text_of(value: object) -> str:
    """Return *value*, a name, a key or a message, as text; never raises.

    What is no text becomes its `str()`, or `"<TypeName: unprintable>"` if that raises.
    """
    kind = type(value)  # isinstance would ask the value too, and an unbound proxy raises then
    try:
        return _exact(value if issubclass(kind, str) else str(value))
    except Exception:
        if issubclass(kind, int):  # more digits than Python writes (sys.set_int_max_str_digits)
            return int.__format__(value, "#x")  # type: ignore[arg-type]
        return _unprintable(kind)


def _fit(value: object) -> MetaValue:
    return fitted(value)[0]


def metadata_of(
    values: Mapping[str, object], fit: Callable[[object], MetaValue] = _fit
) -> dict[str, MetaValue]:
    """Return a copy of *values* with every value in the form that metadata keeps.

    Args:
        fit: what makes that of values that are not so already.
    """
    max_chars = _limits.MAX_CHARS
    return {
        key if type(key) is str else text_of(key): (
            value  # type: ignore[misc]
            if type(value) in SHORT_TYPES or (type(value) is str and len(value) <= max_chars)
            else fit(value)
        )
        for key, value in values.items()
    }


def event_metadata_of(
    values: Mapping[str, object], fit: Callable[[object], MetaValue] = _fit
) -> dict[str, MetaValue]:
    """As `metadata_of`, for an event: the first of *values*, as many as one may have."""
    if len(values) > _limits.MAX_EVENT_METADATA:
        values = dict(islice(values.items(), _limits.MAX_EVENT_METADATA))
    return metadata_of(values, fit)


class SpanEvent:
    """Something that happened at one moment of a span.

    Args:
        msg: what happened; what is no text becomes its `str()`.
        metadata: details, converted as `Span.set_metadata` does.
        time_ns: Unix time in nanoseconds; now if not given.
    """

    __slots__ = ("_lost", "metadata", "msg", "time_ns")

    _lost: dict[int, int]
    """What it lost to the limits, as `SpanCut` counts it. Most events have none of it."""

    def __init__(
        self, msg: str, metadata: Mapping[str, object] | None = None, *, time_ns: int | None = None
    ) -> None:
        self.time_ns = event_time_ns() if time_ns is None else time_ns
        self.msg = message_of(msg, self._lose)
        self.metadata: dict[str, MetaValue] = {}
        try:
            if metadata:
                self.metadata = event_metadata_of(metadata, self._fitted)
                self._lose(_limits.METADATA, len(metadata) - len(self.metadata))
        except Exception:  # no mapping, or one that lies about itself
            _report.report("the metadata of an event could not be read")

    @classmethod
    def of_exception(cls, exc: BaseException, *, time_ns: int | None = None) -> SpanEvent:
        """Return the event "exception" of *exc*: type, message and stack (its innermost frames).

        Agrees with OpenTelemetry's semantic conventions, "Exceptions on spans".
        """
        import traceback  # costs 10 ms: for those who have an exception

        try:
            message = str(exc)
            stack = "".join(traceback.format_exception(exc, limit=-_MAX_FRAMES))
        except Exception:
            message = stack = text_of(exc)
        metadata = {
            "exception.type": qualified_name(type(exc)),
            "exception.message": message,
            "exception.stacktrace": stack,
        }
        return cls("exception", metadata, time_ns=time_ns)

    def set_metadata(self, key: str, value: object) -> None:
        """Keep *value* under *key*; any type is taken, see `MetaValue`."""
        key = text_of(key)
        if len(self.metadata) < _limits.MAX_EVENT_METADATA or key in self.metadata:
            self.metadata[key] = self._fitted(value)
        else:
            self._lose(_limits.METADATA)

    def _fitted(self, value: object) -> MetaValue:
        fit, shortened = fitted(value)
        self._lose(_limits.VALUES, shortened)
        return fit

    def _lose(self, what: int, count: int = 1) -> None:
        """Count what is left out, for the span that gets the event."""
        if count:
            lost = self._lost = getattr(self, "_lost", {})
            lost[what] = lost.get(what, 0) + count

    def __repr__(self) -> str:
        return f"SpanEvent({self.msg!r}, {self.metadata!r}, time_ns={self.time_ns})"


_MAX_FRAMES = 100
"""Of a stack the innermost are kept. An exception that passes through a thousand spans of a deep
recursion would be written out a thousand times, longer each time: minutes in all."""


def event_time_ns() -> int:
    """Return the time of what happens now; 0 if the clock raises."""
    try:
        return _clock.wall_ns()
    except Exception:  # somebody has replaced it
        _report.report("a clock raised")
        return 0
