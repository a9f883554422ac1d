"""What trials do to their files and to the disk, many of them at once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from katibpy.app.clock import SystemClock
from katibpy.core.runs import RunPhase
from katibpy.ports import Key
from katibpy.runners.attempt import Attempt
from katibpy.runners.free_disk import DiskFloor, FreeDisk
from katibpy.runners.local import LocalRunner
from tests.integration.runner_bench import (
    DEADLINE_SECONDS,
    FORKING,
    Bench,
    eventually,
    is_alive,
    make_trial,
    pids_in,
    python_trial,
)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.runner.close(stop_runs=True)


# What trials do to their files.


def test_a_trial_that_closes_its_streams_goes_on(bench: Bench) -> None:
    code = (
        "import os, sys, time; os.close(1); os.close(2); os.closerange(3, 256); time.sleep(0.2); os._exit(5)"
    )
    assert bench.run(python_trial("silent", code)).exit_code == 5


def test_a_trial_that_deletes_its_directory_ends_as_it_ends(bench: Bench) -> None:
    trial = make_trial("suicidal", ["/bin/sh", "-c", 'rm -rf "$0"; exit 6', "-"])
    directory = bench.runner.outputs(trial).stdout.parent
    trial.spec.run_spec["spec"]["template"]["spec"]["containers"][0]["command"][3] = str(directory)
    assert bench.run(trial).exit_code == 6
    assert not directory.exists()
    bench.runner.remove(trial)


def test_fifty_megabytes_of_output_are_kept(bench: Bench) -> None:
    trial = python_trial("chatty", "import sys\nfor _ in range(50): sys.stdout.write('x' * 999_999 + '\\n')")
    assert bench.run(trial).exit_code == 0
    assert bench.runner.outputs(trial).stdout.stat().st_size == 50_000_000


def test_directories_are_the_users_own(bench: Bench) -> None:
    trial = make_trial("private", ["true"])
    bench.run(trial)
    output = bench.runner.outputs(trial).stdout
    for path in (output.parent, output.parent.parent, output.parent.parent.parent):
        assert path.stat().st_mode & 0o077 == 0
    assert output.stat().st_mode & 0o077 == 0


# All together.


def test_many_quick_trials_leave_nothing_behind(tmp_path: Path) -> None:
    descriptors = len(os.listdir("/dev/fd"))
    threads = threading.active_count()
    bench = Bench(tmp_path)
    trials = {f"t{number}": make_trial(f"t{number}", ["true"]) for number in range(200)}
    ended = threading.Semaphore(0)
    done: set[str] = set()

    def listen(key: Key) -> None:
        name = key[2]
        if bench.runner.observe(trials[name]).phase is RunPhase.ENDED and name not in done:
            done.add(name)
            ended.release()

    bench.runner.subscribe(listen)
    for number, trial in enumerate(trials.values()):
        if number >= 8:
            assert ended.acquire(timeout=DEADLINE_SECONDS)
        bench.runner.start(trial)
    for _ in range(8):
        assert ended.acquire(timeout=DEADLINE_SECONDS)
    assert all(bench.runner.observe(trial).exit_code == 0 for trial in trials.values())
    for trial in trials.values():
        bench.runner.remove(trial)
    bench.runner.close(stop_runs=True)
    assert len(os.listdir("/dev/fd")) <= descriptors
    assert threading.active_count() <= threads
    attempts = [Attempt(path.parent) for path in tmp_path.rglob("lock")]
    assert len(attempts) == 200
    assert not any(attempt.is_held() for attempt in attempts)
    assert not any(is_alive(attempt.pid() or 0) for attempt in attempts)


def test_closing_with_runs_ends_all_of_them_within_the_grace_period(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    trials = [python_trial(f"t{number}", FORKING, "60") for number in range(4)]
    for trial in trials:
        bench.started(trial)
    for trial in trials:
        bench.said(trial, "ready")
    pids = [pid for trial in trials for pid in pids_in(bench.output(trial))]
    began = time.monotonic()
    bench.runner.close(stop_runs=True)
    assert time.monotonic() - began < 3
    eventually(lambda: not any(map(is_alive, pids)))
    assert [path.name for path in (tmp_path / "runs" / "default").iterdir()] == []


def test_a_trial_waits_with_a_reason_until_the_disk_has_room(tmp_path: Path) -> None:
    disk = FreeDisk(tmp_path, DiskFloor(1 << 62))
    runner = LocalRunner(tmp_path / "runs", clock=SystemClock(), disk=disk)
    trial = make_trial("patient", ["true"])
    try:
        runner.start(trial)
        eventually(lambda: runner.observe(trial).reason == "WaitsForDisk")
        state = runner.observe(trial)
        assert state.phase is RunPhase.WAITING
        assert "must be free on the disk of" in state.message
        disk.floor = DiskFloor(0)
        eventually(lambda: runner.observe(trial).phase is RunPhase.ENDED)
        assert runner.observe(trial).exit_code == 0
    finally:
        runner.close(stop_runs=True)


def test_a_trial_that_waits_for_the_disk_can_be_stopped(tmp_path: Path) -> None:
    runner = LocalRunner(tmp_path / "runs", clock=SystemClock(), disk=FreeDisk(tmp_path, DiskFloor(1 << 62)))
    trial = make_trial("patient", ["true"])
    try:
        runner.start(trial)
        eventually(lambda: runner.observe(trial).reason == "WaitsForDisk")
        runner.stop(trial)
        eventually(lambda: runner.observe(trial).reason == "Stopped")
    finally:
        runner.close(stop_runs=True)
