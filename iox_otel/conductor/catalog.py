"""Catalog: the databases of a server, in memory, and what may be written to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock

import pyarrow as pa

from .capacity import Capacity
from .columns import TIME, ColumnType, field_type
from .errors import ApiError
from .limits import Limits
from .lineprotocol import MAX_BAD_LINES, LineError, Point
from .recorders import Recorder
from .table import Table

MAX_NAME_CHARS = 64

_DATABASE_BYTES = 1_000
"""What an empty one takes in memory."""

_NAME_START = re.compile(r"[A-Za-z0-9]")
_NAME = re.compile(r"[A-Za-z0-9_-]*")


class InvalidDatabaseNameError(ApiError):
    """The name cannot be a database's."""

    status = 400


class DatabaseExistsError(ApiError):
    """There is a database of that name already."""

    status = 409


class DatabaseNotFoundError(ApiError):
    """There is no database of that name."""

    status = 404


class TooManyBadLinesError(ApiError):
    """A write has more bad lines than are worth reporting; nothing was written."""

    status = 400

    def __init__(self, first: LineError) -> None:
        super().__init__(
            f"more than {MAX_BAD_LINES} bad lines, nothing was written; "
            f"the first is line {first.line_number}: {first.error_message}"
        )


def check_database_name(name: str) -> None:
    """Accept *name*: letters, digits, `_`, `-`, beginning with a letter or digit, 1 to 64 of them.

    Raises:
        InvalidDatabaseNameError: with the reference's text.
    """
    if not name:
        problem = "db name cannot be empty"
    elif not _NAME_START.match(name):
        problem = "db name did not start with a number or letter"
    elif not _NAME.fullmatch(name):
        problem = (
            "invalid character in database name: must be ASCII, "
            "containing only letters, numbers, underscores, or hyphens"
        )
    elif len(name) > MAX_NAME_CHARS:
        problem = f"db name too long: max {MAX_NAME_CHARS}"
    else:
        return
    raise InvalidDatabaseNameError(problem)


class Catalog:
    """The databases, by name. Safe for use from several threads.

    Args:
        max_data_bytes: what all of them together may take in memory.
    """

    def __init__(self, *, max_data_bytes: int = Limits().max_data_bytes) -> None:
        self._capacity = Capacity(max_data_bytes)
        self._databases: dict[str, Database] = {}
        self._lock = Lock()

    def create(self, name: str) -> Database:
        """Add an empty database.

        Raises:
            InvalidDatabaseNameError: *name* cannot be a database's.
            DatabaseExistsError: it is one's already.
            DataFullError: there is no room for another one.
        """
        check_database_name(name)
        with self._lock:
            if name in self._databases:
                raise DatabaseExistsError("Database already exists")
            self._capacity.take(_DATABASE_BYTES)
            database = self._databases[name] = Database(name, self._capacity)
        return database

    def get(self, name: str) -> Database:
        """Return the database *name*.

        Raises:
            DatabaseNotFoundError: there is none; the text says how to make one.
        """
        database = self._databases.get(name)
        if database is None:
            raise DatabaseNotFoundError(_not_found(name))
        return database

    def names(self) -> list[str]:
        """Return the names of the databases, sorted."""
        with self._lock:
            return sorted(self._databases)


def _not_found(name: str) -> str:
    try:
        check_database_name(name)
    except InvalidDatabaseNameError:
        return f"Database {name[: 2 * MAX_NAME_CHARS]!r} not found"
    return f"Database {name!r} not found; create it with: iox-otel database create {name}"


class Database:
    """The tables of a database, by name. Safe for use from several threads.

    Args:
        name: of the database.
        capacity: what its tables take is taken from that.
    """

    def __init__(self, name: str, capacity: Capacity) -> None:
        self.name = name
        self._capacity = capacity
        self._tables: dict[str, Table] = {}
        self._lock = Lock()

    def write(
        self,
        points: Iterable[Point],
        *,
        refused: Sequence[LineError] = (),
        accept_partial: bool,
        recorder: Recorder,
    ) -> list[LineError]:
        """Put *points* into their tables, making and widening tables as needed.

        Args:
            points: in the order they were written in.
            refused: lines of the same write that are no points.
            accept_partial: whether to keep the good points if there are bad ones.
            recorder: gets a child span "append" for each table.

        Returns:
            *refused*, and the points that did not fit the tables' columns. With accept_partial
            false and any of these, nothing was written at all.

        Raises:
            DataFullError: there might be no room for all of it; nothing was written.
            TooManyBadLinesError: likewise nothing.
        """
        with self._lock:
            admission = _Admission(self._tables)
            errors = [*refused]
            for point in points:
                if error := admission.admit(point):
                    errors.append(error)
                    if len(errors) > MAX_BAD_LINES:
                        raise TooManyBadLinesError(min(errors, key=_line_number))
            if accept_partial or not errors:
                self._apply(admission, recorder)
        return errors

    def _apply(self, admission: _Admission, recorder: Recorder) -> None:
        """Write what was admitted, having taken room as if each point were a row of its own."""
        before_bytes = self._size_bytes(admission.points)
        reserved_bytes = admission.most_bytes() - before_bytes
        self._capacity.take(reserved_bytes)
        try:
            for name, admitted in admission.points.items():
                self._append(name, admission.columns[name], admitted, recorder)
        finally:
            grown_bytes = self._size_bytes(admission.points) - before_bytes
            self._capacity.give_back(reserved_bytes - grown_bytes)

    def _size_bytes(self, names: Iterable[str]) -> int:
        tables = (self._tables.get(name) for name in names)
        return sum(table.size_bytes for table in tables if table is not None)

    def _append(
        self,
        name: str,
        columns: Mapping[str, ColumnType],
        points: Sequence[Point],
        recorder: Recorder,
    ) -> None:
        with recorder.child("append") as appending:
            appending.set_metadata("table", name)
            appending.set_metadata("lines", len(points))
            table = self._tables.setdefault(name, Table())
            table.widen(columns)
            for point in points:
                table.put(point)

    def snapshot(self) -> dict[str, list[pa.RecordBatch]]:
        """Return the rows of every table as they are at one moment: at least one batch each."""
        with self._lock:
            return {name: table.snapshot() for name, table in self._tables.items()}


class _Admission:
    """Sorts points by table, and finds those that contradict a column's type.

    The columns that admitted points bring count for the points behind them; the tables stay as they
    are.
    """

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self._tables = tables
        self.columns: dict[str, dict[str, ColumnType]] = {}
        self.points: dict[str, list[Point]] = {}

    def admit(self, point: Point) -> LineError | None:
        columns = self._columns_of(point.measurement)
        wanted = dict.fromkeys(point.tags, ColumnType.TAG)
        for name, value in point.fields.items():
            expected = wanted.setdefault(name, field_type(value))
            if expected is not field_type(value):
                return point.error(_conflict(name, expected, field_type(value)))
        for name, got in wanted.items():
            expected = columns.get(name, got)
            if expected is not got:
                return point.error(_conflict(name, expected, got))
        columns.update(wanted)
        self.points.setdefault(point.measurement, []).append(point)
        return None

    def most_bytes(self) -> int:
        """Return what the tables of the admitted points take at most once they have them."""
        return sum(
            (self._tables.get(name) or Table()).size_bytes_with(self.columns[name], points)
            for name, points in self.points.items()
        )

    def _columns_of(self, table_name: str) -> dict[str, ColumnType]:
        columns = self.columns.get(table_name)
        if columns is None:
            table = self._tables.get(table_name)
            columns = dict(table.columns) if table else {TIME: ColumnType.TIMESTAMP}
            self.columns[table_name] = columns
        return columns


def _line_number(error: LineError) -> int:
    return error.line_number


def _conflict(name: str, expected: ColumnType, got: ColumnType) -> str:
    return f"invalid column type for column '{name}', expected {expected}, got {got}"
