"""What many spans have in common, kept once and for as long as a span has it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping
from sys import getsizeof
from typing import NamedTuple, Self

from .room import Room

_CACHED_BYTES = 2 << 20


class Interned:
    """The rows of one such table. Not thread-safe; to be used within a transaction.

    Args:
        database: of the viewer.
        table: its name.
        key: the columns that tell one row from another.
        others: the other columns.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        table: str,
        *,
        key: tuple[str, ...],
        others: tuple[str, ...] = (),
    ) -> None:
        self._database = database
        self._key_length = len(key)
        columns = (*key, *others)
        where = " AND ".join(f"{column} = ?" for column in key)
        marks = ", ".join("?" for _ in columns)
        self._find = f"SELECT number FROM {table} WHERE {where}"  # noqa: S608  names and numbers of ours
        self._insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608  names and numbers of ours
        self._count = f"UPDATE {table} SET spans = spans + ? WHERE number = ?"  # noqa: S608  names and numbers of ours
        self._delete = f"DELETE FROM {table} WHERE number = ? AND spans <= 0"  # noqa: S608  names and numbers of ours
        self._numbers: dict[tuple[object, ...], int] = {}
        self._room = Room(_CACHED_BYTES, self._numbers.clear)
        self._come: Counter[int] = Counter()

    def number(self, *values: object) -> int:
        """Return the number of the row with these values, the key's first."""
        if (number := self._numbers.get(values)) is None:
            number = self._number(values)
            if self._room.takes(sum(map(getsizeof, values))):
                self._numbers[values] = number
        return number

    def count(self, number: int, spans: int = 1) -> None:
        """Count spans that have come."""
        self._come[number] += spans

    def write(self) -> None:
        """Write how many spans have come."""
        self._add(self._come)
        self._come.clear()

    def drop(self, spans: Mapping[int, int]) -> None:
        """Take off so many spans of each number; delete what no span has any more."""
        self._add({number: -count for number, count in spans.items()})
        write = self._database.executemany(self._delete, [(number,) for number in spans])
        if write.rowcount > 0:
            self._numbers.clear()

    def forget(self) -> None:
        """Forget what may not be in the database, after a transaction that failed."""
        self._numbers.clear()
        self._come.clear()

    def _number(self, values: tuple[object, ...]) -> int:
        found = self._database.execute(self._find, values[: self._key_length]).fetchone()
        if found:
            return int(found[0])
        return self._database.execute(self._insert, values).lastrowid or 0

    def _add(self, spans: Mapping[int, int]) -> None:
        changes = [(count, number) for number, count in spans.items()]
        self._database.executemany(self._count, changes)


class Common(NamedTuple):
    """All that spans have in common."""

    resource: Interned
    scope: Interned
    operation: Interned

    @classmethod
    def of(cls, database: sqlite3.Connection) -> Self:
        """Return what there is in *database*."""
        body = ("body", "schema_url")
        return cls(
            Interned(database, "resource", key=body, others=("service",)),
            Interned(database, "scope", key=body),
            Interned(database, "operation", key=("service", "name", "kind")),
        )

    def write(self) -> None:
        """Write how many spans have come."""
        for interned in self:
            interned.write()

    def forget(self) -> None:
        """Forget what may not be in the database, after a transaction that failed."""
        for interned in self:
            interned.forget()
