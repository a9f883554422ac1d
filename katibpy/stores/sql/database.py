"""One SQL database: its connections, its transactions, its errors in words."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
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
        errors: what the driver raises, and SQLAlchemy.
        texts: the statements as this database wants them.
    """

    def __init__(self, engine: Engine, *, name: str) -> None:
        """Takes an engine without a pool."""
        self.name = name
        self._engine = engine
        self.errors: tuple[type[Exception], ...] = (engine.dialect.loaded_dbapi.Error, SQLAlchemyError)
        self.texts = Texts(engine.dialect)
        self._idle: deque[PoolProxiedConnection] = deque()
        self._writing = threading.Lock()

    def reading(self) -> AbstractContextManager[Transaction]:
        """A transaction that sees one state of the database; it must not write.

        Raises:
            StoreError: the database could not do it.
        """
        return _Session(self, BEGIN_READING)

    def looking(self) -> AbstractContextManager[Transaction]:
        """For a single SELECT, which sees one state of the database by itself.

        Raises:
            StoreError: the database could not do it.
        """
        return _Session(self, None)

    def writing(self) -> AbstractContextManager[Transaction]:
        """A transaction that is committed at the end, and rolled back when an exception leaves it.

        Raises:
            StoreError: the database could not do it.
        """
        return _Session(self, BEGIN_WRITING, turn=self._writing)

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

    def taken(self) -> PoolProxiedConnection:
        """A connection that nobody else uses until it is given back or closed."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._engine.raw_connection()

    def given_back(self, connection: PoolProxiedConnection) -> None:
        """Lets others use a connection that has no transaction any more."""
        self._idle.append(connection)

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
    def _bare_connection(self, begin: str) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                connection.exec_driver_sql(begin)
                yield connection
        except SQLAlchemyError as err:
            raise self.told(err) from err

    def told(self, err: Exception) -> StoreError:
        """An error of the driver or of SQLAlchemy, in words."""
        if isinstance(err, DBAPIError) and err.orig is not None:
            return StoreError(f"the database {self.name} {meaning_of(err.orig)}")
        if isinstance(err, SQLAlchemyError):
            return StoreError(f"the database {self.name} failed: {err}")
        return StoreError(f"the database {self.name} {meaning_of(err)}")


class _Session:
    """One transaction, begin to end. A class, since a generator would cost about as much as a SELECT."""

    __slots__ = ("_begin", "_connection", "_cursor", "_database", "_turn")

    def __init__(self, database: Database, begin: str | None, *, turn: threading.Lock | None = None) -> None:
        self._database = database
        self._begin = begin
        self._turn = turn

    def __enter__(self) -> Transaction:
        if self._turn is not None:
            self._turn.acquire()
        try:
            self._connection = self._database.taken()
            try:
                self._cursor = self._connection.cursor()
                if self._begin is not None:
                    self._cursor.execute(self._begin)
            except BaseException:
                self._roll_back()
                raise
        except BaseException as err:
            if self._turn is not None:
                self._turn.release()
            if isinstance(err, self._database.errors):
                raise self._database.told(err) from err
            raise
        return Transaction(self._cursor, self._database.texts)

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if err is None:
                self._commit()
            else:
                self._roll_back()
        finally:
            if self._turn is not None:
                self._turn.release()
        if isinstance(err, self._database.errors):
            raise self._database.told(err) from err

    def _commit(self) -> None:
        try:
            # A row that nobody fetched would keep the transaction's view of the database for the next one.
            self._cursor.close()
            if self._begin is not None:
                self._connection.commit()
        except self._database.errors as err:
            self._roll_back()
            raise self._database.told(err) from err
        self._database.given_back(self._connection)

    def _roll_back(self) -> None:
        try:
            self._connection.rollback()
        except self._database.errors:
            self._connection.close()
        else:
            self._database.given_back(self._connection)
