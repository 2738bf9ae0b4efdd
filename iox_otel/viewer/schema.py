"""The SQLite database of the viewer: its tables, and opening it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

VERSION = 1
"""Of the tables; a database of another version is not opened."""

_TABLES = """
CREATE TABLE trace (
    number INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order of arrival
    trace_id BLOB NOT NULL UNIQUE,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    longest_ns INTEGER NOT NULL,              -- of a span
    shortest_ns INTEGER NOT NULL,
    spans INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    has_root INTEGER NOT NULL,                -- whether the following is of a span without a parent
    root_start_ns INTEGER NOT NULL,
    root_service TEXT NOT NULL,
    root_name TEXT NOT NULL
);
CREATE INDEX trace_by_start ON trace (start_ns);
CREATE TABLE span (
    trace INTEGER NOT NULL,
    digest INTEGER NOT NULL,                  -- of all that follows, so that it is here once
    id BLOB NOT NULL,
    parent BLOB NOT NULL,
    source TEXT NOT NULL,
    resource INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (trace, digest)
) WITHOUT ROWID;
CREATE TABLE resource (
    number INTEGER PRIMARY KEY,
    body BLOB NOT NULL,
    schema_url TEXT NOT NULL,
    service TEXT NOT NULL,
    UNIQUE (body, schema_url)
);
CREATE TABLE scope (
    number INTEGER PRIMARY KEY,
    body BLOB NOT NULL,
    schema_url TEXT NOT NULL,
    UNIQUE (body, schema_url)
);
CREATE TABLE term (                           -- where it is what a search can ask for, see terms.py
    term INTEGER NOT NULL,
    trace INTEGER NOT NULL,
    PRIMARY KEY (term, trace)
) WITHOUT ROWID;
CREATE TABLE operation (
    service TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    spans INTEGER NOT NULL,
    PRIMARY KEY (service, name, kind)
) WITHOUT ROWID;
CREATE TABLE service_of (
    trace INTEGER NOT NULL,
    service TEXT NOT NULL,
    spans INTEGER NOT NULL,
    PRIMARY KEY (trace, service)
) WITHOUT ROWID;
"""


class StoreError(Exception):
    """A database cannot be opened; one line that names its file."""


def connect(path: Path | None) -> sqlite3.Connection:
    """Return a connection to the database in *path*, or to a new one in memory.

    Raises:
        StoreError: it is no database of this version, or cannot be opened.
    """
    try:
        file = path or ":memory:"
        database = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        (version,) = database.execute("PRAGMA user_version").fetchone()
        is_new = not database.execute("SELECT 1 FROM sqlite_schema").fetchone()
        if not is_new and version != VERSION:
            database.close()
            raise StoreError(f"{path} is not a database of this version of the viewer")
        if path is not None:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
        if is_new:
            database.executescript(f"BEGIN; {_TABLES}; PRAGMA user_version = {VERSION}; COMMIT")
    except sqlite3.Error as exc:
        raise StoreError(f"cannot open {path}: {exc}") from exc
    return database
