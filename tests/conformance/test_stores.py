from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from katibpy.ports import ObservationStore, ResourceStore
from katibpy.stores.memory_observations import MemoryObservationStore
from katibpy.stores.memory_resources import MemoryResourceStore
from katibpy.stores.sql.observations import SqlObservationStore
from katibpy.stores.sql.opening import open_database
from katibpy.stores.sql.resources import SqlResourceStore
from katibpy.testing import observation_suite, store_suite
from katibpy.testing.store_cases import OpenStore, SteppingClock
from katibpy.testing.store_machine import StoreMachine


@contextmanager
def memory() -> Iterator[ResourceStore]:
    yield MemoryResourceStore(SteppingClock(), changes_kept=store_suite.CHANGES_KEPT)


@contextmanager
def sqlite(
    path: Path | None = None, *, changes_kept: int = store_suite.CHANGES_KEPT
) -> Iterator[ResourceStore]:
    with (
        tempfile.TemporaryDirectory() as folder,
        open_database(path or Path(folder, "katib.db")) as database,
    ):
        yield SqlResourceStore(database, SteppingClock(), changes_kept=changes_kept)


@contextmanager
def memory_observations() -> Iterator[ObservationStore]:
    yield MemoryObservationStore()


@contextmanager
def sqlite_observations() -> Iterator[ObservationStore]:
    with tempfile.TemporaryDirectory() as folder, open_database(Path(folder, "katib.db")) as database:
        yield SqlObservationStore(database)


STORES: dict[str, OpenStore] = {"memory": memory, "sqlite": sqlite}
OBSERVATION_STORES = {"memory": memory_observations, "sqlite": sqlite_observations}


def name_of(value: Any) -> str:
    return str(getattr(value, "__name__", value))


@pytest.mark.parametrize("check", store_suite.CHECKS, ids=name_of)
@pytest.mark.parametrize("store", STORES)
def test_resource_store(store: str, check: Callable[[ResourceStore], None]) -> None:
    with STORES[store]() as opened:
        check(opened)


@pytest.mark.parametrize("check", store_suite.PROCESS_CHECKS, ids=name_of)
def test_resource_store_of_several_processes(check: Callable[[OpenStore], None], tmp_path: Path) -> None:
    check(partial(sqlite, tmp_path / "katib.db", changes_kept=10_000))


@pytest.mark.parametrize("check", observation_suite.CHECKS, ids=name_of)
@pytest.mark.parametrize("store", OBSERVATION_STORES)
def test_observation_store(store: str, check: Callable[[ObservationStore], None]) -> None:
    with OBSERVATION_STORES[store]() as opened:
        check(opened)


class MemoryMachine(StoreMachine):
    open_store = staticmethod(memory)


class SqliteMachine(StoreMachine):
    open_store = staticmethod(sqlite)


def budget(examples: int, steps: int = 25) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


TestMemoryStoreAfterAnything = MemoryMachine.TestCase
TestMemoryStoreAfterAnything.settings = budget(30)
TestSqliteStoreAfterAnything = SqliteMachine.TestCase
TestSqliteStoreAfterAnything.settings = budget(10)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("machine", [MemoryMachine, SqliteMachine])
def test_store_after_anything_for_long(machine: type[StoreMachine]) -> None:
    run_state_machine_as_test(machine, settings=budget(300, steps=60))
