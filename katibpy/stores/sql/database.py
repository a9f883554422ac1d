"""One SQL database: its connections, its transactions, its errors in words."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from katibpy.errors import StoreError
from katibpy.stores.sql.sqlite_engine import begin, meaning_of


class Database:
    """Transactions on one database, for several stores and any number of threads.

    Every transaction has a connection of its own out of the engine's pool. `_writing` lets one thread
    of this process write at a time: SQLite has one writer anyway, and threads that wait here go on at once
    while its own waiting sleeps. Other processes wait for each other inside SQLite.

    Attributes:
        name: the file, as messages name it.
    """

    def __init__(self, engine: Engine, *, name: str) -> None:
        self.name = name
        self._engine = engine
        self._writing = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database; it must not write.

        Raises:
            StoreError: the database could not do it.
        """
        with self._in_words(), self._engine.connect() as connection:
            begin(connection, writes=False)
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is committed at the end, and rolled back when an exception leaves it.

        Raises:
            StoreError: the database could not do it.
        """
        with self._in_words(), self._writing, self._engine.begin() as connection:
            begin(connection, writes=True)
            yield connection

    def close(self) -> None:
        """Closes all connections; a later transaction opens new ones."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as err:
            raise StoreError(f"the database {self.name} {meaning_of(err.orig or err)}") from err
        except SQLAlchemyError as err:
            raise StoreError(f"the database {self.name} failed: {err}") from err
