"""SQL reads and writes nothing but the tables: no file is even opened."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

SECRET = "hunter2"
_EVERYTHING = 0xFFF


class Watch:
    """What happens in a folder, as the kernel says."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._file = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self._file >= 0, os.strerror(ctypes.get_errno())
        assert libc.inotify_add_watch(self._file, os.fsencode(folder), _EVERYTHING) >= 0

    def seen(self) -> list[str]:
        """Return the names of the files that something was done to, since the last time."""
        try:
            events = os.read(self._file, 65_536)
        except BlockingIOError:
            return []
        names = []
        while events:
            *_, length = struct.unpack_from("iIII", events)
            names.append(events[16 : 16 + length].rstrip(b"\0").decode())
            events = events[16 + length :]
        return names

    def close(self) -> None:
        os.close(self._file)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files in the forms that DataFusion reads."""
    (tmp_path / "f.csv").write_text(f"a\n{SECRET}\n")
    (tmp_path / "f.json").write_text(f'{{"a": "{SECRET}"}}\n')
    pq.write_table(pa.table({"a": [SECRET]}), tmp_path / "f.parquet")
    with pa.OSFile(str(tmp_path / "f.arrow"), "wb") as sink:
        table = pa.table({"a": [SECRET]})
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    return tmp_path


@pytest.fixture
def watch(folder: Path) -> Iterator[Watch]:
    watch = Watch(folder)
    yield watch
    watch.close()


def test_the_watch_sees_what_is_done(folder: Path, watch: Watch) -> None:
    """A file that is read shows, and so does one that is made."""
    assert watch.seen() == []
    (folder / "f.csv").read_text()
    assert "f.csv" in watch.seen()
    (folder / "new").touch()
    assert "new" in watch.seen()


FORMS = ("csv", "json", "parquet", "arrow")
READS = [
    "select * from '{file}'",
    'select * from "{file}"',
    "select * from 'file://{file}'",
    "select * from '{folder}'",
    "select * from '{folder}/'",
    "select * from '{folder}/*.{form}'",
    "select * from public.iox.'{file}'",
    "select * from read_{form}('{file}')",
    "select * from read_text('{file}')",
    "select * from {form}_scan('{file}')",
    "select * from parquet_metadata('{file}')",
    "select pg_read_file('{file}')",
    "select load_extension('{file}')",
    "describe '{file}'",
    "show columns from '{file}'",
    "create external table t stored as {form} location '{file}'",
    "create unbounded external table t stored as {form} location '{file}'",
    "explain analyze select * from '{file}'",
    "with x as (select * from '{file}') select * from x",
    "select (select a from '{file}')",
    "load data inpath '{file}' into table m",
]
WRITES = [
    "copy m to '{new}'",
    "copy (select 1 as a) to '{new}' stored as {form}",
    "explain copy m to '{new}'",
    "explain analyze copy m to '{new}'",
    "create external table t (a int) stored as {form} location '{new}'",
    "insert into '{new}' values (1)",
    "select 1 as a into '{new}'",
    "prepare p as copy m to '{new}'",
    "set datafusion.runtime.temp_directory = '{new}'",
]
CHANGES = [
    "set datafusion.catalog.location = '/'",
    "set datafusion.runtime.memory_limit = '100G'",
    "reset datafusion.runtime.memory_limit",
    "insert into m select * from m",
    "update m set f = 2",
    "delete from m",
    "truncate table m",
    "drop table m",
    "create table t as select 1",
    "create view v as select 1",
    "create schema s",
    "create database d",
    "create function f(int) returns int return $1",
    "create index i on m (f)",
    "drop schema iox cascade",
    "prepare p as select 1",
    "execute p",
    "deallocate p",
    "begin",
    "commit",
    "explain analyze insert into m select * from m",
    "select 1; drop table m",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("statement", READS + WRITES)
def test_files_stay_closed(
    conductor: Any, folder: Path, watch: Watch, statement: str, form: str
) -> None:
    """Whatever names a file is refused, and the kernel saw nobody touch it."""
    conductor.write("m f=1 1")
    sql = statement.format(
        file=folder / f"f.{form}", new=folder / f"new.{form}", folder=folder, form=form
    )

    answer = conductor.query(sql)

    assert answer.status_code == 400, answer.text
    assert SECRET not in answer.text
    assert watch.seen() == []


@pytest.mark.parametrize("sql", CHANGES)
def test_statements_that_change_something(conductor: Any, sql: str) -> None:
    """They are refused, and the data is as it was."""
    conductor.write("m f=1 1")

    assert conductor.query(sql).status_code == 400
    assert conductor.rows("select f from m") == [{"f": 1.0}]
    assert conductor.rows("select count(*) as n from information_schema.tables"
                          " where table_schema = 'iox'") == [{"n": 1}]  # fmt: skip


def test_nothing_is_spilled(
    conductor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query that needs more memory than it may take fails, and does not go to the disk."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    watch = Watch(tmp_path)

    answer = conductor.query(
        "select value from generate_series(1, 100000000) as t(value) order by value % 7"
    )

    assert answer.status_code == 503
    assert "--query-memory-mb" in answer.json()["error"]
    assert watch.seen() == []
    watch.close()
