"""What is peculiar to SQLite: how connections are set up, how transactions begin, what its errors mean."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, NullPool, create_engine, event

BUSY_SECONDS = 20
"""How long a transaction waits for another process that is writing."""

BEGIN_READING = "BEGIN"
BEGIN_WRITING = "BEGIN IMMEDIATE"
"""Takes the write lock now: a transaction never finds at its end that another process wrote in between."""

_RETRY_SECONDS = 0.01

_PRAGMAS = (
    # A killed process loses nothing; only a power cut may take the last transactions, never consistency.
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -16000",
    # A page that changes often is copied into the main file once in 4000, not in 1000, pages of log.
    "PRAGMA wal_autocheckpoint = 4000",
)

_MEANINGS = (
    ("unable to open", "cannot be opened: its folder must exist and be readable and writable"),
    ("readonly", "must be writable: check the rights of the file and of its folder"),
    ("is full", "cannot be written, the disk is full: free some space, then start again"),
    ("not a database", "is not an SQLite database: move the file away or use another folder"),
    ("malformed", "is damaged: restore it from a copy, or move it away to start over"),
    (
        "is locked",
        f"was kept locked by another process for {BUSY_SECONDS} s: end that process, then try again",
    ),
    ("disk i/o", "cannot be read or written (disk I/O error): check the disk and its free space"),
)


def sqlite_engine(path: Path) -> Engine:
    """An engine on the file; nothing is opened yet. It keeps no connections: `Database` does."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=NullPool,
        # A connection goes from thread to thread, used by one at a time.
        connect_args={"check_same_thread": False},
    )
    event.listen(engine, "connect", _set_up)
    return engine


def meaning_of(error: BaseException) -> str:
    """What an error of the driver means to people; reads on after the file's path."""
    text = str(error)
    lowered = text.lower()
    return next((meaning for sign, meaning in _MEANINGS if sign in lowered), f"failed: {text}")


def _set_up(connection: Any, _record: Any) -> None:
    # The driver's own handling would begin transactions late and commit before DDL.
    connection.isolation_level = None
    cursor: sqlite3.Cursor = connection.cursor()
    try:
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        _use_write_ahead_log(cursor)
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
    finally:
        cursor.close()


def _use_write_ahead_log(cursor: sqlite3.Cursor) -> None:
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # While another connection switches a new file, this one fails at once, whatever its timeout.
            if "is locked" not in str(error) or time.monotonic() >= end:
                raise
            time.sleep(_RETRY_SECONDS)
