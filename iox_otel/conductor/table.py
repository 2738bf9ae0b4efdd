"""Table: the rows of one measurement, merged as they come, handed out as Arrow."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from .columns import ARROW_TYPES, TIME, ColumnType, FieldValue
from .lineprotocol import Point

BLOCK_ROWS = 8192
"""Rows of a block: what a write makes of the table's Arrow form anew, at least."""


class Table:
    """The rows of one measurement. Rows of one series and time are one: the last write wins.

    Not for use from two threads at once; `Database` sees to that.
    """

    def __init__(self) -> None:
        self.columns: dict[str, ColumnType] = {TIME: ColumnType.TIMESTAMP}
        self._blocks: list[_Block] = []
        self._row_of: dict[tuple[tuple[tuple[str, str], ...], int], int] = {}

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
        self._blocks[block_index].set(index, point.fields)

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

    def set(self, index: int, values: Mapping[str, FieldValue]) -> None:
        self._batch = None
        for name, value in values.items():
            column = self._columns.setdefault(name, [])
            if len(column) <= index:  # a column is as long as its last value needs
                column.extend([None] * (index + 1 - len(column)))
            column[index] = value

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
