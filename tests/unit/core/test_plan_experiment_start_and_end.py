"""When an Experiment begins, ends and goes on again, and what its conditions say about it."""

from __future__ import annotations

from typing import Any

import pytest

from katibpy.api.experiment import Experiment, Objective
from katibpy.core.instructions import DeleteOwned, RemoveExperiment, RequestStop
from katibpy.core.phases import ExperimentPhase, TrialPhase, experiment_phase
from katibpy.core.plan_experiment import plan_experiment
from katibpy.testing import builders as build
from tests.unit.core.views import seen, succeeded, tuned


def conditions_of(experiment: Experiment) -> list[tuple[str, str, str, str]]:
    return [(each.type, each.status, each.reason, each.message) for each in experiment.status.conditions]


def planned(experiment: Experiment, *trials: Any, **view: Any) -> Experiment:
    """The Experiment with the status that was planned."""
    return experiment.but(status=plan_experiment(seen(experiment, trials, **view)).status)


def finished(phase: TrialPhase, experiment: Experiment, number: int) -> Any:
    return build.trial(experiment, number, phase)


CREATED = ("Created", "True", "ExperimentCreated", "Experiment is created")
RUNNING = ("Running", "True", "ExperimentRunning", "Experiment is running")
NOT_RUNNING = ("Running", "False", "ExperimentRunning", "Experiment is running")
MAX_REACHED = (
    "Succeeded",
    "True",
    "ExperimentMaxTrialsReached",
    "Experiment has succeeded because max trial count has reached",
)


def test_a_new_experiment_is_created_and_starts_its_clock() -> None:
    experiment = planned(tuned(), seconds=7)
    assert conditions_of(experiment) == [CREATED]
    assert experiment.status.start_time == build.moment(7)
    assert experiment.status.completion_time is None


def test_it_is_running_once_a_trial_exists() -> None:
    experiment = planned(tuned())
    experiment = planned(experiment, build.trial(experiment, 0))
    assert conditions_of(experiment) == [CREATED, RUNNING]


def _failing(experiment: Experiment, message: str) -> Any:
    return build.suggestion(
        experiment,
        3,
        conditions=(
            build.condition("DeploymentReady", status="False", reason="DeploymentNotReady", message=message),
        ),
    )


def test_it_says_that_its_algorithm_does_not_answer_and_forgets_it_when_it_does() -> None:
    experiment = planned(tuned())
    failing = _failing(experiment, "no usable answer (2 in a row): connection refused\nTraceback")
    waiting = planned(experiment, suggestion=failing)
    told = "Experiment is created; no usable answer (2 in a row): connection refused Traceback"
    assert conditions_of(waiting) == [(*CREATED[:3], told)]
    assert conditions_of(planned(waiting, suggestion=build.suggestion(waiting, 3))) == [CREATED]
    begun = planned(waiting, build.trial(waiting, 0), suggestion=failing)
    assert conditions_of(begun) == [CREATED, (*RUNNING[:3], told.replace("created", "running"))]
    assert conditions_of(planned(begun, build.trial(begun, 0))) == [CREATED, RUNNING]


def test_what_failed_in_between_is_not_told_of_an_ended_one() -> None:
    experiment = tuned(max_trial_count=1)
    failing = _failing(experiment, "no usable answer (2 in a row): connection refused")
    running = planned(experiment, build.trial(experiment, 0), suggestion=failing)
    over = planned(running, succeeded(running, 0, 1), suggestion=failing)
    assert conditions_of(over) == [CREATED, NOT_RUNNING, MAX_REACHED]


def test_looking_again_changes_nothing() -> None:
    experiment = planned(tuned())
    trial = build.trial(experiment, 0)
    experiment = planned(experiment, trial, seconds=1)
    assert planned(experiment, trial, seconds=99).status == experiment.status


def test_it_succeeds_when_the_maximum_of_trials_has_ended() -> None:
    experiment = tuned(max_trial_count=2, parallel_trial_count=1)
    trials = [succeeded(experiment, 0, 0.3), finished(TrialPhase.FAILED, experiment, 1)]
    running = planned(experiment, trials[0])
    ended = planned(running, *trials, seconds=50)
    assert conditions_of(ended) == [CREATED, NOT_RUNNING, MAX_REACHED]
    assert ended.status.completion_time == build.moment(50)


@pytest.mark.parametrize(
    "phase",
    [TrialPhase.FAILED, TrialPhase.KILLED, TrialPhase.EARLY_STOPPED, TrialPhase.METRICS_UNAVAILABLE],
)
def test_every_way_to_end_counts_towards_the_maximum(phase: TrialPhase) -> None:
    experiment = tuned(max_trial_count=2, parallel_trial_count=1)
    ended = planned(experiment, succeeded(experiment, 0, 1), finished(phase, experiment, 1))
    assert conditions_of(ended)[-1] == MAX_REACHED


def test_reaching_the_maximum_without_one_result_is_a_failure() -> None:
    experiment = tuned(max_trial_count=2, parallel_trial_count=1)
    trials = [finished(TrialPhase.FAILED, experiment, number) for number in range(2)]
    assert conditions_of(planned(experiment, *trials))[-1] == (
        "Failed",
        "True",
        "ExperimentFailed",
        "Experiment has failed because none of its 2 trials succeeded",
    )


GOAL = (
    "Succeeded",
    "True",
    "ExperimentGoalReached",
    "Experiment has succeeded because Objective goal has reached",
)


@pytest.mark.parametrize(
    ("objective", "value", "is_reached"),
    [
        (build.minimize(goal=0.1), 0.1, True),
        (build.minimize(goal=0.1), 0.05, True),
        (build.minimize(goal=0.1), 0.11, False),
        (build.maximize(goal=0.9), 0.9, True),
        (build.maximize(goal=0.9), 0.95, True),
        (build.maximize(goal=0.9), 0.89, False),
        (build.minimize(goal=0.0), -1, True),
        (build.minimize(goal=0.1), "nan", False),
        (build.minimize(goal=0.1), "-inf", False),
        (build.maximize(goal=0.9), "inf", False),
        (build.maximize(goal=0.9), "nan", False),
        (build.minimize(goal=0.1), "unavailable", False),
        (build.minimize(goal=0.1), "(a, network)", False),
        (build.minimize(goal=0.1), "", False),
        (build.minimize(), -1e300, False),
    ],
)
def test_the_goal_is_reached_by_numbers_alone(objective: Objective, value: object, is_reached: bool) -> None:
    experiment = tuned(objective=objective, max_trial_count=5)
    conditions = conditions_of(planned(experiment, succeeded(experiment, 0, value)))
    assert (GOAL in conditions) is is_reached


def test_a_text_before_a_number_never_makes_a_false_goal() -> None:
    experiment = tuned(objective=build.minimize(goal=0.001))
    trials = [succeeded(experiment, number, text) for number, text in enumerate(["", "0.9", "0.5"])]
    status = planned(experiment, *trials).status
    assert experiment_phase(status.conditions) is ExperimentPhase.RUNNING
    assert status.current_optimal_trial is not None
    assert status.current_optimal_trial.best_trial_name == trials[2].metadata.name


def test_the_goal_counts_more_than_too_many_failures() -> None:
    experiment = tuned(objective=build.minimize(goal=1), max_failed_trial_count=1, max_trial_count=5)
    failed = finished(TrialPhase.FAILED, experiment, 0)
    assert conditions_of(planned(experiment, failed, succeeded(experiment, 1, 0.5)))[-1] == GOAL


FAILED = ("Failed", "True", "ExperimentFailed", "Experiment has failed because max failed count has reached")


@pytest.mark.parametrize("phase", [TrialPhase.FAILED, TrialPhase.METRICS_UNAVAILABLE])
def test_it_fails_at_the_maximum_of_failures(phase: TrialPhase) -> None:
    experiment = tuned(max_trial_count=9, max_failed_trial_count=2)
    trials = [succeeded(experiment, 0, 1), finished(phase, experiment, 1)]
    experiment = planned(experiment, *trials)
    assert experiment_phase(experiment.status.conditions) is ExperimentPhase.RUNNING
    ended = planned(experiment, *trials, finished(TrialPhase.FAILED, experiment, 2))
    assert conditions_of(ended) == [CREATED, NOT_RUNNING, FAILED]
    assert ended.status.completion_time is not None


@pytest.mark.parametrize("phase", [TrialPhase.KILLED, TrialPhase.EARLY_STOPPED])
def test_stopped_trials_are_no_failures(phase: TrialPhase) -> None:
    experiment = tuned(max_trial_count=9, max_failed_trial_count=1)
    experiment = planned(experiment, *[finished(phase, experiment, number) for number in range(3)])
    assert experiment_phase(experiment.status.conditions) is ExperimentPhase.RUNNING


def test_with_no_failure_allowed_the_first_one_ends_it_and_none_does_not() -> None:
    experiment = tuned(max_trial_count=9, max_failed_trial_count=0)
    assert FAILED not in conditions_of(planned(experiment, succeeded(experiment, 0, 1)))
    assert FAILED in conditions_of(planned(experiment, finished(TrialPhase.FAILED, experiment, 0)))


def test_failures_count_more_than_the_maximum_of_trials() -> None:
    experiment = tuned(max_trial_count=2, parallel_trial_count=1, max_failed_trial_count=1)
    trials = [succeeded(experiment, 0, 1), finished(TrialPhase.FAILED, experiment, 1)]
    assert conditions_of(planned(experiment, *trials))[-1] == FAILED


def test_it_fails_when_the_algorithm_refuses_it() -> None:
    experiment = tuned()
    refused = build.suggestion(
        experiment,
        3,
        conditions=(build.condition("Failed", reason="SuggestionFailed", message="Validation failed: no"),),
    )
    assert conditions_of(planned(experiment, suggestion=refused))[-1] == (
        "Failed",
        "True",
        "ExperimentFailed",
        "Suggestion has failed: Validation failed: no",
    )


EXHAUSTED = (
    "Succeeded",
    "True",
    "ExperimentSuggestionEndReached",
    "Experiment has succeeded because suggestion service has reached the end",
)


def test_it_succeeds_when_the_search_is_exhausted_and_the_last_trial_has_ended() -> None:
    experiment = planned(tuned())
    last = build.suggestion(experiment, 3, suggestion_count=2, exhausted=True)
    first = succeeded(experiment, 0, 1)
    with_one_running = planned(experiment, first, build.trial(experiment, 1), suggestion=last)
    assert experiment_phase(with_one_running.status.conditions) is ExperimentPhase.RUNNING
    waiting = planned(experiment, first, suggestion=last, proposals=[build.proposal(experiment, 1)])
    assert experiment_phase(waiting.status.conditions) is ExperimentPhase.RUNNING
    ended = planned(experiment, first, succeeded(experiment, 1, 2), suggestion=last)
    assert conditions_of(ended)[-1] == EXHAUSTED


def test_an_algorithm_that_never_proposes_anything_makes_it_fail() -> None:
    experiment = tuned()
    ended = planned(experiment, suggestion=build.suggestion(experiment, 3, exhausted=True))
    assert conditions_of(ended)[-1][0] == "Failed"
    assert conditions_of(ended)[-1][3] == "Experiment has failed because the search ended without a trial"


def test_running_trials_are_stopped_when_it_ends() -> None:
    experiment = tuned(objective=build.minimize(goal=1))
    running = build.trial(experiment, 1, TrialPhase.RUNNING)
    pending = build.trial(experiment, 2)
    plan = plan_experiment(seen(experiment, [succeeded(experiment, 0, 0.5), running, pending]))
    stops = [step for step in plan.instructions if isinstance(step, RequestStop)]
    assert [stop.trial_name for stop in stops] == [running.metadata.name, pending.metadata.name]
    assert {stop.request.phase for stop in stops} == {"Killed"}
    assert stops[0].request.message == "Trial was stopped because the Experiment has ended"
    assert len(plan.instructions) == 2


def test_an_ended_experiment_still_counts_and_stops_late_trials() -> None:
    experiment = tuned(objective=build.minimize(goal=1))
    trials = [succeeded(experiment, 0, 0.5), build.trial(experiment, 1, TrialPhase.RUNNING)]
    experiment = planned(experiment, *trials)
    later = plan_experiment(seen(experiment, trials, seconds=500))
    assert [type(step) for step in later.instructions] == [RequestStop]
    trials[1] = succeeded(experiment, 1, 0.1)  # it was faster than its stop
    status = planned(experiment, *trials, seconds=600).status
    assert status.trials_succeeded == 2
    assert status.current_optimal_trial is not None
    assert status.current_optimal_trial.best_trial_name == trials[1].metadata.name
    assert status.completion_time == experiment.status.completion_time
    assert status.conditions == experiment.status.conditions


# Going on after the end.


def ended_by_budget(policy: str, count: int = 2) -> tuple[Experiment, list[Any]]:
    experiment = tuned(max_trial_count=count, parallel_trial_count=1, resume_policy=policy)
    trials = [succeeded(experiment, number, number) for number in range(count)]
    return planned(planned(experiment, trials[0]), *trials), trials


def raised(experiment: Experiment, most: int | None) -> Experiment:
    generation = (experiment.metadata.generation or 0) + 1
    return experiment.but(
        metadata=experiment.metadata.but(generation=generation),
        spec=experiment.spec.but(max_trial_count=most),
    )


def is_unmoved(experiment: Experiment, edited: Experiment, *trials: Any) -> bool:
    """Whether an edit of an ended Experiment changes nothing but the generation that was seen."""
    status = planned(edited, *trials).status
    assert status.observed_generation == edited.metadata.generation
    return status.but(observed_generation=experiment.status.observed_generation) == experiment.status


@pytest.mark.parametrize("policy", ["LongRunning", "FromVolume"])
@pytest.mark.parametrize("most", [3, None])
def test_a_larger_budget_restarts_an_experiment_that_may(policy: str, most: int | None) -> None:
    experiment, trials = ended_by_budget(policy)
    again = planned(raised(experiment, most), *trials, seconds=300)
    assert conditions_of(again) == [
        CREATED,
        ("Restarting", "True", "ExperimentRestarting", "Experiment is restarted"),
        RUNNING,
    ]
    assert again.status.completion_time is None
    assert again.status.start_time == experiment.status.start_time


@pytest.mark.parametrize("policy", ["LongRunning", "FromVolume"])
def test_it_restarts_a_second_time(policy: str) -> None:
    experiment, trials = ended_by_budget(policy)
    for round_number, most in enumerate((3, 4)):
        experiment = planned(raised(experiment, most), *trials, seconds=300 + round_number * 100)
        assert experiment_phase(experiment.status.conditions) is ExperimentPhase.RUNNING
        assert [each.type for each in experiment.status.conditions] == ["Created", "Restarting", "Running"]
        restarting = experiment.status.conditions[1]
        assert restarting.last_transition_time == build.moment(300 + round_number * 100)
        trials.append(succeeded(experiment, most - 1, 9))
        experiment = planned(experiment, *trials, seconds=350 + round_number * 100)
        assert conditions_of(experiment)[-1] == MAX_REACHED
        assert experiment.status.completion_time == build.moment(350 + round_number * 100)


def test_never_means_never() -> None:
    experiment, trials = ended_by_budget("Never")
    assert is_unmoved(experiment, raised(experiment, 9), *trials)


@pytest.mark.parametrize("policy", ["LongRunning", "FromVolume"])
@pytest.mark.parametrize("most", [1, 2])
def test_no_larger_budget_no_restart(policy: str, most: int) -> None:
    experiment, trials = ended_by_budget(policy)
    assert is_unmoved(experiment, raised(experiment, most), *trials)


def test_a_reached_goal_or_a_failure_is_final_whatever_the_policy() -> None:
    goal = tuned(objective=build.minimize(goal=1), max_trial_count=3, resume_policy="LongRunning")
    hit = succeeded(goal, 0, 0.5)
    goal = planned(goal, hit)
    assert is_unmoved(goal, raised(goal, 9), hit)
    failed = tuned(max_failed_trial_count=1, max_trial_count=3, resume_policy="LongRunning")
    broken = finished(TrialPhase.FAILED, failed, 0)
    failed = planned(failed, broken)
    assert is_unmoved(failed, raised(failed, 9), broken)


def test_a_trial_deleted_after_the_end_is_no_wish_to_go_on() -> None:
    experiment, trials = ended_by_budget("LongRunning")
    after = planned(experiment, trials[0])
    assert conditions_of(after) == conditions_of(experiment)
    assert after.status.trials == 1
    again = planned(raised(after, 3), trials[0])
    assert experiment_phase(again.status.conditions) is ExperimentPhase.RUNNING


def test_the_status_says_which_spec_it_is_about() -> None:
    experiment = planned(tuned())
    assert experiment.status.observed_generation == experiment.metadata.generation == 1
    assert planned(raised(experiment, 9)).status.observed_generation == 2


def test_a_restart_of_an_exhausted_search_ends_at_once_and_says_why() -> None:
    experiment, trials = ended_by_budget("LongRunning")
    last = build.suggestion(experiment, 2, suggestion_count=2, exhausted=True)
    again = planned(raised(experiment, 9), *trials, suggestion=last)
    assert conditions_of(again)[-1] == EXHAUSTED
    assert planned(again, *trials, suggestion=last).status == again.status


# Deletion.


def deleted(experiment: Experiment) -> Experiment:
    return experiment.but(metadata=experiment.metadata.but(deletion_timestamp=build.moment(90)))


def test_a_deleted_experiment_is_removed_when_it_owns_nothing() -> None:
    experiment = deleted(tuned())
    assert plan_experiment(seen(experiment)).instructions == (RemoveExperiment(experiment),)


def test_a_deleted_experiment_that_has_ended_is_removed_too() -> None:
    experiment, _ = ended_by_budget("LongRunning")
    assert plan_experiment(seen(deleted(experiment))).instructions == (RemoveExperiment(deleted(experiment)),)


def test_what_was_born_while_its_experiment_was_being_deleted_is_deleted_as_well() -> None:
    experiment = deleted(tuned())
    late = build.trial(experiment, 0)
    assert plan_experiment(seen(experiment, [late])).instructions == (DeleteOwned(experiment),)
    leaving = late.but(metadata=late.metadata.but(deletion_timestamp=build.moment(90)))
    assert plan_experiment(seen(experiment, [leaving])).instructions == ()
    suggestion = build.suggestion(experiment, 3)
    assert plan_experiment(seen(experiment, suggestion=suggestion)).instructions == (DeleteOwned(experiment),)
    gone = suggestion.but(metadata=suggestion.metadata.but(deletion_timestamp=build.moment(90)))
    assert plan_experiment(seen(experiment, suggestion=gone)).instructions == ()
    # A trial so quick that it ended before we looked is neither active nor marked.
    ended = succeeded(experiment, 0, 1)
    assert plan_experiment(seen(experiment, [ended])).instructions == (DeleteOwned(experiment),)
