from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from katibpy.api.trial import Trial
from katibpy.core.records import ObservedValue
from katibpy.stores.sql.database import Database
from katibpy.stores.sql.observations import SqlObservationStore
from katibpy.stores.sql.opening import open_database
from katibpy.stores.sql.resources import SqlResourceStore
from katibpy.testing.store_cases import (
    SteppingClock,
    add_experiment,
    add_suggestion,
    finish,
    save,
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path / "katib.db") as opened:
        yield opened


class Statements:
    """What is sent to SQLite, and what SQLite plans to do."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.sent: list[str] = []
        # There is only this connection as long as one thread works.
        self._trace(self._note)

    def plans(self) -> dict[str, str]:
        self._trace(None)
        plans = {}
        with self._database.reading() as transaction:
            for statement in self.sent:
                if statement.startswith(("SELECT", "UPDATE", "DELETE")):
                    transaction.cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
                    plan = "; ".join(row[3] for row in transaction.cursor.fetchall())
                    plans[" ".join(statement.split())] = plan
        return plans

    def _trace(self, listener: Callable[[str], None] | None) -> None:
        with self._database.reading() as transaction:
            cast("sqlite3.Cursor", transaction.cursor).connection.set_trace_callback(listener)

    def _note(self, statement: str) -> None:
        if not statement.startswith(("BEGIN", "COMMIT", "ROLLBACK")):
            self.sent.append(statement)


@pytest.fixture
def statements(database: Database) -> Statements:
    return Statements(database)


def test_no_question_of_a_reconcile_scans_or_sorts_trials(database: Database, statements: Statements) -> None:
    store = SqlResourceStore(database, SteppingClock())
    owner = add_experiment(store)
    uid = owner.metadata.uid or ""
    suggestion = save(store, add_suggestion(store, owner), owner, 2, memory=b"m")
    trial = finish(store, owner, 0, "0.5")
    for question in (
        lambda: store.tally(uid),
        lambda: store.active_trials(uid),
        lambda: store.proposals(uid, limit=10),
        lambda: store.memory(uid),
        lambda: store.history(uid, since=store.history(uid).token),
        lambda: store.find(Trial, "default", trial.metadata.name),
        lambda: store.list(Trial, owner_uid=uid, limit=10),
        lambda: store.list(Trial, owner_uid=uid, phases=["Running"]),
        lambda: store.list(Trial, limit=10),
        lambda: store.list(Trial, namespace="default", limit=10),
        lambda: store.list(Trial, labels={"team": "a"}),
        lambda: store.list(Trial, is_deleting=True),
        lambda: store.changes(0),
        lambda: save(store, suggestion, owner, 1, memory=b"n"),
        lambda: store.remove(trial),
        lambda: store.delete(Trial, "default", "none"),
    ):
        question()
    plans = statements.plans()
    assert len(plans) > 25
    scans = {statement: plan for statement, plan in plans.items() if re.search(r"\bSCAN (?!store\b)", plan)}
    assert not scans, scans
    by_owner = {
        statement: plan
        for statement, plan in plans.items()
        if "ix_objects_owner (owner_uid=? AND kind=?)" in plan
    }
    # Only a list that shows all of an Experiment's Trials, page by page, may go through all of them.
    assert all(re.search("objects.id > .* ORDER BY objects.id", each) for each in by_owner), by_owner
    sorts = {
        statement: plan
        for statement, plan in plans.items()
        # Active trials are few, and so are labelled and deleted ones.
        if "B-TREE FOR ORDER" in plan
        and not re.search(r"OR objects.phase|phase IN|labels|deleted_at IS NOT", statement)
    }
    assert not sorts, sorts


def test_no_question_of_observations_scans(database: Database, statements: Statements) -> None:
    store = SqlObservationStore(database)
    store.append("t", [ObservedValue(index, "m", f"{index}", 1.0) for index in range(5)])
    store.append("t", [ObservedValue(9, "m", "9", 1.0)])
    store.summarize("t", ["m", "n"])
    store.read("t", metric="m", start_time=0.5)
    store.read("t", after_sequence=3, limit=5)
    store.drop("t")
    plans = statements.plans()
    assert len(plans) >= 8
    assert not {statement: plan for statement, plan in plans.items() if "SCAN" in plan}


def test_a_trial_s_life_takes_few_statements(database: Database, statements: Statements) -> None:
    store = SqlResourceStore(database, SteppingClock())
    owner = add_experiment(store)
    finish(store, owner, 0, "0.5")
    statements.sent.clear()
    finish(store, owner, 1, "0.5")
    store.tally(owner.metadata.uid or "")
    assert len(statements.sent) <= 24


def test_no_float_column_holds_what_databases_disagree_on(database: Database) -> None:
    texts = ("nan", "inf", "-inf", "1e999", "-0.0", "0.5", "word")
    store, observed = SqlResourceStore(database, SteppingClock()), SqlObservationStore(database)
    owner = add_experiment(store)
    for number, text in enumerate(texts):
        finish(store, owner, number, text)
    observed.append("t", [ObservedValue(index, "m", text, 1.0) for index, text in enumerate(texts)])
    with database.reading() as transaction:
        transaction.cursor.execute("SELECT rank FROM objects WHERE rank IS NOT NULL")
        ranks = transaction.cursor.fetchall()
        transaction.cursor.execute("SELECT value, text FROM observations ORDER BY sequence")
        rows = transaction.cursor.fetchall()
    assert sorted(rank for (rank,) in ranks) == [-0.5, 0.0]
    assert rows == [
        (None, "nan"),
        (None, "inf"),
        (None, "-inf"),
        (None, "1e999"),
        (0.0, "-0.0"),
        (0.5, None),
        (None, "word"),
    ]
