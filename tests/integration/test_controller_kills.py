"""`kill -9` of the controller, or of the algorithm service, in the middle of a run changes nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.katib_command import KATIB, Katib, Ran, assignment, phase
from tests.integration.process_table import algorithm_services

TRIALS, PARALLEL = 40, 4

EXPERIMENT = """
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: {{name: killed}}
spec:
  objective: {{type: minimize, objectiveMetricName: loss}}
  algorithm: {{algorithmName: random}}
  seed: 5
  parallelTrialCount: {parallel}
  maxTrialCount: {trials}
  parameters:
  - {{name: x, parameterType: double, feasibleSpace: {{min: "0", max: "1"}}}}
  trialTemplate:
    primaryContainerName: main
    trialParameters: [{{name: x, reference: x}}]
    trialSpec:
      apiVersion: batch/v1
      kind: Job
      spec:
        backoffLimit: 0
        template:
          spec:
            containers:
            - name: main
              image: any
              command:
              - sh
              - -c
              - |
                echo "start $KATIB_TRIAL_NAME" >> {journal}
                sleep 0.1
                echo "loss=$0"
                echo "end $KATIB_TRIAL_NAME" >> {journal}
              - ${{trialParameters.x}}
"""


class Bench:
    """One Experiment whose trials write a journal of their starts and ends."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.journal = folder / "journal"
        self.file = folder / "experiment.yaml"
        text = EXPERIMENT.format(trials=TRIALS, parallel=PARALLEL, journal=self.journal)
        self.file.write_text(text, encoding="utf-8")
        self.katib = Katib(folder / "state", timeout_seconds=100.0)

    def begin(self) -> subprocess.Popen[bytes]:
        """Starts `katib run` and leaves it running."""
        return subprocess.Popen(
            [KATIB, "run", self.file, "-q"],
            env={**os.environ, "KATIB_STATE_DIR": str(self.katib.state_directory)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def lines(self) -> list[list[str]]:
        """The journal, word by word."""
        if not self.journal.exists():
            return []
        return [line.split() for line in self.journal.read_text(encoding="utf-8").splitlines()]

    def started(self) -> int:
        """How many starts the journal has."""
        return sum(line[0] == "start" for line in self.lines())


def _outcome(ran: Ran) -> tuple[list[dict[str, str]], dict[str, str]]:
    """Assignments in creation order, and the best: what may not depend on kills; names do, by their uid."""
    return [assignment(trial["spec"]) for trial in ran.trials()], ran.best


def _require_each_once(bench: Bench, ran: Ran) -> None:
    trials = ran.trials()
    assert len(trials) == TRIALS
    assert {phase(trial) for trial in trials} == {"Succeeded"}
    names = {trial["metadata"]["name"] for trial in trials}
    words = Counter(tuple(line) for line in bench.lines())
    assert words == Counter((word, name) for name in names for word in ("start", "end"))
    running = most = 0
    for word, _ in bench.lines():
        running += 1 if word == "start" else -1
        most = max(most, running)
    assert most <= PARALLEL


def _wait_for(is_reached: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 40.0
    while not is_reached() and process.poll() is None:
        assert time.monotonic() < deadline, "no trial started in time"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, str]], dict[str, str]]:
    bench = Bench(tmp_path_factory.mktemp("undisturbed") / "bench")
    ran = bench.katib.run(bench.file)
    _require_each_once(bench, ran)
    return _outcome(ran)


def _kill_rounds(bench: Bench, rounds: int, seed: int) -> Ran:
    generator = random.Random(seed)
    for _ in range(rounds):
        process = bench.begin()
        before = bench.started()
        target = min(before + generator.randint(1, 3), TRIALS)
        _wait_for(lambda target=target: bench.started() >= target, process)  # type: ignore[misc]
        time.sleep(generator.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
    return bench.katib.run(bench.file)


@pytest.mark.timeout(120)
def test_killing_the_controller_three_times_changes_nothing(
    tmp_path: Path, undisturbed: tuple[list[dict[str, str]], dict[str, str]]
) -> None:
    bench = Bench(tmp_path / "bench")
    ran = _kill_rounds(bench, 3, seed=3)
    _require_each_once(bench, ran)
    assert _outcome(ran) == undisturbed


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(3))
def test_killing_the_controller_ten_times_changes_nothing(
    tmp_path: Path, seed: int, undisturbed: tuple[list[dict[str, str]], dict[str, str]]
) -> None:
    bench = Bench(tmp_path / "bench")
    ran = _kill_rounds(bench, 10, seed=seed)
    _require_each_once(bench, ran)
    assert _outcome(ran) == undisturbed


@pytest.mark.timeout(120)
def test_killing_the_algorithm_service_three_times_changes_nothing(
    tmp_path: Path, undisturbed: tuple[list[dict[str, str]], dict[str, str]]
) -> None:
    bench = Bench(tmp_path / "bench")
    process = bench.begin()
    killed: set[int] = set()
    for target in (2, 12, 25):
        _wait_for(lambda target=target: bench.started() >= target, process)  # type: ignore[misc]
        _wait_for(lambda: bool(algorithm_services(process.pid) - killed), process)
        for pid in algorithm_services(process.pid) - killed:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
    assert process.wait(timeout=60) == 0
    assert len(killed) == 3
    ran = bench.katib.run(bench.file)
    _require_each_once(bench, ran)
    assert _outcome(ran) == undisturbed
