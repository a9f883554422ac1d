"""Every example runs to its end through `katib run`, with a smaller budget where its own takes long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.katib_command import ROOT, Katib, Ran, phase

EXAMPLES = ROOT / "examples"
FOLDERS = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir() and path.name != "__pycache__")
MAX_TRIALS = "ExperimentMaxTrialsReached"


def _fewer_combinations(spec: dict[str, Any]) -> None:
    """Four combinations instead of twelve; both sides of each choice that matters."""
    for parameter in spec["parameters"]:
        if parameter["name"] == "neighbors":
            parameter["feasibleSpace"]["step"] = "16"
        if parameter["name"] == "power":
            parameter["feasibleSpace"]["list"] = ["1"]


def _only_the_failing_penalty(spec: dict[str, Any]) -> None:
    """The half of the grid with the combination that does not exist: two trials fail, two succeed."""
    spec["parameters"][0]["feasibleSpace"]["list"] = ["l1"]
    spec["maxTrialCount"] = 4


def _within_reach(spec: dict[str, Any]) -> None:
    """A goal that the first good draw reaches."""
    spec["objective"]["goal"] = 0.9


@dataclass(frozen=True, slots=True)
class Expected:
    """What an example comes to.

    Attributes:
        best: range of the best trial's objective.
        trials: how many trials are run; it is the limit that is set, too, unless `edit` says otherwise.
        metric: which summary of the objective counts.
        reason: why the Experiment ends.
        counts: other counts of the status.
        edit: makes the spec smaller in another way.
    """

    best: tuple[float, float]
    trials: int | None = 2
    metric: str = "max"
    reason: str = MAX_TRIALS
    counts: Mapping[str, int] = field(default_factory=dict)
    edit: Callable[[dict[str, Any]], None] | None = None


EXPECTED = {
    "config-map": Expected((50.0, 80.0), metric="min"),
    "diabetes-sobol": Expected((50.0, 80.0), metric="min"),
    "digits-random": Expected((0.2, 1.0), trials=3),
    "digits-tpe": Expected((0.1, 1.0), trials=6),
    "distributions": Expected((0.8, 1.0)),
    "failing-trials": Expected(
        (0.8, 1.0), trials=4, counts={"trialsFailed": 2}, edit=_only_the_failing_penalty
    ),
    "file-json": Expected((50.0, 90.0), metric="min"),
    "file-text": Expected((0.6, 1.0)),
    "goal-reached": Expected((0.9, 1.0), trials=None, reason="ExperimentGoalReached", edit=_within_reach),
    "metric-strategies": Expected((0.8, 1.0), metric="latest"),
    "resume-from-volume": Expected((0.8, 1.0)),
    "resume-long-running": Expected((0.6, 1.0)),
    "trial-metadata": Expected((0.4, 1.0)),
    "wine-grid": Expected(
        (0.9, 1.0), trials=4, reason="ExperimentSuggestionEndReached", edit=_fewer_combinations
    ),
}


@pytest.fixture
def katib(tmp_path: Path) -> Katib:
    return Katib(tmp_path / "state")


def smaller(
    folder: str, directory: Path, *, trials: int | None, edit: Callable[[dict[str, Any]], None] | None
) -> Path:
    """A copy of the example's file that takes less time."""
    documents = list(yaml.safe_load_all((EXAMPLES / folder / "experiment.yaml").read_text(encoding="utf-8")))
    spec = documents[-1]["spec"]
    if edit is not None:
        edit(spec)
    elif trials is not None:
        spec["maxTrialCount"] = trials
    if "maxTrialCount" in spec:
        spec["maxFailedTrialCount"] = min(spec["maxFailedTrialCount"], spec["maxTrialCount"])
    file = directory / "experiment.yaml"
    file.write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    return file


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_example_runs_to_its_end(katib: Katib, tmp_path: Path, folder: str) -> None:
    expected = EXPECTED[folder]
    ran = katib.run(smaller(folder, tmp_path, trials=expected.trials, edit=expected.edit))
    assert ran.key == ("default", folder)
    assert ran.conditions["Succeeded"] == ("True", expected.reason)
    assert ran.conditions["Running"][0] == "False"
    objective = ran.experiment["spec"]["objective"]["objectiveMetricName"]
    low, high = expected.best
    assert low <= float(ran.best_metric(objective)[expected.metric]) <= high
    _check_counts(ran, expected)


def _check_counts(ran: Ran, expected: Expected) -> None:
    status = ran.status
    failed = expected.counts.get("trialsFailed", 0)
    assert status.get("trialsFailed", 0) == failed
    assert status.get("trialMetricsUnavailable", 0) == 0
    if expected.trials is not None:
        assert status["trials"] == expected.trials
        assert status["trialsSucceeded"] == expected.trials - failed
    assert [phase(trial) for trial in ran.trials()].count("Failed") == failed


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_example_is_valid_as_it_stands(katib: Katib, folder: str) -> None:
    checked = katib("validate", EXAMPLES / folder / "experiment.yaml")
    assert checked.code == 0, checked


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_example_says_in_two_lines_what_it_shows_and_how_to_run_it(folder: str) -> None:
    first, second, *_ = (EXAMPLES / folder / "experiment.yaml").read_text(encoding="utf-8").splitlines()
    assert first.startswith("# ")
    assert second == f"# From the repository's root: katib run examples/{folder}/experiment.yaml"
    assert (EXAMPLES / folder / "train.py").is_file()


def test_every_example_has_an_expectation() -> None:
    assert sorted(EXPECTED) == FOLDERS
