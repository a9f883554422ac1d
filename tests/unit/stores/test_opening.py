from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command

from katibpy.api.experiment import Experiment
from katibpy.errors import NotFound, StoreError
from katibpy.stores.sql.migrating import configuration, migrate
from katibpy.stores.sql.opening import open_database
from katibpy.stores.sql.resources import SqlResourceStore
from katibpy.stores.sql.schema import REVISION
from katibpy.testing.store_cases import SteppingClock, add_experiment, finish, require_consistent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "katib.db"


def schema_of(path: Path) -> list[tuple[str, ...]]:
    """Everything SQLite knows of the schema, spaces aside."""
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name")
        return [(kind, name, table, " ".join((sql or "").split())) for kind, name, table, sql in rows]
    finally:
        connection.close()


def stamp(path: Path, revision: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()


def test_migrating_from_nothing_gives_the_schema_of_a_new_database(path: Path, tmp_path: Path) -> None:
    open_database(path).close()
    migrated = tmp_path / "migrated.db"
    with open_database(migrated) as database, database.altering() as connection:
        for name in reversed([row[1] for row in schema_of(path) if row[0] == "table"]):
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
        migrate(connection, None, name="it")
    assert schema_of(migrated) == schema_of(path)
    with sqlite3.connect(migrated) as connection_:
        assert connection_.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISION,)]
    connection_.close()


def test_the_schema_has_no_difference_that_alembic_sees(path: Path) -> None:
    with open_database(path) as database, database.altering() as connection:
        command.check(configuration(connection))


def test_downgrading_takes_every_table_away(path: Path) -> None:
    with open_database(path) as database, database.altering() as connection:
        command.downgrade(configuration(connection), "base")
    assert [row[1] for row in schema_of(path) if row[0] == "table"] == ["alembic_version"]


def test_what_was_stored_is_there_when_opened_again(path: Path) -> None:
    with open_database(path) as database:
        store = SqlResourceStore(database, SteppingClock())
        owner = add_experiment(store)
        trial = finish(store, owner, 0, "0.990")
        token = store.history(owner.metadata.uid or "").token
    with open_database(path, create=False) as database:
        store = SqlResourceStore(database, SteppingClock())
        assert store.find(Experiment, "default", "tune") == owner
        assert store.list(type(trial)).items == (trial,)
        # An algorithm service that outlives the controller need not be told everything again.
        assert store.history(owner.metadata.uid or "", since=token).records == ()
        require_consistent(store, owner.metadata.uid or "")


def test_a_new_database_is_made_without_alembic(path: Path) -> None:
    script = (
        "import sys, pathlib\n"
        "from katibpy.stores.sql.opening import open_database\n"
        "open_database(pathlib.Path(sys.argv[1])).close()\n"
        "open_database(pathlib.Path(sys.argv[1])).close()\n"
        "sys.exit(int('alembic' in sys.modules))\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == 0


def test_many_may_open_a_new_database_at_once(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        databases = list(pool.map(lambda _: open_database(path), range(8)))
    tokens = {SqlResourceStore(each, SteppingClock()).history("nobody").token for each in databases}
    assert len(tokens) == 1
    for each in databases:
        each.close()


def test_a_new_database_that_another_process_sets_up_is_waited_for(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other, ThreadPoolExecutor(1) as pool:
        other.execute("BEGIN IMMEDIATE")
        opening = pool.submit(open_database, path)
        with pytest.raises(TimeoutError):
            opening.result(timeout=0.2)
        other.execute("COMMIT")
        opening.result(timeout=4).close()


def test_a_missing_database_is_not_created_unasked(path: Path) -> None:
    with pytest.raises(NotFound, match="there is no database"):
        open_database(path, create=False)
    assert not path.exists()


def test_an_empty_file_gets_the_schema(path: Path) -> None:
    path.touch()
    with open_database(path, create=False) as database:
        assert SqlResourceStore(database, SteppingClock()).version() == 0


def test_a_newer_schema_is_refused(path: Path) -> None:
    open_database(path).close()
    stamp(path, "9999")
    with pytest.raises(StoreError, match=r"must have schema 0001 or an older one, got 9999: .*update"):
        open_database(path)


def test_a_database_of_others_is_refused_and_left_alone(path: Path) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    with pytest.raises(StoreError, match="must be one of katibpy, got one with the tables songs"):
        open_database(path)
    assert [row[1] for row in schema_of(path)] == ["songs"]


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_text("apiVersion: kubeflow.org/v1beta1\n" * 100)
    with pytest.raises(StoreError, match=r"katib\.db is not an SQLite database: move the file away"):
        open_database(path)


def test_a_damaged_database_is_told(path: Path) -> None:
    with open_database(path) as database:
        store = SqlResourceStore(database, SteppingClock())
        owner = add_experiment(store)
        for number in range(50):
            finish(store, owner, number, "0.5")
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged"), open_database(path) as database:
        SqlResourceStore(database, SteppingClock()).list(Experiment)


@pytest.mark.parametrize(("parts", "words"), [(("no", "k.db"), "folder that exists"), ((), "got a folder")])
def test_a_path_that_cannot_be_a_database_is_told(tmp_path: Path, parts: tuple[str, ...], words: str) -> None:
    with pytest.raises(StoreError, match=words):
        open_database(tmp_path.joinpath(*parts))


def finish_many(store: SqlResourceStore, owner: Experiment, count: int) -> None:
    for number in range(1, count):
        finish(store, owner, number, "0.5")


def test_a_full_disk_is_told_and_leaves_whole_states(path: Path) -> None:
    with open_database(path) as database:
        store = SqlResourceStore(database, SteppingClock())
        owner = add_experiment(store)
        finish(store, owner, 0, "0.5")
        with database.reading() as transaction:
            (pages,) = transaction.cursor.execute("PRAGMA page_count").fetchone()
            # There is only this connection as long as one thread works.
            transaction.cursor.execute(f"PRAGMA max_page_count = {pages + 4}")
        with pytest.raises(StoreError, match=r"the disk is full: free some space"):
            finish_many(store, owner, 1000)
        require_consistent(store, owner.metadata.uid or "")


@pytest.fixture
def readable_folder() -> Iterator[Path]:
    """A folder that everybody may enter and nobody but its owner may write."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_folder_without_write_permission_is_told(readable_folder: Path) -> None:
    (readable_folder / "mine").mkdir()
    (readable_folder / "mine").chmod(0o555)
    result = subprocess.run(
        [sys.executable, "-c", OPEN_UNPRIVILEGED, str(readable_folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "cannot be opened: its folder must exist and be readable and writable" in result.stdout, result


OPEN_UNPRIVILEGED = """
import os, pathlib, sys
from katibpy.errors import StoreError
from katibpy.stores.sql.opening import open_database
folder = pathlib.Path(sys.argv[1])
# Whatever is imported late is imported now: it may be out of reach later.
open_database(folder / "first.db").close()
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    open_database(folder / "mine" / "katib.db")
except StoreError as err:
    print(err)
"""
