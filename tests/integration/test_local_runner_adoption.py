"""Runs whose program was killed, found again by another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from katibpy.api.model import ObjectMeta
from katibpy.api.trial import Trial, TrialSpec
from katibpy.app.clock import SystemClock
from katibpy.core.runs import RunPhase, RunState
from katibpy.runners.attempt import Attempt
from katibpy.runners.local import LocalRunner

DEADLINE_SECONDS = 20.0

OWNER = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from katibpy.api.trial import Trial
    from katibpy.app.clock import SystemClock
    from katibpy.runners.local import LocalRunner

    runner = LocalRunner(Path(sys.argv[1]), clock=SystemClock())
    for text in sys.argv[2:]:
        runner.start(Trial.model_validate_json(text))
    print("started", flush=True)
    time.sleep(60)
    """
)


def eventually(condition: Callable[[], bool], said: str = "it did not come true in time") -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, said
        time.sleep(0.005)


def shell_trial(name: str, script: str, *args: str, **spec: Any) -> Trial:
    container = {"name": "main", "command": ["/bin/sh", "-c", script, *args]}
    job = {"backoffLimit": 0, **spec, "template": {"spec": {"containers": [container]}}}
    run_spec = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": job}
    return Trial(metadata=ObjectMeta(name=name, uid=f"uid-{name}"), spec=TrialSpec(run_spec=run_spec))


class Owner:
    """A program that started trials."""

    def __init__(self, directory: Path, *trials: Trial) -> None:
        texts = [trial.model_dump_json(by_alias=True) for trial in trials]
        command = [sys.executable, "-c", OWNER, str(directory), *texts]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)

    def await_start(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"started\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def new_runner(runs: Path) -> Iterator[Callable[[], LocalRunner]]:
    made: list[LocalRunner] = []

    def make() -> LocalRunner:
        made.append(LocalRunner(runs, clock=SystemClock(), stop_grace_seconds=1))
        return made[-1]

    yield make
    for runner in made:
        runner.close(stop_runs=True)


def end(runner: LocalRunner, trial: Trial) -> RunState:
    eventually(lambda: runner.observe(trial).phase is RunPhase.ENDED, f"{trial.metadata.name} goes on")
    return runner.observe(trial)


def output(runner: LocalRunner, trial: Trial) -> str:
    path = runner.outputs(trial).stdout
    return path.read_text() if path.exists() else ""


def test_runs_of_a_killed_program_are_found_and_nothing_runs_twice(
    runs: Path, new_runner: Callable[[], LocalRunner], tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    waits = 'echo began; while [ ! -e "$0" ]; do sleep 0.02; done; exit 7'
    lasting = shell_trial("lasting", waits, str(gate))
    quick = shell_trial("quick", "echo began; exit 3")
    endless = shell_trial("endless", "echo began; exec sleep 60")
    owner = Owner(runs, lasting, quick, endless)
    owner.await_start()
    observer = new_runner()
    eventually(lambda: output(observer, lasting) == output(observer, endless) == "began\n")
    eventually(lambda: (observer.outputs(quick).stdout.parent / "outcome.json").exists())
    owner.kill()

    runner = new_runner()
    states = [runner.observe(trial) for trial in (lasting, quick, endless)]
    assert [state.phase for state in states] == [RunPhase.RUNNING, RunPhase.ENDED, RunPhase.RUNNING]
    for trial in (lasting, quick, endless):
        runner.start(trial)
    gate.touch()
    assert end(runner, lasting).exit_code == 7
    assert end(runner, quick).exit_code == 3
    runner.stop(endless)
    assert end(runner, endless).reason == "Stopped"
    assert {output(runner, trial) for trial in (lasting, quick, endless)} == {"began\n"}


def test_a_run_that_ended_while_nobody_watched_has_its_exit_code(
    runs: Path, new_runner: Callable[[], LocalRunner], tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    trial = shell_trial("alone", 'echo began; while [ ! -e "$0" ]; do sleep 0.02; done; exit 5', str(gate))
    owner = Owner(runs, trial)
    owner.await_start()
    attempt = Attempt(LocalRunner(runs, clock=SystemClock()).outputs(trial).stdout.parent / "attempt-1")
    eventually(lambda: attempt.pid() is not None)
    owner.kill()
    gate.touch()
    eventually(lambda: attempt.exit() is not None)
    eventually(lambda: not attempt.is_held())
    state = end(new_runner(), trial)
    assert (state.exit_code, state.reason) == (5, "ProcessFailed")
    assert state.started_at is not None
    assert state.ended_at is not None
    assert state.started_at <= state.ended_at


def test_a_run_that_was_killed_while_nobody_watched_failed(
    runs: Path, new_runner: Callable[[], LocalRunner]
) -> None:
    trial = shell_trial("victim", "echo began; sleep 60")
    owner = Owner(runs, trial)
    owner.await_start()
    attempt = Attempt(LocalRunner(runs, clock=SystemClock()).outputs(trial).stdout.parent / "attempt-1")
    eventually(lambda: attempt.pid() is not None)
    owner.kill()
    os.killpg(attempt.pid() or 0, signal.SIGKILL)
    eventually(lambda: not attempt.is_held())
    state = end(new_runner(), trial)
    assert state.reason == "ProcessKilled"
    assert state.exit_code is None
    assert "left no exit code" in state.message


def test_an_adopted_run_is_tried_again_as_the_job_says(
    runs: Path, new_runner: Callable[[], LocalRunner], tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    script = 'echo began; while [ ! -e "$0" ]; do sleep 0.02; done; exit 1'
    trial = shell_trial("again", script, str(gate), backoffLimit=2)
    owner = Owner(runs, trial)
    owner.await_start()
    first = new_runner()
    eventually(lambda: output(first, trial) == "began\n")
    owner.kill()
    gate.touch()
    state = end(first, trial)
    assert state.resource["status"]["failed"] == 3
    assert output(first, trial) == "began\n" * 3


def test_a_deadline_counts_from_the_first_start(runs: Path, new_runner: Callable[[], LocalRunner]) -> None:
    trial = shell_trial("late", "sleep 60", activeDeadlineSeconds=2)
    owner = Owner(runs, trial)
    owner.await_start()
    began = time.monotonic()
    attempt = Attempt(LocalRunner(runs, clock=SystemClock()).outputs(trial).stdout.parent / "attempt-1")
    eventually(lambda: attempt.pid() is not None)
    owner.kill()
    time.sleep(0.8)
    assert end(new_runner(), trial).reason == "DeadlineExceeded"
    assert time.monotonic() - began < 3.5


def test_a_stop_that_was_begun_is_brought_to_its_end(
    runs: Path, new_runner: Callable[[], LocalRunner]
) -> None:
    trial = shell_trial("deaf", "trap '' TERM; echo began; while :; do sleep 0.05; done")
    owner = Owner(runs, trial)
    owner.await_start()
    first = new_runner()
    eventually(lambda: output(first, trial) == "began\n")
    owner.kill()
    (first.outputs(trial).stdout.parent / "ending").write_text("Stopped")
    second = new_runner()
    assert second.observe(trial).phase is RunPhase.RUNNING
    assert end(second, trial).reason == "Stopped"


def test_a_daemon_that_kept_the_lock_does_not_keep_its_trial_alive(
    runs: Path, new_runner: Callable[[], LocalRunner]
) -> None:
    daemon = "import os, sys, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(60)"
    script = '"$0" -c "$1" & while [ ! -s "$KATIB_TEST_OUT" ]; do sleep 0.02; done; exit 4'
    trial = shell_trial("daemon", script, sys.executable, daemon)
    runner = LocalRunner(
        runs,
        clock=SystemClock(),
        environment={**os.environ, "KATIB_TEST_OUT": str(new_runner().outputs(trial).stdout)},
    )
    runner.start(trial)
    assert end(runner, trial).exit_code == 4
    daemon_pid = int(output(runner, trial).split()[0])
    runner.close(stop_runs=False)
    assert end(new_runner(), trial).exit_code == 4
    if not Path("/proc/self/environ").exists():
        os.kill(daemon_pid, signal.SIGKILL)


@pytest.mark.parametrize("after_seconds", [0.0, 0.002, 0.005, 0.01, 0.02, 0.05])
def test_a_program_killed_around_the_start_starts_nothing_twice(
    runs: Path, new_runner: Callable[[], LocalRunner], tmp_path: Path, after_seconds: float
) -> None:
    starts = tmp_path / "starts"
    starts.touch()
    trials = [
        shell_trial(f"t{number}", 'echo "$1" >> "$0"; sleep 0.1', str(starts), str(number))
        for number in range(10)
    ]
    owner = Owner(runs, *trials)
    eventually(lambda: runs.exists() and any(runs.rglob("lock")))
    time.sleep(after_seconds)
    owner.kill()
    runner = new_runner()
    for trial in trials:
        runner.start(trial)
    for trial in trials:
        assert end(runner, trial).exit_code == 0
    assert sorted(map(int, starts.read_text().split())) == list(range(10))
