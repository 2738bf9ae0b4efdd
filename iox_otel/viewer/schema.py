"""The SQLite database of the viewer: its tables, and opening it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

VERSION = 3
"""Of the tables; a database of another version is not opened."""

_APPLICATION = 0x696F_7876
"""Tells a file of the viewer from other SQLite databases: `iox` and `v`."""
_CACHE_KIB = 32 << 10
_WAIT_S = 1.0

_TABLES = """
CREATE TABLE trace (
    number INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order of arrival
    trace_id BLOB NOT NULL UNIQUE,
    segment INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,                -- of the first span
    last_start_ns INTEGER NOT NULL,           -- of the last span
    end_ns INTEGER NOT NULL,
    longest_ns INTEGER NOT NULL,              -- of a span
    shortest_ns INTEGER NOT NULL,
    spans INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    has_root INTEGER NOT NULL,                -- whether the following is of a span without a parent
    root_start_ns INTEGER NOT NULL,
    root_service TEXT NOT NULL,
    root_name TEXT NOT NULL
);
CREATE INDEX trace_by_start ON trace (start_ns);
CREATE INDEX trace_by_longest ON trace (longest_ns);
CREATE TABLE service_of (
    trace INTEGER NOT NULL,
    service TEXT NOT NULL,
    spans INTEGER NOT NULL,
    PRIMARY KEY (trace, service)
) WITHOUT ROWID;
CREATE TABLE span (
    trace INTEGER NOT NULL,
    digest INTEGER NOT NULL,                  -- of all that it says, so that it is here once
    id BLOB NOT NULL,
    parent BLOB NOT NULL,
    source TEXT NOT NULL,
    resource INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    operation INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (trace, digest)
) WITHOUT ROWID;
CREATE TABLE facet (                          -- what a search compares of a span, in narrow rows
    trace INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    signature_1 INTEGER NOT NULL,             -- a bit of each of its tags, see signature.py
    signature_2 INTEGER NOT NULL,
    signature_3 INTEGER NOT NULL,
    signature_4 INTEGER NOT NULL,
    operation INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,
    duration_ns INTEGER NOT NULL,
    is_error INTEGER NOT NULL,
    PRIMARY KEY (trace, digest)
) WITHOUT ROWID;
CREATE TABLE forgotten (                      -- traces whose spans are still to be deleted
    trace INTEGER PRIMARY KEY
);
CREATE TABLE resource (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    body BLOB NOT NULL,
    schema_url TEXT NOT NULL,
    service TEXT NOT NULL,
    spans INTEGER NOT NULL DEFAULT 0,
    UNIQUE (body, schema_url)
);
CREATE TABLE scope (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    body BLOB NOT NULL,
    schema_url TEXT NOT NULL,
    spans INTEGER NOT NULL DEFAULT 0,
    UNIQUE (body, schema_url)
);
CREATE TABLE operation (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    service TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    spans INTEGER NOT NULL DEFAULT 0,
    UNIQUE (service, name, kind)
);
CREATE TABLE segment (                        -- traces that came one after the other
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    traces INTEGER NOT NULL DEFAULT 0         -- of them that are still here
);
CREATE TABLE term (                           -- what a search can ask for, see terms.py
    segment INTEGER NOT NULL,                 -- goes with all its terms, when all its traces have
    term INTEGER NOT NULL,
    block INTEGER NOT NULL,                   -- of traces, see blocks.py
    bits INTEGER NOT NULL,                    -- which of them have it
    PRIMARY KEY (segment, term, block)
) WITHOUT ROWID;
"""


class StoreError(Exception):
    """A database cannot be opened or written; one line that names its file."""


def connect(path: Path | None) -> sqlite3.Connection:
    """Return a connection to the database in *path*, or to a new one in memory.

    The file is this process's alone until it closes it.

    Raises:
        StoreError: it is no database of this version, is in use, or cannot be opened.
    """
    try:
        database = sqlite3.connect(
            path or ":memory:", timeout=_WAIT_S, check_same_thread=False, isolation_level=None
        )
    except sqlite3.Error as exc:
        raise StoreError(f"cannot open {path}: {exc}") from exc
    try:
        _prepare(database, path)
    except sqlite3.Error as exc:
        database.close()
        raise StoreError(f"cannot open {path}: {exc}") from exc
    except StoreError:
        database.close()
        raise
    return database


def _prepare(database: sqlite3.Connection, path: Path | None) -> None:
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    is_new = not database.execute("SELECT 1 FROM sqlite_schema").fetchone()
    if not is_new and application != _APPLICATION:
        raise StoreError(f"{path} is a database of another program")
    if not is_new and version != VERSION:
        raise StoreError(
            f"{path} was written by another version of the viewer "
            f"(its tables are of version {version}, not {VERSION}); move it away or name another"
        )
    if path is not None:
        # Before the first page is written, or else the file could never become smaller.
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        # SQLite takes the lock by the first write only: a second viewer would open the file, too,
        # and neither could write to it.
        database.execute("BEGIN EXCLUSIVE")
        database.execute("COMMIT")
    if is_new:
        marks = f"PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {VERSION}"
        database.executescript(f"BEGIN IMMEDIATE; {_TABLES}; {marks}; COMMIT")
