"""Experiments of every shape that Katib documents, run to their end by the `katib` command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.command_here import CommandHere
from tests.integration.katib_command import EXPERIMENT_LABEL, Katib, Ran, assignment, metric, phase

SHAPES = Path(__file__).with_name("shapes")
MAX_TRIALS = ("True", "ExperimentMaxTrialsReached")


ALONE = ("failing",)
"""Shapes with a test that runs them; all others are run at once, which is quicker."""

RESUMED = ("resume-from-volume", "resume-long-running")
"""Shapes of those that are run again, at once too, with a higher limit."""

TOGETHER = tuple(sorted({path.stem for path in SHAPES.glob("*.yaml")} - set(ALONE)))


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Ran]:
    katib = Katib(tmp_path_factory.mktemp("together"))
    return {ran.key[1]: ran for ran in katib.run_all([_file(shape) for shape in TOGETHER])}


@pytest.fixture(scope="module")
def resumed(together: Mapping[str, Ran], tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Ran]:
    directory = tmp_path_factory.mktemp("resumed")
    files = [_with_limit(shape, 4, directory) for shape in RESUMED]
    return {ran.key[1]: ran for ran in together[RESUMED[0]].katib.run_all(files)}


def _file(shape: str) -> Path:
    return SHAPES / f"{shape}.yaml"


def test_random_search_draws_every_kind_of_parameter_within_its_space(together: Mapping[str, Ran]) -> None:
    ran = together["random"]
    trials = ran.trials()
    assert ran.conditions["Succeeded"] == MAX_TRIALS
    assert ran.conditions["Running"][0] == "False"
    assert ran.status["trials"] == ran.status["trialsSucceeded"] == len(trials) == 6
    drawn = [assignment(trial["spec"]) for trial in trials]
    assert len({tuple(each.values()) for each in drawn}) == 6
    for values in drawn:
        assert round(float(values["rate"]) * 100, 9) in range(1, 6)
        assert int(values["width"]) in range(-3, 13)
        assert values["momentum"] in ("0.5", "0.9", "0.99")
        assert values["optimizer"] in ("sgd", "adam", "no optimizer at all")
    best = max(trials, key=lambda trial: int(assignment(trial["spec"])["width"]))
    assert ran.best["width"] == assignment(best["spec"])["width"]
    assert ran.best_metric("score") == ran.best_metric("width")
    assert ran.best_metric("score")["latest"] == ran.best["width"]
    for trial in trials:
        assert phase(trial) == "Succeeded"
        assert trial["metadata"]["labels"][EXPERIMENT_LABEL] == "random"
        assert trial["metadata"]["name"].startswith("random-")


def test_grid_search_stops_at_the_trial_limit(together: Mapping[str, Ran]) -> None:
    ran = together["grid"]
    tried = [tuple(assignment(trial["spec"]).values()) for trial in ran.trials()]
    assert ran.conditions["Succeeded"] == MAX_TRIALS
    assert len(set(tried)) == len(tried) == 5


def test_grid_search_without_a_limit_tries_every_combination_once(together: Mapping[str, Ran]) -> None:
    ran = together["grid-to-its-end"]
    tried = {tuple(assignment(trial["spec"]).values()) for trial in ran.trials()}
    assert ran.conditions["Succeeded"] == ("True", "ExperimentSuggestionEndReached")
    wanted = {(r, n, o) for r in ("0.1", "0.2", "0.3") for n in ("1", "2") for o in ("sgd", "adam")}
    assert tried == wanted
    assert ran.status["trialsSucceeded"] == 12
    assert ran.best["rate"] == "0.1"


def test_tpe_takes_hyperopts_settings_and_searches_where_it_is_good(together: Mapping[str, Ran]) -> None:
    ran = together["tpe"]
    trials = ran.trials()
    losses = [float(metric(trial["status"], "loss")["min"]) for trial in trials]
    assert ran.conditions["Succeeded"] == MAX_TRIALS
    assert len(trials) == 12
    assert sum(losses[6:]) / 6 < sum(losses[:6]) / 6, losses
    assert float(ran.best_metric("loss")["min"]) == min(losses)


def test_sobol_search_covers_the_space_evenly(together: Mapping[str, Ran]) -> None:
    ran = together["sobol"]
    points = [assignment(trial["spec"]) for trial in ran.trials()]
    assert ran.conditions["Succeeded"] == MAX_TRIALS
    eighths = sorted(int((float(point["x"]) + 10) / 20 * 8) for point in points)
    assert eighths == list(range(8))


def test_hyperband_runs_katibs_example_whose_resource_has_one_value(together: Mapping[str, Ran]) -> None:
    ran = together["hyperband"]
    tried = [assignment(trial["spec"]) for trial in ran.trials()]
    assert ran.conditions["Succeeded"] == MAX_TRIALS
    assert [each["num-epochs"] for each in tried] == ["1", "1"]
    assert ran.best_metric("accuracy")["latest"] == max((each["lr"] for each in tried), key=float)


def test_the_four_distributions_keep_to_their_ranges(together: Mapping[str, Ran]) -> None:
    ran = together["distributions"]
    ranges = {
        "uniform": (0.5, 0.9),
        "log-uniform": (0.001, 10),
        "normal": (10, 64),
        "log-normal": (0.01, 0.5),
    }
    drawn = [assignment(trial["spec"]) for trial in ran.trials()]
    assert len(drawn) == 6
    for values in drawn:
        for name, (low, high) in ranges.items():
            assert low <= float(values[name]) <= high
        assert int(values["normal"]) % 2 == 0


def test_each_metric_is_summarised_and_the_strategy_chooses_the_best_trial(
    together: Mapping[str, Ran],
) -> None:
    ran = together["metric-strategies"]
    observed = {assignment(trial["spec"])["plan"]: trial["status"] for trial in ran.trials()}
    for name in ("accuracy", "loss", "val-error", "f1"):
        assert metric(observed["peak"], name) == {"min": "0.30", "max": "0.99", "latest": "0.50"}
        assert metric(observed["climb"], name) == {"min": "0.20", "max": "0.70", "latest": "0.70"}
    assert ran.best == {"plan": "climb"}


def test_metrics_without_a_strategy_get_the_objectives(together: Mapping[str, Ran]) -> None:
    ran = together["default-strategies"]
    assert ran.experiment["spec"]["objective"]["metricStrategies"] == [
        {"name": "accuracy", "value": "max"},
        {"name": "loss", "value": "min"},
    ]
    assert ran.best_metric("loss") == {"min": ".25", "max": "1e0", "latest": "1e0"}
    assert ran.best_metric("accuracy") == {"min": "0.1", "max": "0.9", "latest": "0.8"}


def test_a_metrics_file_is_read_by_its_timestamps_and_belongs_to_its_trial_alone(
    together: Mapping[str, Ran],
) -> None:
    ran = together["file-text"]
    assert ran.conditions["Succeeded"] == MAX_TRIALS
    assert ran.best == {"tenths": "3"}
    for trial in ran.trials():
        tenths = assignment(trial["spec"])["tenths"]
        assert metric(trial["status"], "accuracy") == {
            "min": f"0.{tenths}",
            "max": "0.9",
            "latest": f"0.{tenths}",
        }
        assert metric(trial["status"], "loss")["latest"] == "1.5"


def test_custom_filters_read_a_metrics_file(together: Mapping[str, Ran]) -> None:
    ran = together["file-filters"]
    assert ran.best == {"hundredths": "75"}
    assert ran.best_metric("accuracy") == {"min": "0.75", "max": "0.75", "latest": "0.75"}
    assert ran.best_metric("loss") == {"min": "-2.5", "max": "4.25", "latest": "4.25"}


def test_custom_filters_read_standard_output_and_error(together: Mapping[str, Ran]) -> None:
    ran = together["stdout-filters"]
    assert ran.best_metric("accuracy")["latest"] == "87.5"
    assert ran.best_metric("valid_1 auc")["latest"] == "0.75"


def test_json_lines_give_text_and_numbers(together: Mapping[str, Ran]) -> None:
    ran = together["file-json"]
    assert ran.conditions["Succeeded"] == MAX_TRIALS
    assert ran.best == {"tenths": "4"}
    assert ran.best_metric("accuracy") == {"min": "0.4", "max": "0.9", "latest": "0.9"}
    assert ran.best_metric("loss") == {"min": "0.25", "max": "1", "latest": "0.5"}
    assert ran.best_metric("unseen") == dict.fromkeys(("min", "max", "latest"), "unavailable")


def test_a_trial_is_told_its_metadata_and_values_reach_it_as_they_are(together: Mapping[str, Ran]) -> None:
    ran = together["metadata"]
    name = ran.status["currentOptimalTrial"]["bestTrialName"]
    logs = ran.katib.ask("logs", name)
    assert logs.code == 0, logs
    words = (
        "1",
        'it\'s "quoted" ${trialParameters.x}\n{and: [braced]}',
        name,
        "default",
        "Job",
        "batch/v1",
        "custom-label",
        'any "text", with: colons',
        f"job {name} of default {name}",
    )
    assert logs.stdout == "".join(f"<{word}>\n" for word in words) + "x=1\n"


@pytest.mark.parametrize("shape", RESUMED)
def test_an_experiment_goes_on_when_its_limit_is_raised(
    together: Mapping[str, Ran], resumed: Mapping[str, Ran], shape: str
) -> None:
    first, second = together[shape], resumed[shape]
    names = [trial["metadata"]["name"] for trial in first.trials()]
    assert first.conditions["Succeeded"] == MAX_TRIALS
    assert first.best == {"x": "2"}

    assert list(second.conditions)[-3:] == ["Restarting", "Running", "Succeeded"]
    assert second.conditions["Succeeded"] == MAX_TRIALS
    assert second.conditions["Restarting"] == ("True", "ExperimentRestarting")
    assert second.status["trialsSucceeded"] == len(second.trials()) == 4
    assert second.best == {"x": "4"}
    assert [trial["metadata"]["name"] for trial in second.trials()][:2] == names


def test_an_experiment_that_never_resumes_refuses_a_higher_limit(
    together: Mapping[str, Ran], here: CommandHere
) -> None:
    first = together["resume-never"]
    state = str(first.katib.state_directory)
    assert first.conditions["Succeeded"] == MAX_TRIALS
    higher = _with_limit("resume-never", 4, here.folder)
    refused = here("run", higher, "-o", "json", KATIB_STATE_DIR=state)
    assert refused.code == 2, refused
    assert "spec.resumePolicy must be LongRunning or FromVolume" in refused.stderr
    assert "Traceback" not in refused.stderr
    again = here("run", _file("resume-never"), "-o", "json", KATIB_STATE_DIR=state)
    assert again.code == 0, again
    assert json.loads(again.stdout)["status"] == first.status


def test_a_trial_template_comes_from_a_config_map_in_the_same_file(together: Mapping[str, Ran]) -> None:
    ran = together["config-map"]
    assert ran.key == ("tuning", "config-map")
    assert ran.conditions["Succeeded"] == MAX_TRIALS
    assert ran.best == {"loss": "0.25"}


def test_a_goal_ends_the_experiment_and_kills_what_still_runs(together: Mapping[str, Ran]) -> None:
    ran = together["goal"]
    assert ran.conditions["Succeeded"] == ("True", "ExperimentGoalReached")
    assert ran.best == {"kind": "quick"}
    assert (ran.status["trialsSucceeded"], ran.status["trialsKilled"]) == (1, 1)
    assert ran.status["trials"] == 2
    assert "trialsRunning" not in ran.status or ran.status["trialsRunning"] == 0


def test_too_many_failed_trials_fail_the_experiment(here: CommandHere) -> None:
    ended = here("run", _file("failing"), "-o", "json")
    assert ended.code == 1, ended
    ran = Ran(Katib(here.folder / ".katib"), json.loads(ended.stdout))
    assert ran.conditions["Failed"] == ("True", "ExperimentFailed")
    assert ran.status["trialsFailed"] == 1
    assert ran.status["trialMetricsUnavailable"] == 1
    assert ran.best == {"outcome": "good"}
    trials = {assignment(trial["spec"])["outcome"]: trial for trial in ran.trials()}
    assert {name: phase(trial) for name, trial in trials.items()} == {
        "good": "Succeeded",
        "broken": "Failed",
        "silent": "MetricsUnavailable",
    }
    assert "out of luck" in trials["broken"]["status"]["conditions"][-1]["message"]
    message = trials["silent"]["status"]["conditions"][-1]["message"]
    assert "scores" in message
    assert "'score'" in message


def test_a_loss_that_is_no_number_is_kept_and_never_wins(together: Mapping[str, Ran]) -> None:
    ran = together["not-a-number"]
    assert ran.best == {"loss": "0.5"}
    latest = {
        assignment(trial["spec"])["loss"]: metric(trial["status"], "loss")["latest"] for trial in ran.trials()
    }
    assert latest == {"nan": "nan", "0.5": "0.5", "inf": "inf"}
    assert {phase(trial) for trial in ran.trials()} <= {"Succeeded", "MetricsUnavailable"}


def test_every_shape_has_a_test(together: Mapping[str, Ran]) -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    tested = {shape for shape in together if f'together["{shape}"]' in source}
    assert tested | set(RESUMED) == set(together)


def _with_limit(shape: str, limit: int, directory: Path) -> Path:
    document: dict[str, Any] = yaml.safe_load((SHAPES / f"{shape}.yaml").read_text(encoding="utf-8"))
    document["spec"]["maxTrialCount"] = limit
    file = directory / f"{shape}-{limit}.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    return file
