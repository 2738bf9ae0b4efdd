"""What a column of a table may be, and which values it takes."""

from __future__ import annotations

from enum import Enum

import pyarrow as pa


class Unsigned(int):
    """An unsigned integer of line protocol (`5u`), told apart from `5i` by its type."""

    __slots__ = ()


FieldValue = float | int | str | bool
"""A field's value; an unsigned integer is an `Unsigned`."""


class ColumnType(Enum):
    """The types of InfluxDB 3's data model, under the names its error messages give them."""

    TAG = "tag"
    TIMESTAMP = "timestamp"
    FLOAT = "field::float"
    INTEGER = "field::integer"
    UINTEGER = "field::uinteger"
    STRING = "field::string"
    BOOLEAN = "field::boolean"

    def __str__(self) -> str:
        return f"iox::column_type::{self.value}"


TIME = "time"
"""The column that every table has; neither a tag nor a field may be called that."""

ARROW_TYPES = {
    ColumnType.TAG: pa.dictionary(pa.int32(), pa.string()),
    ColumnType.TIMESTAMP: pa.timestamp("ns"),
    ColumnType.FLOAT: pa.float64(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.UINTEGER: pa.uint64(),
    ColumnType.STRING: pa.string(),
    ColumnType.BOOLEAN: pa.bool_(),
}

_FIELD_TYPES = {
    float: ColumnType.FLOAT,
    int: ColumnType.INTEGER,
    Unsigned: ColumnType.UINTEGER,
    str: ColumnType.STRING,
    bool: ColumnType.BOOLEAN,
}


def field_type(value: FieldValue) -> ColumnType:
    """Return the type of the column that *value*, a field's, belongs into."""
    return _FIELD_TYPES[type(value)]
