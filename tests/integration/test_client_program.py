"""What becomes of a program that tunes: it ends, is interrupted, is killed, forks, or is not alone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from katibpy import KatibClient, search
from katibpy.errors import StateDirectoryLocked
from tests.integration.command_here import AlgorithmAddress
from tests.integration.katib_command import KATIB
from tests.integration.process_table import processes

TUNE = """
import os, sys, time
from pathlib import Path
from katibpy import KatibClient, search
def objective(x):
    with open("starts", "a") as file:
        file.write(f"{x}\\n")
    give_up = time.monotonic() + 60
    while not Path("go").exists() and time.monotonic() < give_up:
        time.sleep(0.02)
    return x
client = KatibClient()
client.tune("slow", objective=objective, parameters={"x": search.int(1, 6)}, objective_metric_name="y",
            algorithm_name="grid", max_trial_count=4, parallel_trial_count=2)
"""
WAIT_FOR_TWO = """
while not Path("starts").exists() or len(Path("starts").read_text().split()) < 2:
    time.sleep(0.02)
"""
FINISH = "print(client.wait_for_experiment_condition('slow').status.trials_succeeded)"
INTERRUPTED = "katibpy: experiment slow was interrupted after 0 of 4 trials; the same tune()"


@contextmanager
def started(folder: Path, source: str) -> Iterator[subprocess.Popen[str]]:
    """A program that is ended, whatever comes."""
    script = folder / "script.py"
    script.write_text(source)
    process = subprocess.Popen(
        [sys.executable, "-u", script],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def served(tmp_path: Path, algorithms: AlgorithmAddress) -> Path:
    """A folder in which programs ask the shared service of algorithms, and start none."""
    algorithms.use_in(tmp_path / ".katib")
    return tmp_path


def ran(folder: Path, source: str) -> tuple[int, str, str]:
    with started(folder, source) as process:
        out, err = process.communicate(timeout=40)
        return process.returncode, out, err


def wait_until(is_reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def starts(folder: Path) -> list[str]:
    file = folder / "starts"
    return file.read_text().split() if file.exists() else []


def running_trials(folder: Path) -> list[int]:
    """Processes of trials of this folder's state directory, by a look at the process table."""
    mark = str(folder / ".katib" / "objectives")
    return [listed.pid for listed in processes() if mark in listed.words]


def goes_on(folder: Path) -> None:
    """The same script, run to its end, has every trial once."""
    (folder / "go").touch()
    assert ran(folder, TUNE + FINISH)[:2] == (0, "4\n")
    with KatibClient(state_dir=folder / ".katib") as client:
        values = [trial.spec.parameter_assignments[0].value for trial in client.list_trials("slow")]
    assert sorted(values) == ["1", "2", "3", "4"]


def test_a_program_that_ends_or_is_interrupted_stops_its_trials_and_the_same_program_goes_on(
    tmp_path: Path,
) -> None:
    code, out, err = ran(tmp_path, TUNE + WAIT_FOR_TWO + "print('the end')")
    assert (code, out) == (0, "the end\n")
    assert err.startswith("katibpy: stopping 2 trials, for up to 10 s\n" + INTERRUPTED)
    assert running_trials(tmp_path) == []
    (tmp_path / "starts").unlink()
    with started(tmp_path, TUNE + FINISH) as process:
        wait_until(lambda: len(starts(tmp_path)) == 2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode in (-signal.SIGINT, 128 + signal.SIGINT)
    assert out == ""
    assert "KeyboardInterrupt" in err, "it ends the wait, and then the trials"
    assert INTERRUPTED in err
    assert running_trials(tmp_path) == []
    goes_on(tmp_path)


def test_a_program_that_raises_stops_its_trials_after_its_traceback(served: Path) -> None:
    code, _, err = ran(served, TUNE + WAIT_FOR_TWO + "1 / 0")
    assert code == 1
    assert "ZeroDivisionError: division by zero\nkatibpy: stopping 2 trials" in err
    assert running_trials(served) == []


def test_a_thread_that_tunes_may_outlive_the_main_one(served: Path) -> None:
    (served / "go").touch()
    thread = "import threading\nthreading.Thread(target=lambda: {finish}).start()\nprint('main ends')\n"
    code, out, err = ran(served, TUNE + thread.format(finish=FINISH))
    assert (code, out, err) == (0, "main ends\n4\n", "")


def test_a_second_ctrl_c_kills_trials_that_take_their_time(served: Path) -> None:
    stubborn = TUNE.replace(
        "    while not", "    import signal\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    while not"
    )
    with started(served, stubborn + WAIT_FOR_TWO + "time.sleep(0.3)") as process:
        assert process.stderr is not None
        wait_until(lambda: len(starts(served)) == 2)
        assert "stopping 2 trials" in process.stderr.readline()
        began = time.monotonic()
        while process.poll() is None:
            # Python overlooks a signal that comes just before its main thread begins to block.
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=2)
    assert time.monotonic() - began < 8
    assert running_trials(served) == []


def test_a_killed_program_loses_nothing(served: Path) -> None:
    with started(served, TUNE + FINISH) as process:
        wait_until(lambda: len(starts(served)) == 2)
        process.kill()
        process.communicate(timeout=30)
    goes_on(served)
    assert sorted(starts(served)) == ["1", "2", "3", "4"], "what ran on was taken over, not run again"


def test_a_forked_child_leaves_its_parents_trials_alone(tmp_path: Path) -> None:
    fork = """
child = os.fork()
if not child:
    try:
        client.list_experiments()
    except Exception as error:
        print(type(error).__name__, "in the child")
    sys.exit(0)
os.waitpid(child, 0)
Path("go").touch()
"""
    code, out, err = ran(tmp_path, TUNE + WAIT_FOR_TWO + fork + FINISH)
    assert (code, out, err) == (0, "KatibError in the child\n4\n", "")


SLOW_EXPERIMENT = """
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: {name: slow}
spec:
  objective: {type: maximize, objectiveMetricName: y}
  algorithm: {algorithmName: grid}
  parallelTrialCount: 2
  maxTrialCount: 4
  parameters:
    - {name: x, parameterType: int, feasibleSpace: {min: "1", max: "6"}}
  trialTemplate:
    primaryContainerName: main
    trialParameters: [{name: x, reference: x}]
    trialSpec:
      apiVersion: batch/v1
      kind: Job
      spec:
        template:
          spec:
            restartPolicy: Never
            containers:
              - name: main
                image: any
                command: [sh, -c, 'echo "$0" >> starts; until [ -e go ]; do sleep 0.05; done; echo "y=$0"']
                args: ["${trialParameters.x}"]
"""
KATIB_RUN = f"import os; os.execv({str(KATIB)!r}, ['katib', 'run', 'slow.yaml'])"


@pytest.mark.parametrize("source", [KATIB_RUN, TUNE + FINISH], ids=["katib run", "another client"])
def test_others_read_edit_wait_and_delete_while_one_program_runs_trials(tmp_path: Path, source: str) -> None:
    (tmp_path / "slow.yaml").write_text(SLOW_EXPERIMENT)
    with started(tmp_path, source) as process, KatibClient(state_dir=tmp_path / ".katib") as client:
        wait_until(lambda: len(starts(tmp_path)) == 2)
        wait_until(lambda: client.is_experiment_running("slow"))
        assert len(client.list_trials("slow")) == 2
        with pytest.raises(StateDirectoryLocked, match=f"while process {process.pid} uses it"):
            client.tune(
                "other", objective=lambda x: x, parameters={"x": search.int(1, 2)}, objective_metric_name="y"
            )
        client.edit_experiment_budget("slow", parallel_trial_count=3)
        wait_until(lambda: len(starts(tmp_path)) == 3)
        (tmp_path / "go").touch()
        assert client.wait_for_experiment_condition("slow").status.trials_succeeded == 4
        client.delete_experiment("slow")
        assert client.list_experiments() == []
        process.communicate(timeout=30)
    assert os.listdir(tmp_path / ".katib" / "trials" / "default") == []
