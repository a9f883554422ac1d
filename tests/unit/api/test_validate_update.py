from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from katibpy.api.codec import load_documents, to_dict
from katibpy.api.defaults import with_defaults
from katibpy.api.experiment import Experiment
from katibpy.api.model import Condition
from katibpy.api.status_conditions import set_condition
from katibpy.api.validation import validate_update
from tests.unit.api.valid_cases import VALID

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def experiment(
    name: str = "random", *, trials: int = 0, ended: Condition | None = None, **spec: Any
) -> Experiment:
    (document,) = load_documents(VALID[name])
    assert isinstance(document.resource, Experiment)
    found = document.resource
    conditions = () if ended is None else set_condition((), ended, NOW)
    status = found.status.but(trials=trials, conditions=conditions)
    return found.but(spec=found.spec.but(**spec), status=status)


MAX_REACHED = Condition(type="Succeeded", reason="ExperimentMaxTrialsReached")
GOAL_REACHED = Condition(type="Succeeded", reason="ExperimentGoalReached")
FAILED = Condition(type="Failed", reason="ExperimentFailed")


def test_an_unchanged_spec_is_fine_also_after_the_end() -> None:
    assert validate_update(experiment(trials=12, ended=FAILED), experiment()) == ()


def test_defaults_are_no_change() -> None:
    assert validate_update(with_defaults(experiment()), experiment()) == ()
    assert validate_update(experiment(), with_defaults(experiment())) == ()


def test_the_budget_of_a_running_experiment_may_change() -> None:
    new = experiment(parallel_trial_count=1, max_trial_count=20, max_failed_trial_count=None)
    assert validate_update(experiment(trials=5), new) == ()


def test_parallelism_may_change_when_all_trials_exist() -> None:
    assert validate_update(experiment(trials=12), experiment(parallel_trial_count=5)) == ()


@pytest.mark.parametrize(("most", "accepted"), [(4, False), (5, True), (6, True), (None, True)])
def test_trials_that_exist_cannot_be_taken_back(most: int | None, accepted: bool) -> None:
    errors = validate_update(experiment(trials=5), experiment(max_trial_count=most))
    assert (errors == ()) is accepted
    if errors:
        (error,) = errors
        assert error.path == "spec.maxTrialCount"
        assert "at least" in error.message
        assert "5" in error.message
        assert "got 4" in error.message


def test_every_other_change_is_refused_with_its_path_and_both_values() -> None:
    old = experiment()
    assert old.spec.objective is not None
    assert old.spec.algorithm is not None
    first, second = old.spec.parameters
    new = experiment(
        objective=old.spec.objective.but(goal=0.5),
        algorithm=old.spec.algorithm.but(algorithm_name="tpe"),
        parameters=(first.but(feasible_space=first.feasible_space.but(max="0.06")), second),
        seed=1,
        max_trial_count=13,
    )
    found = {error.path: error.message for error in validate_update(old, new)}
    assert set(found) == {
        "spec.parameters[0].feasibleSpace.max",
        "spec.objective.goal",
        "spec.algorithm.algorithmName",
        "spec.seed",
    }
    assert "was 'random', got 'tpe'" in found["spec.algorithm.algorithmName"]
    assert "was nothing, got 1" in found["spec.seed"]
    assert "maxTrialCount" in found["spec.seed"]


def test_a_change_inside_the_job_has_its_own_path() -> None:
    old = experiment()
    assert old.spec.trial_template is not None
    job = to_dict(old.spec.trial_template)["trialSpec"]
    pod = job["spec"]["template"]["spec"]
    container = {**pod["containers"][0], "image": "example.com/train:2"}
    changed = {**job, "spec": {"template": {"spec": {**pod, "containers": [container]}}}}
    new = experiment(trial_template=old.spec.trial_template.but(trial_spec=changed))
    (error,) = validate_update(old, new)
    assert error.path == "spec.trialTemplate.trialSpec.spec.template.spec.containers[0].image"


@pytest.mark.parametrize("policy", ["LongRunning", "FromVolume"])
def test_an_experiment_that_ran_out_of_trials_goes_on_with_more(policy: str) -> None:
    old = experiment(trials=12, ended=MAX_REACHED, resume_policy=policy)
    assert validate_update(old, experiment(resume_policy=policy, max_trial_count=13)) == ()
    assert validate_update(old, experiment(resume_policy=policy, max_trial_count=None)) == ()
    (error,) = validate_update(old, experiment(resume_policy=policy, parallel_trial_count=1))
    assert error.path == "spec.maxTrialCount"
    assert "greater than" in error.message
    assert "12" in error.message


def test_without_a_resume_policy_the_end_is_final() -> None:
    (error,) = validate_update(experiment(trials=12, ended=MAX_REACHED), experiment(max_trial_count=20))
    assert error.path == "spec.resumePolicy"
    assert "LongRunning or FromVolume" in error.message
    assert "Never" in error.message


@pytest.mark.parametrize("ended", [GOAL_REACHED, FAILED], ids=["goal", "failed"])
def test_an_experiment_that_ended_for_another_reason_does_not_go_on(ended: Condition) -> None:
    old = experiment(trials=12, ended=ended, resume_policy="LongRunning")
    (error,) = validate_update(old, experiment(resume_policy="LongRunning", max_trial_count=20))
    assert error.path == "spec"
    assert "maxTrialCount was reached" in error.message
