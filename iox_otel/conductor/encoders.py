"""Query results as bytes: one encoder for each form that they come in."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from .errors import BadRequestError
from .values import plain_values, text_values


class Encoder(Protocol):
    """Turns the batches of one result into the bytes of one body, piece by piece."""

    def encode(self, batch: pa.RecordBatch) -> bytes:
        """Return the next piece of the body, perhaps nothing yet."""

    def finish(self) -> bytes:
        """Return the last piece of the body."""


def _rows_as_json(batch: pa.RecordBatch) -> Iterable[str]:
    """Return each row as a JSON object, without its nulls, as the reference leaves them out."""
    names = batch.schema.names
    for row in zip(*map(plain_values, batch.columns), strict=True):
        fields = {name: value for name, value in zip(names, row, strict=True) if value is not None}
        yield json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


class JsonEncoder:
    """One JSON array of objects."""

    def __init__(self, schema: pa.Schema) -> None:
        self._next_prefix = "["

    def encode(self, batch: pa.RecordBatch) -> bytes:
        """Return the rows, with what goes before them."""
        rows = ",".join(_rows_as_json(batch))
        if not rows:
            return b""
        prefix, self._next_prefix = self._next_prefix, ","
        return _utf8(prefix + rows)

    def finish(self) -> bytes:
        """Close the array."""
        return b"[]" if self._next_prefix == "[" else b"]"


class JsonLinesEncoder:
    """One JSON object a line."""

    def __init__(self, schema: pa.Schema) -> None:
        pass

    def encode(self, batch: pa.RecordBatch) -> bytes:
        """Return the rows, each with its newline."""
        return _utf8("".join(f"{row}\n" for row in _rows_as_json(batch)))

    def finish(self) -> bytes:
        """Return nothing: every line is whole."""
        return b""


class CsvEncoder:
    """A line of column names, then one of values for each row; a null is empty."""

    def __init__(self, schema: pa.Schema) -> None:
        self._text = io.StringIO()
        self._writer = csv.writer(self._text, lineterminator="\n")
        self._writer.writerow(schema.names)

    def encode(self, batch: pa.RecordBatch) -> bytes:
        """Return the rows, the names before the first."""
        self._writer.writerows(zip(*map(text_values, batch.columns), strict=True))
        return self.finish()

    def finish(self) -> bytes:
        """Return what was not returned yet: the names, if there were no rows."""
        piece = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return _utf8(piece)


MAX_TABLE_BYTES = 64 * 1024 * 1024
"""What a table with borders may take in memory, about: nearly a million short values."""

_CELL_BYTES = 64
"""What a value takes in memory beside its characters."""


class PrettyEncoder:
    """A table with borders. Its columns are as wide as their widest value, so it comes last."""

    def __init__(self, schema: pa.Schema) -> None:
        self._names = [_shown(name) for name in schema.names]
        self._rows: list[list[str]] = []
        self._widths = [_width(name) for name in self._names]
        self._free_bytes = MAX_TABLE_BYTES

    def encode(self, batch: pa.RecordBatch) -> bytes:
        """Keep the rows, as text; return nothing.

        Raises:
            BadRequestError: there are too many to keep.
        """
        columns = [list(map(_shown, text_values(column))) for column in batch.columns]
        for index, column in enumerate(columns):
            self._widths[index] = max(self._widths[index], max(map(_width, column), default=0))
            self._free_bytes -= sum(map(len, column)) + _CELL_BYTES * len(column)
        if self._free_bytes < 0:
            raise BadRequestError(
                "the result is too large for format pretty; jsonl, csv and parquet are streamed"
            )
        self._rows.extend(list(row) for row in zip(*columns, strict=True))
        return b""

    def finish(self) -> bytes:
        """Return the whole table."""
        rule = "+" + "+".join("-" * (width + 2) for width in self._widths) + "+"
        lines = [rule, *self._lines(self._names), rule]
        for row in self._rows:
            lines += self._lines(row)
        if self._rows:
            lines.append(rule)
        return _utf8("\n".join(lines))

    def _lines(self, cells: list[str]) -> Iterator[str]:
        """Return the lines of a row: as many as its highest cell has."""
        for parts in zip_longest(*(cell.split("\n") for cell in cells), fillvalue=""):
            padded = (part.ljust(width) for part, width in zip(parts, self._widths, strict=True))
            yield "| " + " | ".join(padded) + " |"


class ParquetEncoder:
    """A Parquet file, a row group for each batch."""

    def __init__(self, schema: pa.Schema) -> None:
        self._sink = _Sink()
        self._schema = schema
        self._writer = pq.ParquetWriter(pa.PythonFile(self._sink, mode="w"), schema)

    def encode(self, batch: pa.RecordBatch) -> bytes:
        """Return what the file grew by."""
        # A plan's schema and its batches' may differ in what may be null.
        self._writer.write_batch(batch.cast(self._schema))
        return self._sink.take()

    def finish(self) -> bytes:
        """Return the rest of the file, with its footer."""
        self._writer.close()
        return self._sink.take()


class _Sink(io.BytesIO):
    """A file that is taken away while it is written; what was taken is not kept."""

    def __init__(self) -> None:
        super().__init__()
        self._taken_bytes = 0

    def tell(self) -> int:
        return self._taken_bytes + super().tell()

    def take(self) -> bytes:
        piece = self.getvalue()
        self._taken_bytes += len(piece)
        self.seek(0)
        self.truncate()
        return piece

    def close(self) -> None:
        """Stay open: Arrow closes its file before the end of it was taken."""


_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {
    ord("\r"): "\\r",
    ord("\t"): "\\t",
}
del _CONTROLS[ord("\n")]


def _shown(text: str) -> str:
    """Return *text* so that it commands no terminal; a line feed at its end is left out."""
    return text if text.isprintable() else text.translate(_CONTROLS).rstrip("\n")


def _width(text: str) -> int:
    return max(map(len, text.split("\n"))) if "\n" in text else len(text)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")
