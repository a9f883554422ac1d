"""Opening a database file: its schema is created, migrated or refused here."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from sqlalchemy import Connection, inspect, select

from katibpy.errors import NotFound, StoreError
from katibpy.stores.sql import schema
from katibpy.stores.sql.database import Database
from katibpy.stores.sql.sqlite_engine import sqlite_engine


def open_database(path: Path, *, create: bool = True) -> Database:
    """Opens a SQLite file for any number of stores, threads and processes.

    A new or empty file gets the schema; an older schema is migrated, while other processes wait.

    Args:
        path: the file.
        create: whether a missing file is created.

    Raises:
        NotFound: the file is missing and is not to be created.
        StoreError: it cannot be opened, is no database of ours, or has a newer schema; the message says
            which and what to do.
    """
    if not path.parent.is_dir():
        raise StoreError(f"the database {path} must be in a folder that exists, got {path.parent}")
    if path.is_dir():
        raise StoreError(f"the database {path} must be a file, got a folder")
    if not create and not path.exists():
        raise NotFound(f"there is no database {path}")
    database = Database(sqlite_engine(path), name=str(path))
    try:
        with database.inspecting() as connection:
            is_current = _revision(connection, database.name) == schema.REVISION
        if not is_current:
            _make_current(database)
    except BaseException:
        database.close()
        raise
    return database


def _revision(connection: Connection, name: str) -> str | None:
    """The schema's revision; None for an empty database."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    if schema.alembic_version.name in tables:
        revision = connection.execute(select(schema.alembic_version.c.version_num)).scalar()
        if revision is not None:
            return str(revision)
    raise StoreError(
        f"the database {name} must be one of katibpy, got one with the tables {', '.join(sorted(tables))}: "
        "use another folder"
    )


def _make_current(database: Database) -> None:
    with database.altering() as connection:
        # Another process may have been quicker.
        revision = _revision(connection, database.name)
        if revision is None:
            schema.metadata.create_all(connection, checkfirst=False)
            connection.execute(schema.alembic_version.insert().values(version_num=schema.REVISION))
            connection.execute(schema.store.insert().values(id=1, epoch=uuid4().hex, version=0, dropped=0))
        elif revision != schema.REVISION:
            # Alembic takes long to load and is hardly ever needed.
            from katibpy.stores.sql.migrating import migrate

            migrate(connection, revision, name=database.name)
