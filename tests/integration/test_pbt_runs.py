"""Population based training by `katib run`: children train on from what their parents left, come what may."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from katibpy.api.lineage import CHECKPOINT_FROM_LABEL
from tests.integration.katib_command import KATIB, Katib, Ran, assignment, metric, phase

MEMBERS, TRIALS = 5, 15
GENERATION = "pbt.suggestion.katib.kubeflow.org/generation"

TRAIN = """
import json, os, sys
rate, path, journal = float(sys.argv[1]), sys.argv[2], sys.argv[3]
name = os.environ["KATIB_TRIAL_NAME"]
assert os.environ["KATIB_CHECKPOINT_DIR"] == path, path

def note(word):
    with open(journal, "a") as file:
        file.write(f"{word} {name}\\n")

note("start")
model = {"loss": 100.0, "trained": []}
if os.path.exists(f"{path}/model.json"):
    with open(f"{path}/model.json") as file:
        model = json.load(file)
for _ in range(20):
    model["loss"] = (1 - rate) ** 2 * model["loss"] + rate * rate
model["trained"].append(name)
with open(f"{path}/model.json", "w") as file:
    json.dump(model, file)
for part in range(50):
    with open(f"{path}/part-{part}", "w") as file:
        file.write(name)
print(f"loss={model['loss']!r}", flush=True)
note("end")
"""


class Bench:
    """One Experiment, whose trials keep their model in a checkpoint and write a journal."""

    def __init__(self, folder: Path, *, trials: int = TRIALS, parallel: int = 1, **spec: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.journal = folder / "journal"
        self.script = folder / "train.py"
        self.script.write_text(TRAIN, encoding="utf-8")
        self.file = folder / "experiment.yaml"
        self.katib = Katib(folder / "state", timeout_seconds=55.0)
        self.write(trials=trials, parallel=parallel, **spec)

    def write(self, *, trials: int, parallel: int = 1, **spec: Any) -> None:
        """Writes the Experiment."""
        settings = {
            "suggestion_trial_dir": "/opt/katib/data",
            "n_population": str(MEMBERS),
            "truncation_threshold": "0.2",
        }
        command = [sys.executable, "-I", "-S", str(self.script), "${trialParameters.lr}", "/opt/katib/data"]
        container = {"name": "main", "image": "any", "command": [*command, str(self.journal)]}
        pod = {"restartPolicy": "Never", "containers": [container]}
        rates = {"min": "0.001", "max": "1", "distribution": "logUniform"}
        experiment = {
            "apiVersion": "kubeflow.org/v1beta1",
            "kind": "Experiment",
            "metadata": {"name": "schedule"},
            "spec": {
                "seed": 4,
                "objective": {"type": "minimize", "objectiveMetricName": "loss"},
                "algorithm": {
                    "algorithmName": "pbt",
                    "algorithmSettings": [{"name": name, "value": text} for name, text in settings.items()],
                },
                "parallelTrialCount": parallel,
                "maxTrialCount": trials,
                "parameters": [{"name": "lr", "parameterType": "double", "feasibleSpace": rates}],
                "trialTemplate": {
                    "primaryContainerName": "main",
                    "trialParameters": [{"name": "lr", "reference": "lr"}],
                    "trialSpec": {
                        "apiVersion": "batch/v1",
                        "kind": "Job",
                        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
                    },
                },
                **spec,
            },
        }
        self.file.write_text(yaml.safe_dump(experiment), encoding="utf-8")

    def ask(self, *arguments: str) -> str:
        """What a command prints that runs no trial."""
        ended = self.katib.ask(*arguments)
        assert ended.code == 0, ended
        return ended.stdout

    @property
    def checkpoints(self) -> Path:
        """Where the state directory keeps checkpoints."""
        return self.katib.state_directory / "checkpoints"

    def kept(self) -> set[str]:
        """Names of the trials whose checkpoints are there."""
        return {path.name.rpartition("-")[0] for path in self.checkpoints.glob("*/*")}

    def words(self) -> list[str]:
        """The first word of each line of the journal."""
        if not self.journal.exists():
            return []
        return [line.split()[0] for line in self.journal.read_text(encoding="utf-8").splitlines()]

    def model(self, name: str) -> dict[str, Any]:
        """What a trial left."""
        (directory,) = self.checkpoints.glob(f"*/{name}-*")
        assert {path.read_text() for path in directory.glob("part-*")} == {name}
        loaded: dict[str, Any] = json.loads((directory / "model.json").read_text(encoding="utf-8"))
        return loaded


def trained(loss: float, rate: float) -> float:
    for _ in range(20):
        loss = (1 - rate) ** 2 * loss + rate * rate
    return loss


def parent_of(trial: Mapping[str, Any]) -> str:
    labels: Mapping[str, str] = trial["metadata"]["labels"]
    return labels.get(CHECKPOINT_FROM_LABEL, "")


def require_lineage(bench: Bench, trials: list[dict[str, Any]]) -> None:
    """Each trial trained on from exactly what its parent had left, once."""
    left: dict[str, dict[str, Any]] = {"": {"loss": 100.0, "trained": []}}
    for trial in trials:
        name, rate = trial["metadata"]["name"], float(assignment(trial["spec"])["lr"])
        begun = left[parent_of(trial)]
        left[name] = bench.model(name)
        assert left[name]["trained"] == [*begun["trained"], name]
        assert left[name]["loss"] == pytest.approx(trained(begun["loss"], rate))
        assert float(metric(trial["status"], "loss")["latest"]) == left[name]["loss"]
        assert int(trial["metadata"]["labels"][GENERATION]) == len(begun["trained"])


def told(trials: list[dict[str, Any]]) -> list[tuple[dict[str, str], int | None]]:
    """Assignments and numbers of parents, in creation order: what may not depend on kills."""
    numbers = {trial["metadata"]["name"]: number for number, trial in enumerate(trials)}
    return [(assignment(trial["spec"]), numbers.get(parent_of(trial))) for trial in trials]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, Ran]:
    bench = Bench(tmp_path_factory.mktemp("undisturbed") / "bench")
    return bench, bench.katib.run(bench.file)


def test_children_train_on_from_what_their_parents_left(undisturbed: tuple[Bench, Ran]) -> None:
    bench, ran = undisturbed
    trials = bench.katib.trials("default")
    assert [phase(trial) for trial in trials] == ["Succeeded"] * TRIALS
    require_lineage(bench, trials)
    names = [trial["metadata"]["name"] for trial in trials]
    assert [parent_of(trial) for trial in trials[:MEMBERS]] == [""] * MEMBERS
    copied = [trial for trial in trials[MEMBERS:] if names.index(parent_of(trial)) % MEMBERS != 0]
    assert copied
    assert {len(name) for name in names} == {len("schedule-") + 8}
    described = bench.ask("describe", "trial", names[0])
    (line,) = [line for line in described.splitlines() if line.startswith("Checkpoints:")]
    assert (Path(line.split()[1]) / "model.json").exists()
    longest = max(len(bench.model(name)["trained"]) for name in names)
    assert longest == TRIALS // MEMBERS
    first = min(float(metric(trial["status"], "loss")["latest"]) for trial in trials[:MEMBERS])
    assert float(ran.best_metric("loss")["latest"]) < first / 2


def _begin(bench: Bench) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [KATIB, "run", bench.file, "-q"],
        env={**os.environ, "KATIB_STATE_DIR": str(bench.katib.state_directory)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _wait_for(is_reached: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 40.0
    while not is_reached() and process.poll() is None:
        assert time.monotonic() < deadline, "it was not reached in time"
        time.sleep(0.001)


def test_a_kill_between_a_parents_end_and_its_childs_start_loses_nothing(
    tmp_path: Path, undisturbed: tuple[Bench, Ran]
) -> None:
    bench = Bench(tmp_path / "bench")
    between = 0
    for kills, ends in enumerate(range(MEMBERS, TRIALS - 1, 2)):
        if kills >= 2 and between:
            break
        process = _begin(bench)
        _wait_for(lambda ends=ends: bench.words().count("end") >= ends, process)  # type: ignore[misc]
        process.send_signal(signal.SIGKILL)
        process.wait()
        words = bench.words()
        between += words.count("start") == words.count("end")
    assert between
    bench.katib.run(bench.file)
    trials = bench.katib.trials("default")
    require_lineage(bench, trials)
    assert bench.words() == ["start", "end"] * TRIALS
    assert told(trials) == told(undisturbed[0].katib.trials("default"))


def test_parents_keep_their_checkpoints_until_nobody_can_begin_with_them(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench", trials=8, parallel=2, resumePolicy="FromVolume")
    first = bench.katib("run", bench.file, "-q", "--keep-trials", "none")
    assert first.code == 0, first
    assert len(bench.kept()) == 8
    assert list((bench.katib.state_directory / "trials" / "default").glob("schedule-*")) == []
    bench.write(trials=12, parallel=2, resumePolicy="FromVolume")
    more = bench.katib("run", bench.file, "-q", "--keep-trials", "none")
    assert more.code == 0, more
    trials = bench.katib.trials("default")
    assert len(trials) == 12
    require_lineage(bench, trials)
    bench.ask("delete", "experiment", "schedule")
    assert list(bench.checkpoints.iterdir()) == []


def test_only_the_bests_checkpoints_stay_when_that_is_wanted(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench", trials=7, parallel=2)
    ended = bench.katib("run", bench.file, "-o", "json", "--keep-trials", "best")
    assert ended.code == 0, ended
    best = json.loads(ended.stdout)["status"]["currentOptimalTrial"]["bestTrialName"]
    assert bench.kept() == {best}
    trials = bench.katib.trials("default")
    other = next(trial["metadata"]["name"] for trial in trials if trial["metadata"]["name"] != best)
    described = bench.ask("describe", "trial", other)
    assert "removed with other files (--keep-trials)" in described
    generations = [int(trial["metadata"]["labels"][GENERATION]) for trial in trials]
    assert sorted(generations) == [0] * MEMBERS + [1] * 2
