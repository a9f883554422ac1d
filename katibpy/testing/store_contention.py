"""Checks of a resource store under many threads, several processes and a process that is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from katibpy.api.experiment import Experiment
from katibpy.api.trial import Trial
from katibpy.core.phases import TrialPhase
from katibpy.errors import Conflict
from katibpy.ports import ResourceStore
from katibpy.testing.store_cases import (
    BrokenStoreError,
    OpenStore,
    add_experiment,
    finish,
    require,
    require_consistent,
    trial_for,
    with_phase,
)

_THREADS = 8
_TRIALS_EACH = 12
_PATIENCE_SECONDS = 30.0
_REST_SECONDS = 0.005


def threads_write_at_once(store: ResourceStore) -> None:
    """Threads that create, change and read the same Trials lose nothing and see nothing half."""
    owner = add_experiment(store)
    uid = owner.metadata.uid or ""
    start = store.version()
    ready = threading.Barrier(_THREADS)

    def work(worker: int) -> None:
        ready.wait(_PATIENCE_SECONDS)
        for turn in range(_TRIALS_EACH):
            finish(store, owner, worker * _TRIALS_EACH + turn, f"0.{turn}")
            # Everybody creates and changes these two, too.
            shared = store.create_trial(trial_for(owner, 10_000 + turn % 2))
            _until_written(store, shared, TrialPhase.RUNNING if worker % 2 else TrialPhase.PENDING)
            tally = store.tally(uid)
            named = len(tally.newest.get(TrialPhase.SUCCEEDED, ()))
            require("names of succeeded trials", named, min(100, tally.count(TrialPhase.SUCCEEDED)))

    with ThreadPoolExecutor(_THREADS) as pool:
        for done in [pool.submit(work, worker) for worker in range(_THREADS)]:
            done.result(_PATIENCE_SECONDS)
    require("trials", store.tally(uid).count(), _THREADS * _TRIALS_EACH + 2)
    versions = [change.version for change in store.changes(start, limit=100_000)]
    require("versions in the log", versions, list(range(start + 1, store.version() + 1)))
    require_consistent(store, uid)


def one_of_many_writers_wins(store: ResourceStore) -> None:
    """Of writes that carry the same version exactly one is taken."""
    owner = add_experiment(store)
    trial = store.create_trial(trial_for(owner, 0))
    ready = threading.Barrier(_THREADS)

    def write(worker: int) -> bool:
        ready.wait(_PATIENCE_SECONDS)
        try:
            store.replace_status(with_phase(trial, TrialPhase.SUCCEEDED, worker + 1))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(_THREADS) as pool:
        taken = list(pool.map(write, range(_THREADS)))
    require("writes that were taken", taken.count(True), 1)
    best = store.tally(owner.metadata.uid or "").best
    require("loss", None if best is None else best.loss, -float(taken.index(True) + 1))


def processes_write_at_once(open_store: OpenStore) -> None:
    """Two processes that write to the same store, and a third that reads it, get along."""
    with open_store() as store:
        owner = add_experiment(store)
        uid = owner.metadata.uid or ""
        start = store.version()
        children = [_begin(_write_some, open_store, worker) for worker in range(2)]
        seen = 0
        while any(child.is_alive() for child in children):
            require_consistent_counts(store, uid)
            log = store.changes(start + seen, limit=100_000)
            wanted = list(range(start + seen + 1, start + seen + 1 + len(log)))
            require("versions as a reader sees them come", [change.version for change in log], wanted)
            seen += len(log)
            # A reader that never rests looks no more closely, and takes the time the writers need.
            time.sleep(_REST_SECONDS)
        for child in children:
            child.join(_PATIENCE_SECONDS)
            require("exit code of a writer", child.exitcode, 0)
        require("trials", store.tally(uid).count(TrialPhase.SUCCEEDED), 2 * _TRIALS_EACH)
        require_consistent(store, uid)


def a_deletion_comes_from_another_process(open_store: OpenStore) -> None:
    """A mark that another process sets is seen at once, and its owner's stale write is refused."""
    with open_store() as store:
        owner = add_experiment(store)
        trial = store.create_trial(trial_for(owner, 0))
        version = store.version()
        child = _begin(_delete, open_store, 0)
        child.join(_PATIENCE_SECONDS)
        require("exit code", child.exitcode, 0)
        require("changes", [change.type for change in store.changes(version)], ["MODIFIED"] * 2)
        marked = store.find(Experiment, "default", "tune")
        if marked is None or marked.metadata.deletion_timestamp is None:
            raise BrokenStoreError(f"the Experiment must carry the other process's mark, got {marked!r}")
        try:
            store.replace_status(with_phase(trial, TrialPhase.RUNNING))
        except Conflict:
            return
        raise BrokenStoreError("a write with the version before the mark must raise Conflict, got no error")


def a_killed_writer_leaves_whole_states(open_store: OpenStore) -> None:
    """After kill -9 in the middle of writing, all counts are right and the store goes on."""
    with open_store() as store:
        owner = add_experiment(store)
        uid = owner.metadata.uid or ""
        for round_ in range(3):
            start = store.version()
            child = _begin(_write_on, open_store, round_)
            _await_version(store, start + 40)
            os.kill(child.pid or 0, signal.SIGKILL)
            child.join(_PATIENCE_SECONDS)
            require("exit code of the killed writer", child.exitcode, -signal.SIGKILL)
            require_consistent(store, uid)
            log = [change.version for change in store.changes(start, limit=100_000)]
            require("versions in the log", log, list(range(start + 1, store.version() + 1)))
        finish(store, owner, 999_999, "0.5")
        require_consistent(store, uid)


def require_consistent_counts(store: ResourceStore, experiment_uid: str) -> None:
    """What one tally says must agree with itself, whoever writes meanwhile."""
    tally = store.tally(experiment_uid)
    for phase, names in tally.newest.items():
        require(f"names of {phase}", len(names), min(100, tally.count(phase)))
    if (tally.best is None) != (tally.count(TrialPhase.SUCCEEDED) == 0):
        raise BrokenStoreError(f"best must be there as soon as a trial succeeded, got {tally!r}")


def _until_written(store: ResourceStore, trial: Trial, phase: TrialPhase) -> None:
    while True:
        try:
            store.replace_status(with_phase(trial, phase))
        except Conflict:
            found = store.find(Trial, trial.metadata.namespace, trial.metadata.name)
            if found is None:
                raise
            trial = found
        else:
            return


def _begin(
    work: Callable[[OpenStore, int], None], open_store: OpenStore, worker: int
) -> multiprocessing.process.BaseProcess:
    # A forked child would share open database files with its parent.
    child = multiprocessing.get_context("spawn").Process(target=work, args=(open_store, worker), daemon=True)
    child.start()
    return child


def _write_some(open_store: OpenStore, worker: int) -> None:
    with open_store() as store:
        owner = _owner(store)
        for number in range(worker * _TRIALS_EACH, (worker + 1) * _TRIALS_EACH):
            finish(store, owner, number, "0.5")


def _write_on(open_store: OpenStore, worker: int) -> None:
    with open_store() as store:
        owner = _owner(store)
        number = worker * 100_000
        while True:
            trial = finish(store, owner, number, "0.5")
            if number % 3 == 0:
                store.remove(trial)
            number += 1


def _delete(open_store: OpenStore, _worker: int) -> None:
    with open_store() as store:
        store.delete(Experiment, "default", "tune")


def _owner(store: ResourceStore) -> Experiment:
    owner = store.find(Experiment, "default", "tune")
    if owner is None:
        raise BrokenStoreError("another process must find the Experiment, got None")
    return owner


def _await_version(store: ResourceStore, version: int) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while store.version() < version:
        if time.monotonic() > deadline:
            raise BrokenStoreError(f"version {version} must come, got {store.version()} for a long time")
        time.sleep(0.005)
