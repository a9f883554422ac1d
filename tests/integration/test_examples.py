"""Every example runs to its end through `katib run`, with a smaller budget than its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.katib_command import ROOT, Katib, Ran, phase

EXAMPLES = ROOT / "examples"
FOLDERS = sorted(path.parent.name for path in EXAMPLES.glob("*/experiment.yaml"))
_TOGETHER_SECONDS = 100.0


def _two_combinations(spec: dict[str, Any]) -> None:
    for parameter in spec["parameters"]:
        if parameter["name"] == "neighbors":
            parameter["feasibleSpace"].update(min="3", max="19", step="16")
        else:
            del parameter["feasibleSpace"]["list"][1:]


def _one_fails_one_succeeds(spec: dict[str, Any]) -> None:
    spec["maxTrialCount"] = 2
    for parameter in spec["parameters"]:
        if parameter["name"] != "loss":
            parameter["feasibleSpace"]["list"] = {"penalty": ["l1"], "c": ["1"]}[parameter["name"]]


def _soon_at_its_goal(spec: dict[str, Any]) -> None:
    spec["objective"]["goal"] = 0.3


def _soon_past_its_random_start(spec: dict[str, Any]) -> None:
    spec["maxTrialCount"], spec["parallelTrialCount"] = 2, 1
    spec["algorithm"]["algorithmSettings"][0] = {"name": "n_startup_trials", "value": "1"}


def _two_and_the_better_again(spec: dict[str, Any]) -> None:
    spec["maxTrialCount"], spec["parallelTrialCount"] = 3, 1
    for setting in spec["algorithm"]["algorithmSettings"]:
        setting["value"] = {"eta": "2", "r_l": "298"}.get(setting["name"], setting["value"])


def _one_child(spec: dict[str, Any]) -> None:
    spec["maxTrialCount"] = 6
    for setting in spec["algorithm"]["algorithmSettings"]:
        if setting["name"] == "n_population":
            setting["value"] = "5"


def _one_trial(spec: dict[str, Any]) -> None:
    spec["maxTrialCount"] = 1


@dataclass(frozen=True, slots=True)
class Expected:
    """What an example comes to.

    Attributes:
        best: range of the best trial's objective.
        edit: makes its spec smaller.
        trials: how many trials are run; None when that depends on their results.
        failed: how many of them fail.
        metric: which summary of the objective counts.
        reason: why the Experiment ends.
    """

    best: tuple[float, float]
    edit: Callable[[dict[str, Any]], None] = _one_trial
    trials: int | None = 1
    failed: int = 0
    metric: str = "max"
    reason: str = "ExperimentMaxTrialsReached"


EXPECTED = {
    "config-map": Expected((50.0, 75.0), metric="min"),
    "diabetes-sobol": Expected((50.0, 80.0), metric="min"),
    "digits-asha": Expected((0.2, 1.0), _two_and_the_better_again, trials=3),
    "digits-hyperband": Expected((0.05, 1.0), _two_and_the_better_again, trials=3),
    "digits-random": Expected((0.8, 1.0)),
    "digits-tpe": Expected((0.05, 1.0), _soon_past_its_random_start, trials=2),
    "distributions": Expected((0.8, 1.0)),
    "failing-trials": Expected((0.8, 1.0), _one_fails_one_succeeds, trials=2, failed=1),
    "file-json": Expected((50.0, 80.0), metric="min"),
    "file-text": Expected((0.8, 1.0)),
    "goal-reached": Expected((0.3, 1.0), _soon_at_its_goal, trials=None, reason="ExperimentGoalReached"),
    "metric-strategies": Expected((0.8, 1.0), metric="latest"),
    "pbt-digits": Expected((0.2, 2.0), _one_child, trials=6, metric="min"),
    "pytorch-ddp": Expected((0.2, 1.0)),
    "resume-from-volume": Expected((0.9, 1.0)),
    "resume-long-running": Expected((0.9, 1.0)),
    "trial-metadata": Expected((0.7, 1.0)),
    "wine-grid": Expected((0.9, 1.0), _two_combinations, trials=2, reason="ExperimentSuggestionEndReached"),
}


def _smaller(folder: str, directory: Path) -> Path:
    documents = list(yaml.safe_load_all(_file(folder).read_text(encoding="utf-8")))
    spec = documents[-1]["spec"]
    spec.setdefault("seed", 1)  # the same trials each time, so that a narrow range can be expected of them
    EXPECTED[folder].edit(spec)
    if "maxTrialCount" in spec:
        for limit in ("maxFailedTrialCount", "parallelTrialCount"):
            spec[limit] = min(spec[limit], spec["maxTrialCount"])
    file = directory / f"{folder}.yaml"
    file.write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    return file


def _file(folder: str) -> Path:
    return EXAMPLES / folder / "experiment.yaml"


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Ran]:
    """All examples, run at once: starting each alone takes longer."""
    directory = tmp_path_factory.mktemp("examples")
    katib = Katib(directory / "state", timeout_seconds=_TOGETHER_SECONDS)
    return {ran.key[1]: ran for ran in katib.run_all([_smaller(each, directory) for each in FOLDERS])}


@pytest.mark.timeout(_TOGETHER_SECONDS + 10)
@pytest.mark.parametrize("folder", FOLDERS)
def test_an_example_runs_to_its_end(examples: Mapping[str, Ran], folder: str) -> None:
    ran, expected = examples[folder], EXPECTED[folder]
    assert ran.conditions["Succeeded"] == ("True", expected.reason)
    assert ran.conditions["Running"][0] == "False"
    objective = ran.experiment["spec"]["objective"]["objectiveMetricName"]
    low, high = expected.best
    assert low <= float(ran.best_metric(objective)[expected.metric]) <= high
    phases = [phase(trial) for trial in ran.trials()]
    assert phases.count("Failed") == ran.status.get("trialsFailed", 0) == expected.failed
    assert phases.count("Succeeded") == ran.status["trialsSucceeded"]
    assert "MetricsUnavailable" not in phases
    if expected.trials is not None:
        assert len(phases) == ran.status["trials"] == expected.trials
        assert phases.count("Succeeded") == expected.trials - expected.failed


def test_every_example_is_valid_as_it_stands(tmp_path: Path) -> None:
    checked = Katib(tmp_path / "state").ask("validate", *map(_file, FOLDERS))
    assert checked.code == 0, checked
    assert len(checked.stdout.splitlines()) == len(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_example_says_in_two_lines_what_it_shows_and_how_to_run_it(folder: str) -> None:
    first, second, *_ = _file(folder).read_text(encoding="utf-8").splitlines()
    assert first.startswith("# ")
    assert second == f"# From the repository's root: katib run examples/{folder}/experiment.yaml"
    assert (EXAMPLES / folder / "train.py").is_file()


def test_every_example_has_an_expectation() -> None:
    assert sorted(EXPECTED) == FOLDERS
