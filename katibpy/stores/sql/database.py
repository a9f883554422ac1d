"""One SQL database: its connections, its transactions, its errors in words."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from sqlalchemy import Connection, Engine, PoolProxiedConnection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from katibpy.errors import StoreError
from katibpy.stores.sql.sqlite_engine import BEGIN_READING, BEGIN_WRITING, meaning_of
from katibpy.stores.sql.transaction import Texts, Transaction


class Database:
    """Transactions on one database, for several stores and any number of threads.

    Every transaction has a connection of its own; those that are not in use wait in `_idle`, whose steps are
    atomic. `_writing` lets one thread of this process write at a time: SQLite has one writer anyway, and
    threads that wait here go on at once while its own waiting sleeps. Other processes wait for each other
    inside SQLite.

    Attributes:
        name: the file, as messages name it.
    """

    def __init__(self, engine: Engine, *, name: str) -> None:
        """Takes an engine without a pool."""
        self.name = name
        self._engine = engine
        self._driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error
        self._texts = Texts(engine.dialect)
        self._idle: deque[PoolProxiedConnection] = deque()
        self._writing = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A transaction that sees one state of the database; it must not write.

        Raises:
            StoreError: the database could not do it.
        """
        with self._connection(BEGIN_READING) as transaction:
            yield transaction

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """A transaction that is committed at the end, and rolled back when an exception leaves it.

        Raises:
            StoreError: the database could not do it.
        """
        with self._writing, self._connection(BEGIN_WRITING) as transaction:
            yield transaction

    @contextmanager
    def inspecting(self) -> Iterator[Connection]:
        """Like `reading`, as SQLAlchemy's own connection: for what is about the schema.

        Raises:
            StoreError: the database could not do it.
        """
        with self._bare_connection(BEGIN_READING) as connection:
            yield connection

    @contextmanager
    def altering(self) -> Iterator[Connection]:
        """Like `writing`, as SQLAlchemy's own connection: for what is about the schema.

        Raises:
            StoreError: the database could not do it.
        """
        with self._writing, self._bare_connection(BEGIN_WRITING) as connection:
            yield connection

    def close(self) -> None:
        """Closes all connections; a later transaction opens new ones."""
        while self._idle:
            self._idle.pop().close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _connection(self, begin: str) -> Iterator[Transaction]:
        connection = None
        try:
            connection = self._taken()
            cursor = connection.cursor()
            cursor.execute(begin)
            yield Transaction(cursor, self._texts)
            # A row that nobody fetched would keep the transaction's view of the database for the next one.
            cursor.close()
            connection.commit()
        except BaseException as err:
            if connection is not None:
                self._roll_back(connection)
            if isinstance(err, (self._driver_error, SQLAlchemyError)):
                raise self._told(err) from err
            raise
        self._idle.append(connection)

    @contextmanager
    def _bare_connection(self, begin: str) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                connection.exec_driver_sql(begin)
                yield connection
        except SQLAlchemyError as err:
            raise self._told(err) from err

    def _taken(self) -> PoolProxiedConnection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._engine.raw_connection()

    def _roll_back(self, connection: PoolProxiedConnection) -> None:
        try:
            connection.rollback()
        except self._driver_error:
            connection.close()
        else:
            self._idle.append(connection)

    def _told(self, err: Exception) -> StoreError:
        if isinstance(err, DBAPIError) and err.orig is not None:
            return StoreError(f"the database {self.name} {meaning_of(err.orig)}")
        if isinstance(err, self._driver_error):
            return StoreError(f"the database {self.name} {meaning_of(err)}")
        return StoreError(f"the database {self.name} failed: {err}")
