"""Checkpoints of real trials: kept, copied to their children, and what becomes of them in bad times."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from katibpy.api.lineage import CHECKPOINT_FROM_LABEL
from katibpy.api.model import OwnerReference
from katibpy.api.trial import Trial
from katibpy.core.runs import RunPhase
from katibpy.testing.builders import MOMENT
from tests.integration.runner_bench import Bench, eventually, make_trial

ADD = 'cat /ckpt/steps 2>/dev/null; echo "$0" >> /ckpt/steps; echo "where $KATIB_CHECKPOINT_DIR"'


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.runner.close(stop_runs=True)


def stage(name: str, script: str = ADD, *, parent: str = "", **spec: Any) -> Trial:
    made = make_trial(name, ["/bin/sh", "-c", script, name], **spec)
    meta = made.metadata.but(
        labels={CHECKPOINT_FROM_LABEL: parent} if parent else {},
        owner_references=(OwnerReference(kind="Experiment", name="e", uid="e1"),),
    )
    return made.but(metadata=meta, spec=made.spec.but(checkpoint_path="/ckpt"))


def place(bench: Bench, trial: Trial) -> Path:
    found = bench.runner.checkpoints.directory_of(trial)
    assert found is not None
    return found


def steps(bench: Bench, trial: Trial) -> list[str]:
    return (place(bench, trial) / "steps").read_text().split()


def test_children_go_on_from_their_parents_and_leave_them_as_they_were(bench: Bench) -> None:
    one, two, three = stage("one"), stage("two", parent="one"), stage("three", parent="one")
    for trial in (one, two, three):
        assert bench.run(trial).exit_code == 0
    assert [steps(bench, trial) for trial in (one, two, three)] == [["one"], ["one", "two"], ["one", "three"]]
    assert bench.output(two) == f"one\nwhere {place(bench, two)}\n"


def test_a_child_of_nobody_says_so_and_begins_empty(bench: Bench) -> None:
    trial = stage("child", parent="gone")
    assert bench.run(trial).exit_code == 0
    said = "katib: trial gone left no checkpoints, so this one begins with an empty directory"
    assert bench.output(trial).splitlines()[0] == said
    assert steps(bench, trial) == ["child"]


def test_a_further_attempt_goes_on_with_what_the_last_one_left(bench: Bench) -> None:
    bench.run(stage("parent"))
    trial = stage("again", f"{ADD}; test $(wc -l < /ckpt/steps) -ge 3", parent="parent", backoffLimit=3)
    assert bench.run(trial).exit_code == 0
    assert steps(bench, trial) == ["parent", "again", "again"]


def test_a_run_that_is_withdrawn_begins_with_its_parents_again(bench: Bench) -> None:
    bench.run(stage("parent"))
    trial = stage("slow", f"{ADD}; echo ready; sleep 60", parent="parent")
    bench.runner.start(trial)
    bench.said(trial, "ready")
    bench.runner.close(stop_runs=True)
    assert not place(bench, trial).exists()
    again = Bench(bench.directory)
    try:
        again.runner.start(trial)
        again.said(trial, "ready")
        assert steps(again, trial) == ["parent", "slow"]
    finally:
        again.runner.close(stop_runs=True)


def test_deleting_a_trial_takes_its_checkpoints_and_no_others(bench: Bench) -> None:
    one, two = stage("one"), stage("two", parent="one")
    for trial in (one, two):
        bench.run(trial)
        bench.runner.remove(trial)
    assert place(bench, one).is_dir()
    bench.runner.discard(one)
    assert place(bench, one).is_dir()
    bench.runner.remove(one.but(metadata=one.metadata.but(deletion_timestamp=MOMENT)))
    assert not place(bench, one).exists()
    assert steps(bench, two) == ["one", "two"]


def test_what_cannot_be_copied_fails_the_trial_and_is_told(bench: Bench) -> None:
    bench.run(stage("parent"))
    experiment = place(bench, stage("parent")).parent
    child = stage("child", parent="parent")
    # A file stands where the copy is to go, and cannot be moved out of the way of a directory.
    name = place(bench, child).name
    blocked = experiment.parent.parent / "elsewhere"
    os.rename(experiment, blocked)
    experiment.write_text("in the way")
    state = bench.run(child)
    assert (state.phase, state.reason) == (RunPhase.ENDED, "StartFailed"), name
    assert state.message.startswith("the trial cannot begin with the checkpoints of trial parent: ")


KILLED = textwrap.dedent(
    """
    import os, shutil, signal, sys
    from pathlib import Path
    from katibpy.api.trial import Trial
    from katibpy.app.clock import SystemClock
    from katibpy.runners.local import LocalRunner

    copied, count = shutil.copy2, iter(range(100))

    def copy2(*arguments, **options):
        if next(count) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return copied(*arguments, **options)

    shutil.copy2 = copy2
    runner = LocalRunner(Path(sys.argv[1]), clock=SystemClock())
    runner.start(Trial.model_validate_json(sys.argv[2]))
    import time
    time.sleep(60)
    """
)


def test_a_program_killed_in_the_middle_of_a_copy_leaves_no_half_of_one(bench: Bench) -> None:
    script = "for n in 1 2 3 4 5; do echo $n > /ckpt/part-$n; done"
    bench.run(stage("parent", script))
    child = stage("child", 'ls "$KATIB_CHECKPOINT_DIR"', parent="parent")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(bench.directory / "runs"), child.model_dump_json()],
        timeout=50,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert not place(bench, child).exists()
    assert bench.runner.observe(child).phase is RunPhase.ABSENT
    assert bench.run(child).exit_code == 0
    assert bench.output(child).split() == [f"part-{n}" for n in range(1, 6)]
    eventually(lambda: len(list(place(bench, child).parent.glob(".*"))) == 0)
