from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Dialect, bindparam, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from katibpy.errors import StoreError
from katibpy.stores.sql.database import Database
from katibpy.stores.sql.opening import open_database
from katibpy.stores.sql.schema import memories, metadata, metrics, objects
from katibpy.stores.sql.transaction import Text


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path / "katib.db") as opened:
        yield opened


NAMES = select(metrics.c.name).order_by(metrics.c.id)


def test_the_schema_has_only_types_that_the_driver_takes_and_gives_as_they_are() -> None:
    samples: dict[type, object] = {str: "word", int: 1, float: 0.5, bytes: b"content"}
    dialect: Dialect = sqlite.dialect()
    for table in metadata.tables.values():
        for column in table.c:
            sample, kind = samples[column.type.python_type], column.type.dialect_impl(dialect)
            for convert in (kind.bind_processor(dialect), kind.result_processor(dialect, None)):
                assert convert is None or convert(sample) == sample, column


def test_what_an_exception_leaves_is_not_written(database: Database) -> None:
    with contextlib.suppress(ZeroDivisionError), database.writing() as transaction:
        transaction.change(insert(metrics), {"name": "loss"})
        raise ZeroDivisionError
    with database.reading() as transaction:
        assert transaction.scalars(NAMES) == []


def test_a_row_nobody_fetched_does_not_hold_the_next_transaction_back(database: Database) -> None:
    with database.writing() as transaction:
        transaction.change_each(insert(metrics), [{"name": "a"}, {"name": "b"}])
    with database.reading() as early:
        assert early.scalar(NAMES) == "a"
    with open_database(Path(database.name)) as other, other.writing() as transaction:
        transaction.change(insert(metrics), {"name": "c"})
    with database.reading() as transaction:
        assert transaction.scalars(NAMES) == ["a", "b", "c"]


def test_a_constant_of_a_statement_is_not_asked_for(database: Database) -> None:
    named = select(metrics.c.name).where(metrics.c.name == "b", metrics.c.id > bindparam("least"))
    with database.writing() as transaction:
        transaction.change_each(insert(metrics), [{"name": "a"}, {"name": "b"}])
        assert transaction.scalars(named, {"least": 0}) == ["b"]
        (row,) = transaction.all(select(metrics.c.id, metrics.c.name).limit(1))
        assert (row.id, row.name) == (1, "a")


def test_a_change_writes_the_columns_it_is_given(database: Database) -> None:
    add = insert(metrics)
    with database.writing() as transaction:
        transaction.change(add, {"name": "a"})
        transaction.change(add, {"id": 7, "name": "b"})
        transaction.change(insert(memories), {"experiment_uid": "u", "content": b"\x00\xff"})
        assert transaction.scalars(select(metrics.c.id)) == [1, 7]
        assert transaction.scalar(select(memories.c.content)) == b"\x00\xff"


def test_a_list_of_values_becomes_part_of_a_statement_that_is_made_once(database: Database) -> None:
    with database.writing() as transaction:
        transaction.change_each(insert(metrics), [{"name": name} for name in "abcd"])
        for names in (["a"], ["b", "c", "d"]):
            rows = transaction.all_of(select(metrics.c.name).where(metrics.c.name.in_(names)))
            assert [row.name for row in rows] == names


def test_parameters_are_named_where_the_dialect_names_them() -> None:
    dialect: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    found = Text(select(objects.c.id).where(objects.c.name == bindparam("name")), dialect)
    assert "%(name)s" in found.text
    assert found.values({"name": "tune"}) == {"name": "tune"}


def test_an_error_of_the_driver_is_told_in_words(database: Database) -> None:
    with database.writing() as transaction:
        transaction.change(insert(metrics), {"name": "a"})
    told = pytest.raises(StoreError, match=r"the database .*katib\.db failed: UNIQUE constraint")
    with told, database.writing() as transaction:
        transaction.change(insert(metrics), {"name": "a"})
    with database.reading() as transaction:
        assert transaction.scalars(NAMES) == ["a"]


def test_a_look_sees_what_was_committed_and_leaves_nothing_open(database: Database) -> None:
    with database.writing() as transaction:
        transaction.change_each(insert(metrics), [{"name": "a"}, {"name": "b"}])
    with database.looking() as early:
        assert early.scalar(NAMES) == "a"
    with database.writing() as transaction:
        transaction.change(insert(metrics), {"name": "c"})
    with database.looking() as transaction:
        assert transaction.scalars(NAMES) == ["a", "b", "c"]


def test_writers_take_turns_also_when_one_fails(database: Database) -> None:
    def write(name: str) -> None:
        with contextlib.suppress(ZeroDivisionError), database.writing() as transaction:
            transaction.change(insert(metrics), {"name": name})
            if name == "bad":
                raise ZeroDivisionError

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, [*map(str, range(20)), "bad", *map(str, range(20, 40))]))
    with database.looking() as transaction:
        assert sorted(transaction.scalars(NAMES), key=int) == [str(number) for number in range(40)]
