"""Hyperband, ASHA and BOHB through the `katib` command, with a training that goes on from checkpoints."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from katibpy.api.lineage import CHECKPOINT_FROM_LABEL
from tests.integration.katib_command import Katib, Ran, assignment, metric, phase

# Gradient descent on the square of one weight, which diverges where the rate is too high.
TRAINING = """
import math, pathlib, sys
rate, epochs, place, fails = float(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3]), int(sys.argv[4])
if int(rate * 1e6) % 10 < fails:
    sys.exit("out of luck")
checkpoint = place / "state"
done, weight = checkpoint.read_text().split() if checkpoint.exists() else (0, 1.0)
done, weight = int(done), float(weight)
print(f"start={done}")
for epoch in range(done, epochs):
    weight -= rate * 2 * weight
    print(f"epoch={epoch + 1} loss={min(weight * weight, 1e9):.9f}")
checkpoint.write_text(f"{epochs} {weight}")
"""


def _experiment(name: str, *, trials: int, fails: int = 0, **settings: str) -> dict[str, Any]:
    written = {"resource_name": "epochs", "eta": "3", "suggestion_trial_dir": "/checkpoints", **settings}
    command = ["python", "-c", TRAINING, "${trialParameters.rate}", "${trialParameters.epochs}"]
    container = {
        "name": "training",
        "image": "python:3.11",
        "command": [*command, "/checkpoints", str(fails)],
    }
    rates = {"min": "0.001", "max": "1.1", "distribution": "logUniform"}
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": name},
        "spec": {
            "seed": 5,
            "parallelTrialCount": 3,
            "maxTrialCount": trials,
            "maxFailedTrialCount": trials,
            "objective": {
                "type": "minimize",
                "objectiveMetricName": "loss",
                "additionalMetricNames": ["start"],
                "metricStrategies": [
                    {"name": "loss", "value": "latest"},
                    {"name": "start", "value": "latest"},
                ],
            },
            "algorithm": {
                "algorithmName": name,
                "algorithmSettings": [{"name": key, "value": text} for key, text in written.items()],
            },
            "parameters": [
                {"name": "rate", "parameterType": "double", "feasibleSpace": rates},
                {"name": "epochs", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "9"}},
            ],
            "trialTemplate": {
                "primaryContainerName": "training",
                "trialParameters": [
                    {"name": "rate", "reference": "rate"},
                    {"name": "epochs", "reference": "epochs"},
                ],
                "trialSpec": {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
                },
            },
        },
    }


EXPERIMENTS = (
    _experiment("hyperband", trials=22, fails=2, r_l="9"),
    _experiment("asha", trials=20),
    _experiment("bohb", trials=22, r_l="9"),
)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Ran]:
    directory = tmp_path_factory.mktemp("halving")
    files = [directory / f"{experiment['metadata']['name']}.yaml" for experiment in EXPERIMENTS]
    for file, experiment in zip(files, EXPERIMENTS, strict=True):
        file.write_text(yaml.safe_dump(experiment), encoding="utf-8")
    return {each.key[1]: each for each in Katib(directory / "state").run_all(files)}


@pytest.mark.parametrize("name", ["hyperband", "bohb"])
def test_every_rung_of_every_bracket_has_its_count(ran: Mapping[str, Ran], name: str) -> None:
    trials = ran[name].trials()
    amounts = Counter(int(assignment(trial["spec"])["epochs"]) for trial in trials)
    promoted = Counter(
        int(assignment(trial["spec"])["epochs"])
        for trial in trials
        if CHECKPOINT_FROM_LABEL in trial["metadata"]["labels"]
    )
    assert amounts == {1: 9, 3: 3 + 5, 9: 1 + 1 + 3}
    assert promoted == {3: 3, 9: 1 + 1}


def test_failed_trials_are_not_promoted(ran: Mapping[str, Ran]) -> None:
    trials = ran["hyperband"].trials()
    failed = {trial["metadata"]["name"] for trial in trials if phase(trial) == "Failed"}
    assert len(failed) >= 1
    assert not failed & {trial["metadata"]["labels"].get(CHECKPOINT_FROM_LABEL) for trial in trials}


def test_asha_promotes_the_better_third_step_by_step(ran: Mapping[str, Ran]) -> None:
    amounts = Counter(int(assignment(trial["spec"])["epochs"]) for trial in ran["asha"].trials())
    assert set(amounts) >= {1, 3}
    assert amounts[1] >= 3 * (amounts[3] - 2)
    assert ran["asha"].status["trialsSucceeded"] == 20


@pytest.mark.parametrize("name", ["hyperband", "asha", "bohb"])
def test_a_promoted_trial_goes_on_where_its_parent_ended(ran: Mapping[str, Ran], name: str) -> None:
    trials = {trial["metadata"]["name"]: trial for trial in ran[name].trials()}
    children = [
        trial
        for trial in trials.values()
        if CHECKPOINT_FROM_LABEL in trial["metadata"]["labels"] and phase(trial) == "Succeeded"
    ]
    assert children
    for child in children:
        parent = assignment(trials[child["metadata"]["labels"][CHECKPOINT_FROM_LABEL]]["spec"])
        own = assignment(child["spec"])
        assert metric(child["status"], "start")["latest"] == parent["epochs"]
        assert own["rate"] == parent["rate"]
        exact = (1 - 2 * float(own["rate"])) ** (2 * int(own["epochs"]))
        assert float(metric(child["status"], "loss")["latest"]) == pytest.approx(exact, abs=1e-6)


def test_the_suggestion_says_which_trials_are_planned(ran: Mapping[str, Ran]) -> None:
    got = ran["hyperband"].katib("get", "suggestions", "hyperband", "-o", "json")
    assert got.code == 0, got
    plan = "trials by epochs: 9 at 1 -> 3 at 3 -> 1 at 9; 5 at 3 -> 1 at 9; 3 at 9"
    assert json.loads(got.stdout)["status"]["note"] == plan
