"""Table: the rows of one measurement, merged as they come, handed out as Arrow."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pyarrow as pa

from .columns import ARROW_TYPES, TIME, ColumnType, FieldValue
from .lineprotocol import Point

BLOCK_ROWS = 8192
"""Rows of a block: what a write makes of the table's Arrow form anew, at least."""

# What things take in memory, in Python's form and Arrow's together, measured and rounded up.
_TABLE_BYTES = 2_000
_COLUMN_BYTES = 500
_ROW_BYTES = 350
_TAG_BYTES = 200
_FIELD_BYTES = 60
_TEXT_BYTES = 64


class Table:
    """The rows of one measurement. Rows of one series and time are one: the last write wins.

    Not for use from two threads at once; `Database` sees to that.
    """

    def __init__(self) -> None:
        self.columns: dict[str, ColumnType] = {TIME: ColumnType.TIMESTAMP}
        self._blocks: list[_Block] = []
        self._row_of: dict[tuple[tuple[tuple[str, str], ...], int], int] = {}
        self._text_bytes = 0

    @property
    def size_bytes(self) -> int:
        """What the table takes in memory, rather more than less: as if no value were missing."""
        return _size_bytes(self.columns, len(self._row_of), self._text_bytes)

    def size_bytes_with(self, columns: Mapping[str, ColumnType], points: Collection[Point]) -> int:
        """Return what it takes at most once it is widened by *columns* and has *points*."""
        text_bytes = sum(_texts_bytes(point.tags) + _texts_bytes(point.fields) for point in points)
        row_count = len(self._row_of) + len(points)
        return _size_bytes({**self.columns, **columns}, row_count, self._text_bytes + text_bytes)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema: columns by name, as the reference orders them; time is never null."""
        return pa.schema(
            pa.field(name, ARROW_TYPES[column_type], nullable=name != TIME)
            for name, column_type in sorted(self.columns.items())
        )

    def widen(self, columns: Mapping[str, ColumnType]) -> None:
        """Add *columns*; rows already here have no value in them."""
        self.columns.update(columns)

    def put(self, point: Point) -> None:
        """Add the row that *point* is, or merge it into the row of its series and time.

        Its columns must be there.
        """
        key = (tuple(sorted(point.tags.items())), point.time_ns)
        row_count = len(self._row_of)
        row = self._row_of.setdefault(key, row_count)
        block_index, index = divmod(row, BLOCK_ROWS)
        if row == row_count:
            if index == 0:
                self._blocks.append(_Block())
            self._blocks[block_index].start_row(index, {TIME: point.time_ns, **point.tags})
            self._text_bytes += _texts_bytes(point.tags)
        self._text_bytes += self._blocks[block_index].set(index, point.fields)

    def snapshot(self) -> list[pa.RecordBatch]:
        """Return the rows as they are now. Of a table without rows, one empty batch."""
        schema = self.schema
        batches = [block.to_arrow(schema) for block in self._blocks]
        return batches or [pa.RecordBatch.from_pylist([], schema=schema)]


class _Block:
    """Some rows, column by column, and their Arrow form until the next write."""

    __slots__ = ("_batch", "_columns", "_row_count")

    def __init__(self) -> None:
        self._columns: dict[str, list[FieldValue | None]] = {}
        self._row_count = 0
        self._batch: pa.RecordBatch | None = None

    def start_row(self, index: int, values: Mapping[str, FieldValue]) -> None:
        self._row_count = index + 1
        self.set(index, values)

    def set(self, index: int, values: Mapping[str, FieldValue]) -> int:
        """Set the columns of a row; return by how many bytes its texts have grown."""
        self._batch = None
        grown_bytes = 0
        for name, value in values.items():
            column = self._columns.setdefault(name, [])
            if len(column) <= index:  # a column is as long as its last value needs
                column.extend([None] * (index + 1 - len(column)))
            if isinstance(value, str):
                before = column[index]
                grown_bytes += _text_bytes(value)
                grown_bytes -= _text_bytes(before) if isinstance(before, str) else 0
            column[index] = value
        return grown_bytes

    def to_arrow(self, schema: pa.Schema) -> pa.RecordBatch:
        if self._batch is None or self._batch.schema != schema:
            arrays = [self._array(field) for field in schema]
            self._batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
        return self._batch

    def _array(self, field: pa.Field) -> pa.Array:
        values = self._columns.get(field.name, [])
        padded = values + [None] * (self._row_count - len(values))
        if pa.types.is_dictionary(field.type):
            return pa.array(padded, pa.string()).dictionary_encode()
        return pa.array(padded, field.type)


def _size_bytes(columns: Mapping[str, ColumnType], row_count: int, text_bytes: int) -> int:
    tag_count = sum(column_type is ColumnType.TAG for column_type in columns.values())
    row_bytes = _ROW_BYTES + tag_count * _TAG_BYTES + (len(columns) - tag_count) * _FIELD_BYTES
    names_bytes = sum(map(_text_bytes, columns))
    return (
        _TABLE_BYTES
        + len(columns) * _COLUMN_BYTES
        + names_bytes
        + row_count * row_bytes
        + text_bytes
    )


def _texts_bytes(values: Mapping[str, FieldValue]) -> int:
    return sum(_text_bytes(value) for value in values.values() if isinstance(value, str))


def _text_bytes(text: str) -> int:
    """Return what *text* takes at most, in both forms; Python keeps it as UTF-8, too."""
    return _TEXT_BYTES + len(text) * (2 if text.isascii() else 12)
