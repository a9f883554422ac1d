"""Transactions that change the store: they number their changes and log them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from katibpy.api.model import Resource
from katibpy.stores.sql import schema
from katibpy.stores.sql.database import Database
from katibpy.stores.sql.transaction import Row, Transaction

_STATE = select(schema.store.c.epoch, schema.store.c.version, schema.store.c.dropped)
# Where rows can be locked, this makes writers take turns, so that versions follow the order of commits and
# whoever reads the log never misses one. SQLite has one writer at a time and leaves the clause out.
_STATE_LOCKED = _STATE.with_for_update()
_ADVANCE = update(schema.store).values(version=bindparam("to"))
_LOG = insert(schema.changes)
_PRUNE = delete(schema.changes).where(schema.changes.c.version <= bindparam("until"))
_DROPPED = update(schema.store).values(dropped=bindparam("until"))

PRUNE_EVERY = 1_000
"""How many entries more than asked for are kept, so that pruning is rare."""


class StoreState:
    """The store's one row.

    Attributes:
        epoch: the store's identity.
        version: its newest version.
        dropped: the newest version that is no longer in the change log.
    """

    __slots__ = ("dropped", "epoch", "version")

    def __init__(self, transaction: Transaction, *, locked: bool = False) -> None:
        row: Row = transaction.first(_STATE_LOCKED if locked else _STATE)
        self.epoch: str = row.epoch
        self.version: int = row.version
        self.dropped: int = row.dropped


class Revision:
    """A transaction that changes resources.

    Attributes:
        transaction: where its statements go.
        version: the newest version, that of the last logged change included.
        written: what was written, by id.
    """

    def __init__(self, transaction: Transaction, state: StoreState) -> None:
        self.transaction = transaction
        self.version = state.version
        self.changes: list[dict[str, Any]] = []
        self.written: dict[int, Resource] = {}

    def log(self, key: tuple[str, str, str], uid: str | None, change: str) -> int:
        """Notes one change of one object and gives the version it makes."""
        self.version += 1
        kind, namespace, name = key
        self.changes.append(
            {
                "version": self.version,
                "kind": kind,
                "namespace": namespace,
                "name": name,
                "uid": uid or "",
                "type": change,
            }
        )
        return self.version


@contextmanager
def revising(database: Database, changes_kept: int) -> Iterator[Revision]:
    """A transaction that changes resources; its log is written at the end.

    Raises:
        StoreError: the database could not do it.
    """
    with database.writing() as transaction:
        state = StoreState(transaction, locked=True)
        revision = Revision(transaction, state)
        yield revision
        if not revision.changes:
            return
        transaction.change_each(_LOG, revision.changes)
        transaction.change(_ADVANCE, {"to": revision.version})
        if revision.version - state.dropped >= changes_kept + PRUNE_EVERY:
            until = revision.version - changes_kept
            transaction.change(_PRUNE, {"until": until})
            transaction.change(_DROPPED, {"until": until})
