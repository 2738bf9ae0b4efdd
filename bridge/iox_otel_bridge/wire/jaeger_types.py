"""Jaeger's Thrift structs: the generated types, loaded by path, and light ones to encode from.

The types are those of jaeger-idl's `jaeger.thrift`. They come from the file that
opentelemetry-exporter-jaeger-thrift carries. That package cannot be imported with today's
OpenTelemetry SDK, and would change `sys.path` and register top-level modules named `jaeger` and
`agent`: so the one file is loaded by its location, and nothing else is touched.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, ClassVar

# The C encoder's own: left to it, it would be imported on the worker thread.
import thrift.protocol.TBase  # noqa: F401
from thrift.protocol.TCompactProtocol import TCompactProtocol, TCompactProtocolAccelerated
from thrift.Thrift import TType
from thrift.transport.TTransport import TMemoryBuffer

try:
    from thrift.protocol import fastbinary as fastbinary
except ImportError:  # thrift was built where there is no C compiler
    fastbinary = None

Fields = tuple[Any, ...]
"""A `thrift_spec`: at each index what the field of that id is, or None."""


def _load_ttypes() -> ModuleType:
    # A namespace package: finding it runs no code.
    namespace = importlib.util.find_spec("opentelemetry.exporter.jaeger")
    found = PathFinder.find_spec("thrift", _locations(namespace))
    for location in _locations(found):
        spec = importlib.util.spec_from_file_location(
            "_iox_otel_jaeger_ttypes", f"{location}/gen/jaeger/ttypes.py"
        )
        if spec is not None and spec.loader is not None:
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)  # never put into sys.modules
            return module
    raise ImportError("opentelemetry-exporter-jaeger-thrift 1.21 is not installed")


def _locations(spec: ModuleSpec | None) -> Sequence[str]:
    return (spec.submodule_search_locations if spec is not None else None) or ()


_ttypes = _load_ttypes()

# The generated classes have no types: Any.
Tag: Any = _ttypes.Tag
Log: Any = _ttypes.Log
SpanRef: Any = _ttypes.SpanRef
Span: Any = _ttypes.Span
Process: Any = _ttypes.Process

STRING: int = _ttypes.TagType.STRING
DOUBLE: int = _ttypes.TagType.DOUBLE
BOOL: int = _ttypes.TagType.BOOL
LONG: int = _ttypes.TagType.LONG
BINARY: int = _ttypes.TagType.BINARY
CHILD_OF: int = _ttypes.SpanRefType.CHILD_OF
FOLLOWS_FROM: int = _ttypes.SpanRefType.FOLLOWS_FROM


class _Struct:
    """What can be encoded. The C encoder only reads attributes; `write` serves the Python one."""

    __slots__ = ()
    thrift_spec: ClassVar[Fields]

    def read(self, protocol: Any) -> None:
        protocol.readStruct(self, self.thrift_spec)

    def write(self, protocol: Any) -> None:
        protocol.writeStruct(self, self.thrift_spec)


class ClientStats(_Struct):
    """`ClientStats`, which the packaged types lack."""

    __slots__ = ("failedToEmitSpans", "fullQueueDroppedSpans", "tooLargeDroppedSpans")
    thrift_spec = (
        None,
        (1, TType.I64, "fullQueueDroppedSpans", None, None),
        (2, TType.I64, "tooLargeDroppedSpans", None, None),
        (3, TType.I64, "failedToEmitSpans", None, None),
    )

    def __init__(self) -> None:
        self.fullQueueDroppedSpans: int | None = None
        self.tooLargeDroppedSpans: int | None = None
        self.failedToEmitSpans: int | None = None


class Batch(_Struct):
    """`Batch` with `seqNo` and `stats`, which the packaged type lacks."""

    __slots__ = ("process", "seqNo", "spans", "stats")
    thrift_spec = (
        None,
        (1, TType.STRUCT, "process", (Process, Process.thrift_spec), None),
        (2, TType.LIST, "spans", (TType.STRUCT, (Span, Span.thrift_spec), False), None),
        (3, TType.I64, "seqNo", None, None),
        (4, TType.STRUCT, "stats", (ClientStats, ClientStats.thrift_spec), None),
    )

    def __init__(self) -> None:
        self.process: Any = None
        self.spans: list[Any] | None = None
        self.seqNo: int | None = None
        self.stats: ClientStats | None = None


class EmitBatchArgs(_Struct):
    """The arguments of `Agent.emitBatch`."""

    __slots__ = ("batch",)
    thrift_spec = (None, (1, TType.STRUCT, "batch", (Batch, Batch.thrift_spec), None))

    def __init__(self) -> None:
        self.batch: Batch | None = None


class StrTag(_Struct):
    """A Tag of text. One class a type of value: what it leaves out is on the class."""

    __slots__ = ("key", "vStr")
    thrift_spec = Tag.thrift_spec
    vType = STRING
    vDouble = vBool = vLong = vBinary = None

    def __init__(self, key: str, value: str) -> None:
        self.key = key
        self.vStr = value


class DoubleTag(_Struct):
    """A Tag of a floating-point number."""

    __slots__ = ("key", "vDouble")
    thrift_spec = Tag.thrift_spec
    vType = DOUBLE
    vStr = vBool = vLong = vBinary = None

    def __init__(self, key: str, value: float) -> None:
        self.key = key
        self.vDouble = value


class BoolTag(_Struct):
    """A Tag of a boolean."""

    __slots__ = ("key", "vBool")
    thrift_spec = Tag.thrift_spec
    vType = BOOL
    vStr = vDouble = vLong = vBinary = None

    def __init__(self, key: str, value: bool) -> None:
        self.key = key
        self.vBool = value


class LongTag(_Struct):
    """A Tag of an integer; one that needs more than 64 bits fails to encode."""

    __slots__ = ("key", "vLong")
    thrift_spec = Tag.thrift_spec
    vType = LONG
    vStr = vDouble = vBool = vBinary = None

    def __init__(self, key: str, value: int) -> None:
        self.key = key
        self.vLong = value


AnyTag = StrTag | DoubleTag | BoolTag | LongTag


class LogStruct(_Struct):
    """A Log; *timestamp* in microseconds since the epoch."""

    __slots__ = ("fields", "timestamp")
    thrift_spec = Log.thrift_spec

    def __init__(self, timestamp: int, fields: list[AnyTag]) -> None:
        self.timestamp = timestamp
        self.fields = fields


class SpanStruct(_Struct):
    """A Span. The ids are unsigned as they come in; no parent is 0."""

    __slots__ = (
        "duration",
        "flags",
        "logs",
        "operationName",
        "parentSpanId",
        "references",
        "spanId",
        "startTime",
        "tags",
        "traceIdHigh",
        "traceIdLow",
    )
    thrift_spec = Span.thrift_spec

    def __init__(
        self,
        trace_id: int,
        span_id: int,
        parent_span_id: int,
        name: str,
        flags: int,
        start_us: int,
        duration_us: int,
        references: list[Any] | None,
        tags: list[AnyTag] | None,
        logs: list[LogStruct] | None,
    ) -> None:
        self.traceIdLow = signed(trace_id)
        self.traceIdHigh = signed(trace_id >> 64)
        self.spanId = signed(span_id)
        self.parentSpanId = signed(parent_span_id)
        self.operationName = name
        self.references = references
        self.flags = flags
        self.startTime = start_us
        self.duration = duration_us
        self.tags = tags
        self.logs = logs


def signed(number: int) -> int:
    """Return the lowest 64 bits of *number* as Thrift's i64, which is signed."""
    number &= 0xFFFF_FFFF_FFFF_FFFF
    return number - (1 << 64) if number >> 63 else number


class ReadTag(Tag):  # type: ignore[misc]  # of no type that is known
    """A Tag that was read: what did not come is on the class, so that no constructor has to run."""

    key = vType = vStr = vDouble = vBool = vLong = vBinary = None
    __init__ = object.__init__

    def __eq__(self, other: object) -> bool:
        names = [field[2] for field in self.thrift_spec if field]
        return isinstance(other, Tag) and all(
            getattr(self, name) == getattr(other, name) for name in names
        )


_READ = {Tag: ReadTag}


class StructType:
    """How structs of one class are encoded and decoded; *cls* is what decoding makes."""

    def __init__(self, cls: type[Any]) -> None:
        self.cls = cls
        self._adapted = _adapt(cls, {})

    def encode(self, struct: Any) -> bytes:
        """Return *struct*, anything with the attributes of the class, in compact Thrift.

        Raises:
            Exception: an attribute is not what the field's type says, or not valid Unicode.
        """
        if fastbinary is not None:
            encoded: bytes = fastbinary.encode_compact(struct, self._adapted)
            return encoded
        buffer = TMemoryBuffer()
        TCompactProtocol(buffer).writeStruct(struct, self.cls.thrift_spec)
        return buffer.getvalue()  # type: ignore[no-any-return]

    def decode(self, encoded: bytes) -> Any:
        """Return the struct in *encoded*. Raises whatever thrift does if there is none."""
        return self.read_from(reader(encoded))

    def read_from(self, protocol: TCompactProtocol) -> Any:
        """Return the struct that *protocol* is about to read."""
        struct = self.cls()
        if fastbinary is not None:
            fastbinary.decode_compact(struct, protocol, self._adapted)
        else:
            protocol.readStruct(struct, self.cls.thrift_spec)
        return struct


def reader(encoded: bytes) -> TCompactProtocol:
    """Return a protocol that reads *encoded*, and believes no length beyond its own."""
    protocol = TCompactProtocol if fastbinary is None else TCompactProtocolAccelerated
    return protocol(
        TMemoryBuffer(encoded),
        string_length_limit=len(encoded),
        container_length_limit=len(encoded),
    )


def _adapt(cls: type[Any], done: dict[type[Any], list[Any]]) -> list[Any]:
    """Return [cls, spec] in the form the C encoder wants: each struct's argument such a list."""
    if cls not in done:
        pair = done[cls] = [_READ.get(cls, cls), ()]
        pair[1] = tuple(
            field and (*field[:3], _adapt_argument(field[1], field[3], done), field[4])
            for field in cls.thrift_spec
        )
    return done[cls]


def _adapt_argument(kind: int, argument: Any, done: dict[type[Any], list[Any]]) -> Any:
    if kind == TType.STRUCT:
        return _adapt(argument[0], done)
    if kind == TType.LIST:
        element, element_argument, immutable = argument
        return (element, _adapt_argument(element, element_argument, done), immutable)
    return argument


TAG = StructType(Tag)
LOG = StructType(Log)
SPAN_REF = StructType(SpanRef)
SPAN = StructType(Span)
PROCESS = StructType(Process)
EMIT_BATCH_ARGS = StructType(EmitBatchArgs)
