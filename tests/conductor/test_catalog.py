"""Databases and tables: merging, widening, conflicts, snapshots."""

from __future__ import annotations

import operator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest

from iox_otel import SpanRecorder
from iox_otel.conductor.capacity import DataFullError
from iox_otel.conductor.catalog import (
    Catalog,
    Database,
    DatabaseExistsError,
    DatabaseNotFoundError,
    InvalidDatabaseNameError,
    TooManyBadLinesError,
)
from iox_otel.conductor.lineprotocol import MAX_BAD_LINES, LineError, Point, Precision, parse
from iox_otel.conductor.table import BLOCK_ROWS


def write(database: Database, text: str, *, accept_partial: bool = True) -> list[LineError]:
    points = list(parse(text, precision=Precision.NANOSECOND, now_ns=0))
    assert all(isinstance(point, Point) for point in points)
    good = [point for point in points if isinstance(point, Point)]
    return database.write(good, accept_partial=accept_partial, recorder=SpanRecorder(None))


def rows(database: Database, table: str = "m") -> list[dict[str, Any]]:
    """Return the rows without their nulls, times as nanoseconds."""
    merged = pa.Table.from_batches(database.snapshot()[table])
    time = merged.column_names.index("time")
    plain = merged.set_column(time, "time", merged["time"].cast(pa.int64()))
    return [{k: v for k, v in row.items() if v is not None} for row in plain.to_pylist()]


@pytest.fixture
def database() -> Database:
    return Catalog().create("db")


def test_names() -> None:
    """Databases are found by name, and listed in order."""
    catalog = Catalog()
    made = catalog.create("b-2_X")
    catalog.create("a")

    assert catalog.get("b-2_X") is made
    assert catalog.names() == ["a", "b-2_X"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "cannot be empty"),
        ("_a", "did not start with"),
        ("ä", "did not start with"),
        ("a b", "invalid character"),
        ("a/b", "invalid character"),
        ("a\n", "invalid character"),
        ("../etc", "did not start with"),
        ("a/../../etc/passwd", "invalid character"),
        ("a\\b", "invalid character"),
        ("a\0", "invalid character"),
        ("a.b", "invalid character"),
        ("a%2e%2e", "invalid character"),
        ("aä", "invalid character"),
        ("a" * 100_000, "too long: max 64"),
        ("a" * 65, "too long: max 64"),
    ],
)
def test_bad_names(name: str, problem: str) -> None:
    """What cannot be a name is refused for a stated reason."""
    with pytest.raises(InvalidDatabaseNameError, match=problem):
        Catalog().create(name)


def test_a_name_is_taken_once() -> None:
    """There are no two databases of one name."""
    catalog = Catalog()
    catalog.create("a" * 64)

    with pytest.raises(DatabaseExistsError, match="Database already exists"):
        catalog.create("a" * 64)


def test_an_unknown_database() -> None:
    """The error says how to make it, if it can be made at all."""
    with pytest.raises(DatabaseNotFoundError, match="iox-otel database create db$"):
        Catalog().get("db")
    with pytest.raises(DatabaseNotFoundError) as caught:
        Catalog().get("no; rm -rf /")
    assert "create" not in str(caught.value)


def test_rows_of_one_series_and_time_merge(database: Database) -> None:
    """They merge field by field, the last write wins; tags are a set, not a list."""
    write(database, "m,a=1,b=2 f=1,g=1i 5\nm,b=2,a=1 f=2,h=t 5\nm,a=1 f=3 5\nm,a=1,b=2 f=4 6")
    write(database, 'm,b=2,a=1 h=f,i="x" 5')

    assert rows(database) == [
        {"a": "1", "b": "2", "f": 2.0, "g": 1, "h": False, "i": "x", "time": 5},
        {"a": "1", "f": 3.0, "time": 5},
        {"a": "1", "b": "2", "f": 4.0, "time": 6},
    ]


def test_columns(database: Database) -> None:
    """Columns have the types of their values and stand in the order of their names."""
    write(database, 'm,z=1 f=1,i=1i,u=1u,s="x",b=t 5')

    (batch,) = database.snapshot()["m"]
    assert [(field.name, str(field.type)) for field in batch.schema] == [
        ("b", "bool"),
        ("f", "double"),
        ("i", "int64"),
        ("s", "string"),
        ("time", "timestamp[ns]"),
        ("u", "uint64"),
        ("z", "dictionary<values=string, indices=int32, ordered=0>"),
    ]


def test_new_tags_and_fields_widen_the_table(database: Database) -> None:
    """Rows from before have no value in the new columns; so have rows after without them."""
    write(database, "m f=1 1")
    database.snapshot()
    write(database, "m,t=x g=2 2\nm f=3 3")

    assert rows(database) == [
        {"f": 1.0, "time": 1},
        {"g": 2.0, "t": "x", "time": 2},
        {"f": 3.0, "time": 3},
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("m f=1i 9", "column 'f', expected iox::column_type::field::float, got {}field::integer"),
        (
            "m i=1u 9",
            "column 'i', expected iox::column_type::field::integer, got {}field::uinteger",
        ),
        ("m,f=x i=1i 9", "column 'f', expected iox::column_type::field::float, got {}tag"),
        ("m t=t 9", "column 't', expected iox::column_type::tag, got {}field::boolean"),
        (
            'm time="x" 9',
            "column 'time', expected iox::column_type::timestamp, got {}field::string",
        ),
        ("m,time=x f=1 9", "column 'time', expected iox::column_type::timestamp, got {}tag"),
        ("n,a=1 a=1 9", "column 'a', expected iox::column_type::tag, got {}field::float"),
    ],
)
def test_conflicts(database: Database, line: str, message: str) -> None:
    """A value that contradicts its column's type is its line's error, with column and types."""
    write(database, "m,t=x f=1,i=1i 1")

    (error,) = write(database, f"m f=2 2\n{line}\nm f=3 3")

    assert error == LineError(
        line, 2, "invalid column type for " + message.format("iox::column_type::")
    )
    assert [row["time"] for row in rows(database)] == [1, 2, 3]
    assert "n" not in database.snapshot()


def test_a_conflict_within_a_write(database: Database) -> None:
    """The first line that names a column decides its type; a refused one decides nothing."""
    errors = write(database, "m a=1 1\nm a=1i,b=1 2\nm b=1i 3")

    assert [error.line_number for error in errors] == [2]
    assert rows(database) == [{"a": 1.0, "time": 1}, {"b": 1, "time": 3}]


def test_all_or_nothing(database: Database) -> None:
    """Without accept_partial one bad line keeps all lines of the write out, and their columns."""
    write(database, "m f=1 1")

    errors = write(database, "m f=2 1\nm,t=x g=1 2\nnew f=1 3\nm f=1i 4", accept_partial=False)

    assert [error.line_number for error in errors] == [4]
    assert rows(database) == [{"f": 1.0, "time": 1}]
    assert list(database.snapshot()) == ["m"]
    assert write(database, "m t=1i 5") == []


def test_many_rows(database: Database) -> None:
    """Tables of several blocks keep all rows, and merge into old ones."""
    count = 2 * BLOCK_ROWS + 5
    write(database, "\n".join(f"m,t={i % 7} f={i} {i}" for i in range(count)))
    before = database.snapshot()["m"]
    write(database, "m,t=1 f=-1 1\nm,t=9 g=1i 1")
    after = database.snapshot()["m"]

    assert [batch.num_rows for batch in before] == [BLOCK_ROWS, BLOCK_ROWS, 5]
    assert sum(batch.num_rows for batch in after) == count + 1
    assert before[0]["f"][1].as_py() == 1.0  # a snapshot stays as it was
    assert after[0]["f"][1].as_py() == -1.0
    assert after[1].schema == after[2].schema  # its rows are as they were, its columns are not
    assert after[2]["g"].to_pylist() == [None] * 5 + [1]


def test_writes_and_snapshots_at_the_same_time(database: Database) -> None:
    """Every snapshot holds whole writes only."""

    def write_pair(number: int) -> None:
        write(database, f"a f=1 {number}\nb f=1 {number}")

    def count() -> tuple[int, int]:
        tables = database.snapshot()
        a, b = (sum(x.num_rows for x in tables.get(name, [])) for name in "ab")
        return a, b

    with ThreadPoolExecutor(4) as pool:
        writes = [pool.submit(write_pair, number) for number in range(200)]
        counts = [pool.submit(count) for _ in range(50)]
    assert all(write.exception() is None for write in writes)
    assert all(a == b for a, b in (counted.result() for counted in counts))
    assert count() == (200, 200)


def test_data_is_counted(database: Database) -> None:
    """Rows, columns and texts count, each time that they are new and not when they are not."""
    line = 'm,t=a f=1,s="x" 5'
    taken = [taken_bytes(database)]
    for text in (line, line, 'm,t=a s="xyz" 5', line, "m,t=b f=1 5", "m,t=b g=1 5", "n f=1 5"):
        write(database, text)
        taken.append(taken_bytes(database))

    first, again, longer, shorter, row, column, table = map(operator.sub, taken[1:], taken)
    assert first > 2_000 and again == 0
    assert longer == -shorter > 0
    assert min(row, column) > 350 and table > 2_000


def taken_bytes(database: Database) -> int:
    return database._capacity._taken_bytes


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"m,t=a{i} f={i} {i}" for i in range(100)),
        "m " + ",".join(f"f{i}=1" for i in range(100)),
        f'm s="{"x" * 20_000}"',
        "\n".join(f"m{i} f=1" for i in range(20)),
    ],
)
def test_a_write_without_room(text: str) -> None:
    """Whatever it is that needs the room, nothing of the write is there, and no room is lost."""
    database = Catalog(max_data_bytes=30_000).create("db")
    write(database, "m f=1 1")
    before = taken_bytes(database)

    with pytest.raises(DataFullError, match="see --max-data-mb; nothing was written$"):
        write(database, text)

    assert rows(database) == [{"f": 1.0, "time": 1}]
    assert list(database.snapshot()) == ["m"]
    assert taken_bytes(database) == before
    write(database, "m f=2 2")


def test_databases_take_room() -> None:
    """There are not endlessly many of them."""
    catalog = Catalog(max_data_bytes=10_000)

    with pytest.raises(DataFullError):
        for number in range(100):
            catalog.create(f"db{number}")
    assert catalog.names() == [f"db{number}" for number in range(10)]


def test_one_limit_for_all_databases() -> None:
    """What one of them takes is not there for the others."""
    catalog = Catalog(max_data_bytes=20_000)
    write(catalog.create("a"), f'm s="{"x" * 6_000}"')

    with pytest.raises(DataFullError):
        write(catalog.create("b"), f'm s="{"x" * 6_000}"')


def test_a_write_of_too_many_conflicts(database: Database) -> None:
    """It is refused whole, though there are good lines."""
    write(database, "m f=1 1")

    with pytest.raises(TooManyBadLinesError, match="the first is line 2: invalid column type"):
        write(database, "m f=2 2\n" + "m f=t 3\n" * (MAX_BAD_LINES + 1))
    assert rows(database) == [{"f": 1.0, "time": 1}]
